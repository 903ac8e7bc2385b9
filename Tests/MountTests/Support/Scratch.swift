import CSyscalls
import Glibc
import Synchronization

/// Where the tests put things: one directory of this run on disk, one in memory, both removed at the end of the
/// process.
enum Scratch {
    enum Place: String, Sendable { case disk, memory }

    static let root: String = make(temporaryDirectory())
    private static let memoryRoot: String = make(
        cs_statfs_type("/dev/shm") == 0x0102_1994 ? "/dev/shm" : temporaryDirectory())
    private static let counter = Atomic<Int>(0)

    /// A new name in the run's directory; nothing is created.
    static func file(_ label: String, _ place: Place = .disk) throws -> String {
        let number = counter.add(1, ordering: .relaxed).newValue
        return "\(place == .disk ? root : memoryRoot)/\(label)-\(number)"
    }

    /// A new empty directory anybody may pass through.
    static func directory(_ label: String, _ place: Place = .disk) throws -> String {
        let path = try file(label, place)
        let result = Sys.mkdir(path)
        if !result.succeeded { throw CallFailed(call: "mkdir \(path)", outcome: result) }
        return path
    }

    private static func make(_ parent: String) -> String {
        var template = Array("\(parent)/fxmount-tests.XXXXXX".utf8CString)
        let path = mkdtemp(&template).map { String(cString: $0) } ?? parent
        _ = cs_chmod(path, 0o755)
        cleanup.withLock { $0.append(path) }
        atexit {
            for path in Scratch.cleanup.withLock({ $0 }) where path.contains("fxmount-tests.") {
                _ = try? run(["rm", "-rf", "--one-file-system", path], seconds: 60)
            }
        }
        return path
    }

    private static let cleanup = Mutex<[String]>([])

    /// Removes a directory tree without ever following it into a mount.
    static func remove(_ path: String) { _ = try? run(["rm", "-rf", "--one-file-system", path], seconds: 120) }
}

private func temporaryDirectory() -> String {
    getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
}
