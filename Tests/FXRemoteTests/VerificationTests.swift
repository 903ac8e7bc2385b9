import FXSystem
import Testing

@testable import FXRemote

@Suite("Verifying a session")
struct VerificationTests {
    private func known(_ path: String, _ size: UInt64 = 3, _ content: String? = "abc", id: String) throws
        -> VerificationRule.Known
    {
        VerificationRule.Known(
            path: try RelativePath(path), size: ByteCount(size), sha256: content.map { SHA256Digest(hashing: $0.utf8) },
            remoteID: id)
    }

    private func listed(_ path: String, _ size: UInt64 = 3, _ content: String? = nil, id: String)
        -> VerificationRule.Listed
    {
        VerificationRule.Listed(
            path: Array(path.utf8), size: ByteCount(size), sha256: content.map { SHA256Digest(hashing: $0.utf8) },
            remoteID: id)
    }

    @Test("What is listed with its size, and its digest where there is one, is as it was sent")
    func sound() throws {
        let rule = VerificationRule(
            known: [try known("a", id: "1"), try known("d/b", id: "2")],
            listed: [listed("renamed there", id: "1"), listed("d/b", 3, "abc", id: "2"), listed("other", id: "9")])
        #expect(rule.problems.isEmpty)
        #expect(rule.unknown == 1, "a file of somebody else is no problem")
    }

    @Test("Missing, of another size, of another content, replaced: each is told for what it is")
    func problems() throws {
        let rule = VerificationRule(
            known: [
                try known("gone", id: "1"), try known("short", id: "2"), try known("wrong", id: "3"),
                try known("replaced", id: "4"), try known("same", id: "5"), try known("resized", id: "6"),
            ],
            listed: [
                listed("short", 2, id: "2"), listed("wrong", 3, "xyz", id: "3"), listed("replaced", id: "40"),
                listed("same", 3, "abc", id: "50"), listed("resized", 9, id: "60"),
            ])
        #expect(
            rule.problems.map(\.kind) == [
                .missing, .size(ByteCount(2)), .digest(SHA256Digest(hashing: "xyz".utf8)), .replaced,
                .size(ByteCount(9)),
            ])
        #expect(rule.problems.map(\.path.description) == ["gone", "short", "wrong", "replaced", "resized"])
        #expect(rule.unknown == 0)
    }

    @Test("A session can be verified once at a time, a few of them together, and none at the end")
    func limits() throws {
        let verifications = Verifications()
        let report = Verification(.listing, of: [], started: Timestamp(seconds: 0))
        for number in 1...UInt64(Verifications.limit) { try verifications.begin(EntryID(number), report) }
        #expect(throws: RemoteError.busy) { try verifications.begin(EntryID(1), report) }
        #expect(throws: RemoteError.unavailable(retryAfter: nil)) { try verifications.begin(EntryID(99), report) }
        for number in 1...UInt64(Verifications.limit) { verifications.end(EntryID(number)) }
        try verifications.begin(EntryID(1), report)
        verifications.end(EntryID(1))
        verifications.stop(until: .now())
        #expect(throws: RemoteError.draining) { try verifications.begin(EntryID(1), report) }
        #expect(!verifications.update(EntryID(1)) { _ in }, "one under way is told to end")
    }
}
