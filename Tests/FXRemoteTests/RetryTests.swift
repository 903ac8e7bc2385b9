import FXSystem
import Synchronization
import SystemPackage
import Testing

@testable import FXRemote

/// Files a remote refused: what is told of them, and how they are sent again.
@Suite struct RetryTests {
    private func failing(_ bench: Workbench, times: Int = 1) throws -> (TransferService, RemoteTree) {
        let store = FaultyService(try LocalStore(path: bench.path + "/store"))
        for number in 1...times { store.inject(.refuse(.forbidden), at: .adopt, number: number) }
        let service = try bench.service(store)
        try service.start()
        return (service, service.trees[0])
    }

    @Test(arguments: ["session", "directory", "file", "remote", "all"])
    func `retry sends what failed below again`(place: String) throws {
        let bench = try Workbench()
        let (service, tree) = try failing(bench)
        defer { service.stop() }
        let session = try tree.session("s")
        let directory = try tree.makeDirectory(Name("d"), in: session, mode: 0o755, caller: me).id
        #expect(throws: RemoteError.forbidden) { try tree.put("f", [1, 2], in: directory) }
        let file = try tree.lookup(Name("f"), in: directory).id
        #expect(try tree.attribute("state", of: file) == "failed")
        #expect(try tree.attribute("error", of: file) == RemoteError.forbidden.message)
        let target: EntryID? = ["session": session, "directory": directory, "file": file, "remote": .root][place]
        if let target {
            try waiting { tree.setAttribute("state", to: "retry", of: target, completion: $0) }
        } else {
            #expect(service.retry() == 1)
        }
        try waiting { tree.waitUntilCommitted(below: session, $0) }
        #expect(bench.stored == ["s/d/f": [1, 2]])
        #expect(throws: RemoteError.noAttribute) { try tree.attribute("error", of: file) }
    }

    @Test func `retry leaves what failed elsewhere alone`() throws {
        let bench = try Workbench()
        let (service, tree) = try failing(bench, times: 2)
        defer { service.stop() }
        let (one, two) = (try tree.session("one"), try tree.session("two"))
        #expect(throws: RemoteError.forbidden) { try tree.put("f", [1], in: one) }
        #expect(throws: RemoteError.forbidden) { try tree.put("f", [2], in: two) }
        try waiting { tree.setAttribute("state", to: "retry", of: one, completion: $0) }
        try waiting { tree.waitUntilCommitted(below: one, $0) }
        #expect(bench.stored == ["one/f": [1]])
        #expect(throws: RemoteError.invalidArgument) {
            try waiting { tree.setAttribute("state", to: "again", of: one, completion: $0) }
        }
    }

    @Test func `a session says which files stand in the way of completing it`() throws {
        let bench = try Workbench()
        let (service, tree) = try failing(bench)
        defer { service.stop() }
        let session = try tree.session("s")
        let (_, draft) = try tree.create(Name("d"), in: session, mode: 0o644, exclusive: true, caller: me)
        // A draft alone is nothing to complain of until somebody wants to complete.
        #expect(throws: RemoteError.noAttribute) { try tree.attribute("error", of: session) }
        #expect(throws: RemoteError.incomplete([try RelativePath("s/d")])) { try tree.complete(session) }
        #expect(try tree.attribute("error", of: session).contains("s/d"))
        draft.release()
        #expect(eventually { (try? tree.attribute("error", of: session))?.contains("s/d") == true })
        try waiting { tree.setAttribute("state", to: "retry", of: session, completion: $0) }
        try tree.complete(session)
        #expect(throws: RemoteError.noAttribute) { try tree.attribute("error", of: session) }
        #expect(try tree.attribute("files", of: session) == "committed=1")
    }

    @Test func `transfers list what is not committed and then what was committed last`() throws {
        let bench = try Workbench()
        let (service, tree) = try failing(bench)
        let session = try tree.session("s")
        #expect(throws: RemoteError.forbidden) { try tree.put("bad", [1], in: session) }
        for number in 1...3 { try tree.put("f\(number)", [UInt8](repeating: 1, count: number), in: session) }
        let lines = service.transfersJSONLines.split(separator: "\n")
        #expect(lines.count == 4)
        #expect(lines[0].contains(#""path":"local/s/bad","state":"failed""#))
        #expect(lines[1].contains(#""path":"local/s/f3","state":"committed","size":3"#))
        #expect(try tree.attribute("files", of: session) == "committed=3 failed=1")
        #expect(try tree.attribute("progress", of: session) == "6/7")
        service.stop()
        let later = try bench.service()
        #expect(later.recentCommits().map(\.path.description) == ["local/s/f3", "local/s/f2", "local/s/f1"])
    }

    @Test func `the list of recent commits is bounded and names a file once`() {
        var recent = RecentCommits()
        for number in 2..<UInt64(RecentCommits.limit * 5) { recent.note(EntryID(number)) }
        recent.note(EntryID(4_000))
        #expect(recent.newestFirst.count == RecentCommits.limit)
        #expect(recent.newestFirst.prefix(2) == [EntryID(4_000), EntryID(UInt64(RecentCommits.limit * 5 - 1))])
        #expect(Set(recent.newestFirst).count == RecentCommits.limit)
    }

    @Test(arguments: [1, 3]) func `a remote sends as many files at once as it has connections`(connections: Int) throws
    {
        let bench = try Workbench()
        let gate = Monitor((inside: 0, most: 0, isOpen: false))
        let store = FaultyService(try LocalStore(path: bench.path + "/store")) { call, moment in
            if call != .adopt { return }
            if moment == .after { return gate.withLock { $0.inside -= 1 } }
            gate.withLock { gate in
                gate.inside += 1
                gate.most = max(gate.most, gate.inside)
            }
            _ = gate.wait(until: .after(.seconds(10))) { $0.isOpen ? true : nil }
        }
        let service = try bench.service(store, commit: .journal, connections: connections)
        try service.start()
        defer { service.stop() }
        let tree = service.trees[0]
        let session = try tree.session("s")
        for number in 0..<6 { try tree.put("f\(number)", [1], in: session) }
        #expect(eventually { gate.withLock { $0.inside } == connections })
        gate.withLock { $0.isOpen = true }
        try waiting { tree.waitUntilCommitted(below: session, $0) }
        #expect(gate.withLock { $0.most } == connections)
        #expect(bench.stored.count == 6)
    }
}

