internal import Crypto
internal import FXSystem

/// A SHA-256 that follows a file as far as it is written from start to end. A value: no I/O.
///
/// `position` bytes are in the hash. A change below it makes the hash worthless, and it starts again.
struct SequentialDigest {
    private(set) var hasher = SHA256()
    private(set) var position: UInt64 = 0
    /// How far the file has been written without a gap.
    private(set) var written: UInt64 = 0
    /// The end of the range a worker reads right now; a change below it spoils that range.
    private(set) var claimed: UInt64 = 0
    /// Counts restarts, so that the result of a spoilt claim is not taken.
    private(set) var generation = 0

    /// Less is not worth waking a thread for; it is hashed when the file is sealed.
    static let claimSize: UInt64 = 1 << 20

    struct Claim {
        var range: Range<UInt64>
        var hasher: SHA256
        var generation: Int
    }

    mutating func noteWrite(at offset: UInt64, count: Int) {
        if offset < max(position, claimed) { restart() }
        if offset <= written { written = max(written, offset + UInt64(count)) }
    }

    mutating func noteTruncation(to size: UInt64) {
        if size < max(position, claimed) { restart() }
        written = min(written, size)
    }

    private mutating func restart() {
        hasher = SHA256()
        position = 0
        claimed = 0
        generation += 1
        // Rewriting in place tends to go on; the seal computes it in one pass.
        written = 0
    }

    /// True when a worker has something to do.
    var hasBacklog: Bool { claimed == 0 && written >= position + SequentialDigest.claimSize }

    /// The next range to hash; nil when there is too little or one is under way.
    mutating func claim() -> Claim? {
        if !hasBacklog { return nil }
        let end = min(written, position + SequentialDigest.claimSize)
        claimed = end
        return Claim(range: position..<end, hasher: hasher, generation: generation)
    }

    /// Takes the result of a claim, unless the file changed below it meanwhile.
    mutating func accept(_ claim: Claim, hasher: SHA256) {
        if claim.generation != generation { return }
        self.hasher = hasher
        position = claim.range.upperBound
        claimed = 0
    }

    /// Gives a claim back undone.
    mutating func abandon(_ claim: Claim) {
        if claim.generation == generation { claimed = 0 }
    }

    /// Where the seal goes on: the hash so far, and of how much.
    var progress: (hasher: SHA256, position: UInt64) { (hasher, position) }
}
