internal import FXSystem

/// One upload from its first byte to its verified end, as events and actions. Imports nothing that can block.
///
/// Every run begins by asking what the service holds when an earlier run may have reached it, so that nothing is
/// sent twice however often an answer was lost. The engine performs one action, reports one event, and repeats.
struct UploadMachine: Sendable, Equatable {
    enum Action: Sendable, Equatable {
        /// Record that the service is about to hear of this upload, then report `.recorded`.
        case recordIntent
        /// Ask the service what it holds of this upload.
        case reconcile
        /// Give the service the spool file itself.
        case adopt
        case begin
        case send(Range<UInt64>)
        case commit
        /// The service verified the file: record it and tell whoever waits.
        case finish(CommittedFile)
        case retry(after: Duration)
        case fail(RemoteError)
    }

    enum Event: Sendable, Equatable {
        case start
        case recorded
        case reconciled(UploadStanding)
        case begun
        case sent(Range<UInt64>)
        case committed(CommittedFile)
        case adopted(CommittedFile)
        /// The service cannot take the spool file itself; nothing was changed.
        case cannotAdopt
        /// - Parameter random: in 0…1, for the jitter.
        case failed(RemoteError, random: Double)
    }

    let size: UInt64
    let chunkSize: UInt64
    let retry: RetryPolicy
    /// Failed attempts so far; a service that acknowledged something since starts it again at zero.
    private(set) var failures: Int
    /// What the last attempt met.
    private(set) var lastError: RemoteError?
    private var adopts: Bool
    /// True when the service may have heard of this upload.
    private var isKnownToService: Bool
    /// What the service has acknowledged, from the start without a gap.
    private(set) var acknowledged: UInt64 = 0

    init(size: ByteCount, facts: BackendFacts, retry: RetryPolicy, failures: Int, isKnownToService: Bool) {
        self.size = size.rawValue
        chunkSize = max(1, facts.preferredChunk.rawValue)
        adopts = facts.adoptsLocalFiles
        self.retry = retry
        self.failures = failures
        self.isKnownToService = isKnownToService
    }

    mutating func handle(_ event: Event) -> Action {
        switch event {
        case .start:
            return isKnownToService ? .reconcile : .recordIntent
        case .recorded:
            isKnownToService = true
            return adopts ? .adopt : .begin
        case .reconciled(.nothing):
            acknowledged = 0
            return adopts ? .adopt : .begin
        case .reconciled(.partial(let held)):
            acknowledged = min(held.prefix, size)
            return adopts ? .adopt : .begin
        case .reconciled(.committed(let file)), .committed(let file), .adopted(let file):
            return .finish(file)
        case .cannotAdopt:
            adopts = false
            return .begin
        case .begun:
            return next()
        case .sent(let range):
            acknowledged = max(acknowledged, range.upperBound)
            failures = 0
            return next()
        case .failed(let error, let random):
            failures += 1
            lastError = error
            // The answer may be what was lost: the next attempt asks before it sends.
            guard let wait = retry.wait(after: error, failures: failures, random: random) else { return .fail(error) }
            return .retry(after: wait)
        }
    }

    private func next() -> Action {
        acknowledged < size ? .send(acknowledged..<min(size, acknowledged + chunkSize)) : .commit
    }
}
