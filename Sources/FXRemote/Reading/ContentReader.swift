internal import FXSystem
internal import Synchronization

/// Reads a committed content from its service for one open handle: ahead of who reads on, exactly what is asked for else.
///
/// Nobody waits in here: a read is answered at once from what has come, or by its completion, on whatever thread brings
/// the last byte of it.
///
/// Lock order: `state` is a leaf. Fetches are begun and cancelled, blocks taken, and completions called outside of it.
public final class ContentReader: Sendable {
    public typealias Completion = @Sendable (Result<ReadBytes, RemoteError>) -> Void

    /// How a read begins.
    public enum Start: Sendable {
        case bytes(ReadBytes)
        /// The completion comes; `cancel` takes the token.
        case waits(WaitToken)
        case failed(RemoteError)
    }

    private enum Source {
        case closed, opening
        case open(any FetchedContent)
    }

    private struct Waiting {
        var token: WaitToken
        var range: Range<UInt64>
        var completion: Completion
    }

    private struct State {
        var source = Source.closed
        var window: ReadWindow
        var buffer = ReadBuffer()
        var waiting: [Waiting] = []
        var next: UInt64 = 1
        /// Why nothing can be read any more.
        var failure: RemoteError?

        var waited: [Range<UInt64>] { waiting.map(\.range) }

        /// Takes out the reads of which every byte is here.
        mutating func takeAnswered() -> [(Completion, ReadBytes)] {
            var answered: [(Completion, ReadBytes)] = []
            var remaining: [Waiting] = []
            var given: [Range<UInt64>] = []
            for wait in waiting {
                guard let bytes = buffer.bytes(wait.range) else {
                    remaining.append(wait)
                    continue
                }
                answered.append((wait.completion, bytes))
                given.append(wait.range)
            }
            waiting = remaining
            for range in given { buffer.give(range, waited: waited) }
            return answered
        }

        mutating func takeWaiting(_ isTaken: (Waiting) -> Bool) -> [Completion] {
            let taken = waiting.filter(isTaken).map(\.completion)
            waiting.removeAll(where: isTaken)
            return taken
        }
    }

    /// Of the content it is pinned to.
    let size: UInt64
    private let readers: Readers
    private let turns: ReadTurns
    private let lane: CallLane
    private let openContent: @Sendable () throws(RemoteError) -> any CommittedContent
    private let noteChange: @Sendable () -> Void
    private let closeContent: @Sendable (any CommittedContent) -> Void
    private let state: Mutex<State>

    /// - Parameters:
    ///   - changed: the service has another content; must not wait.
    ///   - close: nobody reads what was opened any more.
    ///   - open: finds the content at the service; runs on the lane and may wait.
    init(
        size: ByteCount, readers: Readers, turns: ReadTurns, lane: CallLane,
        limits: ReadWindow.Limits = ReadWindow.Limits(), changed: @escaping @Sendable () -> Void = {},
        close: @escaping @Sendable (any CommittedContent) -> Void = { _ in },
        open: @escaping @Sendable () throws(RemoteError) -> any CommittedContent
    ) {
        self.size = size.rawValue
        self.readers = readers
        self.turns = turns
        self.lane = lane
        noteChange = changed
        closeContent = close
        openContent = open
        state = Mutex(State(window: ReadWindow(limits: limits)))
        readers.add(self)
    }

    deinit { readers.remove(self) }

    // MARK: - Reads

    /// Reads `count` bytes from `offset`, less only at the end of the file. Call `bringAhead` after answering.
    public func read(_ count: Int, at offset: UInt64, _ completion: @escaping Completion) -> Start {
        let end = min(size, offset.addingReportingOverflow(UInt64(count)).partialValue)
        if offset >= end { return .bytes(ReadBytes()) }
        let range = offset..<end
        let share = readers.share
        let (start, segments): (Start, [ReadBuffer.SegmentID]) = state.withLock { state in
            if let failure = state.failure { return (.failed(failure), []) }
            state.window.note(range)
            if let bytes = state.buffer.bytes(range) {
                state.buffer.give(range, waited: state.waited)
                return (.bytes(bytes), [])
            }
            let token = WaitToken(number: state.next)
            state.next += 1
            state.waiting.append(Waiting(token: token, range: range, completion: completion))
            let missing = state.window.demanded(range, have: state.buffer.have, size: size, share: share)
            return (.waits(token), missing.map { state.buffer.add($0) })
        }
        if !segments.isEmpty { begin(segments) }
        return start
    }

    /// Lets a read go whose caller is gone; true when its completion will not be called.
    @discardableResult
    public func cancel(_ token: WaitToken) -> Bool {
        let isTaken = state.withLock { state in !state.takeWaiting { $0.token == token }.isEmpty }
        giveWay()
        return isTaken
    }

