internal import FXSystem
internal import Glibc
internal import SystemPackage

/// SIGTERM, SIGINT and SIGHUP, taken by one thread with sigwait(3) instead of handlers.
enum TerminationSignals {
    /// Blocks them in the calling thread and every thread it starts from now on; call before the first thread.
    static func block() {
        var set = all()
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Calls `body` for every signal that comes, with its number and how many there have been, on a thread that never
    /// ends.
    static func handle(_ body: @escaping @Sendable (_ signal: Int32, _ count: Int) -> Void) throws(Errno) {
        _ = try ServiceThread(name: "signals") {
            var set = all()
            var count = 0
            while true {
                var signal: Int32 = 0
                if unsafe sigwait(&set, &signal) != 0 { continue }
                count += 1
                body(signal, count)
            }
        }
    }

    private static func all() -> sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in [SIGTERM, SIGINT, SIGHUP] { unsafe sigaddset(&set, signal) }
        return set
    }
}
