internal import FXSystem
internal import Synchronization

/// An upload as the service's answer to HEAD tells it.
struct TusStanding: Sendable, Equatable {
    var offset: UInt64
    /// nil while it is deferred.
    var length: UInt64?
    var metadata: String?
    var expires: Timestamp?
}

/// Sends the requests of the protocol and tells their outcomes apart. Any thread.
final class TusClient: Sendable {
    let origin: HTTPOrigin
    let configuration: TusConfiguration
    private let transport: any HTTPTransport
    private let clock: WallClock
    /// As it was read last.
    private let token = Mutex<Secret?>(nil)

    private static let contentPatience: Duration = .seconds(60)
    private static let connectPatience: Duration = .seconds(10)
    private static let contentType = "application/offset+octet-stream"

    init(_ configuration: TusConfiguration, transport: any HTTPTransport, origin: HTTPOrigin, clock: WallClock) {
        self.configuration = configuration
        self.transport = transport
        self.origin = origin
        self.clock = clock
    }

    func now() -> Timestamp { clock.now() }
    func forgetToken() { token.withLock { $0 = nil } }

    // MARK: - Requests

    /// What the service offers, without waiting.
    func startDiscovery(_ completion: @escaping @Sendable (Result<TusOffer, RemoteError>) -> Void) {
        let request: HTTPRequest
        do throws(RemoteError) { request = try authorized(discovery) } catch { return completion(.failure(error)) }
        _ = transport.start(request) { [self] result in
            do throws(HTTPFailure) {
                let response = try result.get()
                do throws(RemoteError) { completion(.success(try offer(response))) } catch {
                    completion(.failure(error))
                }
            } catch { completion(.failure(error.remoteError)) }
        }
    }

    func discover() throws(RemoteError) -> TusOffer { try offer(try perform(discovery)) }

    /// The protocol has a client leave its version out here.
    private var discovery: HTTPRequest { request(.options, configuration.creationPath, version: false) }

    private func offer(_ response: HTTPResponse) throws(RemoteError) -> TusOffer {
        if response.status == 401 { forgetToken() }
        return try TusOffer(response, now: clock.now())
    }

    /// Creates an upload.
    /// - Parameters:
    ///   - length: nil defers it.
    ///   - body: the whole content, for creation with upload.
    /// - Throws: `TusFailure.lost` when it may have been created all the same.
    func create(
        at target: String, length: ByteCount?, metadata: String, body: HTTPBody = .none
    ) throws(TusFailure) -> (target: String, response: HTTPResponse) {
        var request = request(.post, target)
        if let length { request.fields.add("Upload-Length", String(length.rawValue)) }
        if length == nil { request.fields.add("Upload-Defer-Length", "1") }
        request.fields.add("Upload-Metadata", metadata)
        if body.count > 0 {
            request.fields.add("Content-Type", TusClient.contentType)
            request.body = body
            request.deadlines = contentDeadlines
        }
        let response: HTTPResponse
        do throws(HTTPFailure) { response = try exchange(request) } catch {
            switch error {
            case .timedOut(isSent: true), .cut(isSent: true), .nonsense, .tooLong: throw .lost(error.remoteError)
            default: throw .failed(error.remoteError)
            }
        }
        switch response.status {
        case 200..<300: break
        // Said by whoever is in front of the service, which may have done it.
        case 500, 502, 504: throw .lost(refusal(response))
        case 404, 410: throw .failed(.rejected(status: response.status, saying: "no uploads are created at this url"))
        default: throw .failed(refusal(response))
        }
        guard let location = response.fields["Location"],
            let place = TusLocation.target(location, base: target, origin: origin)
        else {
            throw .lost(
                response.fields["Location"] == nil
                    ? .protocolViolation
                    : .rejected(
                        status: response.status, saying: "the upload would be at another host, which is not followed"))
        }
        return (place, response)
    }

    /// How far the service has come with an upload; nil when it knows it no more.
    func standing(_ target: String) throws(RemoteError) -> TusStanding? {
        let response = try perform(request(.head, target))
        switch response.status {
        case 200..<300: break
        // "SHOULD return either the 404 Not Found, 410 Gone or 403 Forbidden status": whether a 403 was about rights the
        // creation that follows tells.
        case 403, 404, 410: return nil
        default: throw refusal(response)
        }
        guard let offset = response.fields["Upload-Offset"].flatMap({ UInt64($0) }) else { throw .protocolViolation }
        let isDeferred = response.fields["Upload-Defer-Length"] == "1"
        return TusStanding(
            offset: offset,
            length: isDeferred ? nil : response.fields["Upload-Length"].flatMap { UInt64($0) },
            metadata: response.fields["Upload-Metadata"], expires: expiry(response))
    }

