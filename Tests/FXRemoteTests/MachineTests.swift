import FXSystem
import Testing

@testable import FXRemote

/// The upload as a dialogue: event, expected action.
@Suite struct MachineTests {
    private let file = CommittedFile(remoteID: "r", size: ByteCount(25))

    private func terms(adopts: Bool = false, parallel: Int = 1, whileWriting: Bool = false) -> UploadTerms {
        var facts = BackendFacts()
        facts.preferredChunk = ByteCount(10)
        facts.adoptsLocalFiles = adopts
        facts.parallelChunks = parallel
        facts.uploadsWhileWriting = whileWriting
        let retry = RetryPolicy(initial: .seconds(1), maximum: .seconds(4))
        return UploadTerms(facts: facts, retry: retry, connections: 8)
    }

    /// A sealed file of 25 bytes.
    private func machine(adopts: Bool = false, parallel: Int = 1, known: Bool = false) -> UploadMachine {
        let row = RevisionRow(
            id: RevisionID(1), entry: EntryID(2), state: .queued, upload: UploadID("u"), size: ByteCount(25),
            sha256: nil, sealed: nil, modified: Timestamp(seconds: 0), isKnownToService: known,
            acknowledged: ByteRanges(), note: nil, attempts: 0, error: nil)
        return UploadMachine(terms: terms(adopts: adopts, parallel: parallel), row: row)
    }

    @Test func `a fresh upload is recorded, sent in chunks and committed`() {
        var machine = machine()
        #expect(machine.handle(.start) == [.recordIntent])
        #expect(machine.handle(.recorded) == [.begin])
        #expect(machine.handle(.begun(note: "n")) == [.send(0..<10)])
        #expect(machine.handle(.sent(0..<10)) == [.send(10..<20)])
        #expect(machine.handle(.sent(10..<20)) == [.send(20..<25)])
        #expect(machine.handle(.sent(20..<25)) == [.commit])
        #expect(machine.handle(.committed(file)) == [.finish(file)])
        #expect(machine.note == "n")
    }

    @Test func `chunks go out in parallel and come back in any order`() {
        var machine = machine(parallel: 2)
        _ = machine.handle(.start)
        _ = machine.handle(.recorded)
        #expect(machine.handle(.begun(note: nil)) == [.send(0..<10), .send(10..<20)])
        #expect(machine.handle(.sent(10..<20)) == [.send(20..<25)])
        #expect(machine.handle(.sent(20..<25)) == [])
        #expect(machine.handle(.sent(0..<10)) == [.commit])
    }

    @Test func `a chunk that failed is sent again alone, and after the third time the service is asked`() {
        var machine = machine(parallel: 2)
        _ = machine.handle(.start)
        _ = machine.handle(.recorded)
        _ = machine.handle(.begun(note: nil))
        let failure = { UploadMachine.Event.notSent($0, .timedOut, random: 1) }
        #expect(machine.handle(failure(0..<10)) == [.wait(0..<10, .seconds(1))])
        #expect(machine.handle(.sent(10..<20)) == [.send(20..<25)])
        #expect(machine.handle(.due(0..<10)) == [.send(0..<10)])
        #expect(machine.handle(failure(0..<10)) == [.wait(0..<10, .seconds(2))])
        #expect(machine.handle(.due(0..<10)) == [.send(0..<10)])
        // The attempt ends when the other chunk is back.
        #expect(machine.handle(failure(0..<10)) == [])
        #expect(machine.handle(.sent(20..<25)) == [.retry(after: .seconds(1))])
        #expect(machine.handle(.start) == [.reconcile])
        let held = ByteRanges([10..<25])
        #expect(machine.handle(.reconciled(.partial(held))) == [.begin])
        #expect(machine.handle(.begun(note: nil)) == [.send(0..<10)])
    }

    @Test func `an upload the service may know is asked for first`() {
        var machine = machine(known: true)
        #expect(machine.handle(.start) == [.reconcile])
        #expect(machine.handle(.reconciled(.committed(file))) == [.finish(file)])
    }

    @Test func `what was acknowledged is not sent again, to the byte where chunks come in order`() {
        var machine = machine(known: true)
        #expect(machine.handle(.start) == [.reconcile])
        #expect(machine.handle(.reconciled(.partial(ByteRanges(upTo: 13)))) == [.begin])
        #expect(machine.handle(.begun(note: nil)) == [.send(13..<20)])
        #expect(machine.handle(.sent(13..<20)) == [.send(20..<25)])
    }

    @Test func `a spool file that cannot be adopted is copied`() {
        var machine = machine(adopts: true)
        #expect(machine.handle(.start) == [.recordIntent])
        #expect(machine.handle(.recorded) == [.adopt])
        #expect(machine.handle(.cannotAdopt) == [.begin])
    }

    @Test func `an upload the service has forgotten is begun anew, without its note`() {
        var machine = machine(parallel: 2)
        _ = machine.handle(.start)
        _ = machine.handle(.recorded)
        _ = machine.handle(.begun(note: "n"))
        #expect(machine.handle(.notSent(0..<10, .expired, random: 1)) == [])
        // It went to what is forgotten.
        #expect(machine.handle(.sent(10..<20)) == [.retry(after: .seconds(1))])
        #expect(machine.handle(.start) == [.reconcile])
        #expect(machine.handle(.reconciled(.nothing)) == [.begin])
        #expect(machine.note == nil)
        #expect(machine.handle(.begun(note: "m")) == [.send(0..<10), .send(10..<20)])
    }