    /// Lets go of what was read, and asks for what will be.
    public func bringAhead() {
        let share = readers.share
        let (leavings, segments): (ReadBuffer.Leavings, [ReadBuffer.SegmentID]) = state.withLock { state in
            if state.failure != nil { return (ReadBuffer.Leavings(), []) }
            let window = state.window
            let leavings = state.buffer.sweep(waited: state.waited) { window.wants($0, share: share) }
            guard case .open = state.source else { return (leavings, []) }
            let pieces = window.ahead(have: state.buffer.have, size: size, share: share)
            return (leavings, pieces.map { state.buffer.add($0) })
        }
        leavings.cancel()
        // What finds no turn or no memory now is asked for by a later read.
        for (index, id) in segments.enumerated() where !start(id, .ifPossible) {
            return drop(Array(segments[index...]))
        }
    }

    private func drop(_ segments: [ReadBuffer.SegmentID]) {
        let leavings = state.withLock { state in segments.map { state.buffer.cut($0) } }
        for leaving in leavings { leaving.cancel() }
        // A read may have come to count on one of them meanwhile.
        settle()
    }

    /// Brings what is waited for and neither here nor on its way.
    private func settle() {
        let segments: [ReadBuffer.SegmentID] = state.withLock { state in
            if state.failure != nil { return [] }
            var missing = ByteRanges()
            for range in state.waited {
                for gap in state.buffer.have.gaps(in: range) { missing.insert(gap) }
            }
            return missing.ranges.map { state.buffer.add($0) }
        }
        if !segments.isEmpty { begin(segments) }
    }

    /// Ends everything: nobody reads any more.
    func close() { fail(.interrupted) }

    /// Lets go of what was read ahead, for others.
    func giveBack() {
        let leavings = state.withLock { state in state.buffer.giveBack(waited: state.waited) }
        leavings.cancel()
    }

    private func giveWay() {
        if readers.pool.isContended { giveBack() }
    }

    /// Every read fails with `error`, now and later.
    func fail(_ error: RemoteError) {
        let (leavings, completions, content): (ReadBuffer.Leavings, [Completion], (any CommittedContent)?) =
            state.withLock { state in
                if state.failure == nil { state.failure = error }
                var content: (any CommittedContent)?
                if case .open(let opened) = state.source {
                    content = opened
                    state.source = .closed
                }
                return (state.buffer.removeAll(), state.takeWaiting { _ in true }, content)
            }
        leavings.cancel()
        if let content { closeContent(content) }
        for completion in completions { completion(.failure(error)) }
    }

    // MARK: - Opening

    private func begin(_ segments: [ReadBuffer.SegmentID]) {
        enum Step { case start, open, wait }
        let step: Step = state.withLock { state in
            switch state.source {
            case .open: return .start
            case .opening: return .wait
            case .closed:
                state.source = .opening
                return .open
            }
        }
        switch step {
        case .start: for id in segments { _ = start(id, .somebodyWaits) }
        case .open: open()
        case .wait: return
        }
    }

    private func open() {
        let isTaken = lane.submit(
            run: { [self] in
                do throws(RemoteError) { opened(try openContent()) } catch { notOpened(error) }
            }, drop: { [self] in notOpened(.interrupted) })
        // So many wait already that one more would only wait as well.
        if !isTaken { notOpened(.unavailable(retryAfter: nil)) }
    }

    private func opened(_ content: any CommittedContent) {
        let fetched = content as? any FetchedContent ?? LaneContent(content, lane)
        let segments: [ReadBuffer.SegmentID]? = state.withLock { state in
            if state.failure != nil { return nil }
            state.source = .open(fetched)
            return state.buffer.segments.map(\.id)
        }
        guard let segments else { return closeContent(content) }
        for id in segments { _ = start(id, .somebodyWaits) }
        bringAhead()
    }

    /// The next read tries again.
    private func notOpened(_ error: RemoteError) {
        let (leavings, completions): (ReadBuffer.Leavings, [Completion]) = state.withLock { state in
            guard case .opening = state.source else { return (ReadBuffer.Leavings(), []) }
            state.source = .closed
            return (state.buffer.removeAll(), state.takeWaiting { _ in true })
        }
        leavings.cancel()
        for completion in completions { completion(.failure(error)) }
    }

    // MARK: - Bringing

    private enum Urgency { case somebodyWaits, ifPossible }

