import FXRemote
import FXSystem
import SystemPackage
import Testing

@testable import fxmount

@Suite("Plans")
struct PlanTests {
    private func limits(_ change: (inout RemoteLimits) -> Void = { _ in }) throws -> RemoteLimits {
        var limits = try #require(RemoteLimits(["name": "net"]))
        change(&limits)
        return limits
    }

    private func rule(_ limits: RemoteLimits, depth: Int = 1, session: SessionState? = .open) -> PlanRule {
        PlanRule(
            limits: limits, depth: depth, session: session,
            spoolSpace: limits.passesThroughSpool ? nil : limits.spoolSpace,
            looksTemporary: { $0.bytes.last == UInt8(ascii: "~") })
    }

    private func file(_ path: String, _ size: UInt64 = 10, time: Int64 = 5, type: FXSystem.FileType = .regular) throws
        -> PlannedEntry
    {
        PlannedEntry(
            path: try RelativePath(path), type: type, size: ByteCount(size), modified: Timestamp(seconds: time))
    }

    private func present(_ size: UInt64 = 10, time: Int64 = 5, state: String? = "committed") -> PresentEntry {
        PresentEntry(
            isDirectory: state == nil, size: ByteCount(size), modified: Timestamp(seconds: time, nanoseconds: 7),
            state: state)
    }

    private func errno(_ verdict: PlanVerdict) -> Errno? {
        if case .refuse(let refusal) = verdict { refusal.errno } else { nil }
    }

    @Test("A file is there when size and second are the same, and the service has it or will get it")
    func comparing() throws {
        let rule = rule(try limits())
        #expect(try rule.verdict(on: file("f"), present: nil) == .send)
        #expect(try rule.verdict(on: file("f"), present: present()) == .present)
        #expect(try rule.verdict(on: file("f"), present: present(state: "queued")) == .present)
        #expect(try rule.verdict(on: file("f"), present: present(11)) == .send)
        #expect(try rule.verdict(on: file("f"), present: present(time: 6)) == .send)
        #expect(try rule.verdict(on: file("f"), present: present(state: "failed")) == .send)
        #expect(try rule.verdict(on: file("f"), present: present(state: "draft")) == .send)
        #expect(try errno(rule.verdict(on: file("f"), present: present(state: nil))) == .isDirectory)
        #expect(try errno(rule.verdict(on: file("d", type: .directory), present: present())) == .fileExists)
        #expect(try rule.verdict(on: file("d", type: .directory), present: present(state: nil)) == .directory)
    }

    @Test("What a service does not take is refused with the errno its mount would give")
    func refusals() throws {
        let small = rule(try limits { $0.maximumFileSize = ByteCount(100) })
        #expect(try errno(small.verdict(on: file("f", 101), present: nil)) == .fileTooLarge)
        #expect(try small.verdict(on: file("f", 100), present: nil) == .send)
        for type in [FXSystem.FileType.symbolicLink, .fifo, .socket, .characterDevice, .blockDevice] {
            #expect(try errno(small.verdict(on: file("x", type: type), present: nil)) == .notPermitted)
        }
        let strict = rule(
            try limits { limits in
                limits.names.mustBeUTF8 = true
                limits.names.excludedBytes = [UInt8(ascii: "\\")]
                limits.names.maximumLength = 20
                limits.names.reservedInSessions = [Name(constant: ".fxmount")]
            })
        #expect(try errno(strict.verdict(on: file("a\\b"), present: nil)) == .illegalByteSequence)
        #expect(try errno(strict.verdict(on: file("d/a\\b"), present: nil)) == .illegalByteSequence)
        #expect(
            errno(strict.verdict(on: try file(String(repeating: "n", count: 21)), present: nil)) == .illegalByteSequence
        )
        #expect(try errno(strict.verdict(on: file(".fxmount"), present: nil)) == .invalidArgument)
        #expect(try strict.verdict(on: file("d/.fxmount"), present: nil) == .send)
        let flat = rule(try limits { $0.makesDirectories = false })
        #expect(try errno(flat.verdict(on: file("d", type: .directory), present: nil)) == .notPermitted)
        #expect(try errno(flat.verdict(on: file("d/f"), present: nil)) == .notPermitted)
        #expect(try flat.verdict(on: file("f"), present: nil) == .send)
    }

    @Test("Sessions: a complete one takes nothing new, and files belong into one")
    func sessions() throws {
        let closed = rule(try limits(), session: .complete)
        #expect(try errno(closed.verdict(on: file("f"), present: nil)) == .readOnlyFileSystem)
        #expect(try closed.verdict(on: file("f"), present: present()) == .present)
        let above = rule(try limits(), depth: 0, session: nil)
        #expect(try errno(above.verdict(on: file("f"), present: nil)) == .notPermitted)
        #expect(try above.verdict(on: file("s", type: .directory), present: nil) == .directory)
        #expect(try above.verdict(on: file("s/f"), present: nil) == .send)
    }

    @Test("A temporary name stays here without an error, and a full spool is named")
    func staying() throws {
        let verdict = rule(try limits()).verdict(on: try file("f~"), present: nil)
        guard case .refuse(let refusal) = verdict else {
            Issue.record("\(verdict)")
            return
        }
        #expect(refusal.errno == nil)
        #expect(refusal.sentence.contains("looks temporary"))
        let full = rule(try limits { $0.spoolSpace = ByteCount(9) })
        #expect(try errno(full.verdict(on: file("f"), present: nil)) == .noSpace)
        let passing = rule(
            try limits { limits in
                limits.spoolSpace = ByteCount(9)
                limits.passesThroughSpool = true
            })
        #expect(try passing.verdict(on: file("f"), present: nil) == .send)
    }

    @Test("The report counts, and its JSON has every entry with its reason")
    func report() throws {
        var report = PlanReport(source: "/a", destination: "/m/sessions/net/s")
        report.add(try RelativePath("new"), ByteCount(5), .send)
        report.add(try RelativePath("old"), ByteCount(7), .present)
        report.add(try RelativePath("d"), .zero, .directory)
        #expect(report.isFine)
        report.add(try RelativePath("l"), .zero, .refuse(PlanRefusal(.notPermitted, "no links")))
        report.add(try RelativePath("f~"), ByteCount(1), .refuse(PlanRefusal(nil, "stays")))
        #expect(!report.isFine)
        let json = report.json
        #expect(json["send"]?["bytes"]?.integer == 5 && json["present"]?["files"]?.integer == 1)
        #expect(json["refused"]?.integer == 2 && json["ok"]?.boolean == false)
        let entries = try #require(json["entries"]?.elements)
        #expect(entries.map { $0["action"]?.string } == ["send", "present", "directory", "refused", "stays"])
        #expect(entries[3]["errno"]?.string == "EPERM" && entries[3]["reason"]?.string == "no links")
    }

    @Test("Uploads that the journal does not know are abandoned")
    func abandoned() {
        let (known, unknown) = (UploadID("a-1"), UploadID("b-1"))
        #expect(RemoteChecks.verdict("x", on: [], known: [known]).result == .ok)
        #expect(RemoteChecks.verdict("x", on: [known], known: [known]).message.contains("goes on with"))
        let check = RemoteChecks.verdict("x", on: [known, unknown], known: [known])
        #expect(check.result == .warn && check.message.contains("b-1") && !check.message.contains("a-1"))
    }
}
