import FXSystem
import Testing

@testable import FXRemote

/// What was sent is remembered when the service has something else: S57 of docs/SEMANTICS.md.
@Suite struct SentTests {
    private typealias Setting = ListingTests.Setting

    private func problems(_ setting: Setting, reading: Bool = false) throws -> [String: String] {
        let session = try setting.id("s")
        let verify = { done in
            setting.tree.setAttribute("state", to: reading ? "verify-content" : "verify", of: session, completion: done)
        }
        var found: [String: String] = [:]
        do { try waiting(verify) } catch {
            #expect(error as? RemoteError == .verificationMismatch)
            let text = try #require(setting.tree.verification(of: session))
            for problem in try #require(JSONValue(parsing: text)?["problems"]?.elements) {
                found[problem["path"]?.string ?? ""] = problem["problem"]?.string
            }
            #expect(!found.isEmpty)
        }
        return found
    }

    /// SHA-256 and what became of it, by path.
    private func receipt(_ setting: Setting) throws -> [String: String] {
        let text = try #require(setting.tree.receipt(of: try setting.id("s")))
        var lines: [String: String] = [:]
        for line in try #require(JSONValue(parsing: text)?["files"]?.elements) {
            lines[line["path"]?.string ?? ""] = (line["sha256"]?.string ?? "-") + (line["now"]?.string ?? "")
        }
        return lines
    }

    private func digest(_ seed: UInt64) -> String { SHA256Digest(hashing: pattern(500, seed: seed)).text }

    /// Three files of ours and one of somebody else; one of ours is removed, one changed, and both are listed so.
    private func harmed(_ setting: Setting) throws {
        let session = try setting.tree.session("s")
        for (name, seed) in [("gone", UInt64(1)), ("other", 2), ("whole", 3)] {
            try setting.tree.put(name, pattern(500, seed: seed), in: session)
        }
        let id = try #require(setting.held.id(of: RelativePath("s")))
        setting.held.place(Array("theirs".utf8), .file([9]), in: id, id: "theirs")
        #expect(try setting.names(session) == ["gone", "other", "theirs", "whole"])
        #expect(try problems(setting).isEmpty)
        setting.held.withdraw(try #require(setting.held.id(of: RelativePath("s/gone"))))
        setting.held.withdraw("theirs")
        setting.held.overwrite(try #require(setting.held.id(of: RelativePath("s/other"))), [1, 2])
        #expect(try setting.names(session) == ["other", "whole"])
        #expect(try setting.tree.entry(at: RelativePath("s/other")).size == ByteCount(2))
    }

    @Test(arguments: [false, true]) func `a listing does not make a loss forgotten, nor does a restart`(
        restart: Bool
    ) throws {
        var setting = try Setting()
        try harmed(setting)
        if restart {
            setting.service.stop()
            setting = try Setting(at: setting.bench, on: setting.held)
        }
        defer { setting.service.stop() }
        #expect(try problems(setting) == ["gone": "missing", "other": "size"])
        #expect(try problems(setting, reading: true).keys.sorted() == ["gone", "other"])
        #expect(
            try receipt(setting) == [
                "gone": digest(1) + "missing", "other": digest(2) + "changed", "whole": digest(3),
            ])
        // It changes once more: what was sent stays what was sent.
        setting.held.overwrite(try #require(setting.held.id(of: RelativePath("s/other"))), [1, 2, 3])
        _ = try setting.names(try setting.id("s"))
        #expect(try problems(setting) == ["gone": "missing", "other": "size"])
    }

    @Test(arguments: [false, true]) func `a newer content of ours ends it`(restart: Bool) throws {
        var setting = try Setting()
        try harmed(setting)
        let session = try setting.id("s")
        try setting.tree.put("gone", pattern(500, seed: 4), in: session)
        let (_, file) = try setting.tree.create(Name("other"), in: session, mode: 0o644, exclusive: false, caller: me)
        try file.truncate(to: .zero)
        try file.put(pattern(500, seed: 5), at: 0)
        try file.close()
        file.release()
        if restart {
            setting.service.stop()
            setting = try Setting(at: setting.bench, on: setting.held)
        }
        defer { setting.service.stop() }
        #expect(try problems(setting).isEmpty)
        #expect(try receipt(setting) == ["gone": digest(4), "other": digest(5), "whole": digest(3)])
    }

    @Test func `removing the file here ends it`() throws {
        let setting = try Setting { $0.deletesCommitted = true }
        defer { setting.service.stop() }
        try harmed(setting)
        try setting.tree.remove(Name("other"), in: try setting.id("s"), caller: me)
        #expect(try problems(setting) == ["gone": "missing"])
        #expect(try receipt(setting) == ["gone": digest(1) + "missing", "whole": digest(3)])
    }

    @Test func `what comes back as it was is as it was sent`() throws {
        let setting = try Setting()
        defer { setting.service.stop() }
        try harmed(setting)
        let id = try #require(setting.held.id(of: RelativePath("s")))
        setting.held.place(Array("gone".utf8), .file(pattern(500, seed: 1)), in: id, id: "again")
        #expect(try setting.names(try setting.id("s")) == ["gone", "other", "whole"])
        // What is in it nobody knows without reading it.
        #expect(try receipt(setting)["gone"] == digest(1) + "changed")
        #expect(try problems(setting).keys.sorted() == ["gone", "other"])
        #expect(try problems(setting, reading: true).keys.sorted() == ["other"])
    }

    @Test func `a file that one listing has left out is no loss when the next one has it`() throws {
        let setting = try Setting()
        defer { setting.service.stop() }
        let session = try setting.tree.session("s")
        try setting.tree.put("f", pattern(500, seed: 1), in: session)
        let (place, id) = try (setting.held.id(of: RelativePath("s")), setting.held.id(of: RelativePath("s/f")))
        setting.held.withdraw(try #require(id))
        #expect(try setting.names(session).isEmpty)
        #expect(try receipt(setting) == ["f": digest(1) + "missing"])
        setting.held.place(Array("f".utf8), .file(pattern(500, seed: 1)), in: try #require(place), id: id)
        #expect(try setting.names(session) == ["f"])
        #expect(try receipt(setting) == ["f": digest(1)])
        #expect(try problems(setting).isEmpty)
    }

    @Test(arguments: [false, true]) func `a crash while a file is removed here makes it no loss`(isRefused: Bool) throws
    {
        let (bench, crash) = (try Workbench(), try Workbench())
        let held = InMemoryService { facts in
            facts.listsEntries = true
            facts.deletesCommitted = true
        }
        let faulty = FaultyService(
            held,
            observe: { call, moment in if call == .delete, moment == .after { bench.snapshot(to: crash.path) } })
        if isRefused { faulty.inject(.refuse(.forbidden), at: .delete, number: 1) }
        let service = try bench.service(faulty, listingTTL: .zero)
        try service.start()
        let session = try service.trees[0].session("s")
        try service.trees[0].put("f", pattern(500, seed: 1), in: session)
        try? service.trees[0].remove(Name("f"), in: session, caller: me)
        service.stop()
        let setting = try Setting(at: isRefused ? bench : crash, on: held)
        defer { setting.service.stop() }
        #expect(try setting.names(try setting.id("s")) == (isRefused ? ["f"] : []))
        #expect(try problems(setting).isEmpty)
        #expect(try receipt(setting) == (isRefused ? ["f": digest(1)] : [:]))
    }

    @Test func `a directory that is gone with its files is told of file by file`() throws {
        let setting = try Setting()
        defer { setting.service.stop() }
        let session = try setting.tree.session("s")
        let inner = try setting.tree.makeDirectory(Name("d"), in: session, mode: 0o755, caller: me).id
        try setting.tree.put("f", pattern(500), in: inner)
        setting.held.withdraw(try #require(setting.held.id(of: RelativePath("s/d"))))
        #expect(try setting.names(session).isEmpty)
        #expect(try problems(setting) == ["d/f": "missing"])
    }

    @Test func `a service that gives nothing back is not asked`() throws {
        let setting = try Setting { $0.readsBack = false }
        defer { setting.service.stop() }
        let session = try setting.tree.session("s")
        #expect(throws: RemoteError.notSupported) {
            try waiting { setting.tree.setAttribute("state", to: "verify", of: session, completion: $0) }
        }
    }
}
