internal import Crypto
internal import FXSystem
internal import Synchronization

/// Signs requests, sends them and tells success from refusal. Any thread.
final class S3Client: Sendable {
    let configuration: S3Configuration
    let layout: S3Layout
    private let transport: any HTTPTransport
    private let basePath: String
    private let clock: WallClock
    private let keptKey = Mutex<KeptKey?>(nil)

    private struct KeptKey {
        var scope: SigV4.Scope
        var key: SymmetricKey
    }

    /// 5 TiB, the largest object of AWS.
    static let largestFile = ByteCount(5 << 40)
    /// AWS says that putting a large file together takes minutes.
    private static let assemblyPatience: Duration = .seconds(300)
    private static let contentPatience: Duration = .seconds(60)
    private static let connectPatience: Duration = .seconds(10)

    init(_ configuration: S3Configuration, transport: any HTTPTransport, basePath: String, clock: WallClock) {
        self.configuration = configuration
        layout = S3Layout(prefix: configuration.prefix)
        self.transport = transport
        self.basePath = basePath
        self.clock = clock
    }

    func now() -> Timestamp { clock.now() }

    /// What a failure means to everybody else.
    func remoteError(_ failure: S3Failure) -> RemoteError {
        switch failure {
        case .failed(let error): error
        case .refused(let refusal): refusal.remoteError(bucket: configuration.bucket)
        }
    }

    // MARK: - Sending

    /// - Returns: an answer with success.
    func perform(_ request: S3Request) throws(S3Failure) -> HTTPResponse {
        let response: HTTPResponse
        do throws(HTTPFailure) {
            response = try transport.perform(try signed(request))
        } catch { throw .failed(error.remoteError) }
        return try accepted(response)
    }

    /// The same without waiting.
    func start(
        _ request: S3Request, _ completion: @escaping @Sendable (Result<HTTPResponse, S3Failure>) -> Void
    ) throws(S3Failure) -> HTTPCall {
        let message: HTTPRequest
        do throws(HTTPFailure) { message = try signed(request) } catch { throw .failed(error.remoteError) }
        return transport.start(message) { [self] result in
            do throws(HTTPFailure) {
                let response = try result.get()
                do throws(S3Failure) { completion(.success(try accepted(response))) } catch {
                    completion(.failure(error))
                }
            } catch { completion(.failure(.failed(error.remoteError))) }
        }
    }

    /// - Parameter name: of the root element of the answer.
    func document(_ request: S3Request, _ name: String) throws(S3Failure) -> XMLElement {
        let response = try perform(request)
        let root: XMLElement
        do throws(XMLError) { root = try XMLReader.read(response.body) } catch { throw .failed(.protocolViolation) }
        if root.name == "Error" { throw .refused(refusal(response, root)) }
        if root.name != name { throw .failed(.protocolViolation) }
        return root
    }

    private func accepted(_ response: HTTPResponse) throws(S3Failure) -> HTTPResponse {
        if response.isSuccess { return response }
        var document: XMLElement?
        if !response.body.isEmpty {
            // Not every proxy in between speaks XML; the status says enough then.
            do throws(XMLError) { document = try XMLReader.read(response.body) } catch { document = nil }
        }
        throw .refused(refusal(response, document))
    }

    private func refusal(_ response: HTTPResponse, _ document: XMLElement?) -> S3Refusal {
        let refusal = S3Refusal(response, document: document, now: clock.now())
        if refusal.remoteError(bucket: configuration.bucket) == .credentials { forgetKey() }
        return refusal
    }

    // MARK: - Signing

    /// The secret is asked for again with the next request.
    func forgetKey() { keptKey.withLock { $0 = nil } }

    private func signed(_ request: S3Request) throws(HTTPFailure) -> HTTPRequest {
        let time = S3Time.basic(clock.now())
        let scope = SigV4.Scope(date: String(time.prefix(8)), region: configuration.region)
        let payload = payload(of: request)
        let path = path(of: request.key)
        let own = request.fields + [("x-amz-content-sha256", payload), ("x-amz-date", time)]
        let signable = SigV4.Request(
            method: request.method.rawValue, path: path, query: request.query,
            fields: own + [("host", configuration.authority)], payload: payload)
        let key: SymmetricKey
        do throws(RemoteError) { key = try signingKey(scope) } catch { throw .unreadable(error) }
        var fields = HTTPFields()
        for (name, value) in own { fields.add(name, value) }
        fields.add(
            "Authorization",
            SigV4.authorization(
                signable, time: time, scope: scope, key: key, accessKeyID: configuration.accessKeyID))
        let query = SigV4.canonicalQuery(request.query)
        return HTTPRequest(
            request.method, query.isEmpty ? path : "\(path)?\(query)", fields: fields, body: request.body,
            deadlines: deadlines(request.patience), sink: request.sink)
    }

    func url(of key: S3Key) -> String {
        "\(configuration.isEncrypted ? "https" : "http")://\(configuration.authority)\(path(of: key))"
    }

    private func path(of key: S3Key?) -> String {
        var path = basePath
        if configuration.pathStyle { path += "/" + PercentEncoding.encode(configuration.bucket) }
        guard let key else { return path.isEmpty ? "/" : path }
        return path + "/" + key.encoded
    }

    private func payload(of request: S3Request) -> String {
        switch (request.payload, request.body) {
        case (.unsigned, _): SigV4.unsignedPayload
        case (.digest(let digest), _): digest.text
        case (.inMemory, .bytes(let bytes)): SHA256Digest(hashing: bytes).text
        case (.inMemory, _): SHA256Digest.empty.text
        }
    }

    private func signingKey(_ scope: SigV4.Scope) throws(RemoteError) -> SymmetricKey {
        if let kept = keptKey.withLock({ $0 }), kept.scope == scope { return kept.key }
        let key = SigV4.signingKey(try configuration.secretAccessKey(), scope: scope)
        keptKey.withLock { $0 = KeptKey(scope: scope, key: key) }
        return key
    }

    private func deadlines(_ patience: S3Request.Patience) -> HTTPDeadlines {
        let connect = min(S3Client.connectPatience, configuration.operationTimeout)
        switch patience {
        case .operation:
            return HTTPDeadlines(
                connect: connect, idle: configuration.operationTimeout, total: configuration.operationTimeout)
        case .content: return HTTPDeadlines(connect: connect, idle: S3Client.contentPatience)
        case .assembly: return HTTPDeadlines(connect: connect, idle: S3Client.assemblyPatience)
        }
    }
}
