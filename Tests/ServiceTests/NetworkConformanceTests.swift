import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// What every backend over a network must do, with the same tests for all of them.
@Suite(.serialized) struct NetworkConformanceTests {
    @Test(.timeLimit(.minutes(1)), arguments: NetworkKind.reading)
    func `files of every awkward size come back as they were`(kind: NetworkKind) throws {
        let bench = try NetworkBench(kind)
        let run = try bench.run()
        var sizes = [0, 1, 2, 4095, 4096, 65_537]
        // One chunk, one less, one more.
        let chunk = kind == .tus || kind == .weedtus ? Int(NetworkBench.tusChunk.rawValue) : 5 << 20
        if kind != .opentera { sizes += [chunk - 1, chunk, chunk + 1] }
        let files = sizes.map { (name: "f\($0)", bytes: patterned($0, seed: UInt64($0) + 1)) }
        let stored = try run.send(files)
        try expectExactly(files, at: run, "sizes")
        try run.publish(stored)
        for (file, place) in zip(files, stored) {
            #expect(place.size.rawValue == UInt64(file.bytes.count))
            #expect(try run.read(place) == file.bytes, "\(kind), \(file.name)")
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: NetworkKind.reading)
    func `any range can be read, and nothing behind the end`(kind: NetworkKind) throws {
        let run = try NetworkBench(kind).run()
        let bytes = patterned(10_000, seed: 5)
        let stored = try #require(try run.send([("f", bytes)]).first)
        try run.publish([stored])
        let content = try run.backend.open(stored)
        for range in [0..<1, 0..<10_000, 9_999..<10_000, 1..<2, 4_000..<9_000] {
            #expect(try content.bytes(UInt64(range.lowerBound)..<UInt64(range.upperBound)) == Array(bytes[range]))
        }
        #expect(try content.bytes(9_990..<20_000) == Array(bytes[9_990...]))
        #expect(try content.bytes(10_000..<10_001).isEmpty)
    }

    @Test(.timeLimit(.minutes(1)), arguments: NetworkKind.allCases.filter(\.lists))
    func `a listing tells what was sent, with sizes`(kind: NetworkKind) throws {
        let run = try NetworkBench(kind).run()
        let files = (0..<30).map { (name: "f \($0) é", bytes: patterned($0 * 10, seed: UInt64($0))) }
        let stored = try run.send(files)
        let listed = try run.listed(stored).compactMap { entry -> String? in
            guard case .file(let size) = entry.kind else { return nil }
            return "\(String(decoding: entry.name, as: UTF8.self)) \(size.rawValue)"
        }
        #expect(listed.sorted() == files.map { "\($0.name) \($0.bytes.count)" }.sorted())
    }

    @Test(.timeLimit(.minutes(1)), arguments: NetworkKind.allCases)
    func `a session is opened once, however often it is asked for`(kind: NetworkKind) throws {
        let bench = try NetworkBench(kind)
        let run = try bench.run()
        #expect(Set(try (0..<3).map { _ in try run.session().remoteID }).count == 1)
        #expect(try bench.leftovers(run).isEmpty)
    }

    @Test(.timeLimit(.minutes(1)), arguments: NetworkKind.reading)
    func `a replaced file is touched only when the new one is there`(kind: NetworkKind) throws {
        let bench = try NetworkBench(kind)
        let run = try bench.run(allowsDelete: true)
        let (old, new) = (patterned(500, seed: 1), patterned(700, seed: 2))
        let first = try #require(try run.send([("f", old)]).first)
        let session = try run.session()
        let upload = try run.upload("f", new, in: session, replaces: first)
        // Every upload is refused for good: the old one stays as it was.
        try bench.proxy.rule(["method": .string(kind.uploadMethod), "status": 403, "times": 0])
        var driver = UploadDriver(run.backend)
        #expect(throws: RemoteError.self) { try driver.send(new, as: upload) }
        #expect(try bench.held(run) == ["f": [sha256Text(old)]])
        try bench.proxy.clearRules()
        let again = try run.upload("f", new, in: session, replaces: first)
        _ = try driver.send(new, as: again)
        #expect(try bench.held(run) == ["f": [sha256Text(new)]])
    }

    @Test(.timeLimit(.minutes(1)), arguments: NetworkKind.allCases)
    func `several files at once arrive each once`(kind: NetworkKind) throws {
        let bench = try NetworkBench(kind)
        let run = try bench.run()
        let session = try run.session()
        let files = (0..<12).map { (name: "f\($0).dat", bytes: patterned(3000 + $0, seed: UInt64($0) + 1)) }
        let outcome = Monitor<[String]>([])
        for file in files {
            let upload = try run.upload(file.name, file.bytes, in: session)
            _ = try ServiceThread(name: "upload") {
                var driver = UploadDriver(run.backend)
                var said = "sent"
                do { _ = try driver.send(file.bytes, as: upload) } catch { said = "\(error)" }
                outcome.withLock { $0.append(said) }
            }
        }
        let done = outcome.wait(until: .after(.seconds(40))) { $0.count == files.count ? $0 : nil }
        #expect(done == Array(repeating: "sent", count: files.count))
        try expectExactly(files, at: run, "at once")
    }

    @Test(.timeLimit(.minutes(1))) func `names that nobody checked are listed as they are`() throws {
        let bench = try NetworkBench(.opentera)
        let run = try bench.run()
        let pair = try bench.openTera
        let session = try pair.session("Morning")
        let names = [
            "/", "..", ".", "a/b", "nul\u{0}", "line\nfeed", "\u{202e}bidi", "", String(repeating: "x", count: 300),
            "twice",
            "twice",
        ]
        try pair.seed([
            "assets": .array(
                names.map {
                    .object([
                        .init("session", .integer(Int64(session))), .init("name", .string($0)),
                        .init("text", .string($0)),
                    ])
                })
        ])
        let directory = StoredDirectory(
            path: run.parent.path.appending(try Name("Morning")), remoteID: "session/\(session)")
        let entries = try run.backend.list(directory)
        #expect(entries.count == names.count)
        #expect(Set(entries.map(\.remoteID)).count == names.count)
        // An empty name is shown under another one; all the others as they are.
        for name in Set(names) where !name.isEmpty {
            let count = entries.filter { $0.name == Array(name.utf8) }.count
            #expect(count == (name == "twice" ? 2 : 1), "\(name.debugDescription)")
        }
    }

    @Test(.timeLimit(.minutes(1))) func `credentials that die on the way are renewed`() throws {
        let bench = try NetworkBench(.opentera)
        let run = try bench.run()
        let pair = try bench.openTera
        let files = (0..<4).map { (name: "f\($0)", bytes: patterned(2000, seed: UInt64($0) + 1)) }
        let session = try run.session()
        var driver = UploadDriver(run.backend)
        for file in files {
            _ = try driver.send(file.bytes, as: try run.upload(file.name, file.bytes, in: session))
            try pair.restart()
        }
        try expectExactly(files, at: run, "tokens die between files")
        #expect(try pair.counter("failed_logins") == 0)
    }

    @Test(.timeLimit(.minutes(1))) func `a refused password is tried once`() throws {
        let bench = try NetworkBench(.opentera)
        let run = try bench.run()
        let pair = try bench.openTera
        try pair.change(user: ["username": "user3", "password": "another"])
        for _ in 0..<3 { #expect(throws: RemoteError.credentials) { try run.session() } }
        #expect(try pair.counter("password_checks") == 1)
    }

    @Test(.timeLimit(.minutes(1))) func `a file over the limit is refused without its bytes`() throws {
        let bench = try NetworkBench(.opentera)
        let run = try bench.run(maximumBody: .mebibytes(1))
        let pair = try bench.openTera
        let limit = try #require(run.backend.facts.maximumFileSize)
        #expect(limit < .mebibytes(1))
        // The administrator allows less than the configuration believes.
        try pair.set(["body_limit": 100_000])
        let bytes = patterned(200_000, seed: 1)
        let session = try run.session()
        var driver = UploadDriver(run.backend)
        let upload = try run.upload("big", bytes, in: session)
        #expect(throws: RemoteError.tooLarge(limit: nil)) { try driver.send(bytes, as: upload) }
        #expect(try pair.assets().isEmpty)
        #expect(try pair.log().allSatisfy { $0.sent < 100_000 })
    }

    @Test(.timeLimit(.minutes(1))) func `a session of an unlinked type is refused early and by name`() throws {
        let bench = try NetworkBench(.opentera)
        let run = try bench.run()
        let pair = try bench.openTera
        try pair.seed(["types": [["id": 5, "linked": "none"]]])
        #expect(throws: RemoteError.sessionTypeNotLinked("FileTransfer")) { try run.session() }
        #expect(RemoteError.sessionTypeNotLinked("FileTransfer").errno == .permissionDenied)
        #expect(try pair.sessions().isEmpty)
    }
}
