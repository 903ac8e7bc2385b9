internal import FXSystem

/// What authorises requests: a token for a while, or an API key.
struct MFTToken: Sendable, Equatable {
    var text: Secret
    /// nil of a key, whose end its administrator knows.
    var expires: Timestamp?
    var received: Timestamp

    /// How much of its life is over; 0 of a key.
    func age(at now: Timestamp) -> Double {
        guard let expires else { return 0 }
        let life = expires.seconds - received.seconds
        return life > 0 ? Double(now.seconds - received.seconds) / Double(life) : 1
    }
}

/// The login of one account: what to do when a call needs a token. Imports nothing that can block.
///
/// One login at a time; everybody else waits for its outcome. A secret that was refused is not sent a second time unless
/// somebody asks for it or it has changed.
struct MFTLogin: Sendable, Equatable {
    enum Action: Sendable, Equatable {
        case use(MFTToken)
        /// Get a token; report how it ended.
        case logIn
        /// Have the life of this token extended; report the same way.
        case extend(MFTToken)
        /// Another caller does one of these.
        case wait
        /// Read the secret and report it with `secretIs`: the refused one may have been replaced.
        case readSecret
        case fail(RemoteError)
    }

    enum Outcome: Sendable, Equatable {
        case loggedIn(MFTToken)
        /// The service refused this secret, or wants something of the account first.
        case refused(RemoteError, Secret)
        /// Nothing was decided, such as without a connection.
        case failed(RemoteError)
        /// The token cannot be extended; a login can help.
        case notExtended
    }

    private struct Refusal: Sendable, Equatable {
        var error: RemoteError
        var secret: Secret
        /// When the secret was read last to see whether it is another.
        var compared: Timestamp
    }

    private var isBusy = false
    private var token: MFTToken?
    private var refusal: Refusal?
    /// Ended logins and extensions; the last one's error, when it failed.
    private(set) var attempts = 0
    private var failure: RemoteError?

    /// Extended at this part of a token's life: rarely, and early enough for the longest chunk.
    static let extensionAge = 0.6
    /// After a refusal the secret is read again no more often; a password command may ask a person.
    static let comparesEvery: Int64 = 5

    /// What a call has to do for a token. `.logIn` and `.extend` make the caller the one who does it.
    /// - Parameter since: `attempts` when the call began; a failure that ended later is its failure too.
    mutating func next(now: Timestamp, since: Int) -> Action {
        if isBusy { return .wait }
        if let failure, attempts > since { return .fail(failure) }
        if let refusal {
            let isRecent = (0..<MFTLogin.comparesEvery).contains(now.seconds - refusal.compared.seconds)
            return isRecent ? .fail(refusal.error) : .readSecret
        }
        guard let token else { return begin(.logIn) }
        let age = token.age(at: now)
        // A clock that was set back makes a token younger than nothing; a login is right then too.
        if age >= 1 || age < 0 { return begin(.logIn) }
        return age >= MFTLogin.extensionAge ? begin(.extend(token)) : .use(token)
    }

    private mutating func begin(_ action: Action) -> Action {
        isBusy = true
        return action
    }

    /// Ends what `.logIn` or `.extend` began.
    mutating func end(_ outcome: Outcome, now: Timestamp) {
        isBusy = false
        token = nil
        failure = nil
        switch outcome {
        case .loggedIn(let new): token = new
        case .refused(let error, let secret):
            refusal = Refusal(error: error, secret: secret, compared: now)
            failure = error
        case .failed(let error): failure = error
        case .notExtended: return
        }
        attempts += 1
    }

    /// Answers `.readSecret`.
    mutating func secretIs(_ secret: Secret, now: Timestamp) {
        guard let refused = refusal else { return }
        if refused.secret == secret { refusal?.compared = now } else { reconsider() }
    }

    /// Lets the same secret be tried once more.
    mutating func reconsider() {
        refusal = nil
        failure = nil
    }

    /// The service does not know this token any more. A key is not asked for again: it is what was refused.
    mutating func reject(_ rejected: MFTToken, now: Timestamp) {
        guard token == rejected else { return }
        token = nil
        if rejected.expires == nil {
            refusal = Refusal(error: .credentials, secret: rejected.text, compared: now)
        }
    }

    /// What calls use now, if there is something.
    var current: MFTToken? { token }
}
