import FXSystem
import Glibc
import SystemPackage
import Testing

@testable import FXRemote

/// Writes that fail half-way.
@Suite struct FailedWriteTests {
    let bench: Workbench
    let service: TransferService
    let tree: RemoteTree

    init() throws {
        bench = try Workbench()
        service = try bench.service()
        try service.start()
        tree = service.trees[0]
    }

    /// Writes from memory whose second page cannot be read: the first page arrives, then EFAULT.
    private func writeHalf(of file: RemoteFile, at offset: UInt64) throws {
        let page = 4096
        let memory = unsafe mmap(nil, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        let start = unsafe try #require(memory)
        defer { unsafe munmap(start, 2 * page) }
        unsafe memset(start, 0xEE, page)
        unsafe mprotect(start + page, page, PROT_NONE)
        let buffer = unsafe UnsafeRawBufferPointer(start: start, count: 2 * page)
        var failure: RemoteError?
        do throws(RemoteError) { _ = try unsafe file.write(buffer, at: offset) } catch { failure = error }
        #expect(failure?.errno == .badAddress)
    }

    @Test func `the digest is of the bytes that are there after a write that failed half-way`() throws {
        defer { service.stop() }
        let session = try tree.session("s")
        let (entry, file) = try tree.create(Name("f"), in: session, mode: 0o644, exclusive: true, caller: me)
        try file.put(pattern(3 << 20), at: 0)
        let draft = try #require(tree.state.withLock { $0.index[entry.id]?.draft })
        #expect(eventually { !draft.monitor.withLock { $0.digest.hasBacklog } })
        try writeHalf(of: file, at: 0)
        #expect(throws: RemoteError.self) { try file.close() }
        file.release()
        // Opened again by somebody who takes it as it is.
        let again = try tree.open(entry.id, flags: .writeOnly, caller: me)
        try again.put([7], at: 3 << 20)
        try again.close()
        again.release()
        let stored = try #require(bench.stored["s/f"])
        #expect(stored.count == 3 << 20 + 1)
        #expect(try tree.attribute("sha256", of: entry.id) == SHA256Digest(hashing: stored).text)
    }

    @Test func `what a failed write left past the end is not seen later`() throws {
        defer { service.stop() }
        let session = try tree.session("s")
        let (entry, file) = try tree.create(Name("f"), in: session, mode: 0o644, exclusive: true, caller: me)
        try file.put([1, 2, 3], at: 0)
        try writeHalf(of: file, at: 3)
        try writeHalf(of: file, at: 2)
        #expect(try tree.entry(entry.id).size == ByteCount(3))
        try file.put([3], at: 2)
        try file.put([9], at: 5000)
        let expected = [1, 2, 3] + [UInt8](repeating: 0, count: 4997) + [9]
        let isSeenWhole = try file.get(6000) == expected
        #expect(isSeenWhole)
        try file.close()
        file.release()
        let isStoredWhole = bench.stored["s/f"] == expected
        #expect(isStoredWhole)
    }
}
