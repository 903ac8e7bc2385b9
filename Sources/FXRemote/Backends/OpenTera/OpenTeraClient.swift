internal import FXSystem

/// Asks the two servers in the name of one account: logs in when that is needed, and once more when a token died.
///
/// Calls wait on their own thread. Lock order: `state` is a leaf; nothing is asked under it.
final class OpenTeraClient: Sendable {
    private struct State {
        var login = OpenTeraLogin()
        var fileService: OpenTeraFileService?
        /// Uploads under way, each with the token it began with.
        var holders = 0
    }

    let configuration: OpenTeraConfiguration
    let clock: WallClock
    private let transport: any HTTPTransport
    private let basePath: String
    private let state = Monitor(State())

    init(_ configuration: OpenTeraConfiguration, transport: any HTTPTransport, basePath: String, clock: WallClock) {
        self.configuration = configuration
        self.transport = transport
        self.basePath = basePath
        self.clock = clock
    }

    // MARK: - The main server

    /// Asks the main server; a dead token is replaced and the question asked once more.
    /// - Parameter sink: takes the body of a success, however long it is.
    /// - Returns: any status but 401.
    func main(
        _ method: HTTPMethod, _ path: String, _ query: [(String, String)] = [], body: JSONValue? = nil,
        into sink: (any HTTPSink)? = nil
    ) throws(RemoteError) -> OpenTeraAnswer {
        for _ in 0..<2 {
            let token = try token()
            let deadlines = sink == nil ? mainDeadlines : listDeadlines
            var request = HTTPRequest(
                method, basePath + path + OpenTeraClient.query(query), deadlines: deadlines, sink: sink)
            request.sinkTakesWords = sink != nil
            OpenTeraClient.put(body, in: &request)
            let answer = try perform(request, token)
            if answer.status != 401 { return answer }
            state.withLock { $0.login.reject(token) }
        }
        throw .credentials
    }

    /// Small answers from a database; a server that says nothing for so long is not well.
    private var mainDeadlines: HTTPDeadlines {
        let patience = configuration.operationTimeout
        return HTTPDeadlines(connect: min(.seconds(10), patience), idle: patience, total: patience * 4)
    }

    /// A long list may take its time, as long as it moves. The server makes all of it before it sends any: where that takes
    /// longer than `op_timeout`, that has to be longer.
    private var listDeadlines: HTTPDeadlines {
        let patience = configuration.operationTimeout
        return HTTPDeadlines(connect: min(.seconds(10), patience), idle: patience, total: patience * 40)
    }

    // MARK: - The file service

    /// The file service, asked for once.
    func fileService() throws(RemoteError) -> OpenTeraFileService {
        if let known = knownFileService { return known }
        return try findFileService()
    }

    /// The same, asking the main server in any case: an unusable token is found out by that and replaced.
    @discardableResult
    func findFileService() throws(RemoteError) -> OpenTeraFileService {
        guard let found = try visibleFileService() else { throw .forbidden }
        state.withLock { $0.fileService = found }
        return found
    }

    /// nil when this account may not see it.
    func visibleFileService() throws(RemoteError) -> OpenTeraFileService? {
        let query = [("key", OpenTeraFileService.key), ("list", "true")]
        let value = try main(.get, "/api/user/services", query).json()
        guard let elements = value == .null ? [] : value.elements else { throw .protocolViolation }
        guard let first = elements.first else { return nil }
        guard let service = OpenTeraFileService(first) else { throw .protocolViolation }
        return service
    }

    /// A request to the file service; an error of 403 is the caller's to understand.
    /// - Parameter target: below the service's endpoint.
    func fileRequest(
        _ method: HTTPMethod, _ path: String, _ query: [(String, String)] = [], body: JSONValue? = nil
    ) throws(RemoteError) -> HTTPRequest {
        request(to: try fileService(), method, path, query, body: body)
    }

