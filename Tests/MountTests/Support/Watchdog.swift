import CSyscalls
import Glibc
import Synchronization

/// Frees callers stuck in a mount of ours: past its deadline a mount's daemon is killed and its connection aborted, so
/// that every blocked
/// call answers and the suite goes on to report the failure.
final class Watchdog: Sendable {
    static let shared = Watchdog()

    private struct Watched {
        var daemon: Int32
        var mountpoint: String
        var deadline: Int64
    }
    private let mounts = Mutex<[Int: Watched]>([:])
    private let expired = Mutex<Set<Int>>([])
    private let next = Atomic<Int>(0)

    private init() {
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { _ in
                while true {
                    cs_sleep_ms(250)
                    Watchdog.shared.look()
                }
            }, nil)
    }

    func watch(daemon: Int32, mountpoint: String, seconds: Double) -> Int {
        let key = next.add(1, ordering: .relaxed).newValue
        let watched = Watched(daemon: daemon, mountpoint: mountpoint, deadline: cs_now_ms() + Int64(seconds * 1000))
        mounts.withLock { $0[key] = watched }
        return key
    }

    /// Ends the watch; answers whether the deadline had passed.
    func end(_ key: Int) -> Bool {
        mounts.withLock { _ = $0.removeValue(forKey: key) }
        return expired.withLock { $0.contains(key) }
    }

    /// Aborts every watched mount.
    func abortAll(_ reason: String) {
        let all = mounts.withLock { $0 }
        for (key, watched) in all { abort(key, watched, reason) }
    }

    private func look() {
        let now = cs_now_ms()
        for (key, watched) in mounts.withLock({ $0 }) where watched.deadline < now {
            abort(key, watched, "its deadline passed")
            mounts.withLock { _ = $0.removeValue(forKey: key) }
        }
    }

    private func abort(_ key: Int, _ watched: Watched, _ reason: String) {
        expired.withLock { _ = $0.insert(key) }
        let notice = Array("watchdog: aborting \(watched.mountpoint): \(reason)\n".utf8)
        _ = cs_write(2, notice, notice.count)
        Mounts.abortConnection(of: watched.mountpoint)
        _ = cs_kill(watched.daemon, SIGKILL)
    }
}

/// What the kernel says about mounts.
enum Mounts {
    struct Entry {
        let device: String
        let path: String
        let kind: String
    }

    static func all() -> [Entry] {
        guard let text = try? Sys.text("/proc/self/mountinfo") else { return [] }
        return text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ").map(String.init)
            guard let dash = fields.firstIndex(of: "-"), fields.count > dash + 1 else { return nil }
            return Entry(device: fields[2], path: fields[4], kind: fields[dash + 1])
        }
    }

    static func isMounted(_ path: String) -> Bool { all().contains { $0.path == path } }
    static func below(_ path: String) -> [String] {
        all().map(\.path).filter { $0 == path || $0.hasPrefix(path + "/") }
    }

    /// Writes to /sys/fs/fuse/connections/<minor>/abort. Never looks into the mount itself: that could block.
    static func abortConnection(of path: String) {
        for entry in all() where entry.path == path && entry.kind.hasPrefix("fuse") {
            let minor = entry.device.split(separator: ":").last.map(String.init) ?? ""
            _ = Sys.writing("/sys/fs/fuse/connections/\(minor)/abort", "1", flags: O_WRONLY)
        }
    }

    static func detach(_ path: String) {
        if cs_getuid() == 0 { _ = try? run(["umount", "-l", path], seconds: 10) }
        _ = try? run(["fusermount3", "-uz", path], seconds: 10)
    }
}
