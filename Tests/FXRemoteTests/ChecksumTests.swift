import CChecksum
import Testing

@Suite struct ChecksumTests {
    @Test func `CRC-32C has the values of RFC 3720 appendix B.4`() {
        func sum(_ bytes: [UInt8]) -> UInt32 { fx_crc32c(0, bytes, bytes.count) }
        #expect(sum([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
        #expect(sum([UInt8](repeating: 0xff, count: 32)) == 0x62a8_ab43)
        #expect(sum(Array(0..<32)) == 0x46dd_794e)
        #expect(sum(Array("123456789".utf8)) == 0xe306_9283)
        #expect(sum([]) == 0)
    }

    @Test func `in pieces, and without the instruction, it is the same`() {
        for seed in seeds(200) {
            var generator = SeededGenerator(seed)
            let bytes = (0..<generator.below(300)).map { _ in UInt8(generator.below(256)) }
            let cut = generator.below(bytes.count + 1)
            let whole = fx_crc32c(0, bytes, bytes.count)
            let first = fx_crc32c(0, bytes, cut)
            #expect(fx_crc32c(first, Array(bytes[cut...]), bytes.count - cut) == whole, "seed \(seed)")
            #expect(~fx_crc32c_plain(~0, bytes, bytes.count) == whole, "seed \(seed)")
        }
    }
}