    /// Begins to bring a segment, or has it wait for its turn or for memory.
    /// - Returns: false when it does not begin and does not wait.
    private func start(_ id: ReadBuffer.SegmentID, _ urgency: Urgency) -> Bool {
        guard let segment = state.withLock({ $0.failure == nil ? $0.buffer[id] : nil }), case .waits = segment.phase
        else { return false }
        if !turns.begin(waits: urgency == .somebodyWaits) {
            if urgency == .ifPossible { return false }
            turns.wait { [weak self] in _ = self?.start(id, urgency) }
            return true
        }
        // Asked for again it has its memory.
        if !segment.blocks.isEmpty { return run(id, []) }
        let count = BlockPool.blocks(for: UInt64(segment.range.count))
        if let blocks = readers.pool.take(count, waits: urgency == .somebodyWaits) { return run(id, blocks) }
        turns.end()
        if urgency == .ifPossible { return false }
        // In this order: what comes to lie idle from here on is let go by who sees that somebody waits.
        readers.pool.wait(for: count) { [weak self] in _ = self?.start(id, urgency) }
        readers.giveBack()
        return true
    }

    /// Has a turn.
    private func run(_ id: ReadBuffer.SegmentID, _ blocks: [Block]) -> Bool {
        let begun: (any FetchedContent, ReadBuffer.Segment)? = state.withLock { state in
            guard state.failure == nil, case .open(let content) = state.source, let segment = state.buffer[id],
                case .waits = segment.phase
            else { return nil }
            let firstLater = state.next
            state.buffer.update(id) { segment in
                segment.firstLater = firstLater
                if !blocks.isEmpty {
                    segment.blocks = blocks
                    segment.given = Array(repeating: 0, count: blocks.count)
                }
                segment.phase = .runs(nil)
                segment.attempts += 1
            }
            return state.buffer[id].map { (content, $0) }
        }
        guard let (content, segment) = begun else {
            turns.end()
            return false
        }
        let sink = SegmentSink(self, segment)
        let fetch = content.fetch(segment.missing, into: sink) { [self] in ended(id, $0) }
        let isUnwanted = state.withLock { state in
            guard let now = state.buffer[id] else { return true }
            // It may have ended already, and even run again.
            if now.attempts == segment.attempts, case .runs = now.phase {
                state.buffer.update(id) { $0.phase = .runs(fetch) }
            }
            return false
        }
        if isUnwanted { fetch.cancel() }
        return true
    }

    /// More bytes of a segment are in its blocks; false when nobody wants the rest.
    func advance(_ id: ReadBuffer.SegmentID, by count: Int) -> Bool {
        let answered: [(Completion, ReadBytes)]? = state.withLock { state in
            guard state.failure == nil, state.buffer[id] != nil else { return nil }
            state.buffer.update(id) { segment in
                segment.received += UInt64(count)
                segment.failures = 0
            }
            return state.takeAnswered()
        }
        guard let answered else { return false }
        for (completion, bytes) in answered { completion(.success(bytes)) }
        giveWay()
        return true
    }

    private func ended(_ id: ReadBuffer.SegmentID, _ result: Result<Void, RemoteError>) {
        turns.end()
        // An answer that is too short counts as one that was cut off.
        let error: RemoteError? = if case .failure(let error) = result { error } else { nil }
        if error == .changed {
            fail(.changed)
            return noteChange()
        }
        let (again, leavings, completions) = state.withLock { state in
            settle(id, error, &state)
        }
        leavings.cancel()
        for completion in completions { completion(.failure(error ?? .unreachable)) }
        if again { _ = start(id, .somebodyWaits) }
        giveWay()
    }

    private func settle(
        _ id: ReadBuffer.SegmentID, _ error: RemoteError?, _ state: inout State
    ) -> (again: Bool, ReadBuffer.Leavings, [Completion]) {
        guard let segment = state.buffer[id] else { return (false, ReadBuffer.Leavings(), []) }
        let missing = segment.missing
        if missing.isEmpty {
            state.buffer.update(id) { $0.phase = .ended }
            return (false, ReadBuffer.Leavings(), [])
        }
        let isWaitedFor = state.waiting.contains { $0.range.overlaps(missing) }
        let failures = segment.failures + 1
        if isWaitedFor, ReadRetry.asksAgain(after: error ?? .unreachable, failures: failures) {
            state.buffer.update(id) { segment in
                segment.failures = failures
                segment.phase = .waits
            }
            return (true, ReadBuffer.Leavings(), [])
        }
        // What was only read ahead is nobody's error: who came while it was on its way gets a request of its own, and
        // is told what becomes of that.
        let refused = state.takeWaiting { $0.range.overlaps(missing) && $0.token.number < segment.firstLater }
        if state.waiting.contains(where: { $0.range.overlaps(missing) }) {
            state.buffer.update(id) { segment in
                segment.failures = failures
                segment.phase = .waits
            }
            return (true, ReadBuffer.Leavings(), refused)
        }
        return (false, state.buffer.cut(id), refused)
    }
}