    func request(
        to service: OpenTeraFileService, _ method: HTTPMethod, _ path: String, _ query: [(String, String)],
        body: JSONValue? = nil
    ) -> HTTPRequest {
        // While an upload is parsed the service answers nobody, a minute and more.
        let deadlines = HTTPDeadlines(idle: .seconds(75), total: .seconds(600))
        var request = HTTPRequest(
            method, basePath + service.endpoint + path + OpenTeraClient.query(query), deadlines: deadlines)
        // Queries of this service hold access tokens.
        request.loggedTarget = basePath + service.endpoint + path + (query.isEmpty ? "" : "?…")
        OpenTeraClient.put(body, in: &request)
        return request
    }

    /// Sends it with a token of this moment.
    func file(_ request: HTTPRequest) throws(RemoteError) -> OpenTeraAnswer { try perform(request, try token()) }

    /// Begins it without waiting for anything; nil, with nothing sent, when there is no token at hand.
    func startFile(
        _ request: HTTPRequest, _ completion: @escaping @Sendable (Result<HTTPResponse, HTTPFailure>) -> Void
    ) -> HTTPCall? {
        let now = clock.now()
        guard let token = state.withLock({ $0.login.ready(at: now) }) else { return nil }
        return transport.start(signed(request, token), completion)
    }

    /// nil before it was asked for.
    var knownFileService: OpenTeraFileService? { state.withLock { $0.fileService } }

    /// Sends something long: its token is not refreshed meanwhile, which would kill it, and lives long enough. If it
    /// was dead all the same it is replaced and the request sent once more.
    /// - Parameter seconds: how long it may take.
    func sendHolding(_ request: HTTPRequest, lasting seconds: Int64) throws(OpenTeraSendFailure) -> OpenTeraAnswer {
        let (first, token) = try sendOnce(request, lasting: seconds)
        if first.status != 401, first.status != 403 { return first }
        do throws(RemoteError) { try findFileService() } catch {
            throw OpenTeraSendFailure(error: error, mayHaveArrived: false)
        }
        // The token was good, so it was meant.
        if state.withLock({ $0.login.current == token }) { return first }
        return try sendOnce(request, lasting: seconds).0
    }

    private func sendOnce(
        _ request: HTTPRequest, lasting seconds: Int64
    ) throws(OpenTeraSendFailure) -> (OpenTeraAnswer, OpenTeraToken) {
        let token: OpenTeraToken
        do throws(RemoteError) { token = try self.token(lasting: seconds) } catch {
            throw OpenTeraSendFailure(error: error, mayHaveArrived: false)
        }
        state.withLock { $0.holders += 1 }
        defer { state.withLock { $0.holders -= 1 } }
        do throws(HTTPFailure) {
            let response = try transport.perform(signed(request, token))
            return (OpenTeraAnswer(response: response, now: clock.now()), token)
        } catch {
            throw OpenTeraSendFailure(
                error: error.remoteError, mayHaveArrived: OpenTeraSendFailure.mayHaveArrived(error))
        }
    }

    // MARK: - Requests

    private func perform(_ request: HTTPRequest, _ token: OpenTeraToken) throws(RemoteError) -> OpenTeraAnswer {
        try perform(signed(request, token))
    }

    private func perform(_ request: HTTPRequest) throws(RemoteError) -> OpenTeraAnswer {
        do throws(HTTPFailure) {
            return OpenTeraAnswer(response: try transport.perform(request), now: clock.now())
        } catch { throw error.remoteError }
    }

    private func signed(_ request: HTTPRequest, _ token: OpenTeraToken) -> HTTPRequest {
        var signed = request
        signed.fields.set("Authorization", "OpenTera " + token.text.reveal())
        OpenTeraClient.addCommonFields(&signed)
        return signed
    }

    private static func addCommonFields(_ request: inout HTTPRequest) {
        // The service translates its sentences, and ours are English.
        request.fields.set("Accept-Language", "en")
        request.fields.set("Accept", "*/*")
    }

    private static func put(_ body: JSONValue?, in request: inout HTTPRequest) {
        guard let body else { return }
        request.fields.set("Content-Type", "application/json")
        request.body = .bytes(Array(body.text.utf8))
    }

