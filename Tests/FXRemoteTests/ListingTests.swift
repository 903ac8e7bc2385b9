import FXSystem
import SystemPackage
import Testing

@testable import FXRemote

/// Sentences L1 and on of docs/SEMANTICS.md, on a service that lists what it holds.
@Suite struct ListingTests {
    /// A service with directories above its sessions and entries of others.
    struct Setting {
        let bench: Workbench
        let held: InMemoryService
        let faulty: FaultyService
        let service: TransferService
        let tree: RemoteTree

        init(
            depth: Int = 0, ttl: Duration = .zero, at bench: Workbench? = nil, on held: InMemoryService? = nil,
            operationTimeout: Duration = .seconds(15), adjust: @escaping (inout BackendFacts) -> Void = { _ in }
        ) throws {
            self.bench = try bench ?? Workbench()
            self.held =
                held
                ?? InMemoryService { facts in
                    facts.listsEntries = true
                    facts.sessionDepth = depth
                    adjust(&facts)
                }
            let faulty = FaultyService(self.held)
            self.faulty = faulty
            service = try self.bench.service(
                faulty, operationTimeout: operationTimeout, listingTTL: ttl,
                stopTransport: { faulty.stopTransport() })
            try service.start()
            tree = service.trees[0]
        }

        func names(_ id: EntryID = .root) throws -> [String] {
            try tree.entries(in: id).map(\.name.description).sorted()
        }
        func id(_ path: String) throws -> EntryID { try tree.entry(at: RelativePath(path)).id }
    }

    @Test func `what others put into a service is shown, with its size, time and content`() throws {
        let setting = try Setting()
        defer { setting.service.stop() }
        let session = setting.held.place(Array("s".utf8), .session(.open))
        let time = Timestamp(seconds: 1_000_000, nanoseconds: 5)
        setting.held.place(Array("f".utf8), .file([1, 2, 3]), in: session, id: "f1", modified: time)
        #expect(try setting.tree.entry(at: RelativePath("s")).kind == .session(.open))
        let file = try setting.tree.entry(at: RelativePath("s/f"))
        #expect(file.size == ByteCount(3) && file.modified == time && file.fileState == .committed)
        #expect(try setting.tree.get(file.id) == [1, 2, 3])
        #expect(try setting.tree.attribute("remote_id", of: file.id) == "f1")
        #expect(throws: RemoteError.noAttribute) { try setting.tree.attribute("sha256", of: file.id) }
    }

    @Test func `entries come and go as the service says, and keep their identity`() throws {
        let setting = try Setting()
        defer { setting.service.stop() }
        let session = setting.held.place(Array("s".utf8), .session(.open))
        setting.held.place(Array("a".utf8), .file([1]), in: session, id: "a")
        let (s, a) = (try setting.id("s"), try setting.id("s/a"))
        setting.held.place(Array("b".utf8), .file([2]), in: session, id: "b")
        #expect(try setting.names(s) == ["a", "b"])
        #expect(try setting.id("s/a") == a)
        setting.held.overwrite("a", [7, 7])
        _ = try setting.names(s)
        #expect(try setting.tree.entry(a).size == ByteCount(2))
        setting.held.withdraw("a")
        #expect(try setting.names(s) == ["b"])
        #expect(throws: RemoteError.noSuchEntry) { try setting.tree.lookup(Name("a"), in: s) }
    }

    @Test func `a listing is believed as long as it is fresh`() throws {
        let setting = try Setting(ttl: .seconds(600))
        defer { setting.service.stop() }
        let session = setting.held.place(Array("s".utf8), .session(.open))
        let s = try setting.id("s")
        #expect(try setting.names(s).isEmpty)
        setting.held.place(Array("late".utf8), .file([1]), in: session)
        #expect(try setting.names(s).isEmpty)
        #expect(throws: RemoteError.noSuchEntry) { try setting.tree.lookup(Name("late"), in: s) }
        #expect(setting.faulty.count(of: .list) == 2)
    }

