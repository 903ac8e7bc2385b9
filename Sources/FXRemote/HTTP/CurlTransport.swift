internal import FXSystem
public import Logging
internal import Synchronization
internal import SystemPackage

/// Carries requests with libcurl, on a thread of its own; connections are kept and used again.
///
/// Redirects are answers. There are no cookies, no proxies, no compression, and no file of passwords. A request whose
/// method is not idempotent is never sent twice. Dropping the last reference ends it without waiting for its thread.
public final class CurlTransport: HTTPTransport {
    public let origin: HTTPOrigin
    private let core: CurlCore
    private let thread: WorkerThread

    /// - Throws: when the system has no thread to give, or libcurl cannot work.
    public init(
        _ origin: HTTPOrigin, options: HTTPOptions = HTTPOptions(), logger: Logger = Logger(label: "fxmount.http")
    ) throws(RemoteError) {
        guard let core = CurlCore() else { throw .local(.noMemory, during: .spool) }
        self.origin = origin
        self.core = core
        // Linux shows 15 bytes.
        thread = try WorkerThread(name: "http \(origin.host)") {
            CurlLoop(core, origin, options, logger).run()
        }
    }

    deinit { core.stop() }

    @discardableResult
    public func start(
        _ request: HTTPRequest, _ completion: @escaping @Sendable (Result<HTTPResponse, HTTPFailure>) -> Void
    ) -> HTTPCall {
        let exchange = Exchange(request, completion)
        if let failure = core.queue.withLock({ $0.add(exchange) }) {
            // On the caller's thread: there may be no other any more.
            exchange.complete(.failure(failure))
            return HTTPCall {}
        }
        core.multi.wake()
        return HTTPCall { [core] in
            exchange.cancel()
            core.multi.wake()
        }
    }

    /// Ends every exchange with `.cancelled`, then the thread; returns when all completions have been called. Further
    /// requests are answered with `.cancelled`. Never call it on the transport's thread.
    public func stop() {
        core.stop()
        thread.join()
    }
}
