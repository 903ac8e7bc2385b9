import FXSystem
import Testing

@testable import FXRemote

/// The parts of the cache that only decide: where blocks lie, which are here, what goes first.
@Suite struct CacheValueTests {
    private func layout(_ size: UInt64) throws -> CacheLayout { try #require(CacheLayout(size: ByteCount(size))) }
    private func key(_ number: Int) -> CacheKey { CacheKey(remote: ["s3", "r", "a"], mark: "\(number)") }

    // MARK: - Layout

    @Test func `every byte of a content has a place of its own behind the table`() throws {
        let sizes: [UInt64] = [
            1, 4095, 4096, 4097, 4_128_768, 4_128_769, 1 << 32, 1 << 32 + 1, CacheLayout.largestContent,
        ]
        for size in sizes {
            let layout = try layout(size)
            #expect(layout.blockCount <= CacheLayout.mostBlocks)
            #expect(layout.blockCount * layout.blockSize >= layout.size)
            #expect((layout.blockCount - 1) * layout.blockSize < layout.size)
            #expect(layout.entryOffset(of: layout.blockCount) <= layout.dataStart)
            #expect(layout.dataStart % CacheLayout.smallestBlock == 0)
            #expect(UInt64(BlockPool.blockSize) % layout.blockSize == 0)
            #expect(layout.range(of: 0..<layout.blockCount) == 0..<layout.size)
            #expect(layout.blocks(within: 0..<layout.size) == 0..<layout.blockCount)
            #expect(layout.blocks(touching: layout.size - 1..<layout.size).upperBound == layout.blockCount)
        }
        #expect(CacheLayout(size: .zero) == nil)
        #expect(CacheLayout(size: ByteCount(CacheLayout.largestContent + 1)) == nil)
        #expect(CacheLayout(size: ByteCount(.max)) == nil)
    }

    @Test func `a block in part is none`() throws {
        let layout = try layout(10_000)
        #expect(layout.blocks(within: 1..<4096).isEmpty)
        #expect(layout.blocks(within: 0..<4096) == 0..<1)
        #expect(layout.blocks(within: 1..<9_999) == 1..<2)
        #expect(layout.blocks(within: 1..<10_000) == 1..<3)
        #expect(layout.blocks(touching: 4095..<4097) == 0..<2)
        #expect(layout.range(of: 2..<3) == 8192..<10_000)
    }

    @Test func `names of files and keys are the same, and other names are none`() throws {
        let one = key(1)
        #expect(CacheKey(try Name(one.text)) == one)
        #expect(one != key(2) && one.text.utf8.count == 32)
        // Texts that are the same when they are put together.
        #expect(CacheKey(remote: ["ab"], mark: "c") != CacheKey(remote: ["a"], mark: "bc"))
        for text in ["x", one.text.uppercased(), one.text + "0", "+" + one.text.dropFirst(), "../../etc"] {
            #expect((try? Name(text)).flatMap { CacheKey($0) } == nil, "\(text)")
        }
    }

    // MARK: - Blocks

    @Test func `parts of a range cover it in order, and what is here and long enough is taken from here`() throws {
        for seed in seeds(20) {
            var random = SeededGenerator(seed)
            let layout = try layout(UInt64(1 + random.below(6_000_000)))
            var blocks = CachedBlocks(layout)
            var model = Set<UInt64>()
            for _ in 0..<40 {
                let first = UInt64(random.below(Int(layout.blockCount)))
                let end = min(layout.blockCount, first + UInt64(random.below(random.below(3) == 0 ? 200 : 4)))
                if random.below(4) == 0 {
                    for block in first..<end { blocks.remove(block) }
                    model.subtract(first..<end)
                } else {
                    blocks.insert(first..<end)
                    model.formUnion(first..<end)
                }
                #expect(blocks.count == UInt64(model.count), "seed \(seed)")
                let start = UInt64(random.below(Int(layout.size)))
                let range = start..<start + 1 + UInt64(random.below(Int(layout.size - start)))
                try expectParts(of: range, blocks, model, "seed \(seed)")
                let missing = blocks.missing(in: layout.blocks(touching: range))
                #expect(missing.flatMap { Array($0) } == layout.blocks(touching: range).filter { !model.contains($0) })
            }
        }
    }

    private func expectParts(
        of range: Range<UInt64>, _ blocks: CachedBlocks, _ model: Set<UInt64>, _ words: Comment
    ) throws {
        let layout = blocks.layout
        var position = range.lowerBound
        var wasGap = false
        while position < range.upperBound {
            switch blocks.next(in: position..<range.upperBound) {
            case .here(let part):
                #expect(part.lowerBound == position && !part.isEmpty && part.upperBound <= range.upperBound, words)
                #expect(layout.blocks(touching: part).allSatisfy { model.contains($0) }, words)
                (position, wasGap) = (part.upperBound, false)
            case .gap(let part):
                #expect(part.lowerBound == position && !part.isEmpty && part.upperBound <= range.upperBound, words)
                #expect(!wasGap, "two requests where one does")
                let touched = Array(layout.blocks(touching: part))
                #expect(touched.first.map { !model.contains($0) } == true, words)
                #expect(touched.last.map { !model.contains($0) } == true, words)
                // What is here among it is not worth a request.
                for run in touched.split(whereSeparator: { !model.contains($0) }) {
                    #expect(UInt64(run.count) * layout.blockSize < CachedBlocks.bridge, words)
                }
                (position, wasGap) = (part.upperBound, true)
            }
        }
        #expect(position == range.upperBound, words)
    }

    // MARK: - What goes first

    @Test func `the index does what a plain list does`() {
        for seed in seeds(20) {
            var random = SeededGenerator(seed)
            var index = CacheIndex(capacity: 12)
            // The one used longest ago first.
            var model: [(key: CacheKey, bytes: UInt64)] = []
            for _ in 0..<400 {
                let one = key(random.below(20))
                let bytes = UInt64(random.below(1000))
                let place = model.firstIndex { $0.key == one }
                switch random.below(6) {
                case 0:
                    index.insert(one, allocated: bytes)
                    if let place { model.append(model.remove(at: place)) } else { model.append((one, bytes)) }
                case 1:
                    index.adopt(one, allocated: bytes)
                    if place == nil { model.insert((one, bytes), at: 0) }
                case 2:
                    index.use(one)
                    if let place { model.append(model.remove(at: place)) }
                case 3:
                    index.setAllocated(bytes, of: one)
                    if let place { model[place].bytes = bytes }
                case 4:
                    index.remove(one)
                    if let place { model.remove(at: place) }
                default:
                    let limit = UInt64(random.below(6000))
                    var gone: [CacheKey] = []
                    while model.reduce(0, { $0 + $1.bytes }) > limit || model.count > 12 {
                        gone.append(model.removeFirst().key)
                    }
                    #expect(index.evict(to: limit) == gone, "seed \(seed)")
                }
                #expect(index.order == model.map(\.key), "seed \(seed)")
                #expect(index.allocated == model.reduce(0) { $0 + $1.bytes }, "seed \(seed)")
                #expect(index.count == model.count)
            }
        }
    }

    @Test func `files that are read side by side do not take each other's place, one that rests gives way`() {
        var index = CacheIndex()
        let (resting, one, other) = (key(1), key(2), key(3))
        for key in [resting, one, other] {
            index.insert(key, allocated: 100)
            index.open(key)
        }
        for _ in 0..<3 {
            index.use(one)
            index.use(other)
        }
        #expect(index.evict(to: 0, for: other) == [resting])
        #expect(index.order == [one, other])
        // Nobody reads it any more.
        index.close(one)
        #expect(index.evict(to: 100, for: other) == [one])
        #expect(index.evict(to: 0, for: other).isEmpty)
    }
}
