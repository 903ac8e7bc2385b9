internal import FXSystem
internal import Synchronization

/// A content that can only be waited for, brought by the threads of a lane.
struct LaneContent: FetchedContent {
    private let content: any CommittedContent
    private let lane: CallLane

    init(_ content: any CommittedContent, _ lane: CallLane) {
        self.content = content
        self.lane = lane
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        try unsafe content.read(into: buffer, at: offset)
    }

    func fetch(
        _ range: Range<UInt64>, into sink: any ByteSink,
        _ completion: @escaping @Sendable (Result<Void, RemoteError>) -> Void
    ) -> Fetch {
        // Whoever is first ends it: the thread, a cancellation, or the end of the lane.
        let end = Ending(completion)
        let isTaken = lane.submit(run: { end.finish(deliver(range, to: sink, unless: end)) }, drop: { end.cancel() })
        if !isTaken { end.finish(.failure(.unavailable(retryAfter: nil))) }
        return Fetch { end.cancel() }
    }

    private func deliver(_ range: Range<UInt64>, to sink: any ByteSink, unless end: Ending) -> Result<Void, RemoteError>
    {
        var buffer = [UInt8](repeating: 0, count: min(BlockPool.blockSize, range.count))
        var position = range.lowerBound
        while position < range.upperBound {
            if end.isOver { return .failure(.interrupted) }
            do throws(RemoteError) {
                var count = 0
                try unsafe buffer.withUnsafeMutableBufferPointer { space throws(RemoteError) in
                    let wanted = Int(min(UInt64(space.count), range.upperBound - position))
                    let piece = unsafe UnsafeMutableRawBufferPointer(
                        rebasing: unsafe UnsafeMutableRawBufferPointer(space)[..<wanted])
                    count = try unsafe content.read(into: piece, at: position)
                    // Shorter than it is said to be.
                    if count == 0 { throw .changed }
                    let isTaken = unsafe sink.receive(UnsafeRawBufferPointer(rebasing: piece[..<count]))
                    if !isTaken { throw .interrupted }
                }
                position += UInt64(count)
            } catch { return .failure(error) }
        }
        return .success(())
    }
}

/// One outcome, told once.
final class Ending: Sendable {
    private let completion: Mutex<(@Sendable (Result<Void, RemoteError>) -> Void)?>

    init(_ completion: @escaping @Sendable (Result<Void, RemoteError>) -> Void) { self.completion = Mutex(completion) }

    var isOver: Bool { completion.withLock { $0 == nil } }
    func cancel() { finish(.failure(.interrupted)) }
    func finish(_ result: Result<Void, RemoteError>) { completion.withLock { $0.take() }?(result) }
}
