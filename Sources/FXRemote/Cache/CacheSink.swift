internal import Synchronization

/// Gives what a service sends to who asked for it, and puts whole blocks of it aside for the cache.
final class CacheSink: ByteSink {
    private struct State {
        /// Where the next byte belongs.
        var position: UInt64
        /// Blocks being put together, from `start`.
        var piece: Block?
        var start: UInt64 = 0
    }

    private let target: any ByteSink
    private let range: Range<UInt64>
    /// Of the range, what is in whole blocks.
    private let wanted: Range<UInt64>
    private let file: CacheFile
    private let cache: ReadCache
    private let state: Mutex<State>

    init(_ target: any ByteSink, _ range: Range<UInt64>, of file: CacheFile, in cache: ReadCache) {
        self.target = target
        self.range = range
        self.file = file
        self.cache = cache
        wanted = file.layout.range(of: file.layout.blocks(within: range))
        state = Mutex(State(position: range.lowerBound))
    }

    /// All of the range has come.
    var isWhole: Bool { state.withLock { $0.position == range.upperBound } }

    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        // One thread at a time calls this; the lock is for the compiler.
        let position = state.withLock { $0.position }
        let count = UInt64(bytes.count)
        // What follows the range comes from somewhere else.
        guard count <= range.upperBound - position, unsafe target.receive(bytes) else { return false }
        unsafe putAside(bytes, from: position)
        state.withLock { $0.position = position + count }
        return true
    }

    private func putAside(_ bytes: UnsafeRawBufferPointer, from position: UInt64) {
        let end = min(wanted.upperBound, position + UInt64(bytes.count))
        var next = max(wanted.lowerBound, position)
        while next < end {
            guard let (piece, start) = piece(at: next) else {
                // Without memory, or in the middle of a block whose beginning was not kept.
                let block = file.layout.block(at: next)
                next = file.layout.range(of: block..<block + 1).upperBound
                continue
            }
            let filled = Int(next - start)
            let count = Int(min(UInt64(BlockPool.blockSize - filled), end - next))
            let offset = Int(next - position)
            unsafe piece.bytes(filled..<filled + count).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count]))
            next += UInt64(count)
            if filled + count == BlockPool.blockSize || next == wanted.upperBound { handOver(upTo: next) }
        }
    }

    /// The piece that a byte goes into; a new one where a block begins.
    private func piece(at position: UInt64) -> (Block, UInt64)? {
        if let known = state.withLock({ state in state.piece.map { ($0, state.start) } }) { return known }
        let layout = file.layout
        let block = layout.block(at: position)
        guard layout.range(of: block..<block + 1).lowerBound == position, cache.isUsed,
            let made = cache.pool.take(1, waits: false)?.first
        else { return nil }
        state.withLock { ($0.piece, $0.start) = (made, position) }
        return (made, position)
    }

    private func handOver(upTo end: UInt64) {
        let (piece, start) = state.withLock { ($0.piece.take(), $0.start) }
        let blocks = file.layout.blocks(within: start..<end)
        if let piece, !blocks.isEmpty { cache.keep(blocks, of: file, in: piece) }
    }

    /// Nothing more comes.
    func finish() {
        let position = state.withLock { $0.position }
        handOver(upTo: min(wanted.upperBound, position))
    }
}
