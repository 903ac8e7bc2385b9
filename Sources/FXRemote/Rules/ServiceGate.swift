internal import FXSystem

/// Whether a service is asked at all, by what it answered last. Pure; time is a parameter.
///
/// While it does not answer, one upload tries it again and again and the others wait; credentials it refused are not
/// shown to it again for a while, so that no account gets locked by a queue of files.
struct ServiceGate: Sendable, Equatable {
    /// What a finished piece of work tells of the service.
    enum Finding: Sendable, Equatable {
        /// It answered; also when it refused something about one file.
        case works
        /// It cannot be reached or wants a pause.
        case pauses(Duration)
        /// It refused who we are.
        case refuses(RemoteError)
        /// Who tried alone found that there was nothing to ask.
        case nothing
    }

    enum Verdict: Sendable, Equatable {
        case go
        /// One may try; the others wait for what it finds.
        case tryAlone
        case waitUntil(ContinuousDeadline)
        /// Somebody is trying.
        case wait
        /// Asking is pointless: it would say this.
        case refuse(RemoteError)
    }

    /// How long refused credentials are believed to be wrong, unless somebody says `retry`.
    static let refusalPause: Duration = .seconds(60)

    private var pause: ContinuousDeadline?
    private var isTrying = false
    private var refusal: (error: RemoteError, until: ContinuousDeadline)?

    func verdict(at now: ContinuousDeadline) -> Verdict {
        if let refusal, now < refusal.until { return .refuse(refusal.error) }
        guard let pause else { return .go }
        if isTrying { return .wait }
        return now < pause ? .waitUntil(pause) : .tryAlone
    }

    /// Somebody follows `.tryAlone`.
    mutating func tries() { isTrying = true }

    mutating func note(_ finding: Finding, now: ContinuousDeadline, wait: (Duration) -> ContinuousDeadline) {
        switch finding {
        case .nothing: isTrying = false
        case .works: self = ServiceGate()
        case .pauses(let duration):
            isTrying = false
            pause = max(pause ?? now, wait(duration))
        case .refuses(let error):
            isTrying = false
            refusal = (error, wait(ServiceGate.refusalPause))
        }
    }

    /// A person says that things may have changed.
    mutating func open() { self = ServiceGate() }

    static func == (left: ServiceGate, right: ServiceGate) -> Bool {
        left.pause == right.pause && left.isTrying == right.isTrying && left.refusal?.error == right.refusal?.error
            && left.refusal?.until == right.refusal?.until
    }
}
