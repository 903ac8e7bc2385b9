internal import FXSystem

/// How a file is cut into the parts of a multipart upload, and which of them are there. Pure.
struct S3Parts: Sendable {
    let facts: BackendFacts

    /// AWS: parts of 5 MiB to 5 GiB, the last one may be smaller, at most 10,000 of them.
    static let sizes: ClosedRange<UInt64> = (5 << 20)...(5 << 30)
    static let maximumCount: UInt64 = 10_000
    /// Large enough that a request's overhead does not show, small enough to be sent again.
    static let preferredSize = ByteCount.mebibytes(16)
    /// 9000 parts then hold 7.8 TiB, more than the largest object; the largest part has 4 GiB.
    static let partsBeforeDoubling: UInt64 = 1000

    /// One request is enough: a sealed file of not more than one part that was not begun as a multipart upload.
    func isSinglePut(_ upload: Upload) -> Bool {
        !upload.isGrowing && upload.note == nil && upload.size.rawValue <= facts.chunk(at: 0).range.upperBound
    }

    /// The number of the part that is exactly `range` of a file; nil when the range is none.
    func number(of range: Range<UInt64>) -> Int? {
        let chunk = facts.chunk(at: range.lowerBound)
        guard !range.isEmpty, chunk.range.lowerBound == range.lowerBound, range.upperBound <= chunk.range.upperBound,
            chunk.number < S3Parts.maximumCount
        else { return nil }
        return Int(chunk.number) + 1
    }

    /// The parts of a file in order, each with its number from 1.
    func ranges(upTo size: UInt64) -> [Range<UInt64>] {
        var ranges: [Range<UInt64>] = []
        var position: UInt64 = 0
        while position < size {
            let end = min(facts.chunk(at: position).range.upperBound, size)
            ranges.append(position..<end)
            position = end
        }
        return ranges
    }

    /// The parts a file is put together from.
    ///
    /// - Parameters:
    ///   - held: what the service lists. SeaweedFS lists a part that was sent twice twice; contents that differ are told
    ///     apart by `sent` only, and without it such a part counts as missing.
    ///   - sent: the entity tag of what was sent last under a number, as far as it is remembered.
    /// - Returns: nil for parts that are missing or have another size.
    func selection(size: UInt64, held: [S3Part], sent: [Int: S3Part]) -> [S3Part?] {
        let byNumber = Dictionary(grouping: held, by: \.number)
        return ranges(upTo: size).enumerated().map { index, range in
            let length = range.upperBound - range.lowerBound
            if let part = sent[index + 1] { return part.size == length ? part : nil }
            let candidates = byNumber[index + 1] ?? []
            guard let first = candidates.first, first.size == length, candidates.allSatisfy({ $0.tag == first.tag })
            else { return nil }
            return first
        }
    }

    /// The bytes of those parts.
    func held(_ selection: [S3Part?], size: UInt64) -> ByteRanges {
        ByteRanges(zip(ranges(upTo: size), selection).filter { $0.1 != nil }.map(\.0))
    }
}
