internal import FXSystem

/// One upload from its first byte to its verified end, as events and actions. Imports nothing that can block.
///
/// Every attempt begins by asking what the service holds when an earlier one may have reached it, so that nothing is sent
/// twice however often an answer was lost. Actions may be carried out at the same time; each is reported by one event.
/// A file that is still written takes part in it: what was sent and changed after that is sent again.
struct UploadMachine: Sendable {
    private enum Stage: Sendable, Equatable {
        /// No attempt is under way.
        case idle
        /// One action that is not a chunk is under way.
        case step
        case sending
    }

    private struct Flight: Sendable, Equatable {
        var range: Range<UInt64>
        /// The file changed below it: its end says nothing.
        var isOutdated = false
        /// It failed and waits a moment.
        var isWaiting = false
        var failures = 0
    }

    /// How an attempt ends as soon as no chunk is under way.
    private enum Ending: Sendable, Equatable {
        case retry(after: Duration)
        case fail(RemoteError)
        case abandon
    }

    let terms: UploadTerms
    private var stage = Stage.idle
    private var ending: Ending?
    private var flights: [UInt64: Flight] = [:]
    private var adopts: Bool
    /// True once the file has its final bytes, `available` of them.
    private(set) var isSealed: Bool
    /// Bytes that may be sent, from the start.
    private(set) var available: UInt64
    /// What the service has acknowledged and the file still has.
    private(set) var held = ByteRanges()
    /// Chunks the service may hold with bytes the file has no more.
    private(set) var stale = ByteRanges()
    /// What the spool has no more: the service alone has it.
    private(set) var freed = ByteRanges()
    /// Nothing at or behind this was ever sent.
    private(set) var sentEnd: UInt64 = 0
    /// What the backend asked to remember.
    private(set) var note: String?
    /// True when the service may have heard of this upload.
    private(set) var isKnownToService = false
    /// Failed attempts so far; a service that acknowledged something since starts it again at zero.
    private(set) var failures = 0
    /// What the last attempt met.
    private(set) var lastError: RemoteError?
    /// What the service holds is to be forgotten before anything else.
    private var needsDiscard = false
    /// It was sent from the start once more, because the service held something else.
    private var hasMismatched = false

    /// The upload of a draft that nothing was sent of.
    init(terms: UploadTerms) {
        self.terms = terms
        adopts = terms.facts.adoptsLocalFiles
        isSealed = false
        available = 0
    }

    /// The upload of a sealed file, as the journal knows it.
    init(terms: UploadTerms, row: RevisionRow) {
        self.init(terms: terms)
        isSealed = true
        available = row.size.rawValue
        held = row.acknowledged
        stale = row.stale
        freed = row.freed
        note = row.note
        isKnownToService = row.isKnownToService
        needsDiscard = terms.isInOrder && !stale.isEmpty
        failures = row.attempts
    }

    var isIdle: Bool { stage == .idle }
    /// True while an attempt is to end because the draft goes another way.
    var isLeaving: Bool { ending == .abandon }
    /// Everything that may be sent is acknowledged.
    var waitsForGrowth: Bool { stage == .sending && flights.isEmpty }
    /// How many chunks are with the service.
    var chunksUnderWay: Int { flights.values.count { !$0.isWaiting } }

    /// What the backend must know to go on; before it is reported as begun.
    mutating func remember(_ note: String) { self.note = note }

    /// A person asked for another try.
    mutating func clearFailures() {
        failures = 0
        lastError = nil
        hasMismatched = false
    }

    /// The service will be let forget the upload by somebody else; the draft begins anew.
    mutating func startOver() {
        forget()
        isKnownToService = false
        needsDiscard = false
    }

    /// The spool gives these bytes up; the service has acknowledged them.
    mutating func free(_ range: Range<UInt64>) { freed.insert(range) }

    // MARK: - Events

