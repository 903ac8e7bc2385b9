import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// tus under the whole engine, and what SeaweedFS does of it.
@Suite(.serialized) struct TusEngineTests {
    @Test(.timeLimit(.minutes(1)))
    func `a large file goes while it is written, where its length can be told at the end`() throws {
        let bench = try NetworkBench(.tus)
        let run = try bench.run()
        let engine = try EngineBench(run)
        defer {
            engine.stop()
            EngineBench.remove(engine.path)
        }
        let session = try engine.session()
        let bytes = patterned((5 << 20) + 77, seed: 8)
        let (_, file) = try engine.tree.create(
            try Name("big"), in: session, mode: 0o644, flags: [.readWrite, .create], caller: EngineBench.caller)
        try bytes[..<(4 << 20)].withUnsafeBytes { _ = try file.write($0, at: 0) }
        let deadline = ContinuousDeadline.after(.seconds(20))
        var offset = 0
        while offset < 3 << 20, !deadline.hasPassed { offset = try bench.tusControl.uploads().first?.offset ?? 0 }
        #expect(offset >= 3 << 20)
        let early = try #require(try bench.tusControl.uploads().first)
        #expect(early.length == nil && !early.isWhole)
        try bytes[(4 << 20)...].withUnsafeBytes { _ = try file.write($0, at: 4 << 20) }
        try engine.wait(20) { file.flush(caller: EngineBench.caller, $0) }
        file.release()
        try expectExactly([("big", bytes)], at: run, "while it is written")
        #expect(try bench.tusControl.uploads().count == 1)
    }

    @Test(.timeLimit(.minutes(1))) func `what is rewritten after it was sent is sent again from the start`() throws {
        let bench = try NetworkBench(.tus)
        let run = try bench.run()
        let engine = try EngineBench(run)
        defer {
            engine.stop()
            EngineBench.remove(engine.path)
        }
        let session = try engine.session()
        var bytes = patterned(3 << 20, seed: 8)
        let (_, file) = try engine.tree.create(
            try Name("big"), in: session, mode: 0o644, flags: [.readWrite, .create], caller: EngineBench.caller)
        try bytes.withUnsafeBytes { _ = try file.write($0, at: 0) }
        let deadline = ContinuousDeadline.after(.seconds(20))
        while try bench.tusControl.uploads().first?.offset ?? 0 < 1 << 20, !deadline.hasPassed {}
        bytes.replaceSubrange(100..<103, with: [7, 8, 9])
        try bytes[100..<103].withUnsafeBytes { _ = try file.write($0, at: 100) }
        try engine.wait(20) { file.flush(caller: EngineBench.caller, $0) }
        file.release()
        try expectExactly([("big", bytes)], at: run, "rewritten")
    }

    @Test(.timeLimit(.minutes(1))) func `an unfinished upload shows when it expires`() throws {
        let bench = try NetworkBench(.tus)
        let run = try bench.run()
        let engine = try EngineBench(run, commit: .journal)
        defer {
            engine.stop()
            EngineBench.remove(engine.path)
        }
        let session = try engine.session()
        try bench.proxy.rule(["method": "PATCH", "stall": true])
        try engine.put("f", patterned(1000, seed: 1), in: session)
        let id = try engine.tree.lookup(try Name("f"), in: session).id
        let deadline = ContinuousDeadline.after(.seconds(20))
        var shown: String?
        while shown == nil, !deadline.hasPassed { shown = try? engine.tree.attribute("expires", of: id) }
        #expect(shown?.hasSuffix("Z") ?? false)
        try bench.proxy.clearRules()
        try bench.proxy.cutAll()
        try engine.settle()
        #expect(throws: RemoteError.noAttribute) { try engine.tree.attribute("expires", of: id) }
    }

    // MARK: - SeaweedFS

    @Test(.timeLimit(.minutes(1))) func `SeaweedFS is found out before a byte is sent, and files go under their paths`()
        throws
    {
        let bench = try NetworkBench(.weedtus)
        let run = try bench.run()
        let files = (0..<6).map { (name: "f\($0) é", bytes: patterned(100 + $0, seed: UInt64($0) + 1)) }
        let stored = try run.send(files)
        try expectExactly(files, at: run, "paths")
        #expect(stored.allSatisfy { $0.remoteID.hasPrefix("/.tus/.uploads/") })
        // One to find out, one that is needed for the first file, one for each further one.
        let posts = try bench.proxy.finishedLog().filter { $0.method == "POST" }
        #expect(posts.count == files.count + 1)
        #expect(posts[0].target == "/.tus/\(run.prefix.dropLast())")
        #expect(posts[1].target == "/.tus/\(run.prefix)Morning/f0%20%C3%A9")
        #expect(run.backend.facts.maximumFileSize == ByteCount(5 << 30))
    }

    @Test(.timeLimit(.minutes(1))) func `SeaweedFS removes nothing that is whole, and nobody says it did`() throws {
        let bench = try NetworkBench(.weedtus)
        let run = try bench.run(allowsDelete: true)
        let stored = try #require(try run.send([("f", [1, 2, 3])]).first)
        #expect(throws: RemoteError.notSupported) { try run.backend.delete(stored) }
        #expect(try bench.held(run).count == 1)
    }

    @Test(.timeLimit(.minutes(1))) func `a file that changed at SeaweedFS is not mixed with what it was`() throws {
        let bench = try NetworkBench(.weedtus)
        let run = try bench.run()
        let first = try #require(try run.send([("f", patterned(5000, seed: 1))]).first)
        let content = try run.backend.open(first)
        #expect(try content.bytes(0..<10) == Array(patterned(5000, seed: 1)[..<10]))
        // The same size within one second could not be told: SeaweedFS has no entity tag for what came by tus.
        try run.send([("f", patterned(5001, seed: 2))])
        #expect(throws: RemoteError.changed) { try content.bytes(10..<20) }
    }
}
