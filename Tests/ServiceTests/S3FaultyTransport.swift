import FXSystem
import Synchronization

@testable import FXRemote

/// A transport that fails by script and count, and is the one it wraps otherwise. Sees every request.
final class FaultyTransport: HTTPTransport {
    enum Fault: Sendable {
        /// The service never heard of the request.
        case refuse(HTTPFailure)
        /// The service did what was asked; the answer got lost.
        case loseAnswer
        /// Somebody else answers.
        case answer(HTTPResponse)
        /// The same to requests that are answered with a document.
        case document(HTTPResponse)
    }

    struct Seen: Sendable {
        var method: HTTPMethod
        var target: String
        var fields: HTTPFields
    }

    private struct Script {
        var faults: [Int: Fault] = [:]
        var seen: [Seen] = []
    }

    private let wrapped: any HTTPTransport
    private let script = Mutex(Script())

    init(_ wrapped: any HTTPTransport) { self.wrapped = wrapped }

    /// Lets the `number`th request fail, counted from 1 since the start.
    func inject(_ fault: Fault, at number: Int) { script.withLock { $0.faults[number] = fault } }

    var seen: [Seen] { script.withLock { $0.seen } }
    var count: Int { script.withLock { $0.seen.count } }

    @discardableResult
    func start(
        _ request: HTTPRequest, _ completion: @escaping @Sendable (Result<HTTPResponse, HTTPFailure>) -> Void
    ) -> HTTPCall {
        let fault = script.withLock { script in
            script.seen.append(Seen(method: request.method, target: request.target, fields: request.fields))
            return script.faults[script.seen.count]
        }
        switch fault {
        case nil: return wrapped.start(request, completion)
        case .refuse(let failure): completion(.failure(failure))
        case .answer(let response): completion(.success(response))
        case .document(let response):
            guard request.method == .post || request.fields["x-amz-copy-source"] != nil else {
                return wrapped.start(request, completion)
            }
            completion(.success(response))
        case .loseAnswer:
            return wrapped.start(request) { _ in completion(.failure(.cut(isSent: true))) }
        }
        return HTTPCall {}
    }
}
