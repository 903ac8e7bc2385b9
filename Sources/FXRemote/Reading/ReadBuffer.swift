/// What of a file is in memory or on its way there, for one open handle. A value; guarded by its reader.
///
/// Bytes are given to whoever reads them, mostly once, since the kernel keeps them: a block of which every byte was given
/// is let go.
struct ReadBuffer {
    typealias SegmentID = UInt64

    enum Phase {
        /// For memory, or for a turn.
        case waits
        case runs(Fetch?)
        case ended
    }

    /// What one request brings.
    struct Segment {
        let id: SegmentID
        var range: Range<UInt64>
        /// nil where it was given away; empty before it runs.
        var blocks: [Block?] = []
        /// Bytes given of each block.
        var given: [Int] = []
        var received: UInt64 = 0
        var phase = Phase.waits
        /// How often it was asked for, and in a row without a byte.
        var attempts = 0
        var failures = 0
        /// Reads with this number and later ones came while it was on its way.
        var firstLater: UInt64 = 0

        var missing: Range<UInt64> { range.lowerBound + received..<range.upperBound }

        /// The part of the file that a block holds.
        func range(ofBlock index: Int) -> Range<UInt64> {
            let start = range.lowerBound + UInt64(index * BlockPool.blockSize)
            return start..<min(start + UInt64(BlockPool.blockSize), range.upperBound)
        }

        /// All of a block has come and was given, and nobody waits for more of it.
        func isDone(_ index: Int, _ waited: [Range<UInt64>]) -> Bool {
            let held = range(ofBlock: index)
            return given[index] >= held.count && held.upperBound <= range.lowerBound + received
                && !waited.contains { $0.overlaps(held) }
        }
    }

    /// What was taken out: to be let go outside of the lock.
    struct Leavings {
        var blocks: [Block] = []
        var fetches: [Fetch] = []

        func cancel() { for fetch in fetches { fetch.cancel() } }
    }

    /// In order, not overlapping.
    private(set) var segments: [Segment] = []
    private var next: SegmentID = 1

    subscript(id: SegmentID) -> Segment? { segments.first { $0.id == id } }

    /// Everything that is here or will come.
    var have: ByteRanges {
        var have = ByteRanges()
        for segment in segments {
            guard segment.blocks.contains(where: { $0 == nil }) else {
                have.insert(segment.range)
                continue
            }
            for index in segment.blocks.indices where segment.blocks[index] != nil {
                have.insert(segment.range(ofBlock: index))
            }
        }
        return have
    }

    mutating func add(_ range: Range<UInt64>) -> SegmentID {
        let id = next
        next += 1
        let position = segments.firstIndex { $0.range.lowerBound > range.lowerBound } ?? segments.count
        segments.insert(Segment(id: id, range: range), at: position)
        return id
    }

    mutating func update(_ id: SegmentID, _ change: (inout Segment) -> Void) {
        if let index = segments.firstIndex(where: { $0.id == id }) { change(&segments[index]) }
    }

    /// Bytes of a range, when all of them are here.
    func bytes(_ range: Range<UInt64>) -> ReadBytes? {
        var bytes = ReadBytes()
        var position = range.lowerBound
        while position < range.upperBound {
            guard let part = part(at: position, upTo: range.upperBound) else { return nil }
            bytes.append(part.block, part.range)
            position += UInt64(part.range.count)
        }
        return bytes
    }

    private func part(at position: UInt64, upTo end: UInt64) -> (block: Block, range: Range<Int>)? {
        // Those that were given away in part may overlap with what was brought again.
        for segment in segments where segment.range.contains(position) {
            let offset = position - segment.range.lowerBound
            let index = Int(offset) / BlockPool.blockSize
            guard offset < segment.received, index < segment.blocks.count, let block = segment.blocks[index] else {
                continue
            }
            let start = Int(offset) % BlockPool.blockSize
            let available = min(BlockPool.blockSize - start, Int(segment.received - offset))
            return (block, start..<start + min(available, Int(end - position)))
        }
        return nil
    }

    /// Counts a range as given, and lets go of blocks that were given whole; who was given them has them.
    mutating func give(_ range: Range<UInt64>, waited: [Range<UInt64>]) {
        for position in segments.indices where segments[position].range.overlaps(range) {
            for index in segments[position].given.indices {
                let held = segments[position].range(ofBlock: index).clamped(to: range)
                if held.isEmpty { continue }
                segments[position].given[index] += held.count
                if segments[position].isDone(index, waited) { segments[position].blocks[index] = nil }
            }
        }
    }

    /// Takes out segments that are done, and those that nobody waits for and nobody will want.
    mutating func sweep(waited: [Range<UInt64>], wants: (Range<UInt64>) -> Bool) -> Leavings {
        var leavings = Leavings()
        func isWaited(_ range: Range<UInt64>) -> Bool { waited.contains { $0.overlaps(range) } }
        for position in segments.indices.reversed() {
            let segment = segments[position]
            if !wants(segment.range), !isWaited(segment.range) {
                remove(at: position, &leavings)
                continue
            }
            for index in segment.blocks.indices where segment.isDone(index, waited) {
                leavings.blocks += [segment.blocks[index]].compactMap { $0 }
                segments[position].blocks[index] = nil
            }
            if case .ended = segment.phase, segments[position].blocks.allSatisfy({ $0 == nil }) {
                segments.remove(at: position)
            }
        }
        return leavings
    }

    /// Takes out everything nobody waits for.
    mutating func giveBack(waited: [Range<UInt64>]) -> Leavings { sweep(waited: waited) { _ in false } }

    /// Takes a segment out, or what of it has not come.
    mutating func cut(_ id: SegmentID) -> Leavings {
        var leavings = Leavings()
        guard let position = segments.firstIndex(where: { $0.id == id }) else { return leavings }
        let segment = segments[position]
        let kept = BlockPool.blocks(for: segment.received)
        if kept == 0 {
            remove(at: position, &leavings)
            return leavings
        }
        leavings.blocks += segment.blocks[kept...].compactMap { $0 }
        segments[position].blocks.removeSubrange(kept...)
        segments[position].given.removeSubrange(kept...)
        segments[position].range = segment.range.lowerBound..<segment.range.lowerBound + segment.received
        segments[position].phase = .ended
        return leavings
    }

    mutating func removeAll() -> Leavings {
        var leavings = Leavings()
        for position in segments.indices.reversed() { remove(at: position, &leavings) }
        return leavings
    }

    private mutating func remove(at position: Int, _ leavings: inout Leavings) {
        let segment = segments.remove(at: position)
        leavings.blocks += segment.blocks.compactMap { $0 }
        if case .runs(let fetch?) = segment.phase { leavings.fetches.append(fetch) }
    }
}