/// To whom entries belong.
@Suite struct OwnerTests {
    @Test func `entries belong to their makers, root may give them away, and both survive a restart`() throws {
        let bench = try Workbench()
        let service = try bench.service()
        try service.start()
        let tree = service.trees[0]
        let user = Caller(uid: 1001, gid: 2001, thread: 0)
        let session = try tree.makeDirectory(Name("s"), in: .root, mode: 0o755, caller: user)
        #expect(session.owner == 1001 && session.group == 2001)
        let (made, file) = try tree.create(Name("f"), in: session.id, mode: 0o644, exclusive: true, caller: user)
        file.release()
        try waiting { tree.waitUntilCommitted(below: session.id, $0) }
        #expect(made.owner == 1001 && made.group == 2001)
        try tree.setOwner(made.id, to: 7, group: 8, caller: user)
        #expect(try tree.entry(made.id).owner == 1001)
        try tree.setOwner(made.id, to: nil, group: 8, caller: me)
        #expect(try tree.entry(made.id).owner == 1001 && tree.entry(made.id).group == 8)
        try tree.setOwner(made.id, to: 7, group: nil, caller: me)
        try tree.setMode(session.id, 0o2775)
        let inherited = try tree.makeDirectory(Name("d"), in: session.id, mode: 0o755, caller: me)
        #expect(inherited.owner == 0 && inherited.group == 2001)
        service.stop()
        let later = try bench.service().trees[0]
        let found = try later.entry(at: RelativePath("s/f"))
        #expect(found.owner == 7 && found.group == 8)
        #expect(try later.entry(at: RelativePath("s")).owner == 1001)
    }

    @Test func `a journal that knows no groups yet is brought up to date, and quick_check finds nothing`() throws {
        let bench = try Workbench()
        let service = try bench.service()
        try service.start()
        let session = try service.trees[0].session("s")
        _ = try service.trees[0].put("f", [1], in: session)
        #expect(try JournalCheck.findings(path: bench.path + "/journal.sqlite") == [])
        service.stop()
        run(
            "sqlite3", bench.path + "/journal.sqlite",
            """
            ALTER TABLE entries DROP COLUMN owner_group; ALTER TABLE entries DROP COLUMN expires;
            ALTER TABLE entries DROP COLUMN processing; ALTER TABLE entries DROP COLUMN life;
            ALTER TABLE entries DROP COLUMN details;
            ALTER TABLE revisions DROP COLUMN note; ALTER TABLE revisions DROP COLUMN ranges;
            ALTER TABLE revisions DROP COLUMN stale; ALTER TABLE revisions DROP COLUMN freed; DROP TABLE discards; DROP TABLE contents;
            DROP TABLE sent; DROP TABLE log;
            PRAGMA user_version = 1; PRAGMA wal_checkpoint(TRUNCATE)
            """)
        let later = try bench.service()
        #expect(try later.trees[0].entry(at: RelativePath("s/f")).fileState == .committed)
        try later.start()
        try later.trees[0].put("g", [1], in: session)
        later.stop()
    }

    @Test func `a journal that is no database is told from a sound one`() throws {
        let bench = try Workbench()
        let path = bench.path + "/journal.sqlite"
        run("cp", "/bin/true", path)
        #expect(throws: RemoteError.self) { try JournalCheck.findings(path: path) }
    }
}
