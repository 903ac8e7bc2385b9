import FXSystem
import Glibc
import SystemPackage
import Testing

@testable import FXRemote

/// Bytes on their way into a draft: reservations, what a second open of a name does, who waits for whom.
@Suite struct WriteTests {
    let bench: Workbench
    let service: TransferService
    let tree: RemoteTree

    init() throws {
        bench = try Workbench()
        service = try bench.service()
        try service.start()
        tree = service.trees[0]
    }

    @Test func `reserving space past the end does not make the file longer`() throws {
        defer { service.stop() }
        let session = try tree.session("s")
        let (entry, file) = try tree.create(Name("f"), in: session, mode: 0o644, exclusive: true, caller: me)
        try file.allocate(offset: 0, length: 1 << 20, growing: false)
        #expect(try tree.entry(entry.id).size == .zero)
        try file.put([1, 2, 3, 4, 5], at: 0)
        try file.close()
        file.release()
        #expect(bench.stored["s/f"] == [1, 2, 3, 4, 5])
        var status = stat()
        try #require(unsafe stat(bench.path + "/store/s/f", &status) == 0)
        #expect(status.st_blocks * 512 < 1 << 20, "what was reserved past the end is still taken")
        let (grown, other) = try tree.create(Name("g"), in: session, mode: 0o644, exclusive: true, caller: me)
        try other.allocate(offset: 10, length: 10, growing: true)
        #expect(try tree.entry(grown.id).size == ByteCount(20))
        try other.allocate(offset: 0, length: 5, growing: true)
        #expect(try tree.entry(grown.id).size == ByteCount(20))
        other.release()
    }

    // MARK: - create(2) of a name that exists

    @Test func `create of an existing name honours O_TRUNC`() throws {
        defer { service.stop() }
        let session = try tree.session("s")
        try tree.put("f", [1, 2, 3, 4], in: session)
        let (entry, file) = try tree.create(
            Name("f"), in: session, mode: 0o644, flags: [.writeOnly, .create, .truncate], caller: me)
        #expect(entry.size == .zero)
        try file.put([9], at: 0)
        try file.close()
        file.release()
        #expect(bench.stored == ["s/f": [9]])
        let (kept, again) = try tree.create(
            Name("f"), in: session, mode: 0o644, flags: [.writeOnly, .create], caller: me)
        #expect(kept.size == ByteCount(1))
        again.release()
    }

    @Test func `create of an existing name honours the access mode`() throws {
        defer { service.stop() }
        let session = try tree.session("s")
        try tree.put("f", [1], in: session)
        let (_, file) = try tree.create(
            Name("f"), in: session, mode: 0o644, flags: [.readOnly, .create], caller: me)
        #expect(throws: RemoteError.local(.badFileDescriptor, during: .spool)) { try file.put([2], at: 0) }
        #expect(try file.get(1) == [1])
        file.release()
        #expect(throws: RemoteError.exists) {
            try tree.create(
                Name("f"), in: session, mode: 0o644, flags: [.readWrite, .create, .exclusive], caller: me)
        }
        // Made and never written: its last close seals it all the same.
        let (made, empty) = try tree.create(
            Name("e"), in: session, mode: 0o644, flags: [.readOnly, .create], caller: me)
        empty.release()
        #expect(eventually { (try? tree.entry(made.id))?.fileState == .committed })
    }

    @Test func `opening for reading with O_TRUNC empties the file`() throws {
        defer { service.stop() }
        let session = try tree.session("s")
        let id = try tree.put("f", [1, 2], in: session)
        let file = try tree.open(id, flags: [.readOnly, .truncate], caller: me)
        file.release()
        try waiting { tree.waitUntilCommitted(below: session, $0) }
        #expect(bench.stored == ["s/f": []])
    }

    // MARK: - Waiting for somebody else's draft

    @Test func `who waits for a draft in the making gives up after the operation timeout`() throws {
        let bench = try Workbench()
        let service = try bench.service(operationTimeout: .milliseconds(300))
        try service.start()
        defer { service.stop() }
        let tree = service.trees[0]
        let session = try tree.session("s")
        let id = try tree.put("f", [1], in: session)
        tree.state.withLock { $0.index.update(id) { $0.isDrafting = true } }
        let file = try tree.open(id, flags: .writeOnly, caller: me)
        #expect(throws: RemoteError.timedOut) { try file.put([2], at: 0) }
        #expect(throws: RemoteError.timedOut) { try tree.truncate(id, to: .zero, caller: me) }
        tree.state.withLock { $0.index.update(id) { $0.isDrafting = false } }
        try file.put([2], at: 0)
        try file.close()
        file.release()
        #expect(bench.stored == ["s/f": [2]])
    }

    @Test func `who dies does not wait for a draft in the making`() throws {
        defer { service.stop() }
        let session = try tree.session("s")
        let id = try tree.put("f", [1], in: session)
        tree.state.withLock { $0.index.update(id) { $0.isDrafting = true } }
        // A thread that is gone counts as dying.
        let dead = Caller(uid: 0, gid: 0, thread: Int32.max)
        let begin = ContinuousDeadline.after(.seconds(10))
        #expect(throws: RemoteError.interrupted) { try tree.truncate(id, to: .zero, caller: dead) }
        #expect(!begin.hasPassed)
        tree.state.withLock { $0.index.update(id) { $0.isDrafting = false } }
    }
}