    static func query(_ parameters: [(String, String)]) -> String {
        if parameters.isEmpty { return "" }
        return "?" + parameters.map { $0.0 + "=" + PercentEncoding.encode($0.1) }.joined(separator: "&")
    }

    // MARK: - Tokens

    /// Who is logged in; asks the service when nobody is.
    func user() throws(RemoteError) -> Int64? { try token().user }

    /// Lets a refused password be tried once more.
    func reconsider() { state.withLock { $0.login.reconsider() } }

    private func token(lasting seconds: Int64 = 0) throws(RemoteError) -> OpenTeraToken {
        let since = state.withLock { $0.login.attempts }
        while true {
            let now = clock.now()
            let action = state.wait { state -> OpenTeraLogin.Action? in
                let action = state.login.next(now: now, since: since, isHeld: state.holders > 0, lasting: seconds)
                return action == .wait ? nil : action
            }
            switch action {
            case .use(let token): return token
            case .fail(let error): throw error
            case .logIn: end(logIn())
            case .refresh(let old): end(refresh(old))
            case .readPassword:
                let password = try configuration.password()
                state.withLock { $0.login.passwordIs(password, now: clock.now()) }
            case .wait, nil: continue
            }
        }
    }

    private func end(_ outcome: OpenTeraLogin.Outcome) {
        let now = clock.now()
        state.withLock { $0.login.end(outcome, now: now) }
    }

    private func logIn() -> OpenTeraLogin.Outcome {
        do throws(RemoteError) {
            let password = try configuration.password()
            let pair = Base64.encode(Array((configuration.username + ":" + password.reveal()).utf8))
            var request = HTTPRequest(.get, basePath + "/api/user/login", deadlines: mainDeadlines)
            request.fields.set("Authorization", "Basic " + pair)
            OpenTeraClient.addCommonFields(&request)
            let answer = try perform(request)
            return OpenTeraClient.outcome(ofLogin: answer, with: password)
        } catch { return .failed(error) }
    }

    /// Success is a token in the answer, not a status of 200.
    static func outcome(ofLogin answer: OpenTeraAnswer, with password: Secret) -> OpenTeraLogin.Outcome {
        if answer.status == 401 { return .refused(.credentials, password) }
        if answer.status == 403 { return .refused(.forbidden, password) }
        if answer.status == 426 { return .refused(.accountNeeds(.newerClient), password) }
        do throws(RemoteError) {
            let json = try answer.json()
            if let text = json["user_token"]?.string {
                guard let token = OpenTeraToken(text, received: answer.now) else { throw .protocolViolation }
                return .loggedIn(token)
            }
            switch json["reason"]?.string {
            case "2fa": return .refused(.accountNeeds(.secondFactor), password)
            case "2fa_setup": return .refused(.accountNeeds(.secondFactorSetup), password)
            case "password_change": return .refused(.accountNeeds(.passwordChange), password)
            default: throw .protocolViolation
            }
        } catch { return .failed(error) }
    }

    private func refresh(_ old: OpenTeraToken) -> OpenTeraLogin.Outcome {
        do throws(RemoteError) {
            let request = HTTPRequest(.get, basePath + "/api/user/refresh_token", deadlines: mainDeadlines)
            let answer = try perform(request, old)
            guard answer.response.isSuccess, let text = try answer.json()["refresh_token"]?.string,
                let token = OpenTeraToken(text, received: answer.now)
            else { return .notRefreshed }
            return .loggedIn(token)
        } catch { return .notRefreshed }
    }
}

/// Why something long was not answered, and whether it may be there all the same.
struct OpenTeraSendFailure: Error, Sendable, Equatable {
    var error: RemoteError
    var mayHaveArrived: Bool

    static func mayHaveArrived(_ failure: HTTPFailure) -> Bool {
        switch failure {
        case .timedOut(let isSent), .cut(let isSent): isSent
        case .tooLong, .nonsense, .refusedBody, .cancelled: true
        default: false
        }
    }
}
