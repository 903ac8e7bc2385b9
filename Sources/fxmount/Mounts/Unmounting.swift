internal import FXSystem
internal import Glibc
internal import SystemPackage

/// Taking a mount away without its daemon.
enum Unmounting {
    /// Detaches the mount at `path`: umount2(2) with MNT_DETACH where allowed, else `fusermount3 -uz`.
    /// - Throws: exit 1 with what fusermount3 said.
    static func detach(_ path: String, environment: [String: String]) throws(CommandFailure) {
        // MNT_DETACH 2, UMOUNT_NOFOLLOW 8 of sys/mount.h.
        if unsafe umount2(path, 2 | 8) == 0 { return }
        let refusal = Errno(rawValue: errno)
        let child: ChildProcess
        do throws(Errno) {
            child = try ChildProcess(
                ChildRequest(
                    executable: "fusermount3", arguments: ["-u", "-z", "--", path], environment: environment))
        } catch {
            throw CommandFailure(
                refusal, "cannot unmount", path: path,
                hint: "fusermount3 is missing too: install the fuse3 package, or unmount as root", status: .failure)
        }
        _ = child.readReport(until: .after(.seconds(20)))
        if child.waitForExit() != 0 {
            throw CommandFailure(
                refusal, "cannot unmount", path: path, hint: "only its owner and root may: sudo umount -l",
                status: .failure)
        }
    }

    /// True when a process with this id runs, whoever owns it; one that only waits for its parent to notice does not.
    static func isRunning(_ pid: Int32) -> Bool {
        guard pid > 0, kill(pid, 0) == 0 || errno == EPERM else { return false }
        guard let file = try? OwnedDescriptor.open(absolute: "/proc/\(pid)/stat", [.readOnly]),
            let bytes = try? file.read(512, at: 0)
        else { return unsafe access("/proc/self", F_OK) != 0 }
        // The state follows the name in parentheses, which may contain anything (proc_pid_stat(5)).
        let state = bytes.reversed().prefix { $0 != UInt8(ascii: ")") }.reversed().first { $0 != UInt8(ascii: " ") }
        return state != UInt8(ascii: "Z") && state != UInt8(ascii: "X")
    }
}

/// What the daemon left undone: `last-unmount.json` of the state directory.
struct UnmountReport: Sendable, Equatable {
    struct Left: Sendable, Equatable {
        var path: String
        var state: String
        var size: ByteCount

        var json: JSONValue { ["path": .string(path), "state": .string(state), "size": .bytes(size)] }
    }

    /// What is left, in words: `2 files are not yet sent, 1 draft was never finished`.
    static func sentence(_ left: [Left]) -> String {
        let drafts = left.count { $0.state == "draft" }
        let unsent = left.count - drafts
        var parts: [String] = []
        if unsent > 0 { parts.append("\(unsent) \(unsent == 1 ? "file is" : "files are") not yet sent") }
        if drafts > 0 { parts.append("\(drafts) \(drafts == 1 ? "draft was" : "drafts were") never finished") }
        return parts.joined(separator: ", ")
    }

    /// What happens to it, and where it is meanwhile.
    static func hint(_ left: [Left], in directory: String) -> String {
        let place = displayed(directory.utf8)
        let unsent =
            left.contains { $0.state != "draft" } ? "mount again to go on sending; the files are safe in \(place)" : nil
        let drafts = left.contains { $0.state == "draft" } ? "the next mount moves drafts to \(place)/recovered" : nil
        return [unsent, drafts].compactMap { $0 }.joined(separator: "; ")
    }

    static let fileName = "last-unmount.json"

    var left: [Left]
    var time: String

    var json: JSONValue { ["left": .array(left.map(\.json)), "time": .string(time)] }

    init(left: [Left], time: String) {
        self.left = left
        self.time = time
    }

    init?(_ json: JSONValue) {
        guard let items = json["left"]?.elements else { return nil }
        time = json["time"]?.string ?? ""
        left = items.map {
            Left(
                path: $0["path"]?.string ?? "", state: $0["state"]?.string ?? "",
                size: ByteCount(UInt64(clamping: $0["size"]?.integer ?? 0)))
        }
    }

    /// Reads the report of a state directory; nil without one.
    static func read(from directory: borrowing StateDirectory) -> UnmountReport? {
        guard let name = try? Name(fileName), let file = try? directory.descriptor.open(name, [.readOnly]),
            let size = try? file.status().size, let bytes = try? file.read(Int(clamping: size.rawValue), at: 0)
        else { return nil }
        return JSONValue(parsing: String(decoding: bytes, as: UTF8.self)).flatMap(UnmountReport.init)
    }

    /// Replaces the report of a state directory in one step.
    func write(to directory: borrowing StateDirectory) throws(Errno) {
        try AtomicFile.write(
            Array((json.text + "\n").utf8), to: UnmountReport.fileName, in: directory.descriptor, mode: 0o600)
    }
}
