internal import FXSystem

/// What all uploads to one service have in common; shared by them.
final class UploadTerms: Sendable {
    let facts: BackendFacts
    let retry: RetryPolicy
    /// Chunks of one upload under way at once.
    let parallelChunks: Int

    /// - Parameter connections: of the remote; one upload takes at most half of them, so that a large file leaves room
    ///   for small ones.
    init(facts: BackendFacts, retry: RetryPolicy, connections: Int) {
        self.facts = facts
        self.retry = retry
        parallelChunks = max(1, min(facts.parallelChunks, (connections + 1) / 2))
    }

    /// The service takes the bytes of a file one after another.
    var isInOrder: Bool { facts.parallelChunks <= 1 }

    /// How many bytes a growing file must have before its upload begins: a small one is sent at once when it is sealed,
    /// most services with fewer requests.
    var earlyThreshold: UInt64 {
        let second = facts.chunk(at: facts.chunk(at: 0).range.upperBound)
        return second.range.upperBound
    }
}
