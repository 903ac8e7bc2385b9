import Testing

@testable import FXRemote

/// The rule of reading ahead, as tables of reads and what they bring.
@Suite struct ReadWindowTests {
    private static let request: UInt64 = 128 << 10
    private static let size: UInt64 = 1 << 30
    private static let share: UInt64 = 64 << 20

    /// A handle that brings what the rule says at once.
    private struct Handle {
        var window = ReadWindow()
        var have = ByteRanges()
        var requests: [Range<UInt64>] = []
        var size = ReadWindowTests.size
        var share = ReadWindowTests.share

        mutating func read(_ range: Range<UInt64>) {
            window.note(range)
            for part in window.demanded(range, have: have, size: size, share: share) { bring(part) }
            for part in window.ahead(have: have, size: size, share: share) { bring(part) }
        }

        private mutating func bring(_ range: Range<UInt64>) {
            #expect(have.gaps(in: range) == [range], "brought twice: \(range)")
            #expect(range.upperBound <= size && !range.isEmpty)
            have.insert(range)
            requests.append(range)
        }
    }

    private func sequence(_ count: UInt64, from start: UInt64 = 0) -> [Range<UInt64>] {
        (0..<count).map { start + $0 * Self.request..<start + ($0 + 1) * Self.request }
    }

    @Test func `a file read from its start is brought in few, growing requests and in parallel`() {
        var handle = Handle()
        for read in sequence(8 * 64) { handle.read(read) }
        #expect(handle.requests[0] == 0..<1 << 20)
        let lengths = handle.requests.map(\.count)
        #expect(lengths.max() == 8 << 20)
        #expect(lengths.filter { $0 < 256 << 10 }.isEmpty)
        #expect(handle.requests.count < 40)
        // 64 MiB were read; 56 MiB lie ahead, but for one piece at most.
        #expect(handle.have.ranges.count == 1)
        #expect(handle.have.end > 112 << 20 && handle.have.end <= 120 << 20)
    }

    @Test func `what is brought in vain is never more than seven times what was read, and no more than the furthest`() {
        for count in [1, 2, 3, 10, 100, 1_000] as [UInt64] {
            var handle = Handle()
            for read in sequence(count) { handle.read(read) }
            let wasted = handle.have.end - count * Self.request
            #expect(wasted <= min(7 * count * Self.request, 56 << 20), "after \(count) reads")
        }
    }

    @Test func `random reads bring what they ask for and nothing else`() {
        var handle = Handle()
        let offsets: [UInt64] = [900, 17, 403, 650, 88, 777, 250, 551].map { $0 << 20 }
        for offset in offsets { handle.read(offset..<offset + 4096) }
        #expect(handle.requests == offsets.map { $0..<$0 + 4096 })
    }

    @Test func `a second read after the first in the middle of a file begins to read ahead`() {
        var handle = Handle()
        let start: UInt64 = 300 << 20
        handle.read(start..<start + Self.request)
        #expect(handle.requests == [start..<start + Self.request])
        handle.read(start + Self.request..<start + 2 * Self.request)
        #expect(handle.have.end == start + 16 * Self.request)
    }

    @Test func `requests of the kernel's read-ahead that overtake each other are one stream`() {
        for seed in seeds(50) {
            var generator = SeededGenerator(seed)
            var handle = Handle()
            // Each comes at most eight places away from its own.
            let order = sequence(512).enumerated().map { ($0.offset + generator.below(9), $0.element) }
                .sorted { ($0.0, $0.1.lowerBound) < ($1.0, $1.1.lowerBound) }
            for (_, read) in order { handle.read(read) }
            #expect(handle.have.contains(0..<512 * Self.request))
            #expect(handle.requests.count < 60, "seed \(seed)")
            #expect(handle.requests.contains { $0.count == 8 << 20 }, "seed \(seed)")
        }
    }

    @Test func `two programs that read one file in two places both get read-ahead`() {
        var handle = Handle()
        for (one, two) in zip(sequence(256), sequence(256, from: 500 << 20)) {
            handle.read(one)
            handle.read(two)
        }
        #expect(handle.requests.count < 60)
        #expect(handle.have.ranges.count == 2)
    }

    @Test func `a jump leaves the old window behind`() {
        var handle = Handle()
        for read in sequence(64) { handle.read(read) }
        #expect(handle.window.wants(9 << 20..<10 << 20, share: Self.share))
        #expect(!handle.window.wants(0..<1 << 20, share: Self.share))
        for number in 1...4 as ClosedRange<UInt64> { handle.read(number * 200 << 20..<number * 200 << 20 + 4096) }
        #expect(!handle.window.wants(9 << 20..<10 << 20, share: Self.share))
    }

    @Test func `reading backwards brings little more than it asks for`() {
        var handle = Handle()
        for read in sequence(256, from: 100 << 20).reversed() { handle.read(read) }
        #expect(handle.have.count <= 256 * Self.request + 1 << 20)
    }

    @Test func `the end of a file is the end of what is brought, and a small file comes in one request`() {
        var handle = Handle(size: 300_000)
        for read in sequence(3) { handle.read(read) }
        #expect(handle.requests == [0..<300_000])
        var tail = Handle(size: 10_000_001)
        for read in sequence(77) { tail.read(read) }
        #expect(tail.have.ranges == [0..<10_000_001])
        #expect(tail.window.demanded(10_000_001..<10_000_002, have: tail.have, size: 10_000_001, share: 1).isEmpty)
    }

    @Test func `a small share keeps the window small, and each read is brought all the same`() {
        var handle = Handle(share: 1 << 20)
        for (number, read) in sequence(200).enumerated() {
            handle.read(read)
            #expect(handle.have.contains(read))
            #expect(handle.have.end <= UInt64(number + 1) * Self.request + 1 << 20)
        }
        var none = Handle(share: 0)
        for read in sequence(20) { none.read(read) }
        #expect(none.requests == sequence(20))
    }

    @Test func `whatever is read is brought, once`() {
        for seed in seeds(200) {
            var generator = SeededGenerator(seed)
            var handle = Handle(size: .random(in: 0...20_000_000, using: &generator))
            var position: UInt64 = 0
            for _ in 0..<60 {
                if generator.below(5) == 0 {
                    position = .random(in: 0...handle.size, using: &generator)
                }
                let read = position..<position + .random(in: 1...1 << 20, using: &generator)
                handle.read(read)
                #expect(handle.have.contains(read.clamped(to: 0..<handle.size)), "seed \(seed)")
                position = read.upperBound
            }
        }
    }
}
