internal import FXSystem

/// Asks the service in the name of one account: logs in when that is needed, has the token extended before it ends, and
/// logs in once more when it died.
///
/// Calls wait on their own thread. Lock order: `state` is a leaf; nothing is asked under it.
final class MFTClient: Sendable {
    /// How user name and password are put together. The pages of the service do not agree.
    enum Spelling: Sendable, CaseIterable {
        case lines, colon

        var separator: String { self == .lines ? "\r\n" : ":" }
    }

    private struct State {
        var login = MFTLogin()
        /// The one that worked at this server.
        var spelling: Spelling?
    }

    let configuration: MFTConfiguration
    let clock: WallClock
    private let transport: any HTTPTransport
    private let basePath: String
    private let state = Monitor(State())

    init(_ configuration: MFTConfiguration, transport: any HTTPTransport, basePath: String, clock: WallClock) {
        self.configuration = configuration
        self.transport = transport
        self.basePath = basePath
        self.clock = clock
    }

    /// Small answers from a database; a server that says nothing for so long is not well.
    var deadlines: HTTPDeadlines {
        let patience = configuration.operationTimeout
        return HTTPDeadlines(connect: min(.seconds(10), patience), idle: patience, total: patience * 4)
    }

    // MARK: - Asking

    func request(
        _ method: HTTPMethod, _ path: String, _ fields: [(String, String)] = [], body: HTTPBody = .none,
        deadlines: HTTPDeadlines? = nil
    ) -> HTTPRequest {
        var request = HTTPRequest(method, basePath + path, body: body, deadlines: deadlines ?? self.deadlines)
        for (name, value) in fields { request.fields.add(name, value) }
        // Some of its GETs change things; nobody between here and there may answer for it.
        request.fields.set("Cache-Control", "no-store")
        request.fields.set("Accept", "application/json, */*")
        return request
    }

    func ask(
        _ method: HTTPMethod, _ path: String, _ fields: [(String, String)] = [], body: HTTPBody = .none,
        deadlines: HTTPDeadlines? = nil
    ) throws(RemoteError) -> MFTAnswer {
        try ask(request(method, path, fields, body: body, deadlines: deadlines))
    }

    /// Sends a request. 401 and 403 mean a dead token as well as a refusal of what was asked: when the token is found to be
    /// dead, another one is got and the request sent once more.
    func ask(_ request: HTTPRequest) throws(RemoteError) -> MFTAnswer {
        let token = try token()
        let first = try perform(request, token)
        if first.status != 401, first.status != 403 { return first }
        if state.withLock({ $0.login.current == token }) {
            if try isAlive(token) { return first }
            let now = clock.now()
            state.withLock { $0.login.reject(token, now: now) }
        }
        return try perform(request, try self.token())
    }

    /// Whether the service still knows a token: everybody may look at the own root folder.
    private func isAlive(_ token: MFTToken) throws(RemoteError) -> Bool {
        let answer = try perform(request(.get, "/root_folder"), token)
        if answer.isSuccess { return true }
        if answer.status == 401 || answer.status == 403 { return false }
        throw answer.error
    }

    /// Begins it without waiting for anything; nil, with nothing sent, when there is no token at hand.
    func start(
        _ request: HTTPRequest, _ completion: @escaping @Sendable (Result<HTTPResponse, HTTPFailure>) -> Void
    ) -> HTTPCall? {
        let now = clock.now()
        let token = state.withLock { state -> MFTToken? in
            guard let token = state.login.current, (0..<1).contains(token.age(at: now)) else { return nil }
            return token
        }
        guard let token else { return nil }
        return transport.start(signed(request, token), completion)
    }

    private func perform(_ request: HTTPRequest, _ token: MFTToken) throws(RemoteError) -> MFTAnswer {
        try perform(signed(request, token))
    }

    private func perform(_ request: HTTPRequest) throws(RemoteError) -> MFTAnswer {
        do throws(HTTPFailure) {
            return MFTAnswer(response: try transport.perform(request), now: clock.now())
        } catch { throw error.remoteError }
    }

    private func signed(_ request: HTTPRequest, _ token: MFTToken) -> HTTPRequest {
        var signed = request
        signed.fields.set("Authorization", "Bearer " + token.text.reveal())
        return signed
    }

    // MARK: - Tokens

    /// Lets a refused secret be tried once more.
    func reconsider() { state.withLock { $0.login.reconsider() } }

