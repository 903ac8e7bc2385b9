internal import FXSystem

/// How much of a draft is there from its start without a gap, in whole chunks: what may be sent while it is still
/// written. A value; nothing happens for services that want sealed files only.
struct DraftGrowth: Sendable, Equatable {
    /// The end of what was written from the start without a gap; a rewrite leaves it as it is.
    private(set) var end: UInt64 = 0
    /// Where the next chunk is whole; past every file when the service takes sealed files only.
    private var nextBoundary: UInt64
    private let threshold: UInt64

    init(_ terms: UploadTerms) {
        threshold = terms.facts.uploadsWhileWriting ? terms.earlyThreshold : .max
        nextBoundary = threshold
    }

    /// True when the upload is worth beginning.
    var isLarge: Bool { end >= threshold }

    /// - Returns: true when a further chunk is whole.
    mutating func note(_ range: Range<UInt64>, chunk: (UInt64) -> Range<UInt64>) -> Bool {
        if range.lowerBound > end || range.upperBound <= end { return false }
        end = range.upperBound
        if end < nextBoundary { return false }
        nextBoundary = chunk(end).upperBound
        return true
    }

    mutating func cut(to size: UInt64) {
        if size >= end { return }
        end = size
        nextBoundary = min(nextBoundary, threshold)
    }
}
