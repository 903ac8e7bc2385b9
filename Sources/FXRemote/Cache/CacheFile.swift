internal import CChecksum
internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// The blocks of one content, for all handles that read it. Everybody reads; one thread at a time writes.
///
/// Nothing is synced and nothing is believed: a block is given out when its checksum, which also has the key and the
/// block's place in it, is the one of the table.
///
/// Lock order: `state` is a leaf; the disk is asked outside of it.
final class CacheFile: Sendable {
    private struct State {
        var blocks: CachedBlocks
        /// nil before the first block is written.
        var descriptor: CacheDescriptor?
        /// Nothing more is taken from it or put into it.
        var isGone = false
    }

    let key: CacheKey
    let layout: CacheLayout
    /// What the checksum of every block begins with: a block of another content is none of this one.
    private let seed: UInt32
    private let state: Mutex<State>

    init(_ key: CacheKey, _ layout: CacheLayout) {
        self.key = key
        self.layout = layout
        let identity = CacheFile.head(key, layout)
        seed = unsafe identity.withUnsafeBytes { unsafe fx_crc32c(0, $0.baseAddress, $0.count) }
        state = Mutex(State(blocks: CachedBlocks(layout)))
    }

    var isGone: Bool { state.withLock { $0.isGone } }
    var descriptor: CacheDescriptor? { state.withLock { $0.descriptor } }

    /// Whether the first byte of a range is here, and how far that is so.
    func next(in range: Range<UInt64>) -> CachedBlocks.Part {
        state.withLock { $0.isGone ? .gap(range) : $0.blocks.next(in: range) }
    }

    /// What of some blocks is to be written.
    func missing(in blocks: Range<UInt64>) -> [Range<UInt64>] {
        state.withLock { $0.isGone ? [] : $0.blocks.missing(in: blocks) }
    }

    /// Ends its use.
    /// - Returns: the file, for whoever may wait for the disk.
    func abandon() -> CacheDescriptor? {
        state.withLock { state in
            state.isGone = true
            state.blocks.removeAll()
            return state.descriptor.take()
        }
    }

    // MARK: - What an earlier run left

    /// Takes over which blocks a file has.
    /// - Returns: false when it is not a file of this content.
    func take(_ descriptor: CacheDescriptor) throws(Errno) -> Bool {
        let status = try descriptor.file.status()
        guard status.isRegular, status.size.rawValue == layout.fileSize,
            try descriptor.file.read(CacheLayout.headSize, at: 0) == CacheFile.head(key, layout)
        else { return false }
        var blocks = CachedBlocks(layout)
        // Bytes of entries at once.
        let step = 64 << 10
        var block: UInt64 = 0
        while block < layout.blockCount {
            let count = min(step, Int(layout.blockCount - block) * CacheLayout.entrySize)
            let entries = try descriptor.file.read(count, at: layout.entryOffset(of: block))
            if entries.count < count { return false }
            for index in 0..<count / CacheLayout.entrySize {
                if entries[index * 4..<index * 4 + 4].contains(where: { $0 != 0 }) {
                    blocks.insert(block + UInt64(index))
                }
            }
            block += UInt64(count / CacheLayout.entrySize)
        }
        state.withLock { state in
            state.blocks = blocks
            state.descriptor = descriptor
        }
        return true
    }

    private static func head(_ key: CacheKey, _ layout: CacheLayout) -> [UInt8] {
        var bytes = Array("fxcache1".utf8) + key.bytes
        for number in [layout.size, layout.blockSize] {
            unsafe withUnsafeBytes(of: number.littleEndian) { unsafe bytes.append(contentsOf: $0) }
        }
        return bytes + [UInt8](repeating: 0, count: CacheLayout.headSize - bytes.count)
    }

    // MARK: - Reading

