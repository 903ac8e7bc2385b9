/// Which blocks of a content are in the cache. A value.
struct CachedBlocks: Sendable, Equatable {
    /// What comes next of a range that is to be read.
    enum Part: Sendable, Equatable {
        case here(Range<UInt64>)
        /// To be asked of the service.
        case gap(Range<UInt64>)
    }

    /// What is here between two gaps and less than this is asked for with them: a request of its own takes longer than
    /// some bytes more.
    static let bridge: UInt64 = 256 << 10

    let layout: CacheLayout
    private var words: [UInt64]
    private(set) var count: UInt64 = 0

    init(_ layout: CacheLayout) {
        self.layout = layout
        words = Array(repeating: 0, count: Int((layout.blockCount + 63) / 64))
    }

    func contains(_ block: UInt64) -> Bool {
        block < layout.blockCount && words[Int(block / 64)] & (1 << (block % 64)) != 0
    }

    mutating func insert(_ block: UInt64) {
        if block >= layout.blockCount || contains(block) { return }
        words[Int(block / 64)] |= 1 << (block % 64)
        count += 1
    }

    mutating func insert(_ blocks: Range<UInt64>) { for block in blocks { insert(block) } }

    mutating func remove(_ block: UInt64) {
        if !contains(block) { return }
        words[Int(block / 64)] &= ~(1 << (block % 64))
        count -= 1
    }

    mutating func removeAll() {
        words = Array(repeating: 0, count: words.count)
        count = 0
    }

    /// The first part of a range, which is not empty and lies in the content.
    func next(in range: Range<UInt64>) -> Part {
        let blocks = layout.blocks(touching: range)
        let end = run(from: blocks.lowerBound, to: blocks.upperBound, ofHere: contains(blocks.lowerBound))
        if contains(blocks.lowerBound) { return .here(part(of: range, upTo: end)) }
        var gapEnd = end
        while gapEnd < blocks.upperBound {
            let next = run(from: gapEnd, to: blocks.upperBound, ofHere: true)
            if next == blocks.upperBound || (next - gapEnd) * layout.blockSize >= CachedBlocks.bridge { break }
            gapEnd = run(from: next, to: blocks.upperBound, ofHere: false)
        }
        return .gap(part(of: range, upTo: gapEnd))
    }

    /// Runs of blocks that are not here, in order.
    func missing(in blocks: Range<UInt64>) -> [Range<UInt64>] {
        var runs: [Range<UInt64>] = []
        var block = blocks.lowerBound
        while block < blocks.upperBound {
            let isHere = contains(block)
            let end = run(from: block, to: blocks.upperBound, ofHere: isHere)
            if !isHere { runs.append(block..<end) }
            block = end
        }
        return runs
    }

    /// Where a run of blocks that are all here, or all not, ends.
    private func run(from start: UInt64, to end: UInt64, ofHere isHere: Bool) -> UInt64 {
        var block = start
        while block < end, contains(block) == isHere { block += 1 }
        return block
    }

    private func part(of range: Range<UInt64>, upTo end: UInt64) -> Range<UInt64> {
        range.lowerBound..<min(range.upperBound, end * layout.blockSize)
    }
}
