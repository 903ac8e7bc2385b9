import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// Sessions of a vault through everything a mount uses: tree, spool, journal, engine and backend.
@Suite(.serialized) struct MFTEngineTests {
    /// Sets an attribute of an entry and waits for the end of it.
    private func set(_ value: String, of id: EntryID, _ engine: EngineBench, seconds: Int = 30) throws {
        try engine.wait(seconds) { engine.tree.setAttribute("state", to: value, of: id, completion: $0) }
    }

    /// Until an attribute has a value.
    private func wait(for wanted: String, _ attribute: String, of id: EntryID, _ engine: EngineBench) throws {
        let deadline = ContinuousDeadline.after(.seconds(20))
        var found = ""
        while found != wanted, !deadline.hasPassed {
            found = (try? engine.tree.attribute(attribute, of: id)) ?? ""
            _ = Monitor(()).wait(until: .after(.milliseconds(5))) { _ -> Bool? in nil }
        }
        #expect(found == wanted)
    }

    private func events(_ engine: EngineBench, _ kind: String) -> Int {
        engine.service.services.events.recent.count { $0.kind == kind }
    }

    @Test(.timeLimit(.minutes(2))) func `a session is completed with its life, followed to its end, and read`() throws {
        let bench = try NetworkBench(.mft)
        let run = try bench.run()
        let engine = try EngineBench(run)
        defer {
            engine.stop()
            EngineBench.remove(engine.path)
        }
        let vault = try bench.mft
        try vault.set(["composing_milliseconds": 600_000])
        let tree = engine.tree
        let session = try engine.session()
        let inner = try tree.makeDirectory(try Name("deep"), in: session, mode: 0o755, caller: EngineBench.caller)
        let bytes = patterned(3000, seed: 1)
        try engine.put("good", bytes, in: session)
        try engine.put("bad", bytes, in: inner.id)
        let good = try tree.lookup(try Name("good"), in: session).id
        let bad = try tree.lookup(try Name("bad"), in: inner.id).id
        #expect(try vault.groups().flatMap(\.files).map(\.path).sorted() == ["Morning", "Morning\\deep"])
        // Nothing can be read yet, and the root shows both what the journal knows and what the service has.
        #expect(throws: RemoteError.notReadableYet) { try tree.openStored(good) }
        #expect(try tree.entries(in: .root).map(\.name.description).sorted() == ["Morning", "files"])
        #expect(throws: RemoteError.invalidArgument) { try set("complete expires-after=soon", of: session, engine) }
        try set("complete expires-after=30d", of: session, engine)
        #expect(try vault.groups().first?.expiresAfter == "30:00:00:00")
        #expect(try tree.attribute("expires", of: session).isEmpty == false)
        try wait(for: "pending Composing=2", "processing", of: session, engine)
        #expect(throws: RemoteError.beingProcessed("Composing")) { try tree.openStored(good) }
        try vault.setOutcome("Blocked", of: "bad")
        try vault.set(["composing_milliseconds": 0])
        try wait(for: "withheld Available=1 Blocked=1", "processing", of: session, engine)
        #expect(try tree.attribute("state", of: session) == "complete")
        #expect(try tree.attribute("state", of: good) == "committed")
        #expect(try tree.attribute("state", of: bad) == "failed")
        #expect(try tree.attribute("error", of: session).contains("deep/bad (Blocked: Infected)"))
        #expect(try tree.openStored(good).bytes(0..<3000) == bytes)
        #expect(throws: RemoteError.withheld("Blocked: Infected")) { try tree.openStored(bad) }
        #expect(events(engine, "file_withheld") == 1)
        // What was committed is there by its folder too.
        let file = try tree.entry(at: try RelativePath("files/Morning/good"))
        #expect(file.size == ByteCount(3000))
        #expect(try tree.openStored(file.id).bytes(0..<3000) == bytes)
        #expect(throws: RemoteError.needsSession) {
            try tree.setMode(file.id, 0o600)
        }
        // Complete for good.
        #expect(throws: RemoteError.sessionClosed(.complete)) {
            try tree.create(
                try Name("late"), in: session, mode: 0o644, flags: [.readWrite, .create], caller: EngineBench.caller)
        }
    }

    @Test(.timeLimit(.minutes(2))) func `the next mount knows sessions and states, and goes on following`() throws {
        let bench = try NetworkBench(.mft)
        let run = try bench.run()
        let vault = try bench.mft
        try vault.set(["composing_milliseconds": 600_000])
        let first = try EngineBench(run)
        let session = try first.session()
        try first.put("a", [1, 2, 3], in: session)
        try set("complete expires-after=1:00:00", of: session, first)
        let expires = try first.tree.attribute("expires", of: session)
        try wait(for: "pending Composing=1", "processing", of: session, first)
        first.stop()
        try vault.set(["composing_milliseconds": 0])
        let second = try EngineBench(try bench.again(run), at: first.path)
        defer {
            second.stop()
            EngineBench.remove(first.path)
        }
        let found = try second.tree.lookup(try Name(run.sessionName), in: .root)
        #expect(found.sessionState == .complete)
        try wait(for: "available Available=1", "processing", of: found.id, second)
        #expect(try second.tree.attribute("expires", of: found.id) == expires)
        #expect(try vault.counter("completions") == 1)
    }

    @Test(.timeLimit(.minutes(2))) func `aborting deletes the group`() throws {
        let bench = try NetworkBench(.mft)
        let engine = try EngineBench(try bench.run())
        defer {
            engine.stop()
            EngineBench.remove(engine.path)
        }
        let session = try engine.session()
        try engine.put("a", [1], in: session)
        try set("aborted", of: session, engine)
        #expect(try bench.mft.groups().map(\.state) == ["deleted"])
        #expect(try engine.tree.attribute("state", of: session) == "aborted")
    }

    @Test(.timeLimit(.minutes(2))) func `what was refused and written anew does not stand in the way of completing`()
        throws
    {
        let bench = try NetworkBench(.mft)
        let engine = try EngineBench(try bench.run())
        defer {
            engine.stop()
            EngineBench.remove(engine.path)
        }
        let session = try engine.session()
        try bench.mft.fail(["method": "PATCH", "status": 403, "times": 1])
        #expect(throws: RemoteError.belongsToAnother) { try engine.put("a", [1, 2], in: session) }
        let again = try engine.tree.lookup(try Name("a"), in: session).id
        let file = try engine.tree.open(again, flags: [.readWrite, .truncate], caller: EngineBench.caller)
        _ = try [UInt8](repeating: 7, count: 9).withUnsafeBytes { try file.write($0, at: 0) }
        try engine.wait(30) { file.flush(caller: EngineBench.caller, $0) }
        file.release()
        try set("complete", of: session, engine)
        #expect(try bench.mft.files().map(\.size) == [9])
    }

    /// A backup of many files and some large ones, with every 50th request cut somewhere.
    @Test(.timeLimit(.minutes(5))) func `a backup through a line that breaks again and again is complete`() throws {
        let bench = try NetworkBench(.mft)
        let run = try bench.run()
        let engine = try EngineBench(run, commit: .journal, connections: 8)
        defer {
            engine.stop()
            EngineBench.remove(engine.path)
        }
        let session = try engine.session()
        for number in stride(from: 50, through: 5000, by: 50) {
            let (rule, value): (String, JSONValue) =
                switch number / 50 % 4 {
                case 0: ("drop_answer", true)
                case 1: ("cut_request_after", 300)
                case 2: ("cut_response_after", 20)
                default: ("cut_request_after", 0)
                }
            try bench.proxy.rule(
                .object([.init("number", .integer(Int64(number))), .init(rule, value), .init("reset", true)]))
        }
        var expected: [String: [String]] = [:]
        for number in 0..<300 {
            let size = number % 100 == 0 ? (11 << 20) + number : number * 37
            let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: size)
            try engine.put("file-\(number)", bytes, in: session)
            expected["file-\(number)"] = [sha256Text(bytes)]
        }
        try engine.settle(seconds: 120)
        #expect(try bench.held(run) == expected)
        try set("complete", of: session, engine, seconds: 60)
        #expect(try bench.mft.files(withDigests: false).count == 300)
        #expect(try bench.leftovers(run).isEmpty)
        #expect(try bench.mft.counter("commits") == 1)
        let log = try bench.proxy.finishedLog()
        #expect(log.filter(\.isTreated).count == log.count / 50)
    }
}
