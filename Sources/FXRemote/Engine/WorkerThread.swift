internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// A thread that a class can own: started at once, joined at most once, from any thread but itself.
final class WorkerThread: Sendable {
    private let thread: Mutex<ServiceThread?>
    private let hasEnded: Monitor<Bool>

    /// - Throws: when the system has no thread to give.
    init(name: String, _ body: @escaping @Sendable () -> Void) throws(RemoteError) {
        let hasEnded = Monitor(false)
        self.hasEnded = hasEnded
        do throws(Errno) {
            thread = Mutex(
                try ServiceThread(name: name) {
                    body()
                    hasEnded.withLock { $0 = true }
                })
        } catch {
            throw .local(error, during: .spool)
        }
    }

    /// Waits for the body to return; a second call returns at once.
    /// - Parameter deadline: then the thread is left to itself; it may hang in a call of a service.
    func join(until deadline: ContinuousDeadline? = nil) {
        _ = hasEnded.wait(until: deadline) { $0 ? true : nil }
        let isOver = hasEnded.withLock { $0 }
        var taken: ServiceThread?
        thread.withLock { swap(&$0, &taken) }
        if isOver, let thread = consume taken { thread.join() }
    }
}
