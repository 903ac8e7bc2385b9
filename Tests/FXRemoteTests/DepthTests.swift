import FXSystem
import SystemPackage
import Testing

@testable import FXRemote

/// Sessions below directories of the service: projects, participants.
@Suite struct DepthTests {
    private func setting(
        _ bench: Workbench, on held: InMemoryService? = nil, adjust: @escaping (inout BackendFacts) -> Void = { _ in }
    ) throws -> ListingTests.Setting {
        try ListingTests.Setting(depth: 2, ttl: .seconds(600), at: bench, on: held, adjust: adjust)
    }

    private func seed(_ held: InMemoryService) -> String {
        held.place(Array("p".utf8), .directory, in: held.place(Array("study".utf8), .directory))
    }

    @Test func `sessions are opened at their depth, and nothing is made above`() throws {
        let setting = try setting(try Workbench())
        defer { setting.service.stop() }
        _ = seed(setting.held)
        let tree = setting.tree
        let (study, p) = (try setting.id("study"), try setting.id("study/p"))
        #expect(try tree.entry(study).kind == .directory)
        for place in [EntryID.root, study] {
            #expect(throws: RemoteError.madeByService) {
                try tree.makeDirectory(Name("new"), in: place, mode: 0o755, caller: me)
            }
            #expect(try tree.attribute("error", of: place) == RemoteError.madeByService.message)
        }
        for place in [EntryID.root, study, p] {
            #expect(throws: RemoteError.needsSession) { try tree.put("f", [1], in: place) }
        }
        let session = try tree.makeDirectory(Name("s"), in: p, mode: 0o755, caller: me)
        #expect(session.kind == .session(.open))
        let directory = try tree.makeDirectory(Name("d"), in: session.id, mode: 0o755, caller: me)
        #expect(directory.kind == .directory)
        try tree.put("f", [1, 2], in: directory.id)
        #expect(setting.held.bytes(at: try RelativePath("study/p/s/d/f")) == [1, 2])
        #expect(try tree.attribute("files", of: study) == "committed=1")
        #expect(throws: RemoteError.notSupported) {
            try tree.rename(Name("s"), in: p, to: Name("t"), in: p, .replace, caller: me)
        }
    }

    @Test func `a flat service refuses directories in sessions with a sentence`() throws {
        let setting = try setting(try Workbench()) { $0.makesDirectories = false }
        defer { setting.service.stop() }
        _ = seed(setting.held)
        let session = try setting.tree.makeDirectory(
            Name("s"), in: try setting.id("study/p"), mode: 0o755, caller: me)
        #expect(throws: RemoteError.needsFlatNames) {
            try setting.tree.makeDirectory(Name("d"), in: session.id, mode: 0o755, caller: me)
        }
        #expect(try setting.tree.attribute("error", of: session.id) == RemoteError.needsFlatNames.message)
        #expect(RemoteError.needsFlatNames.errno == .notPermitted)
    }

    @Test func `completing names files from the session down`() throws {
        let setting = try setting(try Workbench())
        defer { setting.service.stop() }
        _ = seed(setting.held)
        let session = try setting.tree.makeDirectory(
            Name("s"), in: try setting.id("study/p"), mode: 0o755, caller: me)
        try setting.tree.put("f", [1], in: session.id)
        let manifest = try #require(
            setting.tree.state.withLock { state in state.index[session.id].map { state.manifest(of: $0) } })
        #expect(try manifest.files.map(\.path) == [RelativePath("f")])
        #expect(try manifest.directory.path == RelativePath("study/p/s"))
        try setting.tree.complete(session.id)
        #expect(try setting.tree.entry(session.id).kind == .session(.complete))
        #expect(throws: RemoteError.sessionClosed(.complete)) { try setting.tree.put("g", [1], in: session.id) }
    }

    @Test func `what was sealed arrives after a new start, and what was not is recovered under its whole path`() throws
    {
        let bench = try Workbench()
        let first = try setting(bench)
        _ = seed(first.held)
        let session = try first.tree.makeDirectory(Name("s"), in: try first.id("study/p"), mode: 0o755, caller: me)
        first.faulty.freeze([.begin, .send, .commit, .standing])
        let (_, sealed) = try first.tree.create(Name("f"), in: session.id, mode: 0o644, exclusive: true, caller: me)
        try sealed.put(pattern(1000), at: 0)
        _ = sealed.flush(caller: me) { _ in }
        #expect(eventually { first.faulty.held > 0 })
        let (_, open) = try first.tree.create(Name("open"), in: session.id, mode: 0o644, exclusive: true, caller: me)
        try open.put([9], at: 0)
        first.service.stop()
        let second = try setting(bench, on: first.held)
        defer { second.service.stop() }
        try waiting { second.tree.waitUntilCommitted(below: .root, $0) }
        #expect(second.held.bytes(at: try RelativePath("study/p/s/f")) == pattern(1000))
        #expect(bench.files(below: "recovered")["local/study/p/s/open"] == [9])
        #expect(try second.names(try second.id("study/p/s")) == ["f"])
        open.release()
        sealed.release()
    }
}
