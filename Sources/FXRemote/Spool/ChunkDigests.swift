internal import CChecksum
internal import FXSystem

/// The MD5 of the chunks of one content, for services that want it with each chunk: eight of them are hashed at once, in a
/// quarter of the time it takes one after another; while the file is still written as far as it is there, the rest when
/// the chunks are sent.
///
/// A digest is given away once. Who asks again, because the service refused the chunk, gets one made of the bytes as
/// they are read then. Digests belong to a generation of the content (`SequentialDigest`): once bytes that were hashed
/// have changed, those of before count no more. Any thread; whoever needs a chunk that another thread hashes waits for it.
///
/// Lock order: `state` is a leaf; nothing is read under it.
final class ChunkDigests: Sendable {
    private struct State {
        var generation = 0
        /// By the first byte of their chunk, until they are asked for.
        var known: [UInt64: [UInt8]] = [:]
        /// Groups that were hashed, or are, by their first byte.
        var begun: Set<UInt64> = []
        var underWay: Set<UInt64> = []
        /// The group that is hashed next while the file is written.
        var ahead: UInt64 = 0

        mutating func turn(to generation: Int) {
            if generation != self.generation { self = State(generation: generation) }
        }

        /// - Parameter group: its first byte.
        mutating func end(_ group: UInt64, _ generation: Int, _ digests: [UInt64: [UInt8]]) {
            if generation != self.generation { return }
            underWay.remove(group)
            known.merge(digests) { $1 }
        }
    }

    private enum Step {
        case known([UInt8])
        case hashGroup, hashAlone
    }

    /// Of all chunks but the last one, in bytes.
    private let chunk: UInt64
    private let state = Monitor(State())

    private static let lanes = Int(FX_MD5_LANES)
    private static let block: UInt64 = 64
    /// With fewer at a time one after another is as fast.
    private static let fewest = 3
    /// Of each chunk at a time: eight of them stay in the second-level cache.
    private static let pieceSize = 32 << 10

    init(chunk: ByteCount) { self.chunk = chunk.rawValue }

    /// nil for services that want none.
    convenience init?(_ facts: BackendFacts) {
        if !facts.checksumsChunks { return nil }
        self.init(chunk: facts.preferredChunk)
    }

    /// - Parameters:
    ///   - range: a chunk.
    ///   - size: of the whole content.
    ///   - generation: of the content, which changes no more.
    func take(
        _ range: Range<UInt64>, of content: some UploadContent, size: UInt64, generation: Int
    ) throws(RemoteError) -> [UInt8] {
        let group = group(of: range, size)
        guard let first = group.first, group.count >= ChunkDigests.fewest else {
            return try content.hashMD5(range)
        }
        let step: Step =
            state.wait { state in
                state.turn(to: generation)
                if let digest = state.known.removeValue(forKey: range.lowerBound) { return .known(digest) }
                if state.underWay.contains(first) { return nil }
                if !state.begun.insert(first).inserted { return .hashAlone }
                state.underWay.insert(first)
                return .hashGroup
            } ?? .hashAlone
        switch step {
        case .known(let digest): return digest
        case .hashAlone: return try content.hashMD5(range)
        case .hashGroup: break
        }
        var digests: [UInt64: [UInt8]] = [:]
        defer {
            let others = digests.filter { $0.key != range.lowerBound }
            state.withLock { $0.end(first, generation, others) }
        }
        digests = try hash(group, of: content)
        return digests[range.lowerBound] ?? []
    }

    /// Hashes the next eight chunks of a file that is still written.
    /// - Parameter end: so many bytes, from the start, are there and were not changed in this generation.
    func hashAhead(of content: some UploadContent, upTo end: UInt64, generation: Int) {
        let length = chunk * UInt64(ChunkDigests.lanes)
        let first: UInt64? = state.withLock { state in
            state.turn(to: generation)
            let first = state.ahead
            if length == 0 || first + length > end { return nil }
            state.ahead += length
            state.begun.insert(first)
            state.underWay.insert(first)
            return first
        }
        guard let first else { return }
        // What cannot be read now is hashed again, and the error told, when the chunk is sent.
        let digests = try? hash(self.group(of: first..<first + chunk, end), of: content)
        state.withLock { $0.end(first, generation, digests ?? [:]) }
    }

    /// Where the whole chunks begin that are hashed together with this one.
    private func group(of range: Range<UInt64>, _ size: UInt64) -> [UInt64] {
        let isWhole = UInt64(range.count) == chunk && range.lowerBound.isMultiple(of: chunk)
        if !isWhole || chunk == 0 || !chunk.isMultiple(of: ChunkDigests.block) { return [] }
        let length = chunk * UInt64(ChunkDigests.lanes)
        let start = range.lowerBound / length * length
        return stride(from: start, to: min(start + length, size), by: Int(chunk)).filter { $0 + chunk <= size }
    }

    private func hash(_ group: [UInt64], of content: some UploadContent) throws(RemoteError) -> [UInt64: [UInt8]] {
        let pieceSize = Int(min(UInt64(ChunkDigests.pieceSize), chunk))
        var pieces = [UInt8](repeating: 0, count: pieceSize * ChunkDigests.lanes)
        var lanes = fx_md5_lanes()
        unsafe fx_md5_lanes_begin(&lanes)
        var position: UInt64 = 0
        while position < chunk {
            let count = Int(min(UInt64(pieceSize), chunk - position))
            try unsafe pieces.withUnsafeMutableBufferPointer { pieces throws(RemoteError) in
                let space = UnsafeMutableRawBufferPointer(pieces)
                for (lane, start) in group.enumerated() {
                    let from = lane * pieceSize
                    let place = unsafe UnsafeMutableRawBufferPointer(rebasing: space[from..<from + count])
                    try unsafe content.fill(place, at: start + position)
                }
                // Lanes without a chunk hash what happens to be there.
                unsafe fx_md5_lanes_add(&lanes, space.baseAddress, pieceSize, count / Int(ChunkDigests.block))
            }
            position += UInt64(count)
        }
        var digests = [UInt8](repeating: 0, count: 16 * ChunkDigests.lanes)
        unsafe fx_md5_lanes_end(&lanes, chunk / ChunkDigests.block, &digests)
        var byStart: [UInt64: [UInt8]] = [:]
        for (lane, start) in group.enumerated() { byStart[start] = Array(digests[16 * lane..<16 * (lane + 1)]) }
        return byStart
    }
}