    @Test func `what is written here keeps its time, and a second look changes nothing`() throws {
        let setting = try Setting()
        defer { setting.service.stop() }
        let s = try setting.tree.session("s")
        let id = try setting.tree.put("f", [1, 2], in: s)
        let time = Timestamp(seconds: 77)
        try setting.tree.setModified(id, .set(time))
        for _ in 0..<3 { #expect(try setting.names(s) == ["f"]) }
        #expect(try setting.tree.lookup(Name("f"), in: s).id == id)
        #expect(try setting.tree.entry(id).modified == time)
        #expect(try setting.tree.attribute("sha256", of: id) == SHA256Digest(hashing: [1, 2]).text)
    }

    @Test func `the time given here survives a new start, and others' writing ends it`() throws {
        let bench = try Workbench()
        let first = try Setting(at: bench)
        let s = try first.tree.session("s")
        let id = try first.tree.put("f", [1, 2], in: s)
        let time = Timestamp(seconds: 77)
        try first.tree.setModified(id, .set(time))
        first.service.stop()
        let second = try Setting(at: bench, on: first.held)
        defer { second.service.stop() }
        #expect(try second.tree.entry(at: RelativePath("s/f")).modified == time)
        let held = try #require(second.held.id(of: RelativePath("s/f")))
        second.held.overwrite(held, [9, 9, 9], modified: Timestamp(seconds: 500))
        _ = try second.names(try second.id("s"))
        let other = try second.tree.entry(at: RelativePath("s/f"))
        #expect(other.modified == Timestamp(seconds: 500) && other.size == ByteCount(3))
        #expect(throws: RemoteError.noAttribute) { try second.tree.attribute("sha256", of: other.id) }
    }

    @Test func `drafts and files under way stay whatever is listed`() throws {
        let setting = try Setting()
        defer { setting.service.stop() }
        let s = try setting.tree.session("s")
        let (entry, draft) = try setting.tree.create(Name("d"), in: s, mode: 0o644, exclusive: true, caller: me)
        try draft.put([1], at: 0)
        setting.faulty.inject(.hang, at: .commit, number: 1)
        let (sent, sending) = try setting.tree.create(Name("u"), in: s, mode: 0o644, exclusive: true, caller: me)
        try sending.put([2], at: 0)
        let closed = Monitor(false)
        _ = sending.flush(caller: me) { _ in closed.withLock { $0 = true } }
        #expect(eventually { setting.faulty.held == 1 })
        // Somebody else's, under the names of both.
        let directory = try #require(setting.held.id(of: RelativePath("s")))
        setting.held.place(Array("d".utf8), .file([8, 8]), in: directory, id: "d8")
        setting.held.place(Array("u".utf8), .file([9, 9]), in: directory, id: "u9")
        #expect(try setting.names(s) == ["d", "u"])
        #expect(try setting.tree.entry(entry.id).fileState == .draft)
        #expect(try setting.tree.entry(sent.id).fileState == .uploading)
        setting.faulty.thaw()
        #expect(closed.wait(until: .after(.seconds(10))) { $0 ? true : nil } == true)
        try draft.close()
        #expect(try setting.names(s) == ["d", "u"])
        #expect(setting.held.bytes(at: try RelativePath("s/d")) == [1])
        #expect(setting.held.replaced.contains([8, 8]))
        draft.release()
        sending.release()
    }

    @Test func `a session that vanished takes what is below with it, but for local work`() throws {
        let setting = try Setting()
        defer { setting.service.stop() }
        let s = try setting.tree.session("s")
        let t = try setting.tree.session("t")
        try setting.tree.put("f", [1], in: s)
        let (_, draft) = try setting.tree.create(Name("d"), in: t, mode: 0o644, exclusive: true, caller: me)
        for name in ["s", "t"] { setting.held.withdraw(try #require(setting.held.id(of: try RelativePath(name)))) }
        #expect(try setting.names() == ["t"])
        draft.release()
    }

    @Test func `sessions have the state of the service, unless they are further here`() throws {
        let setting = try Setting()
        defer { setting.service.stop() }
        let foreign = setting.held.place(Array("x".utf8), .session(.open))
        let x = try setting.id("x")
        setting.held.setState(.complete, of: foreign)
        _ = try setting.names()
        #expect(try setting.tree.entry(x).kind == .session(.complete))
        #expect(throws: RemoteError.sessionClosed(.complete)) { try setting.tree.put("f", [1], in: x) }
        let s = try setting.tree.session("s")
        try setting.tree.complete(s)
        setting.held.setState(.open, of: try #require(setting.held.id(of: try RelativePath("s"))))
        _ = try setting.names()
        #expect(try setting.tree.entry(s).kind == .session(.complete))
    }

    @Test func `evil and equal names are listed safely and can be reached`() throws {
        let setting = try Setting()
        defer { setting.service.stop() }
        let session = setting.held.place(Array("s".utf8), .session(.open))
        let raw: [[UInt8]] = [
            [], [0x2e], [0x2e, 0x2e], Array("a/b".utf8), [0x61, 0, 0x62], Array("n\nl".utf8), [0xff, 0xfe],
            Array(repeating: 0x78, count: 300), Array("\u{202e}gpj".utf8), Array("f".utf8), Array("f".utf8),
        ]
        for (index, name) in raw.enumerated() {
            setting.held.place(name, .file([UInt8(index)]), in: session, id: "i\(index)")
        }
        let s = try setting.id("s")
        let entries = try setting.tree.entries(in: s)
        #expect(entries.count == raw.count && Set(entries.map(\.name)).count == raw.count)
        for entry in entries {
            let found = try setting.tree.lookup(entry.name, in: s)
            #expect(found.id == entry.id)
            let remote = try setting.tree.attribute("remote_id", of: entry.id)
            #expect(try setting.tree.get(entry.id) == [UInt8(remote.dropFirst()) ?? 255])
        }
        #expect(try setting.tree.entries(in: s).map(\.name) == entries.map(\.name))
    }

    @Test func `a file that was found is rewritten, and the old one replaced`() throws {
        let bench = try Workbench()
        let setting = try Setting(depth: 1, at: bench)
        let project = setting.held.place(Array("p/q".utf8), .directory)
        let session = setting.held.place(Array("s".utf8), .session(.open), in: project)
        setting.held.place(Array("f".utf8), .file([1, 2, 3]), in: session, id: "old")
        let file = try setting.tree.open(try setting.id("p%2Fq/s/f"), flags: .writeOnly, caller: me)
        try file.put([9], at: 1)
        try file.close()
        file.release()
        #expect(setting.held.replaced == [[1, 2, 3]])
        setting.service.stop()
        // The directories above are in the journal now, with their ids.
        let again = try Setting(depth: 1, ttl: .seconds(600), at: bench, on: setting.held)
        defer { again.service.stop() }
        again.faulty.freeze()
        let known = again.tree.state.withLock { state in state.index.all.map { state.index.path(of: $0.id).description }
        }
        #expect(known.contains("p%2Fq/s/f"))
    }

    @Test func `names that were made here stay when the service has others of the same name`() throws {
        let bench = try Workbench()
        let first = try Setting(at: bench)
        let s = try first.tree.session("s")
        let id = try first.tree.put("f", [1], in: s)
        let directory = try #require(first.held.id(of: try RelativePath("s")))
        first.held.place(
            Array("f".utf8), .file([2, 2]), in: directory, id: "77", modified: Timestamp(seconds: 1 << 40))
        #expect(try first.names(s) == ["f", "f~77"])
        #expect(try first.tree.lookup(Name("f"), in: s).id == id)
        first.service.stop()
        let second = try Setting(at: bench, on: first.held)
        defer { second.service.stop() }
        #expect(try second.names(try second.id("s")) == ["f", "f~77"])
        #expect(try second.tree.get(try second.id("s/f")) == [1])
    }

    @Test func `a file is removed where the owner lets the service delete, and nowhere else`() throws {
        for deletes in [false, true] {
            let setting = try Setting { $0.deletesCommitted = deletes }
            defer { setting.service.stop() }
            let s = try setting.tree.session("s")
            try setting.tree.put("f", [1], in: s)
            if !deletes {
                #expect(throws: RemoteError.protected) { try setting.tree.remove(Name("f"), in: s, caller: me) }
                continue
            }
            setting.faulty.inject(.refuse(.unreachable), at: .delete, number: 1)
            #expect(throws: RemoteError.unreachable) { try setting.tree.remove(Name("f"), in: s, caller: me) }
            #expect(try setting.names(s) == ["f"])
            try setting.tree.remove(Name("f"), in: s, caller: me)
            #expect(try setting.names(s).isEmpty && setting.held.paths.isEmpty)
            try setting.tree.put("f", [2], in: s)
            #expect(setting.held.bytes(at: try RelativePath("s/f")) == [2])
        }
    }

    @Test func `moving a file while its directory is listed leaves one of it`() throws {
        let held = InMemoryService { $0.listsEntries = true }
        let bench = try Workbench()
        let listing = Monitor(false)
        let moved = Monitor(false)
        let isArmed = Monitor(false)
        let faulty = FaultyService(held) { call, moment in
            // The service has answered with the old names; the answer is on its way.
            guard call == .list, moment == .after,
                isArmed.withLock({ armed in
                    defer { armed = false }; return armed
                })
            else { return }
            listing.withLock { $0 = true }
            _ = moved.wait(until: .after(.seconds(10))) { $0 ? true : nil }
        }
        let service = try bench.service(faulty, listingTTL: .seconds(600))
        try service.start()
        defer { service.stop() }
        let tree = service.trees[0]
        let s = try tree.session("s")
        try tree.put("a", [1], in: s)
        isArmed.withLock { $0 = true }
        let lister = try ServiceThread(name: "lister") { tree.refreshInBackground(s) }
        #expect(listing.wait(until: .after(.seconds(10))) { $0 ? true : nil } == true)
        try tree.rename(Name("a"), in: s, to: Name("b"), in: s, .replace, caller: me)
        try tree.put("c", [2], in: s)
        moved.withLock { $0 = true }
        lister.join()
        #expect(try tree.entries(in: s).map(\.name.description).sorted() == ["b", "c"])
    }

    @Test func `a directory of many entries is merged in time that grows with their number`() throws {
        let setting = try Setting(ttl: .seconds(600))
        defer { setting.service.stop() }
        let session = setting.held.place(Array("s".utf8), .session(.open))
        for number in 0..<20_000 { setting.held.place(Array("file-\(number)".utf8), .file([]), in: session) }
        let s = try setting.id("s")
        let start = ContinuousDeadline.now()
        #expect(try setting.tree.entryIDs(in: s).count == 20_000)
        setting.tree.refreshInBackground(s)
        for number in 0..<2_000 { _ = try setting.tree.lookup(Name("file-\(number * 10)"), in: s) }
        // Squares of it would take minutes.
        #expect(start.elapsed < .seconds(30))
        print("20,000 entries merged twice in \(start.elapsed)")
    }
}
