internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// A thread that a class can own: started at once, joined at most once, from any thread but itself.
final class WorkerThread: Sendable {
    private let thread: Mutex<ServiceThread?>

    /// - Throws: when the system has no thread to give.
    init(name: String, _ body: @escaping @Sendable () -> Void) throws(RemoteError) {
        do throws(Errno) { thread = Mutex(try ServiceThread(name: name, body)) } catch {
            throw .local(error, during: .spool)
        }
    }

    /// Waits for the body to return; a second call returns at once.
    func join() {
        var taken: ServiceThread?
        thread.withLock { swap(&$0, &taken) }
        if let thread = consume taken { thread.join() }
    }
}