    /// Who a login is for, in words; and how it was spelled.
    var spelling: Spelling? { state.withLock { $0.spelling } }

    func token() throws(RemoteError) -> MFTToken {
        let since = state.withLock { $0.login.attempts }
        while true {
            let action = state.wait { state -> MFTLogin.Action? in
                let action = state.login.next(now: self.clock.now(), since: since)
                return action == .wait ? nil : action
            }
            switch action {
            case .use(let token): return token
            case .fail(let error): throw error
            case .logIn: end(logIn())
            case .extend(let token): end(extend(token))
            case .readSecret:
                let secret = try configuration.credentials.secret()
                let now = clock.now()
                state.withLock { $0.login.secretIs(secret, now: now) }
            case .wait, nil: continue
            }
        }
    }

    private func end(_ outcome: MFTLogin.Outcome) {
        let now = clock.now()
        state.withLock { $0.login.end(outcome, now: now) }
    }

    private func logIn() -> MFTLogin.Outcome {
        do throws(RemoteError) {
            let secret = try configuration.credentials.secret()
            guard case .password(let username, _) = configuration.credentials else {
                return .loggedIn(MFTToken(text: secret, expires: nil, received: clock.now()))
            }
            return try logIn(username, secret)
        } catch { return .failed(error) }
    }

    /// The spelling that worked before, else one after the other.
    private func logIn(_ username: String, _ password: Secret) throws(RemoteError) -> MFTLogin.Outcome {
        let known = state.withLock { $0.spelling }
        var outcome = MFTLogin.Outcome.failed(.protocolViolation)
        for spelling in known.map({ [$0] }) ?? Spelling.allCases {
            let words = username + spelling.separator + password.reveal()
            let answer = try perform(
                request(.get, "/authenticate", [("Authorization", "Basic " + Base64.encode(Array(words.utf8)))]))
            outcome = MFTClient.outcome(of: answer, password)
            switch outcome {
            case .loggedIn: state.withLock { $0.spelling = spelling }
            // Only this may be a matter of the spelling.
            case .refused(.credentials, _): continue
            default: break
            }
            return outcome
        }
        return outcome
    }

    /// Success is a token in the answer, not a status of 200.
    static func outcome(of answer: MFTAnswer, _ password: Secret) -> MFTLogin.Outcome {
        let result = answer.value?[anyCase: "Result"]?.string ?? ""
        switch (answer.status, result) {
        case (_, "ErrorMfaRequired"): return .refused(.accountNeeds(.apiKey), password)
        case (_, "ErrorInvalidCredentials"), (401, _), (403, _), (409, _): return .refused(.credentials, password)
        case (_, "ErrorServiceUnavailable"): return .failed(.unavailable(retryAfter: nil))
        default: break
        }
        guard answer.isSuccess else { return .failed(answer.error) }
        guard let token = token(in: answer) else { return .failed(.protocolViolation) }
        return .loggedIn(token)
    }

    private static func token(in answer: MFTAnswer) -> MFTToken? {
        guard let value = answer.value, let text = value[anyCase: "token"]?.string, !text.isEmpty,
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
        else { return nil }
        // The service's times are of its own clock, which may be another than ours: what counts is how long it lasts.
        let sent = answer.response.fields["Date"].flatMap { HTTPDate.parse($0, now: answer.now) } ?? answer.now
        let end = value[anyCase: "expires"]?.string.flatMap { OpenTeraTime($0) }?.timestamp
        let told = end.map { $0.seconds - sent.seconds } ?? 0
        let life = told > 0 ? told : shortLife
        return MFTToken(
            text: Secret(text), expires: Timestamp(seconds: answer.now.seconds + life), received: answer.now)
    }

    /// Of a token whose end was not told, or makes no sense, in seconds.
    private static let shortLife: Int64 = 600
    /// What is asked for: a working day, which the service may shorten.
    private static let extensionSpan = "08:00:00"

    private func extend(_ token: MFTToken) -> MFTLogin.Outcome {
        do throws(RemoteError) {
            let answer = try perform(request(.put, "/token", [("ExtendBy", MFTClient.extensionSpan)]), token)
            guard answer.isSuccess, let extended = MFTClient.token(in: answer) else { return .notExtended }
            // An end that did not move would be asked about again and again.
            if let end = extended.expires, let old = token.expires, end <= old { return .notExtended }
            return .loggedIn(extended)
        } catch { return .notExtended }
    }
}
