import FXSystem
import Synchronization
import Testing

@testable import FXRemote

/// The life of a session: docs/SEMANTICS.md, G1 to G4.
@Suite struct SessionLifeTests {
    private let bench: Workbench

    init() throws { bench = try Workbench() }

    private func state(_ tree: RemoteTree, _ id: EntryID) -> SessionState? { (try? tree.entry(id))?.sessionState }

    @Test func `a completion goes on while the service says not now`() throws {
        let faulty = FaultyService(try LocalStore(path: bench.path + "/store"))
        for number in 1...3 { faulty.inject(.refuse(.unavailable(retryAfter: nil)), at: .complete, number: number) }
        faulty.inject(.loseAnswer(.unreachable), at: .complete, number: 4)
        let service = try bench.service(faulty)
        defer { service.stop() }
        try service.start()
        let tree = service.trees[0]
        let session = try tree.session("s")
        try tree.put("f", [1], in: session)
        try tree.complete(session)
        #expect(state(tree, session) == .complete)
        #expect(throws: RemoteError.noAttribute) { try tree.attribute("error", of: session) }
    }

    @Test func `what keeps a completion is told while it is kept`() throws {
        let slow = RetryPolicy(initial: .seconds(600), maximum: .seconds(600))
        let faulty = FaultyService(try LocalStore(path: bench.path + "/store"))
        faulty.inject(.refuse(.unreachable), at: .complete, number: 1)
        let service = try bench.service(faulty, retry: slow)
        defer { service.stop() }
        try service.start()
        let tree = service.trees[0]
        let session = try tree.session("s")
        let outcome = Monitor<Result<Void, RemoteError>?>(nil)
        _ = tree.setAttribute("state", to: "complete", of: session) { result in outcome.withLock { $0 = result } }
        #expect(eventually { (try? tree.attribute("error", of: session)) == RemoteError.unreachable.message })
        #expect(state(tree, session) == .completing)
        #expect(throws: RemoteError.sessionClosed(.completing)) { try tree.put("g", [1], in: session) }
        // Somebody knows that the service is back, and says so until it is heard.
        #expect(
            eventually {
                try? waiting { tree.setAttribute("state", to: "retry", of: session, completion: $0) }
                return state(tree, session) == .complete
            })
        #expect(outcome.wait(until: .after(.seconds(20))) { $0 } != nil)
    }

    @Test func `a completion the service refuses for good leaves the session open, with the sentence`() throws {
        let faulty = FaultyService(try LocalStore(path: bench.path + "/store"))
        faulty.inject(.refuse(.forbidden), at: .complete, number: 1)
        let service = try bench.service(faulty)
        defer { service.stop() }
        try service.start()
        let tree = service.trees[0]
        let session = try tree.session("s")
        #expect(throws: RemoteError.forbidden) { try tree.complete(session) }
        #expect(state(tree, session) == .open)
        #expect(try tree.attribute("error", of: session) == RemoteError.forbidden.message)
        try tree.complete(session)
    }

    @Test(arguments: [false, true])
    func `a completion that was cut is gone on with, by a crash or in an orderly way`(isOrderly: Bool) throws {
        let faulty = FaultyService(try LocalStore(path: bench.path + "/store"))
        let service = try bench.service(faulty, stopTransport: { faulty.stopTransport() })
        try service.start()
        let tree = service.trees[0]
        let session = try tree.session("s")
        try tree.put("f", [1, 2], in: session)
        faulty.freeze([.complete])
        _ = tree.setAttribute("state", to: "complete", of: session) { _ in }
        #expect(eventually { faulty.held == 1 })
        let later = try Workbench()
        if isOrderly { service.stop() }
        bench.snapshot(to: later.path)
        if !isOrderly { service.stop() }
        // The service is not there at once.
        let again = FaultyService(try LocalStore(path: later.path + "/store"))
        for number in 1...2 { again.inject(.refuse(.unreachable), at: .complete, number: number) }
        let next = try later.service(again)
        defer { next.stop() }
        #expect(state(next.trees[0], session) == .completing)
        try next.start()
        #expect(eventually { state(next.trees[0], session) == .complete })
        #expect(later.stored["s/f"] == [1, 2])
        #expect(later.stored["s/.fxmount-manifest.json"] != nil)
        // A third mount finds it done.
        next.stop()
        let third = try later.service()
        defer { third.stop() }
        #expect(state(third.trees[0], session) == .complete)
    }

    @Test func `a session expires when the first of its files does`() throws {
        let end = Timestamp(seconds: 4_000_000_000)
        let service = try bench.service(InMemoryService(expires: end))
        defer { service.stop() }
        try service.start()
        let tree = service.trees[0]
        let session = try tree.session("s")
        #expect(throws: RemoteError.noAttribute) { try tree.attribute("expires", of: session) }
        try tree.put("f", [1], in: session)
        #expect(try tree.attribute("expires", of: session) == end.rfc3339)
    }

    // MARK: - Orphans

    @Test func `unfinished uploads that no file belongs to are named, those of files are not`() throws {
        let memory = InMemoryService()
        let path = try RelativePath("s/old")
        _ = try memory.makeDirectory(try RelativePath("s"), in: .root)
        let left = Upload(
            id: UploadID("left-behind"), path: path, size: ByteCount(3), sha256: SHA256Digest(hashing: [1, 2, 3]),
            modified: Timestamp(seconds: 0))
        _ = try memory.begin(left)
        let service = try bench.service(memory)
        defer { service.stop() }
        try service.start()
        let tree = service.trees[0]
        #expect(tree.orphans().isEmpty)
        try waiting { tree.setAttribute("state", to: "orphans", of: .root, completion: $0) }
        #expect(tree.orphans().map(\.id) == ["left-behind"])
        #expect(tree.orphans().map(\.kind) == [.upload])
        #expect(service.orphansJSONLines.hasPrefix(#"{"kind":"upload","path":"local","id":"left-behind","reason":"#))
        try memory.discard(left)
        try waiting { tree.setAttribute("state", to: "orphans", of: .root, completion: $0) }
        #expect(tree.orphans().isEmpty)
        let session = try tree.session("s")
        #expect(throws: RemoteError.invalidArgument) {
            try waiting { tree.setAttribute("state", to: "orphans", of: session, completion: $0) }
        }
    }

    @Test func `what a service has not been let forget yet is named until it has`() throws {
        let faulty = FaultyService(
            InMemoryService(chunk: ByteCount(10), parallelChunks: 2, whileWriting: true))
        faulty.freeze([.discard])
        let service = try bench.service(faulty, stopTransport: { faulty.stopTransport() })
        defer { service.stop() }
        try service.start()
        let tree = service.trees[0]
        let session = try tree.session("s")
        let (_, file) = try tree.create(try Name("f"), in: session, mode: 0o644, exclusive: true, caller: me)
        try file.put([UInt8](repeating: 1, count: 35), at: 0)
        #expect(eventually { faulty.count(of: .send) > 0 })
        try tree.remove(try Name("f"), in: session, caller: me)
        file.release()
        #expect(eventually { tree.orphans().map(\.path.description) == ["local/s/f"] })
        faulty.thaw()
        #expect(eventually { tree.orphans().isEmpty })
    }

    @Test func `a session with work in it that the service has no more is named`() {
        let entries = ListingMerge(
            known: [
                ListingMerge.Known(
                    id: EntryID(2), name: Name(constant: "gone"), isFile: false, remoteID: "session/1", isPinned: true),
                ListingMerge.Known(
                    id: EntryID(3), name: Name(constant: "new"), isFile: false, remoteID: nil, isPinned: true),
                ListingMerge.Known(
                    id: EntryID(4), name: Name(constant: "here"), isFile: false, remoteID: "session/2", isPinned: true),
                ListingMerge.Known(id: EntryID(5), name: Name(constant: "idle"), isFile: false, remoteID: "session/3"),
            ],
            listed: [ListedEntry(name: Array("here".utf8), kind: .session(.open), remoteID: "session/2")])
        #expect(entries.absent == [EntryID(2)])
        #expect(entries.vanished == [EntryID(5)])
    }
}
