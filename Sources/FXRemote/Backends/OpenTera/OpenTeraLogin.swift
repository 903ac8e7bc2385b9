internal import FXSystem

/// The login of one account: what to do when a call needs a token. Imports nothing that can block.
///
/// One login or refresh at a time; everybody else waits for its outcome. A password that was refused is never sent a
/// second time unless somebody asked for it, because five of those lock the account for everybody who uses it.
struct OpenTeraLogin: Sendable, Equatable {
    enum Action: Sendable, Equatable {
        case use(OpenTeraToken)
        /// Send user name and password; report `.loggedIn` or `.failed`.
        case logIn
        /// Exchange this token for another; report the same way.
        case refresh(OpenTeraToken)
        /// Another caller does one of these.
        case wait
        /// Read the password and report it with `passwordIs`: the refused one may have been replaced.
        case readPassword
        case fail(RemoteError)
    }

    enum Outcome: Sendable, Equatable {
        case loggedIn(OpenTeraToken)
        /// The service refused this password, or wants something of the account first.
        case refused(RemoteError, Secret)
        /// Nothing was decided, such as without a connection.
        case failed(RemoteError)
        /// The token cannot be exchanged; a login can help.
        case notRefreshed
    }

    private enum Phase: Sendable, Equatable {
        case idle, busy
    }

    private struct Refusal: Sendable, Equatable {
        var error: RemoteError
        var password: Secret
        /// When the password was read last to see whether it is another.
        var compared: Timestamp
    }

    private var phase = Phase.idle
    private var token: OpenTeraToken?
    private var refusal: Refusal?
    private var refusals = 0
    private var lockedUntil: Timestamp?
    /// Ended logins and refreshes; the last one's error, when it failed.
    private(set) var attempts = 0
    private var failure: RemoteError?

    /// Refreshed at this part of a token's life: late enough to be rare, early enough that a slow service is no matter.
    static let refreshAge = 0.65
    /// The account is closed for this long after so many refused passwords (OpenTera's own rule).
    static let refusalsUntilLock = 5
    static let lockSeconds: Int64 = 120
    /// After a refusal the password is read again no more often; a password command may ask a person.
    static let comparesEvery: Int64 = 5

    /// What a call has to do for a token. `.logIn` and `.refresh` make the caller the one who does it.
    /// - Parameters:
    ///   - since: `attempts` when the call began; a failure that ended later is its failure too.
    ///   - isHeld: a request that cannot be repeated cheaply is under way with the token, which a refresh would kill.
    ///   - seconds: how long the token has to last.
    mutating func next(now: Timestamp, since: Int, isHeld: Bool = false, lasting seconds: Int64 = 0) -> Action {
        if phase == .busy { return .wait }
        if let failure, attempts > since { return .fail(failure) }
        if let lockedUntil, now < lockedUntil { return .fail(.accountNeeds(.lockedOut)) }
        if let refusal {
            let isRecent = now.seconds - refusal.compared.seconds < OpenTeraLogin.comparesEvery
            return isRecent && now >= refusal.compared ? .fail(refusal.error) : .readPassword
        }
        guard let token else { return begin(.logIn) }
        let age = token.age(at: now)
        // A clock that was set back makes a token younger than nothing; a login is right then too.
        if age >= 1 || age < 0 { return begin(.logIn) }
        // Only a login gives a full hour, and one of this age would gain nothing.
        if token.remaining(at: now) < seconds, age > OpenTeraLogin.freshAge { return begin(.logIn) }
        if age >= OpenTeraLogin.refreshAge { return begin(isHeld ? .logIn : .refresh(token)) }
        return .use(token)
    }

    private static let freshAge = 0.1

    /// A token that can be used without any more ado.
    func ready(at now: Timestamp) -> OpenTeraToken? {
        guard phase == .idle, let token, (0..<OpenTeraLogin.refreshAge).contains(token.age(at: now)) else { return nil }
        return token
    }

    private mutating func begin(_ action: Action) -> Action {
        phase = .busy
        return action
    }

    /// Ends what `.logIn` or `.refresh` began.
    mutating func end(_ outcome: Outcome, now: Timestamp) {
        phase = .idle
        // A refresh disables the old token at once, also when its answer was lost.
        token = nil
        failure = nil
        switch outcome {
        case .loggedIn(let new):
            token = new
            refusals = 0
            lockedUntil = nil
        case .refused(let error, let password):
            refusal = Refusal(error: error, password: password, compared: now)
            failure = error
            if error == .credentials { noteRefusal(now) }
        case .failed(let error):
            failure = error
        case .notRefreshed:
            return
        }
        attempts += 1
    }

    private mutating func noteRefusal(_ now: Timestamp) {
        refusals += 1
        if refusals < OpenTeraLogin.refusalsUntilLock { return }
        refusals = 0
        lockedUntil = Timestamp(seconds: now.seconds + OpenTeraLogin.lockSeconds, nanoseconds: now.nanoseconds)
    }

    /// Answers `.readPassword`.
    mutating func passwordIs(_ password: Secret, now: Timestamp) {
        guard let refused = refusal else { return }
        if refused.password == password { refusal?.compared = now } else { reconsider() }
    }

    /// Lets the same password be tried once more. A lock of the account is waited for all the same.
    mutating func reconsider() {
        refusal = nil
        failure = nil
    }

    /// The service does not know this token any more.
    mutating func reject(_ rejected: OpenTeraToken) {
        if token == rejected { token = nil }
    }

    /// What calls use now, if there is something.
    var current: OpenTeraToken? { token }
}