    mutating func handle(_ event: Event) -> [Action] {
        switch event {
        case .start: return start()
        case .recorded: return next(adoptOrBegin)
        case .reconciled(let standing): return reconciled(standing)
        case .cannotAdopt:
            adopts = false
            return next(.begin)
        case .begun(let given):
            note = given ?? note
            if ending != nil { return end() }
            stage = .sending
            return more()
        case .sent(let range): return sent(range)
        case .notSent(let range, let error, let random): return notSent(range, error, random)
        case .due(let range): return due(range)
        case .discarded:
            forget()
            needsDiscard = false
            return next(.begin)
        case .committed(let file), .adopted(let file):
            stage = .idle
            return [.finish(file)]
        case .failed(let error, let random): return failed(error, random)
        case .grown(let end):
            available = max(available, end)
            return more()
        case .changed(let range):
            outdate(range)
            return more()
        case .cut(let size):
            outdate(size..<max(size, UInt64.max))
            available = min(available, size)
            return more()
        case .sealed(let size):
            isSealed = true
            available = size
            return more()
        case .cancelled: return cancelled()
        }
    }

    private mutating func start() -> [Action] {
        if stage != .idle { return [] }
        ending = nil
        flights = [:]
        stage = .step
        if needsDiscard { return [.discard] }
        if !isKnownToService {
            isKnownToService = true
            return [.recordIntent]
        }
        // Of a file that grows this program knows what it has sent; only who promised its end is asked for.
        return isSealed ? [.reconcile] : [.begin]
    }

    private var adoptOrBegin: Action { adopts && isSealed ? .adopt : .begin }

    /// The next single step, unless the attempt is to end.
    private mutating func next(_ action: Action) -> [Action] { ending == nil ? [action] : end() }

    private mutating func reconciled(_ standing: UploadStanding) -> [Action] {
        switch standing {
        case .committed(let file):
            stage = .idle
            return [.finish(file)]
        case .nothing: forget()
        case .partial(let ranges):
            held = ranges
            held.remove(available..<UInt64.max)
            held.remove(stale)
            sentEnd = max(sentEnd, ranges.end)
        }
        if !held.contains(freed) { return fail(.partsLost) }
        return next(adoptOrBegin)
    }

    // MARK: - Chunks

    private mutating func sent(_ range: Range<UInt64>) -> [Action] {
        guard let flight = flights.removeValue(forKey: range.lowerBound) else { return more() }
        if !flight.isOutdated {
            held.insert(range)
            stale.remove(terms.facts.chunk(at: range.lowerBound).range)
            failures = 0
        }
        return more()
    }

    private mutating func notSent(_ range: Range<UInt64>, _ error: RemoteError, _ random: Double) -> [Action] {
        guard var flight = flights.removeValue(forKey: range.lowerBound) else { return more() }
        // What is given up anyway fails for that.
        if ending == .abandon { return more() }
        lastError = error
        if error == .expired { return forgotten(random) }
        flight.failures += 1
        let wait = terms.retry.wait(after: error, failures: flight.failures, random: random)
        if let wait, ending == nil, !terms.isInOrder, !flight.isOutdated, wait <= UploadMachine.chunkPatience,
            flight.failures <= UploadMachine.chunkRepeats
        {
            flight.isWaiting = true
            flights[range.lowerBound] = flight
            return [.wait(range, wait)] + more()
        }
        endAttempt(error, random)
        return more()
    }

    private mutating func due(_ range: Range<UInt64>) -> [Action] {
        guard var flight = flights[range.lowerBound], flight.isWaiting else { return more() }
        if ending != nil || flight.isOutdated {
            flights[range.lowerBound] = nil
            return more()
        }
        flight.isWaiting = false
        flights[range.lowerBound] = flight
        return [.send(flight.range)]
    }

    /// The next chunks, the commit when all are there, or the end of the attempt.
    private mutating func more() -> [Action] {
        if stage != .sending { return [] }
        if ending != nil { return end() }
        if needsDiscard {
            // The draft changes; as long as it does, sending it again is in vain.
            if !isSealed || !flights.isEmpty { return [] }
            stage = .step
            return [.discard]
        }
        var actions: [Action] = []
        while flights.count < terms.parallelChunks, let range = nextChunk() {
            flights[range.lowerBound] = Flight(range: range)
            sentEnd = max(sentEnd, range.upperBound)
            actions.append(.send(range))
        }
        if actions.isEmpty, flights.isEmpty, isSealed {
            stage = .step
            return [.commit]
        }
        return actions
    }

