import FXSystem
import SystemPackage
import Testing

@testable import FXRemote

/// The sentences S1 to S34 of docs/SEMANTICS.md, on a local store.
@Suite struct SessionTests {
    let bench: Workbench
    let service: TransferService
    let tree: RemoteTree

    init() throws {
        bench = try Workbench()
        service = try bench.service()
        try service.start()
        tree = service.trees[0]
    }

    private func end() { service.stop() }

    @Test func `mkdir opens a session, and a file directly below a remote is EPERM`() throws {
        defer { end() }
        let session = try tree.session("s")
        #expect(try tree.entry(session).kind == .session(.open))
        #expect(throws: RemoteError.needsSession) { try tree.put("f", [1], in: .root) }
        #expect(RemoteError.needsSession.errno == .notPermitted)
    }

    @Test func `closing by the opener sends the file, whole and verified`() throws {
        defer { end() }
        let session = try tree.session("s")
        let directory = try tree.makeDirectory(Name("d"), in: session, mode: 0o755, caller: me).id
        let bytes = pattern(3_000_000)
        let id = try tree.put("f", bytes, in: directory)
        #expect(bench.stored == ["s/d/f": bytes])
        #expect(try tree.entry(id).fileState == .committed)
        #expect(try tree.get(id) == bytes)
        #expect(try tree.attribute("sha256", of: id) == SHA256Digest(hashing: bytes).text)
    }

    @Test func `the last close seals what nobody wrote to`() throws {
        defer { end() }
        let session = try tree.session("s")
        try tree.put("empty", [], in: session)
        try waiting { tree.waitUntilCommitted(below: session, $0) }
        #expect(bench.stored == ["s/empty": []])
    }

    @Test func `closing by another process does not seal`() throws {
        defer { end() }
        let session = try tree.session("s")
        let (entry, file) = try tree.create(Name("f"), in: session, mode: 0o644, exclusive: true, caller: me)
        try file.put([1, 2], at: 0)
        try file.close(by: Caller(uid: 0, gid: 0, thread: 1))
        #expect(try tree.entry(entry.id).fileState == .draft)
        try file.put([3], at: 2)
        try file.close()
        #expect(bench.stored == ["s/f": [1, 2, 3]])
        file.release()
        #expect(try tree.entry(entry.id).fileState == .committed)
    }