    @Test func `what arrived wrong is sent from the start once more, and then it failed`() {
        var machine = machine(parallel: 3)
        for _ in 0..<2 {
            _ = machine.handle(.start)
            _ = machine.handle(.recorded)
        }
        _ = machine.handle(.begun(note: "n"))
        for range in [0..<10, 10..<20, 20..<25] as [Range<UInt64>] { _ = machine.handle(.sent(range)) }
        #expect(machine.handle(.failed(.verificationMismatch, random: 0)) == [.discard])
        #expect(machine.handle(.discarded) == [.begin])
        #expect(machine.handle(.begun(note: "m")) == [.send(0..<10), .send(10..<20), .send(20..<25)])
        for range in [0..<10, 10..<20, 20..<25] as [Range<UInt64>] { _ = machine.handle(.sent(range)) }
        #expect(machine.handle(.failed(.verificationMismatch, random: 0)) == [.fail(.verificationMismatch)])
    }

    @Test func `temporary failures wait longer and longer, permanent ones end it`() {
        var machine = machine()
        func fail(_ error: RemoteError, random: Double = 1) -> [UploadMachine.Action] {
            _ = machine.handle(.start)
            return machine.handle(.failed(error, random: random))
        }
        #expect(fail(.unreachable) == [.retry(after: .seconds(1))])
        #expect(fail(.unreachable) == [.retry(after: .seconds(2))])
        #expect(fail(.unreachable, random: 0) == [.retry(after: .seconds(2))])
        #expect(fail(.unreachable) == [.retry(after: .seconds(4))])
        #expect(fail(.unavailable(retryAfter: .seconds(60))) == [.retry(after: .seconds(60))])
        #expect(fail(.forbidden) == [.fail(.forbidden)])
    }

    @Test func `a growing file is sent in whole chunks, and what changed again after it is sealed`() {
        var machine = UploadMachine(terms: terms(parallel: 3, whileWriting: true))
        #expect(machine.handle(.grown(to: 25)) == [])
        _ = machine.handle(.start)
        _ = machine.handle(.recorded)
        #expect(machine.handle(.begun(note: "n")) == [.send(0..<10), .send(10..<20)])
        #expect(machine.handle(.changed(12..<13)) == [])
        #expect(machine.handle(.sent(0..<10)) == [])
        #expect(machine.handle(.sent(10..<20)) == [])
        #expect(machine.stale == ByteRanges([10..<20]))
        #expect(machine.handle(.grown(to: 31)) == [.send(20..<30)])
        #expect(machine.handle(.sealed(size: 35)) == [.send(10..<20), .send(30..<35)])
        #expect(machine.handle(.sent(20..<30)) == [])
        #expect(machine.handle(.sent(10..<20)) == [])
        #expect(machine.handle(.sent(30..<35)) == [.commit])
        #expect(machine.stale.isEmpty)
    }

    @Test func `a draft that goes another way ends when its chunks are back`() {
        var machine = UploadMachine(terms: terms(parallel: 3, whileWriting: true))
        _ = machine.handle(.grown(to: 20))
        _ = machine.handle(.start)
        _ = machine.handle(.recorded)
        _ = machine.handle(.begun(note: "n"))
        #expect(machine.handle(.cancelled) == [])
        #expect(machine.handle(.sent(0..<10)) == [])
        #expect(machine.handle(.notSent(10..<20, .interrupted, random: 0)) == [.abandon])
        machine.startOver()
        #expect(machine.handle(.start) == [.recordIntent])
    }

    @Test func `parts that only the service had and lost make the file fail`() {
        var machine = UploadMachine(terms: terms(parallel: 3, whileWriting: true))
        _ = machine.handle(.grown(to: 20))
        _ = machine.handle(.start)
        _ = machine.handle(.recorded)
        _ = machine.handle(.begun(note: "n"))
        _ = machine.handle(.sent(0..<10))
        machine.free(0..<10)
        _ = machine.handle(.sealed(size: 20))
        #expect(machine.handle(.notSent(10..<20, .expired, random: 0)) == [.fail(.partsLost)])
        _ = machine.handle(.start)
        #expect(machine.handle(.reconciled(.nothing)) == [.fail(.partsLost)])
    }

    @Test func `a draft is sealed by its opener, by the last close, never under a temporary name`() {
        #expect(SealRule.verdict(on: .flush(isOpener: true, hasWritten: true), looksTemporary: false) == .seal)
        #expect(SealRule.verdict(on: .flush(isOpener: false, hasWritten: true), looksTemporary: false) == .keepDraft)
        #expect(SealRule.verdict(on: .flush(isOpener: true, hasWritten: false), looksTemporary: false) == .keepDraft)
        #expect(SealRule.verdict(on: .lastRelease, looksTemporary: false) == .seal)
        #expect(SealRule.verdict(on: .lastRelease, looksTemporary: true) == .keepDraft)
    }
}
