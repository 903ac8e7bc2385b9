/// What to bring of a file for one open handle, judged by how it was read so far. A value: no I/O.
///
/// A handle may be read in several places at once, each a stream. One that goes forward is read ahead for, further the
/// longer it goes on; a read anywhere else brings what it asks for and no more. The kernel sends the requests of its own
/// read-ahead side by side, so those of one stream come a little out of order.
struct ReadWindow: Sendable, Equatable {
    /// How a gap between what is here and what a stream will want is divided.
    struct Limits: Sendable, Equatable {
        /// The most that is brought ahead of a stream: what the memory of reads has, less room for who else begins to read.
        var furthest: UInt64 = 56 << 20
        /// The least and the most that one request asks a service for when it reads ahead: below the least the request
        /// costs more than its bytes, above the most one connection has too much of the window. Seven of the largest are
        /// on their way at once: at 50 ms of round trip a connection is then busy for most of its time up to 400 MiB/s.
        var piece: ClosedRange<UInt64> = (1 << 20)...(8 << 20)
        /// Twelve requests of 128 KiB, what the kernel has under way of one stream (max_background), and some.
        var slack: UInt64 = 2 << 20
        /// Programs that read a file in more places at once do so at random.
        var streams = 4

        /// Of a service without ranges, whose file comes to this machine in order and whole whatever is asked for: a small
        /// piece costs nothing, and is there sooner.
        static let staged = Limits(piece: 128 << 10...8 << 20)
    }

    private struct Stream: Sendable, Equatable {
        /// The end of the furthest read.
        var next: UInt64
        /// Bytes read in order, without what lies before the furthest read.
        var run: UInt64
        /// It began at the start of the file, or a second read followed the first.
        var isSequential: Bool
        /// When it was last read, in reads of the handle.
        var used: UInt64
    }

    let limits: Limits
    private var streams: [Stream] = []
    private var reads: UInt64 = 0

    init(limits: Limits = Limits()) { self.limits = limits }

    /// Takes note of a read.
    mutating func note(_ read: Range<UInt64>) {
        reads += 1
        guard let index = streams.firstIndex(where: { isNear(read, $0) }) else { return begin(read) }
        streams[index].used = reads
        if read.lowerBound == 0 { streams[index].isSequential = true }
        // Late: it was overtaken by the one behind it.
        if read.upperBound <= streams[index].next { return }
        streams[index].next = read.upperBound
        streams[index].run += UInt64(read.count)
        streams[index].isSequential = true
    }

    private func isNear(_ read: Range<UInt64>, _ stream: Stream) -> Bool {
        read.upperBound > stream.next - min(stream.next, limits.slack) && read.lowerBound <= stream.next + limits.slack
    }

    private mutating func begin(_ read: Range<UInt64>) {
        if streams.count >= limits.streams,
            let oldest = streams.indices.min(by: { streams[$0].used < streams[$1].used })
        {
            streams.remove(at: oldest)
        }
        streams.append(
            Stream(
                next: read.upperBound, run: UInt64(read.count), isSequential: read.lowerBound == 0, used: reads))
    }

    /// How far to bring ahead of a stream: seven times what was read, so that no more than that is brought in vain, and the
    /// window of a long line is reached within three round trips, as each has eight times the bytes of the one before.
    private func reach(_ stream: Stream, _ share: UInt64) -> UInt64 {
        stream.isSequential ? min(stream.run * 7, limits.furthest, share) : 0
    }

    /// The requests for a read that has been noted: its missing bytes, and with the last of them some of what follows.
    /// - Parameters:
    ///   - have: what is here or on its way.
    ///   - size: of the file.
    ///   - share: the most this handle may bring ahead, in bytes.
    func demanded(_ read: Range<UInt64>, have: ByteRanges, size: UInt64, share: UInt64) -> [Range<UInt64>] {
        let read = read.clamped(to: 0..<size)
        var gaps = have.gaps(in: read)
        guard let last = gaps.last, last.upperBound == read.upperBound,
            let stream = streams.first(where: { isNear(read, $0) }), read.upperBound >= stream.next
        else { return gaps }
        let reach = reach(stream, share)
        let end = min(last.lowerBound + max(piece(reach), UInt64(last.count)), read.upperBound + reach, size)
        // Up to what is there already.
        if let whole = have.gaps(in: last.lowerBound..<max(end, last.upperBound)).first {
            gaps[gaps.count - 1] = whole
        }
        return gaps
    }

    /// What to bring ahead of all streams, nearest first; nothing while it would be little.
    func ahead(have: ByteRanges, size: UInt64, share: UInt64) -> [Range<UInt64>] {
        var pieces: [Range<UInt64>] = []
        var have = have
        for stream in streams.sorted(by: { $0.used > $1.used }) {
            let reach = reach(stream, share)
            let end = min(stream.next + reach, size)
            if reach == 0 || stream.next >= end { continue }
            let length = piece(reach)
            for gap in have.gaps(in: stream.next..<end) {
                let isEnough = UInt64(gap.count) >= min(length, reach / 2) || gap.upperBound == size
                if !isEnough { continue }
                // A rest that is no whole piece waits for more to come to it.
                let whole = gap.lowerBound + UInt64(gap.count) / length * length
                let last = gap.upperBound == size || whole == gap.lowerBound ? gap.upperBound : whole
                var start = gap.lowerBound
                while start < last {
                    let next = min(start + length, last)
                    pieces.append(start..<next)
                    start = next
                }
                have.insert(gap)
            }
        }
        return pieces
    }

    private func piece(_ reach: UInt64) -> UInt64 {
        min(max(reach / 4, limits.piece.lowerBound), limits.piece.upperBound)
    }

    /// True while a stream may still read some of a range.
    func wants(_ range: Range<UInt64>, share: UInt64) -> Bool {
        streams.contains { stream in
            range.upperBound > stream.next - min(stream.next, limits.slack)
                && range.lowerBound < stream.next + max(reach(stream, share), limits.slack)
        }
    }
}

extension ByteRanges {
    /// What of `range` is not in the set, in order.
    func gaps(in range: Range<UInt64>) -> [Range<UInt64>] {
        var gaps: [Range<UInt64>] = []
        var position = range.lowerBound
        for held in ranges where held.upperBound > position {
            if held.lowerBound >= range.upperBound { break }
            if held.lowerBound > position { gaps.append(position..<held.lowerBound) }
            position = max(position, held.upperBound)
        }
        if position < range.upperBound { gaps.append(position..<range.upperBound) }
        return gaps
    }
}