    /// Appends bytes at an offset; an empty body ends what is whole.
    /// - Parameter length: told once, of an upload that was created without.
    /// - Returns: the answer, whatever its status.
    func append(
        _ body: HTTPBody, at offset: UInt64, to target: String, checksum: String? = nil, length: UInt64? = nil
    ) throws(RemoteError) -> HTTPResponse {
        var request = request(.patch, target)
        request.fields.add("Content-Type", TusClient.contentType)
        request.fields.add("Upload-Offset", String(offset))
        if let checksum { request.fields.add("Upload-Checksum", checksum) }
        if let length { request.fields.add("Upload-Length", String(length)) }
        request.body = body
        request.deadlines = contentDeadlines
        return try perform(request)
    }

    /// Ends an upload and frees what it holds. Succeeds when there is none.
    func terminate(_ target: String) throws(RemoteError) {
        let response = try perform(request(.delete, target))
        if !response.isSuccess, response.status != 404, response.status != 410 { throw refusal(response) }
    }

    /// Asks for a range of what a service serves, without waiting.
    func fetch(
        _ range: Range<UInt64>, of target: String, into sink: any HTTPSink,
        _ completion: @escaping @Sendable (Result<HTTPResponse, RemoteError>) -> Void
    ) throws(RemoteError) -> HTTPCall {
        var request = request(.get, target)
        request.fields.add("Range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)")
        request.deadlines = contentDeadlines
        request.sink = sink
        return transport.start(try authorized(request)) { result in completion(result.mapError(\.remoteError)) }
    }

    /// What a plain HEAD says of a served file.
    func head(_ target: String) throws(RemoteError) -> HTTPResponse { try perform(request(.head, target)) }

    // MARK: - Answers

    func expiry(_ response: HTTPResponse) -> Timestamp? {
        response.fields["Upload-Expires"].flatMap { HTTPDate.parse($0, now: clock.now()) }
    }

    /// What an answer without success means, whatever it answers.
    func refusal(_ response: HTTPResponse) -> RemoteError {
        switch response.status {
        case 401:
            forgetToken()
            return .credentials
        case 404, 410: return .expired
        // "If the version specified by the Client is not supported by the Server".
        case 412: return .rejected(status: 412, saying: "it does not speak tus 1.0.0")
        case 460: return .verificationMismatch
        default: return response.remoteError(now: clock.now())
        }
    }

    // MARK: - Sending

    private func request(_ method: HTTPMethod, _ target: String, version: Bool = true) -> HTTPRequest {
        var request = HTTPRequest(method, target, deadlines: questionDeadlines)
        if version { request.fields.add("Tus-Resumable", TusOffer.version) }
        return request
    }

    private var questionDeadlines: HTTPDeadlines {
        HTTPDeadlines(
            connect: min(TusClient.connectPatience, configuration.operationTimeout),
            idle: configuration.operationTimeout,
            total: configuration.operationTimeout)
    }

    private var contentDeadlines: HTTPDeadlines {
        HTTPDeadlines(
            connect: min(TusClient.connectPatience, configuration.operationTimeout), idle: TusClient.contentPatience)
    }

    private func perform(_ request: HTTPRequest) throws(RemoteError) -> HTTPResponse {
        do throws(HTTPFailure) { return try exchange(request) } catch { throw error.remoteError }
    }

    /// Sends a request; once more with another token when the one that was read last is refused.
    private func exchange(_ request: HTTPRequest) throws(HTTPFailure) -> HTTPResponse {
        let known = token.withLock { $0 }
        let response = try transport.perform(try sendable(request))
        if response.status != 401 || known == nil { return response }
        forgetToken()
        let again = try sendable(request)
        return token.withLock { $0 } == known ? response : try transport.perform(again)
    }

    private func sendable(_ request: HTTPRequest) throws(HTTPFailure) -> HTTPRequest {
        do throws(RemoteError) { return try authorized(request) } catch { throw .unreadable(error) }
    }

    private func authorized(_ request: HTTPRequest) throws(RemoteError) -> HTTPRequest {
        guard let read = configuration.token else { return request }
        var request = request
        let secret: Secret
        if let known = token.withLock({ $0 }) {
            secret = known
        } else {
            secret = try read()
            token.withLock { $0 = secret }
        }
        request.fields.set("Authorization", "Bearer \(secret.reveal())")
        return request
    }
}

/// Why an upload was not created.
enum TusFailure: Error, Sendable, Equatable {
    case failed(RemoteError)
    /// It may have been, and nobody knows where.
    case lost(RemoteError)

    var error: RemoteError {
        switch self {
        case .failed(let error), .lost(let error): error
        }
    }
}
