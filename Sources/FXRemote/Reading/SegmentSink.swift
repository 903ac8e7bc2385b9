internal import Synchronization

/// Puts what comes into the blocks of a segment. Its reader has the fetch as long as it wants it, the fetch has this.
final class SegmentSink: ByteSink {
    private let reader: ContentReader
    private let id: ReadBuffer.SegmentID
    private let blocks: [Block?]
    private let length: Int
    private let position: Mutex<Int>

    init(_ reader: ContentReader, _ segment: ReadBuffer.Segment) {
        self.reader = reader
        id = segment.id
        blocks = segment.blocks
        length = segment.range.count
        position = Mutex(Int(segment.received))
    }

    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        // One thread at a time calls this; the lock is for the compiler.
        let start = position.withLock { $0 }
        guard bytes.count <= length - start else { return false }
        var taken = 0
        while taken < bytes.count {
            let (index, offset) = (start + taken).quotientAndRemainder(dividingBy: BlockPool.blockSize)
            let count = min(BlockPool.blockSize - offset, bytes.count - taken)
            guard let block = blocks[index] else { return false }
            unsafe block.bytes(offset..<offset + count).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: bytes[taken..<taken + count]))
            taken += count
        }
        position.withLock { $0 += taken }
        return reader.advance(id, by: taken)
    }
}