    /// Reads from `position`, which is here, as far as `end` and the buffer of at least one block go.
    /// - Returns: where in the buffer the bytes from `position` are. Empty when the block there is not what was written:
    ///   it counts as missing from now on.
    func read(
        into buffer: UnsafeMutableRawBufferPointer, from position: UInt64, to end: UInt64
    ) throws(Errno) -> Range<Int> {
        guard let descriptor else { return 0..<0 }
        let first = layout.block(at: position)
        let most = UInt64(buffer.count) / layout.blockSize
        let blocks = first..<min(layout.blocks(touching: position..<end).upperBound, first + most)
        let range = layout.range(of: blocks)
        let space = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<range.count])
        let count = try unsafe descriptor.file.read(into: space, at: layout.fileOffset(of: range.lowerBound))
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: space[..<count])
        let bad = try unsafe badBlocks(blocks, bytes, descriptor)
        if !bad.isEmpty { state.withLock { state in for block in bad { state.blocks.remove(block) } } }
        let valid = layout.range(of: first..<(bad.first ?? blocks.upperBound)).upperBound
        let skipped = Int(position - range.lowerBound)
        return skipped..<max(skipped, Int(clamping: min(valid, end) - range.lowerBound))
    }

    /// Which blocks are not what was written, in order.
    private func badBlocks(
        _ blocks: Range<UInt64>, _ bytes: UnsafeRawBufferPointer, _ descriptor: CacheDescriptor
    ) throws(Errno) -> [UInt64] {
        let start = layout.range(of: blocks).lowerBound
        return try unsafe withUnsafeTemporaryAllocation(of: UInt32.self, capacity: blocks.count) {
            table throws(Errno) in
            let raw = UnsafeMutableRawBufferPointer(table)
            let read = try unsafe descriptor.file.read(into: raw, at: layout.entryOffset(of: blocks.lowerBound))
            return blocks.enumerated().compactMap { index, block in
                let held = layout.range(of: block..<block + 1)
                let place = Int(held.lowerBound - start)
                let isThere = (index + 1) * CacheLayout.entrySize <= read && place + held.count <= bytes.count
                guard isThere else { return block }
                let sum = unsafe checksum(
                    of: block, UnsafeRawBufferPointer(rebasing: bytes[place..<place + held.count]))
                return unsafe sum.littleEndian == table[index] ? nil : block
            }
        }
    }

    // MARK: - Writing

    /// Makes the file.
    func begin(_ descriptor: CacheDescriptor) throws(Errno) {
        try descriptor.file.write(CacheFile.head(key, layout), at: 0)
        // A hole: nothing is allocated beyond what is written.
        try descriptor.file.truncate(to: ByteCount(layout.fileSize))
        state.withLock { if !$0.isGone { $0.descriptor = descriptor } }
    }

    /// Puts blocks into the file; they can be read once this has returned.
    func write(_ blocks: Range<UInt64>, _ bytes: UnsafeRawBufferPointer, to descriptor: CacheDescriptor) throws(Errno) {
        let range = layout.range(of: blocks)
        let entries = blocks.map { block in
            let held = layout.range(of: block..<block + 1)
            let start = Int(held.lowerBound - range.lowerBound)
            return unsafe checksum(of: block, UnsafeRawBufferPointer(rebasing: bytes[start..<start + held.count]))
                .littleEndian
        }
        try unsafe descriptor.file.write(
            UnsafeRawBufferPointer(rebasing: bytes[..<range.count]), at: layout.fileOffset(of: range.lowerBound))
        try unsafe entries.withUnsafeBufferPointer { table throws(Errno) in
            try unsafe descriptor.file.write(
                UnsafeRawBufferPointer(table), at: layout.entryOffset(of: blocks.lowerBound))
        }
        state.withLock { if !$0.isGone { $0.blocks.insert(blocks) } }
    }

    /// Of a block as the table has it: never 0, which stands for a block that is not there.
    private func checksum(of block: UInt64, _ bytes: UnsafeRawBufferPointer) -> UInt32 {
        let place = unsafe withUnsafeBytes(of: block.littleEndian) { unsafe fx_crc32c(seed, $0.baseAddress, $0.count) }
        return unsafe max(1, fx_crc32c(place, bytes.baseAddress, bytes.count))
    }
}
