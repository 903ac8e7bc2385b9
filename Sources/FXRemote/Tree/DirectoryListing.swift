internal import FXSystem

/// What is known of how a directory was listed; guarded by the tree.
struct DirectoryListing: Sendable {
    /// A listing has come, or the directory was made here.
    var isKnown = false
    /// Until then nobody asks again.
    var freshUntil: ContinuousDeadline?
    /// Why the last one did not come.
    var failure: RemoteError?
    /// Until then the failure stands for an answer.
    var failureUntil: ContinuousDeadline?
    var isUnderWay = false
    /// In the lane, to be brought in the background.
    var isQueued = false
    /// What was moved or removed while a listing is under way.
    var departed: Set<String> = []

    /// A failure is believed for this long at most, so that a service that is back is seen soon.
    private static let longestFailure = Duration.seconds(2)
    /// A listing that takes long is asked for less often: at most a fifth of the time.
    private static let patience = 4

    enum Standing: Sendable {
        case fresh
        /// Known, and to be asked for again.
        case stale
        /// Known, and asking again has failed; `isDue` to be tried once more, with nobody waiting for it.
        case unavailable(isDue: Bool)
        case unknown
        /// Never known, and asking has just failed.
        case failed(RemoteError)
    }

    var standing: Standing {
        if let failure {
            let isDue = failureUntil?.hasPassed ?? true
            if isKnown { return .unavailable(isDue: isDue) }
            if !isDue { return .failed(failure) }
        }
        guard isKnown else { return .unknown }
        return freshUntil.map { !$0.hasPassed } ?? false ? .fresh : .stale
    }

    mutating func begin() {
        isUnderWay = true
        departed = []
    }

    mutating func succeed(after span: Duration, ttl: Duration) {
        isUnderWay = false
        isKnown = true
        failure = nil
        failureUntil = nil
        departed = []
        // Zero asks each time, as slow as it may be.
        freshUntil = .after(ttl == .zero ? .zero : max(ttl, span * DirectoryListing.patience))
    }

    mutating func fail(_ error: RemoteError, ttl: Duration) {
        isUnderWay = false
        departed = []
        failure = error
        failureUntil = .after(min(ttl, DirectoryListing.longestFailure))
    }

    /// Made here just now: what is in it is known.
    static func made(ttl: Duration) -> DirectoryListing {
        var listing = DirectoryListing()
        listing.succeed(after: .zero, ttl: ttl)
        return listing
    }
}
