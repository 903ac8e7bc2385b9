/// A set of bytes of a file: sorted ranges with gaps between them. A value.
public struct ByteRanges: Sendable, Equatable {
    /// Not empty, not touching, in order.
    public private(set) var ranges: [Range<UInt64>] = []

    public init() {}
    /// Everything from the start to `end`.
    public init(upTo end: UInt64) { insert(0..<end) }
    public init(_ ranges: some Sequence<Range<UInt64>>) { for range in ranges { insert(range) } }

    public mutating func insert(_ range: Range<UInt64>) {
        if range.isEmpty { return }
        // The first that touches the new one or lies behind it.
        let first = ranges.firstIndex { $0.upperBound >= range.lowerBound } ?? ranges.count
        var merged = range
        var end = first
        while end < ranges.count, ranges[end].lowerBound <= merged.upperBound {
            merged = min(merged.lowerBound, ranges[end].lowerBound)..<max(merged.upperBound, ranges[end].upperBound)
            end += 1
        }
        ranges.replaceSubrange(first..<end, with: [merged])
    }

    /// Takes the bytes of `range` out.
    public mutating func remove(_ range: Range<UInt64>) {
        if range.isEmpty || !ranges.contains(where: { $0.overlaps(range) }) { return }
        var left: [Range<UInt64>] = []
        for held in ranges {
            if !held.overlaps(range) {
                left.append(held)
                continue
            }
            if held.lowerBound < range.lowerBound { left.append(held.lowerBound..<range.lowerBound) }
            if held.upperBound > range.upperBound { left.append(range.upperBound..<held.upperBound) }
        }
        ranges = left
    }

    public mutating func remove(_ others: ByteRanges) { for range in others.ranges { remove(range) } }

    public var isEmpty: Bool { ranges.isEmpty }

    /// The first byte behind all of them; 0 when there is none.
    public var end: UInt64 { ranges.last?.upperBound ?? 0 }

    /// True when every byte of `others` is in the set.
    public func contains(_ others: ByteRanges) -> Bool { others.ranges.allSatisfy { contains($0) } }

    /// True when every byte of `range` is in the set.
    public func contains(_ range: Range<UInt64>) -> Bool {
        range.isEmpty || ranges.contains { $0.lowerBound <= range.lowerBound && range.upperBound <= $0.upperBound }
    }

    /// How many bytes are in it.
    public var count: UInt64 { ranges.reduce(0) { $0 + ($1.upperBound - $1.lowerBound) } }

    /// The bytes from the start without a gap.
    public var prefix: UInt64 { ranges.first.flatMap { $0.lowerBound == 0 ? $0.upperBound : nil } ?? 0 }
}

extension ByteRanges {
    /// `0-100,200-300`: ends are exclusive.
    var text: String { ranges.map { "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ",") }

    /// What is not understood is left out: the service is asked again for it.
    init(text: String) {
        for part in text.split(separator: ",") {
            let ends = part.split(separator: "-").compactMap { UInt64($0) }
            if ends.count == 2, ends[0] < ends[1] { insert(ends[0]..<ends[1]) }
        }
    }
}
