import FXSystem
import Testing

@testable import FXRemote

/// Which chunk holds which byte, for services that limit how many there are.
@Suite struct ChunkPlanTests {
    @Test func `without doubling all chunks have one size`() {
        var facts = BackendFacts()
        facts.preferredChunk = ByteCount(10)
        #expect(facts.chunk(at: 0) == (0, 0..<10))
        #expect(facts.chunk(at: 9) == (0, 0..<10))
        #expect(facts.chunk(at: 10) == (1, 10..<20))
        #expect(facts.chunk(at: 12_345) == (1234, 12_340..<12_350))
        #expect(facts.chunk(at: .max).range.upperBound == .max)
    }

    @Test func `chunks follow each other without a gap and double by steps`() {
        var facts = BackendFacts()
        facts.preferredChunk = ByteCount(4)
        facts.chunksBeforeDoubling = 3
        facts.chunkSizes = 1...16
        var position: UInt64 = 0
        let sizes = [4, 4, 4, 8, 8, 8, 16, 16, 16, 16, 16, 16, 16]
        for (number, size) in sizes.enumerated() {
            let chunk = facts.chunk(at: position)
            #expect(chunk == (UInt64(number), position..<position + UInt64(size)))
            #expect(facts.chunk(at: position + UInt64(size) - 1) == chunk)
            position += UInt64(size)
        }
    }
}
