import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// One id for one file and one message for one id, whatever is lost; and what is left over is accounted for.
@Suite(.serialized) struct ItslearningOrphanTests {
    /// Ids and attempts the receipt names as left over.
    private func orphans(_ receipt: JSONValue) -> [String] {
        (receipt["orphans"]?.elements ?? []).compactMap { $0["attempt"]?.string }
    }

    @Test func `a lost answer uploads again, and the file nobody knows is in the receipt`() throws {
        let bench = try ItslearningBench()
        let engine = try ItslearningBench.Engine(bench, try bench.backend())
        let bytes = patterned(70_000, seed: 4)
        try bench.control.fail(["operation": "UploadFile", "performed": true, "reset": true, "times": 2])
        try engine.put("a.bin", bytes)
        let files = try bench.control.files()
        #expect(files.map(\.sha256) == Array(repeating: sha256Text(bytes), count: 3))
        let receipt = try engine.receipt("a.bin")
        #expect(receipt["remote_id"]?.string == files.last?.id)
        #expect(engine.attribute("remote_id", of: "a.bin") == files.last?.id)
        // The names this program gave its attempts are in the service's own list of parts.
        let lost = files.dropLast().map { String($0.contentID.prefix { $0 != "@" }) }
        #expect(orphans(receipt) == lost && receipt["orphan_count"]?.integer == 2)
        // As `session list --orphaned` shows them, until the service has dropped them.
        let shown = engine.tree.orphans()
        #expect(
            shown.map(\.id) == lost && shown.allSatisfy { $0.kind == .upload && $0.path.name?.description == "a.bin" })
        bench.time.advance(15 * 86_400)
        #expect(engine.tree.orphans().isEmpty)
    }

    @Test func `what a newer content has replaced is named until the service has dropped it`() throws {
        let bench = try ItslearningBench()
        let engine = try ItslearningBench.Engine(bench, try bench.backend())
        for number in 1...3 {
            try engine.put("a.bin", [UInt8(number)])
            bench.time.advance(86_400)
        }
        let files = try bench.control.files().map(\.id)
        let old = engine.tree.orphans()
        #expect(old.map(\.id) == Array(files.dropLast()) && old.allSatisfy { $0.kind == .file })
        let receipt = try engine.receipt("a.bin")
        #expect((receipt["replaced"]?.elements ?? []).map { $0["remote_id"]?.string } == files.dropLast())
        // The first one goes first.
        bench.time.advance(11 * 86_400 + 1)
        #expect(engine.tree.orphans().map(\.id) == [files[1]])
        bench.time.advance(86_400)
        #expect(engine.tree.orphans().isEmpty)
    }

    @Test func `an answer that never comes and a service that says no leave what they should`() throws {
        let bench = try ItslearningBench()
        let engine = try ItslearningBench.Engine(bench, try bench.backend())
        // A page of a server in front: whether the one behind it has the file is not known.
        try bench.control.fail(["operation": "UploadFile", "performed": true, "status": 504])
        try engine.put("a.bin", [1])
        #expect(try orphans(engine.receipt("a.bin")).count == 1 && bench.control.files().count == 2)
        // A refusal is an answer.
        try bench.control.fail(["operation": "UploadFile", "fault": "security"])
        try engine.put("b.bin", [1])
        #expect(try orphans(engine.receipt("b.bin")).isEmpty)
    }

    @Test func `an id is kept for fourteen days, read from the spool, and gone after that`() throws {
        let bench = try ItslearningBench()
        let engine = try ItslearningBench.Engine(bench, try bench.backend())
        try engine.put("a.bin", [1, 2, 3])
        let expires = try #require(engine.attribute("expires", of: "a.bin"))
        #expect(try engine.receipt("a.bin")["expires"]?.string == expires)
        let end = Timestamp(seconds: bench.time.clock.now().seconds + 14 * 86_400)
        #expect(expires <= end.rfc3339)
        let entry = try #require(engine.tree.knownEntry(try Name("a.bin"), in: engine.session))
        func read() throws -> [UInt8] {
            let file = try engine.tree.open(entry.id, flags: [], caller: EngineBench.caller)
            defer { file.release() }
            var bytes = [UInt8](repeating: 0, count: 10)
            let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
            return Array(bytes[..<count])
        }
        #expect(try read() == [1, 2, 3])
        bench.time.advance(15 * 86_400)
        #expect(engine.attribute("state", of: "a.bin") == "expired")
        #expect(throws: RemoteError.expired) { try read() }
    }

    // MARK: - Publication

    @Test func `a published file is content once and has no end`() throws {
        let bench = try ItslearningBench()
        let engine = try ItslearningBench.Engine(bench, try bench.publishing())
        try engine.put("report <1> & 2.pdf", [1])
        let content = try #require(try bench.control.contents().first)
        #expect(content.fileName == "report <1> & 2.pdf" && content.title == "report <1> & 2")
        #expect(content.location == "Course" && content.course == 42 && content.user == 7)
        let receipt = try engine.receipt("report <1> & 2.pdf")
        #expect(receipt["publication"]?.string == "published" && receipt["sync_key"]?.string == content.syncKey)
        #expect(receipt["remote_id"]?.string == content.file && receipt["message_id"]?.string != nil)
        #expect(engine.attribute("expires", of: "report <1> & 2.pdf") == nil)
    }

    @Test(arguments: [1, 4])
    func `the service may take its time, and say words nobody knows`(polls: Int) throws {
        let bench = try ItslearningBench()
        try bench.control.set(["queued_polls": .integer(Int64(polls)), "queued_status": "Thinking"])
        try bench.send("a.bin", [1], by: try bench.publishing())
        #expect(try bench.control.contents().count == 1)
        #expect(try bench.control.counter("AddMessage") == 1 && bench.control.counter("UploadFile") == 1)
    }

    @Test func `a message whose answer was lost is not content twice, and the doubt is shown`() throws {
        let bench = try ItslearningBench()
        let engine = try ItslearningBench.Engine(bench, try bench.publishing())
        try bench.control.fail(["operation": "AddMessage", "performed": true, "reset": true])
        try engine.put("a.bin", [1])
        #expect(try bench.control.contents().map(\.fileName) == ["a.bin"])
        #expect(try bench.control.counter("UploadFile") == 1 && bench.control.counter("AddMessage") == 2)
        #expect(try engine.receipt("a.bin")["publication"]?.string == "unconfirmed")
        #expect(engine.attribute("state", of: "a.bin") == "committed")
        #expect(engine.attribute("error", of: "a.bin")?.contains("probably published") == true)
    }

    @Test func `a message that was never carried out is sent again with the same key`() throws {
        let bench = try ItslearningBench()
        let engine = try ItslearningBench.Engine(bench, try bench.publishing())
        try bench.control.fail(["operation": "AddMessage", "reset": true, "times": 2])
        try bench.control.fail(["operation": "GetMessageResult", "status": 503, "times": 2])
        try engine.put("a.bin", [1])
        #expect(try bench.control.contents().count == 1 && bench.control.counter("UploadFile") == 1)
        #expect(try engine.receipt("a.bin")["publication"]?.string == "published")
    }

    @Test func `a message the service did not take is sent again as the first`() throws {
        let bench = try ItslearningBench()
        try bench.control.fail(["operation": "AddMessage", "status": 429, "times": 2])
        try bench.control.fail(["operation": "AddMessage", "fault": "security", "skip": 2])
        let file = try bench.send("a.bin", [1], by: try bench.publishing())
        #expect(file.details.contains { $0.key == "publication" && $0.value == "published" })
        #expect(try bench.control.contents().count == 1 && bench.control.counter("UploadFile") == 1)
    }

    @Test func `a refused publication says why, and another try never uses its id again`() throws {
        let bench = try ItslearningBench()
        var wrong = ItslearningBench.publication
        wrong.courseID = 99
        let publication = wrong
        let backend = try bench.publishing { $0.publication = publication }
        let bytes = patterned(100, seed: 2)
        var driver = UploadDriver(backend)
        let upload = try bench.upload("a.bin", bytes)
        #expect(throws: RemoteError.notPublished("The location does not exist.")) {
            try driver.send(bytes, as: upload)
        }
        let engine = try ItslearningBench.Engine(bench, backend)
        #expect(throws: RemoteError.notPublished("The location does not exist.")) { try engine.put("b.bin", bytes) }
        let first = try #require(try bench.control.files().last).id
        #expect(throws: RemoteError.self) { try engine.retry("b.bin") }
        let files = try bench.control.files()
        #expect(files.count == 3 && files.last?.id != first)
        #expect(try bench.control.contents().isEmpty)
    }

    @Test func `an id that is too old is not used: the bytes are sent again`() throws {
        let bench = try ItslearningBench()
        let backend = try bench.publishing()
        let bytes = patterned(100, seed: 3)
        var upload = try bench.upload("a.bin", bytes)
        upload.note = try backend.begin(upload)
        try backend.send(0..<100, of: upload, from: Bytes(bytes: bytes))
        upload.note = try backend.prepareCommit(upload)
        // As a crash and a long holiday leave it.
        let later = try bench.publishing()
        #expect(try later.standing(of: upload) == .partial(ByteRanges(upTo: 100)))
        bench.time.advance(14 * 86_400 - 1800)
        #expect(try later.standing(of: upload) == .partial(ByteRanges()))
        let old = try #require(ItslearningNote(upload.note)?.fileID)
        let note = try #require(ItslearningNote(try later.begin(upload)))
        #expect(note.fileID == nil && note.orphans.map(\.fileID) == [old])
    }

    @Test func `a crash at each step of a publication is gone on from`() throws {
        for operation in ["UploadFile", "AddMessage", "GetMessageResult"] {
            let bench = try ItslearningBench()
            try bench.control.fail([
                "operation": .string(operation), "performed": true, "stall": true,
            ])
            let bytes = patterned(5000, seed: 5)
            let first = try ItslearningBench.Engine(bench, try bench.publishing(), commit: .journal)
            try first.put("a.bin", bytes)
            let deadline = ContinuousDeadline.after(.seconds(15))
            while try bench.control.pendingFaults() > 0, !deadline.hasPassed {}
            // Recorded is what was sent before the stall; the copy is what the disk has at this moment.
            let left = try first.snapshot()
            let second = try ItslearningBench.Engine(bench, try bench.publishing(), at: left, commit: .journal)
            try second.settle()
            #expect(try bench.control.contents().map(\.fileName) == ["a.bin"], "\(operation)")
            let files = try bench.control.files()
            #expect(files.count == (operation == "UploadFile" ? 2 : 1), "\(operation)")
            #expect(try orphans(second.receipt("a.bin")).count == files.count - 1, "\(operation)")
        }
    }
}
