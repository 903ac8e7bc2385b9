internal import FXSystem

/// Which content a file of the cache has blocks of. A value that two contents never share: 128 bits of a SHA-256.
struct CacheKey: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64

    /// - Parameters:
    ///   - remote: its kind, name and address: the same mark at another service is another content.
    ///   - mark: see `Backend.contentMark(_:)`.
    init(remote: [String], mark: String) {
        // With their lengths, so that no two lists are one text.
        let text = (remote + [mark]).map { "\($0.utf8.count):\($0)" }.joined()
        let bytes = SHA256Digest(hashing: Array(text.utf8)).bytes
        high = CacheKey.number(bytes[..<8])
        low = CacheKey.number(bytes[8..<16])
    }

    /// The key whose file has this name; nil when it is none of ours.
    init?(_ name: Name) {
        let text = String(decoding: name.bytes, as: UTF8.self)
        guard text.utf8.count == 32, let high = UInt64(text.prefix(16), radix: 16),
            let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        (self.high, self.low) = (high, low)
        // One name a key.
        if self.text != text { return nil }
    }

    /// 32 hexadecimal digits: the name of its file.
    var text: String { hexadecimal(bytes) }
    var bytes: [UInt8] { CacheKey.bytes(high) + CacheKey.bytes(low) }

    private static func number(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func bytes(_ number: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * UInt64($0))) }
    }
}

/// Where the blocks of a content lie in its file of the cache: a head, a table with a checksum for each block, and the
/// content itself, with a hole where a block is not there.
struct CacheLayout: Sendable, Equatable {
    /// What the kernel asks for at least, and what file systems allocate.
    static let smallestBlock: UInt64 = 4 << 10
    /// So that the index of a content takes 128 KiB of memory at most; larger files have larger blocks.
    static let mostBlocks: UInt64 = 1 << 20
    /// 256 GiB. A block is put together in one piece of memory.
    static let largestContent = mostBlocks * UInt64(BlockPool.blockSize)

    static let headSize = 64
    static let entrySize = 4

    let size: UInt64
    let blockSize: UInt64

    /// nil for what is not cached: nothing, and what is too large.
    init?(size: ByteCount) {
        if size == .zero || size.rawValue > CacheLayout.largestContent { return nil }
        var block = CacheLayout.smallestBlock
        while block * CacheLayout.mostBlocks < size.rawValue { block *= 2 }
        self.size = size.rawValue
        blockSize = block
    }

    var blockCount: UInt64 { (size + blockSize - 1) / blockSize }
    /// A multiple of the smallest block, so that one block of a content is one of the disk.
    var dataStart: UInt64 {
        let table = UInt64(CacheLayout.headSize) + blockCount * UInt64(CacheLayout.entrySize)
        return CacheLayout.roundedUp(table, to: CacheLayout.smallestBlock)
    }
    var fileSize: UInt64 { dataStart + size }

    func entryOffset(of block: UInt64) -> UInt64 {
        UInt64(CacheLayout.headSize) + block * UInt64(CacheLayout.entrySize)
    }
    func fileOffset(of position: UInt64) -> UInt64 { dataStart + position }
    func block(at position: UInt64) -> UInt64 { position / blockSize }

    /// The bytes of blocks; the last block ends with the content.
    func range(of blocks: Range<UInt64>) -> Range<UInt64> {
        let start = min(size, blocks.lowerBound * blockSize)
        return start..<max(start, min(size, blocks.upperBound * blockSize))
    }

    /// The blocks of which every byte is in a range.
    func blocks(within range: Range<UInt64>) -> Range<UInt64> {
        let first = (range.lowerBound + blockSize - 1) / blockSize
        let end = range.upperBound >= size ? blockCount : range.upperBound / blockSize
        return first..<max(first, end)
    }

    /// The blocks of which any byte is in a range.
    func blocks(touching range: Range<UInt64>) -> Range<UInt64> {
        if range.isEmpty { return 0..<0 }
        return range.lowerBound / blockSize..<min(blockCount, (range.upperBound - 1) / blockSize + 1)
    }

    /// The most that writing some blocks can add to what a file takes of a disk that allocates so much at once: the
    /// blocks, the table's part, and what the file system needs to find them.
    func cost(of blocks: Range<UInt64>, allocation: UInt64) -> UInt64 {
        let unit = max(allocation, CacheLayout.smallestBlock)
        let bytes = range(of: blocks)
        return CacheLayout.roundedUp(UInt64(bytes.count), to: unit) + 6 * unit
    }

    private static func roundedUp(_ count: UInt64, to unit: UInt64) -> UInt64 { (count + unit - 1) / unit * unit }
}
