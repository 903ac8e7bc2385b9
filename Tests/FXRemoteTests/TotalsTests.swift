import FXSystem
import Testing

@testable import FXRemote

/// `user.fxmount.files` and `user.fxmount.progress` of directories.
@Suite struct TotalsTests {
    private func node(_ id: UInt64, in parent: EntryID, _ kind: EntryRow.Kind, size: UInt64? = nil) throws -> Node {
        let time = Timestamp(seconds: 0)
        var node = Node(
            id: EntryID(id), parent: parent, name: try Name("n\(id)"), kind: kind, mode: 0o644, owner: 0, group: 0,
            modified: time, created: time)
        node.committed = size.map {
            CommittedRow(
                upload: UploadID("u\(id)"), size: ByteCount($0), sha256: SHA256Digest(hashing: []), remoteID: "",
                time: time)
        }
        return node
    }

    @Test func `totals count what is below, at the cost of what is below`() throws {
        var state = TreeState(index: TreeIndex(root: try node(1, in: .root, .directory)))
        state.index.insert(try node(2, in: .root, .session))
        state.index.insert(try node(3, in: .root, .session))
        state.index.insert(try node(4, in: EntryID(2), .directory))
        state.index.insert(try node(5, in: EntryID(4), .file, size: 10))
        state.index.insert(try node(6, in: EntryID(2), .file, size: 5))
        let others: UInt64 = 20_000
        for id in 0..<others { state.index.insert(try node(100 + id, in: EntryID(3), .file, size: 1)) }
        #expect(state.totals(below: EntryID(2)).text == "committed=2")
        #expect(state.totals(below: EntryID(2)).size == ByteCount(15))
        #expect(state.totals(below: EntryID(4)).size == ByteCount(10))
        #expect(state.totals(below: EntryID(5)).size == ByteCount(10))
        #expect(state.totals(below: .root).size == ByteCount(15 + others))
        // One walk of everything takes milliseconds; ten thousand of them would take minutes.
        let deadline = ContinuousDeadline.after(.seconds(10))
        var isCheap = true
        for _ in 0..<10_000 where isCheap {
            _ = state.totals(below: EntryID(2))
            isCheap = !deadline.hasPassed
        }
        #expect(isCheap)
    }
}
