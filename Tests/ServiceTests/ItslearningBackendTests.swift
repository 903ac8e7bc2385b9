import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// Files on their way to an extension: what is refused here, what the service refuses, and what a lost answer leaves.
@Suite(.serialized) struct ItslearningBackendTests {
    private static let denied = [
        "exe", "com", "vb", "vbs", "vbe", "cmd", "bat", "ws", "wsf", "src", "shs", "pif", "hta", "jar", "js", "jse",
        "lnk",
    ]

    /// A word in every mixture of cases.
    private static func spellings(_ word: String) -> [String] {
        word.reduce([""]) { found, letter in
            found.flatMap { [$0 + letter.lowercased(), $0 + letter.uppercased()] }
        }
    }

    @Test func `names the service refuses are refused when a file is made or renamed, and nothing is sent`() throws {
        let bench = try ItslearningBench()
        let engine = try ItslearningBench.Engine(bench, try bench.backend())
        var refused = ItslearningBackendTests.denied.flatMap { ending in
            ItslearningBackendTests.spellings(ending).map { ("a." + $0, ending) }
        }
        refused += ["README", "archive.", "archive..", "a.txt ", "a.exe."].map { ($0, "") }
        let draft = try engine.create("draft.part")
        for (name, ending) in refused {
            #expect(throws: RemoteError.deniedEnding(ending), "\(name)") { try engine.create(name) }
            #expect(throws: RemoteError.deniedEnding(ending), "\(name)") {
                try engine.tree.rename(
                    try Name("draft.part"), in: engine.session, to: try Name(name), in: engine.session, .replace,
                    caller: EngineBench.caller)
            }
        }
        let reason = try engine.tree.attribute("error", of: engine.session)
        #expect(reason == RemoteError.deniedEnding("").message && reason.contains("without an ending"))
        #expect(RemoteError.deniedEnding("exe").errno == .invalidArgument)
        #expect(RemoteError.nameTooLong(limit: 155).errno == .fileNameTooLong)
        #expect(throws: RemoteError.nameTooLong(limit: 155)) {
            try engine.create(String(repeating: "x", count: 152) + ".txt")
        }
        // Characters and not bytes, as the service counts.
        #expect(throws: RemoteError.nameTooLong(limit: 155)) {
            try engine.create(
                String(repeating: "x", count: 104) + String(repeating: "\u{1F600}", count: 24) + ".txt")
        }
        #expect(throws: RemoteError.unrepresentableName) { try engine.create("a\u{7}.txt") }
        #expect(try bench.control.log().map(\.operation) == [])
        // Its last close seals it, and an empty file goes its way then.
        draft.release()
    }

    @Test func `names at the edge of the rules arrive as they are`() throws {
        let bench = try ItslearningBench()
        let engine = try ItslearningBench.Engine(bench, try bench.backend())
        let names = [
            ".gitignore", "a.exe.txt", "a.scr", "<&>\"'.xml", "é ü.pdf", String(repeating: "x", count: 151) + ".txt",
            "ends ]]>.txt",
        ]
        for name in names { try engine.put(name, Array(name.utf8)) }
        #expect(try bench.control.files().map(\.name) == names)
    }

    @Test func `a file of the limit arrives, and one byte more is refused at write without a request`() throws {
        let bench = try ItslearningBench()
        let limit = ByteCount(100_000)
        let engine = try ItslearningBench.Engine(bench, try bench.backend { $0.maximumFileSize = limit })
        for size in [0, 1, 99_999, 100_000] { try engine.put("f\(size).bin", patterned(size, seed: 1)) }
        // An empty file is sealed by the last close, a moment after it.
        let deadline = ContinuousDeadline.after(.seconds(10))
        while engine.attribute("state", of: "f0.bin") != "committed", !deadline.hasPassed {}
        let sent = try bench.control.counter("requests")
        #expect(throws: RemoteError.tooLarge(limit: limit)) {
            try engine.put("large.bin", patterned(100_001, seed: 1))
        }
        // What fits before it is not sent either: the close says why.
        let file = try engine.create("growing.bin")
        try engine.write(patterned(60_000, seed: 2), at: 0, to: file)
        #expect(throws: RemoteError.tooLarge(limit: limit)) {
            try engine.write(patterned(60_000, seed: 2), at: 60_000, to: file)
        }
        #expect(throws: RemoteError.tooLarge(limit: limit)) { try engine.close(file) }
        #expect(try bench.control.counter("requests") == sent)
        #expect(try bench.control.files().map(\.size).sorted() == [0, 1, 99_999, 100_000])
        #expect(try bench.backend().facts.maximumFileSize == ByteCount(500_000_000))
    }

    @Test func `a service that takes less than is believed refuses for the size`() throws {
        let bench = try ItslearningBench()
        try bench.control.set(["size_limit": 1_000_000])
        let backend = try bench.backend()
        for resets in [false, true] {
            try bench.control.set(["resets_after_limit": .bool(resets)])
            // The limit that is configured is not the one it was refused for.
            #expect(throws: RemoteError.tooLarge(limit: nil)) {
                try bench.send("a.bin", patterned(1_200_000, seed: 1), by: backend)
            }
        }
        // It was asked first, and nothing was sent.
        #expect(try bench.control.log().filter { $0.operation == "UploadFile" }.allSatisfy { $0.sent == 0 })
    }

    @Test(arguments: [false, true])
    func `an extension that takes no files is told from a file that is refused`(hides: Bool) throws {
        let bench = try ItslearningBench()
        try bench.control.set(["hides_refusals": .bool(hides)])
        let wrong = try bench.backend { $0.extensionID = ItslearningControl.otherExtension }
        let error = #expect(throws: RemoteError.self) { try bench.send("a.bin", [1], by: wrong) }
        guard case .wrongExtension(5001, let words) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(words.contains("streaming") == !hides)
        #expect(error?.errno == .permissionDenied && error?.isTemporary == false)
        #expect(error?.message.contains("set extension_id") == true)
        // The same service, the right extension, and one name it does not like.
        try bench.control.set(["limits_names_at_upload": true])
        let right = try bench.backend()
        let name = String(repeating: "x", count: 152) + ".txt"
        let refusal = #expect(throws: RemoteError.self) { try bench.send(name, [1], by: right) }
        guard case .refusedContent = refusal else {
            Issue.record("\(String(describing: refusal))")
            return
        }
        #expect(refusal?.errno == .invalidArgument)
    }

    @Test func `a stale clock is said in one sentence, and nothing is uploaded`() throws {
        let bench = try ItslearningBench()
        try bench.control.set(["strict_security": true])
        let backend = try bench.backend()
        try bench.send("fine.bin", [1], by: backend)
        for (moved, words) in [(-900, "15 min behind"), (900, "15 min ahead of"), (-7 * 86_400, "168 h behind")] {
            bench.time.advance(Int64(moved))
            let error = #expect(throws: RemoteError.self) { try bench.send("late.bin", [1], by: backend) }
            #expect(
                error?.message.contains("this machine's clock is \(words) the service's") == true,
                "\(String(describing: error))")
            #expect(error?.errno == .permissionDenied && error?.isTemporary == false)
            bench.time.advance(-Int64(moved))
        }
        try bench.send("again.bin", [1], by: backend)
        #expect(try bench.control.files().map(\.name) == ["fine.bin", "again.bin"])
    }

    @Test func `credentials, other services and other kinds of fault have the errno of the table`() throws {
        let bench = try ItslearningBench()
        let backend = try bench.backend()
        func refused(_ fault: String, times: Int64 = 1) throws -> RemoteError? {
            try bench.control.fail(["operation": "UploadFile", "fault": .string(fault), "times": .integer(times)])
            return #expect(throws: RemoteError.self) { try bench.send("a.bin", [1], by: backend) }
        }
        #expect(try refused("authentication") == .credentials)
        #expect(throws: RemoteError.credentials) { try bench.send("a.bin", [1], by: try bench.backend(password: "x")) }
        #expect(try refused("action")?.errno == .protocolError)
        #expect(try refused("understand")?.errno == .protocolError)
        // Once is tried again with a new token, twice is meant.
        #expect(try refused("security", times: 2) == .securityRefused)
        try bench.control.fail(["operation": "UploadFile", "fault": "security"])
        try bench.send("b.bin", [1], by: backend)
        for status in [502, 503, 504] as [Int64] {
            try bench.control.fail(["operation": "UploadFile", "status": .integer(status), "times": 3])
            try bench.send("s\(status).bin", [1], by: backend)
        }
        try bench.control.fail(["operation": "UploadFile", "fault": "server", "times": 3])
        try bench.send("c.bin", [1], by: backend)
        #expect(try bench.control.pendingFaults() == 0)
    }

    @Test func `answers in a frame and with an old timestamp are read`() throws {
        let bench = try ItslearningBench()
        try bench.control.set(["multipart_answers": true, "stale_answers": true])
        let file = try bench.send("a.bin", [1], by: try bench.backend())
        #expect(try bench.control.files().map(\.id) == [file.remoteID])
    }

    @Test func `what remote test says of a service`() throws {
        let bench = try ItslearningBench()
        let fine = try bench.publishing().examine()
        #expect(fine.map(\.verdict) == [.works, .works, .works, .works], "\(fine)")
        #expect(try bench.control.files().map(\.name) == ["fxmount-test.txt"] && bench.control.contents().isEmpty)
        let wrong = try bench.backend { $0.extensionID = ItslearningControl.otherExtension }.examine()
        #expect(wrong.map(\.verdict) == [.works, .fails, .works])
        #expect(try bench.backend(password: "x").examine().map(\.error) == [.credentials])
        try bench.control.set(["strict_security": true, "clock_offset": 1200])
        let late = try bench.backend().examine()
        #expect(late.count == 1 && late[0].sentence.contains("20 min behind"), "\(late)")
        // Production systems have the service for messages elsewhere.
        try bench.control.reset()
        try bench.control.set(["data_service": "/ContentImport/DataService.svc"])
        #expect(try bench.publishing().examine().allSatisfy { $0.verdict == .works })
    }
}