    private func nextChunk() -> Range<UInt64>? {
        var position = held.prefix
        if !terms.isInOrder { position = terms.facts.chunk(at: position).range.lowerBound }
        while position < available {
            let chunk = terms.facts.chunk(at: position).range
            let range = position..<min(chunk.upperBound, available)
            // A growing file sends whole chunks, and those that change again and again once, at the end.
            if !isSealed, range.upperBound < chunk.upperBound { return nil }
            let isOpen = flights[range.lowerBound] == nil && !held.contains(range)
            if isOpen, isSealed || !stale.contains(chunk) { return range }
            if terms.isInOrder { return nil }
            position = chunk.upperBound
        }
        return nil
    }

    /// The file changed: what was sent of it there is worth nothing.
    private mutating func outdate(_ range: Range<UInt64>) {
        let end = min(range.upperBound, sentEnd)
        if range.lowerBound >= end { return }
        if terms.isInOrder {
            // There is no way to send an earlier part again.
            stale.insert(range.lowerBound..<end)
            needsDiscard = true
            for key in flights.keys { flights[key]?.isOutdated = true }
            return
        }
        var position = range.lowerBound
        while position < end {
            let chunk = terms.facts.chunk(at: position).range
            held.remove(chunk)
            stale.insert(chunk)
            flights[chunk.lowerBound]?.isOutdated = true
            position = chunk.upperBound
        }
    }

    // MARK: - Ends

    private mutating func failed(_ error: RemoteError, _ random: Double) -> [Action] {
        if ending == .abandon { return end() }
        lastError = error
        switch error {
        case .expired: return forgotten(random)
        case .verificationMismatch:
            if hasMismatched || !freed.isEmpty { return fail(error) }
            hasMismatched = true
            needsDiscard = true
            return [.discard]
        default:
            endAttempt(error, random)
            return end()
        }
    }

    /// The service knows the upload no more: it is sent from the start, if that is still possible.
    private mutating func forgotten(_ random: Double) -> [Action] {
        if !freed.isEmpty { return fail(.partsLost) }
        forget()
        endAttempt(.unavailable(retryAfter: nil), random)
        return end()
    }

    private mutating func forget() {
        held = ByteRanges()
        stale = ByteRanges()
        sentEnd = 0
        note = nil
        for key in flights.keys { flights[key]?.isOutdated = true }
    }

    private mutating func endAttempt(_ error: RemoteError, _ random: Double) {
        switch ending {
        case .abandon, .fail: return
        case .retry where error.isTemporary: return
        case .retry, nil: break
        }
        if ending == nil { failures += 1 }
        let wait = terms.retry.wait(after: error, failures: failures, random: random)
        ending = wait.map { .retry(after: $0) } ?? .fail(error)
    }

    private mutating func fail(_ error: RemoteError) -> [Action] {
        lastError = error
        if ending != .abandon { ending = .fail(error) }
        return end()
    }

    private mutating func cancelled() -> [Action] {
        if isSealed { return [] }
        switch stage {
        case .idle: return isKnownToService ? [.abandon] : []
        case .step: ending = .abandon
        case .sending:
            ending = .abandon
            return end()
        }
        return []
    }

    private mutating func end() -> [Action] {
        flights = flights.filter { !$0.value.isWaiting }
        guard let ending, flights.isEmpty else { return [] }
        self.ending = nil
        stage = .idle
        switch ending {
        case .retry(let wait): return [.retry(after: wait)]
        case .fail(let error): return [.fail(error)]
        case .abandon: return [.abandon]
        }
    }

    // MARK: - Bounds

    /// How often one chunk is sent again by itself before the attempt ends and the service is asked what it holds.
    static let chunkRepeats = 2
    /// A service that wants a longer pause than this gets it for the whole upload.
    static let chunkPatience: Duration = .seconds(2)
}
