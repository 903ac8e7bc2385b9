internal import FXSystem
internal import Glibc
internal import SystemPackage

/// Who holds a state directory, as written in its `lock` file.
struct LockHolder: Sendable, Equatable {
    var pid: Int32
    var mountpoint: String
    var host: String
    var started: String

    var json: JSONValue {
        [
            "pid": .integer(Int64(pid)), "mountpoint": .string(mountpoint), "host": .string(host),
            "started": .string(started),
        ]
    }

    init(pid: Int32, mountpoint: String, host: String, started: String) {
        self.pid = pid
        self.mountpoint = mountpoint
        self.host = host
        self.started = started
    }

    init?(_ json: JSONValue) {
        guard let pid = json["pid"]?.integer else { return nil }
        self.init(
            pid: Int32(truncatingIfNeeded: pid), mountpoint: json["mountpoint"]?.string ?? "",
            host: json["host"]?.string ?? "", started: json["started"]?.string ?? "")
    }
}

/// The one lock of a state directory; held while the value lives, and let go by the kernel when the process dies.
struct StateLock: ~Copyable, Sendable {
    /// Keeps the open file description, and with it the lock.
    private let file: OwnedDescriptor

    /// Takes the lock and writes who holds it.
    /// - Throws: exit 11 naming the holder when another process has it.
    init(_ directory: borrowing StateDirectory, holder: LockHolder) throws(CommandFailure) {
        let opened = try StateLock.open(in: directory)
        try StateLock.take(opened, in: directory, holder)
        file = opened
    }

    private static func open(in directory: borrowing StateDirectory) throws(CommandFailure) -> OwnedDescriptor {
        do throws(Errno) {
            return try directory.descriptor.open(try fileName(), [.readWrite, .create], mode: 0o600)
        } catch {
            throw CommandFailure(error, "cannot open the lock", path: directory.path(of: "lock"), status: .failure)
        }
    }

    private static func take(
        _ file: borrowing OwnedDescriptor, in directory: borrowing StateDirectory, _ holder: LockHolder
    ) throws(CommandFailure) {
        let path = directory.path(of: "lock")
        if flock(file.rawValue, LOCK_EX | LOCK_NB) != 0 {
            let error = Errno(rawValue: errno)
            guard error == .wouldBlock else { throw CommandFailure(error, "cannot lock", path: path, status: .failure) }
            throw StateLock.conflict(in: directory.path, StateLock.read(file), error)
        }
        do throws(Errno) {
            try file.truncate(to: .zero)
            try file.write(Array((holder.json.text + "\n").utf8), at: 0)
        } catch {
            throw CommandFailure(error, "cannot write the lock", path: path, status: .failure)
        }
    }

    /// Lets go; other processes may take it from now on.
    consuming func release() {}

    /// Who holds the lock of a state directory now; nil when nobody does.
    static func holder(of directory: borrowing StateDirectory) -> LockHolder? {
        guard let name = try? fileName(), let file = try? directory.descriptor.open(name, [.readOnly]) else {
            return nil
        }
        // A shared lock can be had exactly when nobody holds the exclusive one; it is gone with the descriptor.
        if flock(file.rawValue, LOCK_SH | LOCK_NB) == 0 { return nil }
        return read(file)
    }

    private static func fileName() throws(Errno) -> Name {
        do throws(NameError) { return try Name("lock") } catch { throw .invalidArgument }
    }

    private static func read(_ file: borrowing OwnedDescriptor) -> LockHolder? {
        // A pid, a path of at most PATH_MAX, escaped, and a host name.
        guard let bytes = try? file.read(32 << 10, at: 0) else { return nil }
        return JSONValue(parsing: String(decoding: bytes, as: UTF8.self)).flatMap(LockHolder.init)
    }

    private static func conflict(in directory: String, _ holder: LockHolder?, _ error: Errno) -> CommandFailure {
        let place = displayed(directory.utf8)
        guard let holder else {
            return CommandFailure(
                .locked, "the state directory \(place) is in use by another process",
                hint: "`fuser -v \(place)/lock` tells which", path: directory, errno: error)
        }
        let mountpoint = displayed(holder.mountpoint.utf8)
        return CommandFailure(
            .locked,
            "the state directory \(place) is in use by pid \(holder.pid), mounted at \(mountpoint) since \(holder.started)",
            hint: "`fxmount unmount \(mountpoint)` ends it; or mount with another --state-dir", path: directory,
            errno: error)
    }
}
