internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// A content of a service of which the cache may have a part: that comes from the disk, and the rest from the service.
final class CachedContent: FetchedContent {
    fileprivate let content: any FetchedContent
    let file: CacheFile
    fileprivate let cache: ReadCache
    /// Waits for the disk.
    fileprivate let lane: CallLane

    init(_ content: any FetchedContent, _ file: CacheFile, in cache: ReadCache, lane: CallLane) {
        self.content = content
        self.file = file
        self.cache = cache
        self.lane = lane
    }

    var knownSize: ByteCount? { content.knownSize }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        try unsafe content.read(into: buffer, at: offset)
    }

    func fetch(
        _ range: Range<UInt64>, into sink: any ByteSink,
        _ completion: @escaping @Sendable (Result<Void, RemoteError>) -> Void
    ) -> Fetch {
        let run = CachedFetch(self, range, sink, completion)
        run.goOn()
        return Fetch { run.cancel() }
    }

    func close() { cache.leave(file) }
}

/// One range on its way: part after part, in order, from the disk or from the service.
///
/// Lock order: `state` is a leaf; parts begin and end outside of it.
private final class CachedFetch: Sendable {
    private struct State {
        /// Where the next part begins.
        var position: UInt64
        /// A part that comes from the service.
        var fetch: Fetch?
        var isAsking = false
        var isCancelled = false
    }

    private let content: CachedContent
    private let end: UInt64
    private let sink: any ByteSink
    private let ending: Ending
    private let state: Mutex<State>

    init(
        _ content: CachedContent, _ range: Range<UInt64>, _ sink: any ByteSink,
        _ completion: @escaping @Sendable (Result<Void, RemoteError>) -> Void
    ) {
        self.content = content
        end = range.upperBound
        self.sink = sink
        // What comes after its handle was closed is still kept.
        content.cache.use(content.file)
        ending = Ending { [cache = content.cache, file = content.file] result in
            cache.leave(file)
            completion(result)
        }
        state = Mutex(State(position: range.lowerBound))
    }

    /// Begins the next part.
    func goOn() {
        let position = state.withLock { $0.position }
        if position >= end { return ending.finish(.success(())) }
        switch content.file.next(in: position..<end) {
        case .gap(let gap): ask(gap)
        case .here(let part):
            let isTaken = content.lane.submit(
                run: { [self] in
                    if let error = deliver(part) { return ending.finish(.failure(error)) }
                    if !ending.isOver { goOn() }
                }, drop: { [ending] in ending.cancel() })
            // So many wait for the disk that the service is as fast.
            if !isTaken { ask(position..<end) }
        }
    }

    func cancel() {
        let (isAsking, fetch) = state.withLock { state in
            state.isCancelled = true
            return (state.isAsking, state.fetch)
        }
        // The service's part ends it by its own end.
        if isAsking { fetch?.cancel() } else { ending.cancel() }
    }

    // MARK: - From the disk

    /// Gives what is on the disk, as far as it is what was written.
    /// - Returns: why nothing more is to come.
    private func deliver(_ part: Range<UInt64>) -> RemoteError? {
        unsafe withUnsafeTemporaryAllocation(byteCount: BlockPool.blockSize, alignment: 16) { buffer in
            var position = part.lowerBound
            while position < part.upperBound {
                if ending.isOver { return .interrupted }
                var found = 0..<0
                do throws(Errno) {
                    found = try unsafe content.file.read(into: buffer, from: position, to: part.upperBound)
                } catch { content.cache.turnOff(error) }
                // The rest is asked for.
                if found.isEmpty { return nil }
                let isTaken = unsafe sink.receive(UnsafeRawBufferPointer(rebasing: buffer[found]))
                if !isTaken { return .interrupted }
                content.cache.countHit(UInt64(found.count))
                position += UInt64(found.count)
                state.withLock { $0.position = position }
            }
            return nil
        }
    }

    // MARK: - From the service

    private func ask(_ part: Range<UInt64>) {
        let isCancelled = state.withLock { state in
            state.isAsking = !state.isCancelled
            return state.isCancelled
        }
        if isCancelled { return ending.cancel() }
        let target = CacheSink(sink, part, of: content.file, in: content.cache)
        let fetch = content.content.fetch(part, into: target) { [self] in ended(part, target, $0) }
        let isUnwanted = state.withLock { state in
            // It may have ended already, and another one begun.
            if state.position == part.lowerBound, state.isAsking { state.fetch = fetch }
            return state.isCancelled
        }
        if isUnwanted { fetch.cancel() }
    }

    private func ended(_ part: Range<UInt64>, _ target: CacheSink, _ result: Result<Void, RemoteError>) {
        target.finish()
        state.withLock { state in
            state.isAsking = false
            state.fetch = nil
            if case .success = result { state.position = part.upperBound }
        }
        if case .failure(let error) = result {
            if error == .changed { content.cache.forget(content.file.key) }
            return ending.finish(.failure(error))
        }
        // The next part would come to lie in the place of what is missing.
        if !target.isWhole { return ending.finish(.failure(.unreachable)) }
        content.cache.countMissed(UInt64(part.count))
        goOn()
    }
}
