import FXSystem
import Synchronization
import SystemPackage
import Testing

@testable import FXRemote

/// What the local store says is there survives a power cut.
@Suite struct DurabilityTests {
    private final class Syncs: Sendable {
        private let seen = Mutex(Set<String>())
        func note(_ path: RelativePath) { seen.withLock { _ = $0.insert(path.description) } }
        func take() -> Set<String> {
            seen.withLock { seen in
                defer { seen = [] }
                return seen
            }
        }
    }

    private func store(_ bench: Workbench, _ syncs: Syncs = Syncs()) throws -> LocalStore {
        try LocalStore(path: bench.path + "/store", adoptsSpoolFiles: false, didSync: syncs.note)
    }

    private struct Bytes: UploadContent {
        let bytes: [UInt8]
        var identity: FileIdentity? { nil }
        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
            let piece = bytes.dropFirst(Int(offset)).prefix(buffer.count)
            unsafe buffer.copyBytes(from: piece)
            return piece.count
        }
        func link(as name: Name, in directory: borrowing OwnedDescriptor) throws(RemoteError) { throw .notSupported }
    }

    private func send(_ id: String, _ path: String, to store: LocalStore) throws -> Upload {
        let bytes = Array(id.utf8)
        let upload = Upload(
            id: UploadID(id), path: try RelativePath(path), size: ByteCount(UInt64(bytes.count)),
            sha256: SHA256Digest(hashing: bytes), modified: Timestamp(seconds: 1_000))
        _ = try store.begin(upload)
        try store.send(0..<UInt64(bytes.count), of: upload, from: Bytes(bytes: bytes))
        _ = try store.commit(upload)
        return upload
    }

    private let root = RelativePath().description

    @Test func `a file found in its place is made durable before it counts as committed`() throws {
        let bench = try Workbench()
        let upload = try send("a", "s/d/f", to: store(bench))
        // What a process killed between the rename and the syncs leaves looks the same.
        let syncs = Syncs()
        let again = try store(bench, syncs)
        guard case .committed = try again.standing(of: upload) else { return #expect(Bool(false)) }
        #expect(syncs.take().isSuperset(of: ["s/d/f", "s/d", "s", root]))
    }

    @Test func `a rename that was done before is made durable`() throws {
        let bench = try Workbench()
        let first = try store(bench)
        _ = try send("a", "s/d/f", to: first)
        _ = try send("b", "s/e/g", to: first)
        let (old, new) = (try RelativePath("s/d/f"), try RelativePath("s/e/f"))
        try first.rename(old, to: new, aside: UploadID("x"))
        let syncs = Syncs()
        try store(bench, syncs).rename(old, to: new, aside: UploadID("x"))
        #expect(syncs.take().isSuperset(of: ["s/d", "s/e", "s", root]))
    }

    @Test func `what is replaced is durable where it is kept, with all directories above`() throws {
        let bench = try Workbench()
        let syncs = Syncs()
        let store = try store(bench, syncs)
        _ = try send("a", "s/d/f", to: store)
        _ = syncs.take()
        _ = try send("b", "s/d/f", to: store)
        let above = [".replaced/s/d/f", ".replaced/s/d", ".replaced/s", ".replaced", root]
        #expect(syncs.take().isSuperset(of: above))
    }

    @Test func `a directory made under a name that was renamed away is made durable anew`() throws {
        let bench = try Workbench()
        let syncs = Syncs()
        let store = try store(bench, syncs)
        _ = try send("a", "s/d/e/f", to: store)
        try store.rename(RelativePath("s/d"), to: RelativePath("s/x"), aside: UploadID("x"))
        _ = syncs.take()
        _ = try send("b", "s/d/e/g", to: store)
        #expect(syncs.take().isSuperset(of: ["s/d/e/g", "s/d/e", "s/d", "s"]))
    }
}