    @Test func `completing makes a session read-only for good`() throws {
        defer { end() }
        let session = try tree.session("s")
        let id = try tree.put("f", [1], in: session)
        try tree.complete(session)
        try tree.complete(session)
        #expect(try tree.entry(session).kind == .session(.complete))
        #expect(throws: RemoteError.sessionClosed(.complete)) { try tree.put("g", [1], in: session) }
        #expect(throws: RemoteError.sessionClosed(.complete)) { try tree.open(id, flags: .writeOnly, caller: me) }
        #expect(throws: RemoteError.sessionClosed(.complete)) { try tree.truncate(id, to: .zero, caller: me) }
        #expect(throws: RemoteError.sessionClosed(.complete)) { try tree.setMode(id, 0o600) }
        #expect(throws: RemoteError.sessionClosed(.complete)) {
            try tree.rename(Name("f"), in: session, to: Name("g"), in: session, .replace, caller: me)
        }
        #expect(bench.stored["s/.fxmount-manifest.json"] != nil)
        #expect(try tree.get(id) == [1])
    }

    @Test func `completing is refused with the list while one file is a draft`() throws {
        defer { end() }
        let session = try tree.session("s")
        let (_, file) = try tree.create(Name("f"), in: session, mode: 0o644, exclusive: true, caller: me)
        #expect(throws: RemoteError.incomplete([try RelativePath("s/f")])) { try tree.complete(session) }
        #expect(try tree.entry(session).kind == .session(.open))
        file.release()
        try tree.complete(session)
    }

    @Test func `a temporary-looking name stays a draft and is sent once under its final name`() throws {
        defer { end() }
        let session = try tree.session("s")
        let id = try tree.put("f.tmp", [7, 8], in: session)
        #expect(try tree.entry(id).fileState == .draft)
        #expect(bench.stored.isEmpty)
        try tree.rename(Name("f.tmp"), in: session, to: Name("f"), in: session, .replace, caller: me)
        #expect(bench.stored == ["s/f": [7, 8]])
        #expect(try tree.entry(id).fileState == .committed)
    }

    @Test func `rewriting a committed file keeps the old bytes aside`() throws {
        defer { end() }
        let session = try tree.session("s")
        let id = try tree.put("f", [1, 2, 3], in: session)
        let file = try tree.open(id, flags: .writeOnly, caller: me)
        try file.put([9], at: 1)
        #expect(bench.stored == ["s/f": [1, 2, 3]])
        try file.close()
        file.release()
        #expect(bench.stored == ["s/f": [1, 9, 3]])
        #expect(Array(bench.files(below: "store/.replaced").values) == [[1, 2, 3]])
    }

    @Test func `renaming over a committed file keeps the replaced bytes`() throws {
        defer { end() }
        let session = try tree.session("s")
        try tree.put("f", [1], in: session)
        try tree.put("f.tmp", [2], in: session)
        try tree.rename(Name("f.tmp"), in: session, to: Name("f"), in: session, .replace, caller: me)
        #expect(bench.stored == ["s/f": [2]])
        try tree.put("g", [3], in: session)
        try tree.rename(Name("g"), in: session, to: Name("f"), in: session, .replace, caller: me)
        #expect(bench.stored == ["s/f": [3]])
        #expect(Set(bench.files(below: "store/.replaced").values) == [[1], [2]])
        #expect(throws: RemoteError.noSuchEntry) { try tree.lookup(Name("g"), in: session) }
    }

    @Test func `rmdir is EPERM, and rm but for a draft of one's own`() throws {
        defer { end() }
        let session = try tree.session("s")
        try tree.put("f", [1], in: session)
        try tree.put("t.tmp", [1], in: session)
        #expect(throws: RemoteError.protected) { try tree.removeDirectory(Name("s"), in: .root, caller: me) }
        #expect(throws: RemoteError.protected) { try tree.remove(Name("f"), in: session, caller: me) }
        let other = Caller(uid: 12, gid: 12, thread: 0)
        #expect(throws: RemoteError.protected) { try tree.remove(Name("t.tmp"), in: session, caller: other) }
        try tree.remove(Name("t.tmp"), in: session, caller: me)
        #expect(eventually { bench.files(below: "spool").isEmpty })
    }

    @Test func `directories with committed files can be renamed`() throws {
        defer { end() }
        let session = try tree.session("s")
        let directory = try tree.makeDirectory(Name("d"), in: session, mode: 0o755, caller: me).id
        try tree.put("f", [1], in: directory)
        try tree.rename(Name("d"), in: session, to: Name("e"), in: session, .replace, caller: me)
        #expect(bench.stored == ["s/e/f": [1]])
    }

    @Test func `modification times are kept, also when set after the close`() throws {
        defer { end() }
        let session = try tree.session("s")
        let id = try tree.put("f", [1], in: session)
        let time = Timestamp(seconds: 1_000_000_000, nanoseconds: 5)
        try tree.setModified(id, .set(time))
        #expect(try tree.entry(id).modified == time)
        let store = try OwnedDescriptor.open(absolute: bench.path + "/store/s", .directory)
        #expect(try store.status(of: Name("f")).modified == time)
    }

    @Test func `fsync keeps a draft a draft`() throws {
        defer { end() }
        let session = try tree.session("s")
        let (entry, file) = try tree.create(Name("f"), in: session, mode: 0o644, exclusive: true, caller: me)
        try file.put([1], at: 0)
        try waiting { file.sync($0) }
        #expect(try tree.entry(entry.id).fileState == .draft)
        file.release()
    }

    @Test func `sparse and random writes arrive as written`() throws {
        defer { end() }
        let session = try tree.session("s")
        let (entry, file) = try tree.create(Name("f"), in: session, mode: 0o644, exclusive: true, caller: me)
        var expected = [UInt8](repeating: 0, count: 5_000_000)
        for (offset, seed) in [(4_000_000, 1), (0, 2), (1_500_000, 3), (10, 4)] {
            let bytes = pattern(1_000_000, seed: UInt64(seed))
            try file.put(bytes, at: UInt64(offset))
            expected.replaceSubrange(offset..<(offset + bytes.count), with: bytes)
        }
        try file.truncate(to: ByteCount(4_500_000))
        try file.close()
        file.release()
        #expect(bench.stored["s/f"] == Array(expected.prefix(4_500_000)))
        #expect(try tree.get(entry.id) == Array(expected.prefix(4_500_000)))
    }

    @Test func `draining refuses changes and lists what is left`() throws {
        let session = try tree.session("s")
        let (_, file) = try tree.create(Name("f"), in: session, mode: 0o644, exclusive: true, caller: me)
        try tree.put("g", [1], in: session)
        let report = service.drain(timeout: .seconds(5))
        #expect(report.left.map(\.path.description) == ["local/s/f"])
        #expect(throws: RemoteError.draining) { try tree.put("h", [1], in: session) }
        file.release()
    }
}
