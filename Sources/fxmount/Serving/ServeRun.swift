internal import FXServe
internal import FXSystem
internal import Glibc

/// Looks after one server from ready to gone: signals and systemd.
///
/// Signals must be blocked in all threads before this starts.
struct ServeRun {
    let server: FileExchangeServer
    let notifier: ServiceNotifier

    /// Serves until a signal ends it; returns when running requests have ended.
    /// - Throws: why it does not start.
    func serve(_ ready: @escaping @Sendable (UInt16) -> Void) throws {
        let (server, notifier) = (server, notifier)
        try TerminationSignals.handle { signal, count in
            // Nothing half done can be lost: what has no name yet is nobody's.
            if count > 1 { Glibc._exit(128 + signal) }
            notifier.stopping(status: "finishing requests")
            server.stop()
        }
        let end = Monitor<Result<Void, any Error>?>(nil)
        Task.detached {
            do {
                try await server.run { port in
                    notifier.ready(status: "serving on port \(port)")
                    ready(port)
                }
                end.withLock { $0 = .success(()) }
            } catch {
                end.withLock { $0 = .failure(error) }
            }
        }
        do { try end.wait { $0 }?.get() } catch let failure as FileExchangeServer.StartFailure {
            throw CommandFailure(failure.isInUse ? .locked : .failure, failure.sentence)
        }
    }
}
