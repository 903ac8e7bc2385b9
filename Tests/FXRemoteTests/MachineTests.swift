import FXSystem
import Testing

@testable import FXRemote

/// The upload as a dialogue: event, expected action.
@Suite struct MachineTests {
    private let file = CommittedFile(remoteID: "r", size: ByteCount(25))

    private func machine(adopts: Bool = false, known: Bool = false) -> UploadMachine {
        var facts = BackendFacts()
        facts.preferredChunk = ByteCount(10)
        facts.adoptsLocalFiles = adopts
        let retry = RetryPolicy(initial: .seconds(1), maximum: .seconds(4))
        return UploadMachine(size: ByteCount(25), facts: facts, retry: retry, failures: 0, isKnownToService: known)
    }

    @Test func `a fresh upload is recorded, sent in chunks and committed`() {
        var machine = machine()
        #expect(machine.handle(.start) == .recordIntent)
        #expect(machine.handle(.recorded) == .begin)
        #expect(machine.handle(.begun) == .send(0..<10))
        #expect(machine.handle(.sent(0..<10)) == .send(10..<20))
        #expect(machine.handle(.sent(10..<20)) == .send(20..<25))
        #expect(machine.handle(.sent(20..<25)) == .commit)
        #expect(machine.handle(.committed(file)) == .finish(file))
    }

    @Test func `an upload the service may know is asked for first`() {
        var machine = machine(known: true)
        #expect(machine.handle(.start) == .reconcile)
        #expect(machine.handle(.reconciled(.committed(file))) == .finish(file))
    }

    @Test func `what was acknowledged is not sent again`() {
        var machine = machine(known: true)
        #expect(machine.handle(.start) == .reconcile)
        #expect(machine.handle(.reconciled(.partial(ByteRanges(upTo: 20)))) == .begin)
        #expect(machine.handle(.begun) == .send(20..<25))
    }

    @Test func `a spool file that cannot be adopted is copied`() {
        var machine = machine(adopts: true)
        #expect(machine.handle(.start) == .recordIntent)
        #expect(machine.handle(.recorded) == .adopt)
        #expect(machine.handle(.cannotAdopt) == .begin)
    }

    @Test func `temporary failures wait longer and longer, permanent ones end it`() {
        var machine = machine()
        #expect(machine.handle(.failed(.unreachable, random: 1)) == .retry(after: .seconds(1)))
        #expect(machine.handle(.failed(.unreachable, random: 1)) == .retry(after: .seconds(2)))
        #expect(machine.handle(.failed(.unreachable, random: 0)) == .retry(after: .seconds(2)))
        #expect(machine.handle(.failed(.unreachable, random: 1)) == .retry(after: .seconds(4)))
        #expect(
            machine.handle(.failed(.unavailable(retryAfter: .seconds(60)), random: 1)) == .retry(after: .seconds(60)))
        #expect(machine.handle(.failed(.forbidden, random: 1)) == .fail(.forbidden))
    }

    @Test func `a draft is sealed by its opener, by the last close, never under a temporary name`() {
        #expect(SealRule.verdict(on: .flush(isOpener: true, hasWritten: true), looksTemporary: false) == .seal)
        #expect(SealRule.verdict(on: .flush(isOpener: false, hasWritten: true), looksTemporary: false) == .keepDraft)
        #expect(SealRule.verdict(on: .flush(isOpener: true, hasWritten: false), looksTemporary: false) == .keepDraft)
        #expect(SealRule.verdict(on: .lastRelease, looksTemporary: false) == .seal)
        #expect(SealRule.verdict(on: .lastRelease, looksTemporary: true) == .keepDraft)
    }
}
