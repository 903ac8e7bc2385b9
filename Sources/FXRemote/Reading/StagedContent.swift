internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// A content of a service without ranges: brought once and whole into a file of this machine, and read from there as far
/// as it has come. For all handles of one file that are open at the same time.
///
/// Lock order: `state` is a leaf; fetches and deliveries run outside of it.
final class StagedContent: FetchedContent {
    private struct Waiting {
        var range: Range<UInt64>
        var sink: any ByteSink
        var end: Ending
    }

    private struct State {
        var users = 0
        /// How many bytes, from the start, are in the file.
        var received: UInt64 = 0
        var run: StagingRun?
        var failures = 0
        var waiting: [Waiting] = []

        mutating func takeWaiting(_ isTaken: (Waiting) -> Bool) -> [Waiting] {
            let taken = waiting.filter(isTaken)
            waiting.removeAll(where: isTaken)
            return taken
        }
    }

    let identity: ContentIdentity
    private let content: any FetchedContent
    private let file: OwnedDescriptor
    private let lane: CallLane
    private let state = Mutex(State())

    init(_ content: any FetchedContent, _ identity: ContentIdentity, in file: consuming OwnedDescriptor, lane: CallLane)
    {
        self.content = content
        self.identity = identity
        self.file = file
        self.lane = lane
    }

    private var size: UInt64 { identity.size.rawValue }

    /// One more handle reads it.
    func join() { state.withLock { $0.users += 1 } }

    /// One less; true when it was the last.
    func leave() -> Bool {
        state.withLock { state in
            state.users -= 1
            return state.users == 0
        }
    }

    /// Nobody reads it any more: ends what is under way.
    func close() {
        let run = state.withLock { $0.run.take() }
        run?.cancel()
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        do throws(Errno) { return try unsafe file.read(into: buffer, at: offset) } catch {
            throw .local(error, during: .cache)
        }
    }

    func fetch(
        _ range: Range<UInt64>, into sink: any ByteSink,
        _ completion: @escaping @Sendable (Result<Void, RemoteError>) -> Void
    ) -> Fetch {
        let end = Ending(completion)
        let waiting = Waiting(range: range, sink: sink, end: end)
        let (isHere, begins) = state.withLock { state in
            if range.upperBound <= state.received { return (true, false) }
            state.waiting.append(waiting)
            return (false, state.run == nil)
        }
        if isHere { deliver(waiting) }
        if begins { begin() }
        return Fetch { end.cancel() }
    }

    /// Brings the file from its start; a service without ranges knows no other way.
    private func begin() {
        let run = StagingRun(self)
        let isFirst = state.withLock { state in
            if state.run != nil { return false }
            state.run = run
            return true
        }
        if isFirst { run.start(content, size: size) }
    }

    /// Bytes of the file as far as `end` are there; false when nobody wants more.
    fileprivate func write(_ bytes: UnsafeRawBufferPointer, at position: UInt64, for run: StagingRun) -> RemoteError? {
        do throws(Errno) { try unsafe file.write(bytes, at: position) } catch { return .local(error, during: .cache) }
        let end = position + UInt64(bytes.count)
        let ready: [Waiting]? = state.withLock { state in
            if state.run !== run { return nil }
            // What an earlier attempt had brought already is no progress.
            if end > state.received {
                state.received = end
                state.failures = 0
            }
            let received = state.received
            return state.takeWaiting { $0.range.upperBound <= received }
        }
        guard let ready else { return .interrupted }
        for waiting in ready { deliver(waiting) }
        return nil
    }

    fileprivate func ended(_ run: StagingRun, _ error: RemoteError?) {
        let (again, failed): (Bool, [Waiting]) = state.withLock { state in
            if state.run !== run { return (false, []) }
            state.run = nil
            if error == nil, state.received >= size { return (false, []) }
            state.failures += 1
            let retries = ReadRetry.asksAgain(after: error ?? .unreachable, failures: state.failures)
            if retries, !state.waiting.isEmpty { return (true, []) }
            state.failures = 0
            return (false, state.takeWaiting { _ in true })
        }
        // A service that says again and again that this was all has another file than the one that was opened.
        for waiting in failed { waiting.end.finish(.failure(error ?? .changed)) }
        if again { begin() }
    }

    /// Gives bytes of the file to who asked for them, on a thread that may wait for the disk.
    private func deliver(_ waiting: Waiting) {
        let local = LaneContent(self, lane)
        let end = waiting.end
        // Its cancellation comes to nothing: what is on this machine comes at once.
        _ = local.fetch(waiting.range, into: waiting.sink) { end.finish($0) }
    }
}

/// One attempt to bring a file.
private final class StagingRun: ByteSink {
    private struct State {
        var position: UInt64 = 0
        var refusal: RemoteError?
        var fetch: Fetch?
        var isCancelled = false
    }

    private let content: StagedContent
    private let state = Mutex(State())

    init(_ content: StagedContent) { self.content = content }

    func start(_ source: any FetchedContent, size: UInt64) {
        let fetch = source.fetch(0..<size, into: self) { [self] result in
            let refusal = state.withLock { $0.refusal }
            if case .failure(let error) = result {
                content.ended(self, refusal ?? error)
            } else {
                content.ended(self, refusal)
            }
        }
        let isCancelled = state.withLock { state in
            state.fetch = fetch
            return state.isCancelled
        }
        if isCancelled { fetch.cancel() }
    }

    func cancel() {
        let fetch = state.withLock { state in
            state.isCancelled = true
            return state.fetch
        }
        fetch?.cancel()
    }

    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let position = state.withLock { $0.position }
        let refusal = unsafe content.write(bytes, at: position, for: self)
        let count = UInt64(bytes.count)
        state.withLock { state in
            state.position += count
            state.refusal = refusal
        }
        return refusal == nil
    }
}

/// The staged files of one remote, by entry.
///
/// Lock order: `known` is a leaf, but for the count of users of a content, which is taken under it.
final class StagedContents: Sendable {
    private let directory: StagingDirectory
    private let known = Mutex<[EntryID: StagedContent]>([:])

    init(directory: StagingDirectory) { self.directory = directory }

    /// The staged content of a file, shared with the others that read it now; `leave` it at the end.
    /// - Parameter open: finds the content at the service.
    func join(
        _ id: EntryID, _ identity: ContentIdentity, lane: CallLane,
        open: () throws(RemoteError) -> any CommittedContent
    ) throws(RemoteError) -> StagedContent {
        if let shared = shared(id, identity, or: nil) { return shared }
        let content = try open()
        let fetched = content as? any FetchedContent ?? LaneContent(content, lane)
        let file = try directory.makeFile(size: identity.size)
        let made = StagedContent(fetched, identity, in: file, lane: lane)
        return shared(id, identity, or: made) ?? made
    }

    private func shared(_ id: EntryID, _ identity: ContentIdentity, or made: StagedContent?) -> StagedContent? {
        known.withLock { known in
            if let content = known[id], content.identity.isSame(as: identity) {
                content.join()
                return content
            }
            guard let made else { return nil }
            // One of an older content has its readers, who will be told that it changed.
            known[id] = made
            made.join()
            return made
        }
    }

    func leave(_ content: StagedContent, of id: EntryID) {
        let isLast = known.withLock { known in
            if !content.leave() { return false }
            if known[id] === content { known[id] = nil }
            return true
        }
        if isLast { content.close() }
    }

    /// How many files are staged.
    var count: Int { known.withLock { $0.count } }
}
