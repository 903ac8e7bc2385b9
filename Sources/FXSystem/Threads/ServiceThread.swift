internal import CLinux
internal import Glibc
public import SystemPackage

/// A joinable thread with a name, for work that lasts as long as its owner.
///
/// Dropping it without `join` detaches the thread. Any thread may call `join`, once.
@safe
public struct ServiceThread: ~Copyable, Sendable {
    private let handle: pthread_t

    /// Starts `body`. The name shows in `ps -T` and in a core dump; Linux keeps 15 bytes of it.
    /// - Throws: EAGAIN when the system has no thread to give (pthread_create(3)).
    public init(name: String, _ body: @escaping @Sendable () -> Void) throws(Errno) {
        var handle = pthread_t()
        let start = unsafe Unmanaged.passRetained(ThreadStart(name: name, body: body))
        let result = unsafe pthread_create(
            &handle, nil,
            { raw in
                let start = unsafe Unmanaged<ThreadStart>.fromOpaque(raw.unsafelyUnwrapped).takeRetainedValue()
                _ = unsafe start.name.withCString { unsafe fx_name_thread($0) }
                start.body()
                return nil
            }, start.toOpaque())
        if result != 0 {
            unsafe start.release()
            throw Errno(rawValue: result)
        }
        self.handle = handle
    }

    /// Waits for the body to return.
    public consuming func join() {
        let handle = handle
        discard self
        pthread_join(handle, nil)
    }

    deinit { pthread_detach(handle) }
}

private final class ThreadStart {
    let name: String
    let body: @Sendable () -> Void
    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }
}
