import FXSystem
import Synchronization

@testable import FXRemote

/// An HTTP transport without a network: a script answers each request at once, in the order they come.
///
/// It keeps the rules of the real one: bodies are read from their content, answers larger than a request collects are
/// `.tooLong`, a successful body goes to the sink, and a malformed request is a failed test's fault, not the network's.
final class ScriptedTransport: HTTPTransport {
    struct Request: Sendable {
        var method: HTTPMethod
        /// Before the question mark.
        var path: String
        /// Decoded, in order.
        var query: [(name: String, value: String)]
        var fields: HTTPFields
        var body: [UInt8]
        var deadlines: HTTPDeadlines
        var loggedTarget: String?

        var line: String { method.rawValue + " " + path }
        var text: String { String(decoding: body, as: UTF8.self) }
        var json: JSONValue? { JSONValue(parsing: text) }
        func parameter(_ name: String) -> String? { query.first { $0.name == name }?.value }
    }

    typealias Answer = Result<HTTPResponse, HTTPFailure>

    private let script: @Sendable (Request) -> Answer
    private let requests = Mutex<[Request]>([])

    init(_ script: @escaping @Sendable (Request) -> Answer) { self.script = script }

    /// Every request so far.
    var seen: [Request] { requests.withLock { $0 } }
    /// `GET /path` of every request so far.
    var lines: [String] { seen.map(\.line) }
    func forget() { requests.withLock { $0 = [] } }

    func start(_ request: HTTPRequest, _ completion: @escaping @Sendable (Answer) -> Void) -> HTTPCall {
        completion(answer(request))
        return HTTPCall {}
    }

    private func answer(_ request: HTTPRequest) -> Answer {
        do throws(RemoteError) {
            let seen = try read(request)
            requests.withLock { $0.append(seen) }
            return deliver(script(seen), to: request)
        } catch { return .failure(.unreadable(error)) }
    }

    private func deliver(_ answer: Answer, to request: HTTPRequest) -> Answer {
        guard case .success(var response) = answer else { return answer }
        if let sink = request.sink, response.isSuccess {
            let isWanted = sink.begin(status: response.status, fields: response.fields)
            let isTaken = isWanted ? response.body.withUnsafeBytes { sink.receive($0) } : false
            if !isTaken { return .failure(.refusedBody) }
            response.body = []
        }
        return response.body.count > request.collects ? .failure(.tooLong) : .success(response)
    }

    private func read(_ request: HTTPRequest) throws(RemoteError) -> Request {
        let parts = request.target.split(separator: "?", maxSplits: 1)
        let query = (parts.count > 1 ? parts[1].split(separator: "&") : []).map { pair in
            let sides = pair.split(separator: "=", maxSplits: 1).map { ScriptedTransport.decoded(String($0)) }
            return (name: sides.first ?? "", value: sides.count > 1 ? sides[1] : "")
        }
        return Request(
            method: request.method, path: String(parts.first ?? ""), query: query, fields: request.fields,
            body: try ScriptedTransport.bytes(request.body), deadlines: request.deadlines,
            loggedTarget: request.loggedTarget)
    }

    private static func bytes(_ body: HTTPBody) throws(RemoteError) -> [UInt8] {
        switch body {
        case .none: return []
        case .bytes(let bytes): return bytes
        case .content(let content, let range, let prefix, let suffix):
            var bytes = [UInt8](repeating: 0, count: range.count)
            try unsafe bytes.withUnsafeMutableBufferPointer { buffer throws(RemoteError) in
                _ = try unsafe content.read(into: UnsafeMutableRawBufferPointer(buffer), at: range.lowerBound)
            }
            return prefix + bytes + suffix
        }
    }

    private static func decoded(_ text: String) -> String {
        String(decoding: PercentEncoding.decode(text) ?? Array(text.utf8), as: UTF8.self)
    }
}

extension HTTPResponse {
    static func json(_ value: JSONValue, status: Int = 200) -> HTTPResponse {
        HTTPResponse(
            status: status, fields: ["Content-Type": "application/json"], body: Array((value.text + "\n").utf8))
    }

    static func text(_ status: Int, _ text: String = "") -> HTTPResponse {
        HTTPResponse(status: status, fields: ["Content-Type": "text/html; charset=utf-8"], body: Array(text.utf8))
    }
}

/// Bytes as the content of an upload.
struct BytesToSend: UploadContent {
    let bytes: [UInt8]
    var identity: FileIdentity? { nil }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        let piece = bytes.dropFirst(Int(offset)).prefix(buffer.count)
        unsafe buffer.copyBytes(from: piece)
        return piece.count
    }

    func link(as name: Name, in directory: borrowing OwnedDescriptor) throws(RemoteError) { throw .notSupported }
}

extension CommittedContent {
    /// Up to `count` bytes from `offset`.
    func bytes(_ count: Int, at offset: UInt64 = 0) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = try unsafe bytes.withUnsafeMutableBufferPointer { buffer throws(RemoteError) in
            try unsafe read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
        }
        return Array(bytes.prefix(got))
    }
}

/// A clock that stands still until it is moved.
final class SetClock: Sendable {
    private let time: Mutex<Timestamp>

    init(_ seconds: Int64 = 1_800_000_000) { time = Mutex(Timestamp(seconds: seconds)) }

    func advance(_ seconds: Int64) { time.withLock { $0.seconds += seconds } }
    var now: Timestamp { time.withLock { $0 } }
    var clock: WallClock { WallClock { [self] in now } }
}
