internal import FXSystem
internal import Glibc
internal import SystemPackage

/// The directory that holds journal, spool, recovered files, mappings and the lock; only its owner can look into it.
struct StateDirectory: ~Copyable, Sendable {
    let path: String
    let descriptor: OwnedDescriptor

    /// Opens the directory, making it (0700) and its parents first if asked to.
    /// - Throws: exit 10 when it is somebody else's, open to others, or cannot be made.
    init(opening path: String, creating: Bool) throws(CommandFailure) {
        if creating { try StateDirectory.make(path) }
        let opened = try StateDirectory.open(path)
        try StateDirectory.check(opened, path)
        self.path = path
        descriptor = opened
    }

    private static func open(_ path: String) throws(CommandFailure) -> OwnedDescriptor {
        do throws(Errno) {
            return try OwnedDescriptor.open(absolute: path, [.directory, .noFollow])
        } catch .noSuchFileOrDirectory {
            throw CommandFailure(
                .configuration, "there is no state directory \(displayed(path.utf8))",
                hint: "`fxmount mount` and `fxmount type create` make it; or name another with --state-dir", path: path,
                errno: .noSuchFileOrDirectory)
        } catch {
            throw CommandFailure(error, "cannot open the state directory", path: path, status: .configuration)
        }
    }

    private static func check(_ descriptor: borrowing OwnedDescriptor, _ path: String) throws(CommandFailure) {
        let status: FileStatus
        do throws(Errno) { status = try descriptor.status() } catch {
            throw CommandFailure(error, "cannot look at the state directory", path: path, status: .configuration)
        }
        if status.owner != geteuid() {
            throw CommandFailure(
                .configuration,
                "the state directory \(displayed(path.utf8)) belongs to user \(status.owner), not to you",
                hint: "use a directory of your own: --state-dir DIR", path: path)
        }
        if status.permissions & 0o077 != 0 {
            throw CommandFailure(
                .configuration, "the state directory \(displayed(path.utf8)) is open to other users",
                hint: "chmod 700 \(displayed(path.utf8))", path: path)
        }
    }

    /// The absolute path of something in it.
    borrowing func path(of name: String) -> String { "\(path)/\(name)" }

    private static func make(_ path: String) throws(CommandFailure) {
        var built = ""
        let parts = path.split(separator: "/")
        for (index, part) in parts.enumerated() {
            built += "/" + part
            // Parents as a login would make them; the directory itself for its owner only.
            let isLast = index == parts.count - 1
            if unsafe mkdir(built, isLast ? 0o700 : 0o755) != 0, errno != EEXIST, errno != EISDIR {
                // A parent that cannot be written may still exist: EACCES and EROFS are told by the next step.
                let error = Errno(rawValue: errno)
                if unsafe access(built, F_OK) == 0 { continue }
                throw CommandFailure(
                    error, "cannot make the state directory", path: built,
                    hint: "choose another with --state-dir or FXMOUNT_STATE_DIR", status: .configuration)
            }
        }
    }
}
