internal import FXSystem

/// Carries requests to one origin. `CurlTransport` is the one that is used; tests have others.
///
/// Any thread may call; completions run on the transport's own thread and must not block.
public protocol HTTPTransport: Sendable {
    /// Begins an exchange; `completion` is called exactly once.
    @discardableResult
    func start(_ request: HTTPRequest, _ completion: @escaping @Sendable (Result<HTTPResponse, HTTPFailure>) -> Void)
        -> HTTPCall
}

/// An exchange under way.
public struct HTTPCall: Sendable {
    private let cancelBody: @Sendable () -> Void

    public init(cancel: @escaping @Sendable () -> Void) { cancelBody = cancel }

    /// Ends it with `.cancelled` unless it has ended; returns at once.
    public func cancel() { cancelBody() }
}

extension HTTPTransport {
    /// The same, waiting on the calling thread. Never call it on the transport's thread.
    public func perform(_ request: HTTPRequest) throws(HTTPFailure) -> HTTPResponse {
        let outcome = Monitor<Result<HTTPResponse, HTTPFailure>?>(nil)
        start(request) { result in outcome.withLock { $0 = result } }
        return try (outcome.wait { $0 } ?? .failure(.cancelled)).get()
    }
}
