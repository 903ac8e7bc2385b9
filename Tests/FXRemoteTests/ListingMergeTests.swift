import FXSystem
import Testing

@testable import FXRemote

/// The pure rule, and what must hold whatever is known and whatever is listed.
@Suite struct ListingMergeTests {
    private func listed(_ name: String, _ id: String, size: UInt64? = 0, upload: String? = nil) -> ListedEntry {
        ListedEntry(
            name: Array(name.utf8), kind: size.map { .file(ByteCount($0)) } ?? .directory, remoteID: id,
            upload: upload.map { UploadID($0) })
    }

    private func known(_ id: UInt64, _ name: String, _ remoteID: String?, isFile: Bool = true) throws
        -> ListingMerge.Known
    {
        ListingMerge.Known(id: EntryID(id), name: try Name(name), isFile: isFile, remoteID: remoteID)
    }

    @Test func `the id at the service decides, then the upload, then the name`() throws {
        var mine = try known(2, "mine", "old")
        mine.upload = UploadID("u")
        let merge = ListingMerge(
            known: [try known(1, "a", "1"), mine, try known(3, "c", "gone"), try known(4, "d", "4")],
            listed: [
                listed("renamed", "1"), listed("mine", "new", upload: "u"), listed("c", "other"),
            ])
        #expect(
            merge.changes == [
                .update(EntryID(1), listed("renamed", "1"), newName: try Name("renamed")),
                .update(EntryID(2), listed("mine", "new", upload: "u"), newName: nil),
                .update(EntryID(3), listed("c", "other"), newName: nil),
            ])
        #expect(merge.vanished == [EntryID(4)])
    }

    @Test func `what changed after the listing began is left alone`() throws {
        var recent = try known(1, "f", "new")
        recent.isRecent = true
        #expect(ListingMerge(known: [recent], listed: []).vanished.isEmpty)
        // The listing still has the content that was replaced.
        #expect(ListingMerge(known: [recent], listed: [listed("f", "old")]).changes.isEmpty)
        #expect(ListingMerge(known: [], listed: [listed("f", "old")], departed: ["old"]).changes.isEmpty)
    }

    @Test func `what may be an upload on its way is nobody else's file`() throws {
        var sending = try known(1, "f", nil)
        sending.isPinned = true
        sending.keepsName = true
        #expect(
            ListingMerge(known: [sending], listed: [listed("f", "x")]).changes
                == [.update(EntryID(1), listed("f", "x"), newName: nil)])
        sending.isSending = true
        #expect(ListingMerge(known: [sending], listed: [listed("f", "x")]).changes.isEmpty)
    }

    @Test func `an id that is listed twice is one entry`() {
        #expect(ListingMerge(known: [], listed: [listed("f", "1"), listed("f", "1")]).changes.count == 1)
    }

    @Test func `every listed entry is there once, every name is one entry's, and local work stays`() throws {
        let seed = seeds(1)[0]
        print("FXMOUNT_SEED=\(seed)")
        var random = SeededGenerator(seed)
        let names = ["a", "b", "a/b", "", "..", "c"]
        for _ in 0..<2_000 {
            var known: [ListingMerge.Known] = []
            var used = Set<String>()
            for id in 0..<UInt64.random(in: 0...5, using: &random) {
                guard let name = ["a", "b", "c", "a~1", "d"].randomElement(using: &random),
                    used.insert(name).inserted
                else { continue }
                var entry = try self.known(
                    id + 2, name, Bool.random(using: &random) ? "\(id)" : nil, isFile: Bool.random(using: &random))
                entry.isPinned = Bool.random(using: &random)
                entry.isRecent = Int.random(in: 0..<4, using: &random) == 0
                entry.keepsName = entry.isPinned || Bool.random(using: &random)
                entry.isSending = entry.isPinned && entry.isFile && Bool.random(using: &random)
                known.append(entry)
            }
            let entries = (0..<Int.random(in: 0...6, using: &random)).map { _ in
                listed(
                    names.randomElement(using: &random) ?? "a", "\(Int.random(in: 0...6, using: &random))",
                    size: Bool.random(using: &random) ? 0 : nil)
            }
            let merge = ListingMerge(known: known, listed: entries, reserved: [Name(constant: "b")])
            var after = Dictionary(uniqueKeysWithValues: known.map { ($0.id, $0.name) })
            for gone in merge.vanished { after[gone] = nil }
            var next: UInt64 = 100
            var placed = Set<String>()
            for change in merge.changes {
                switch change {
                case .insert(let entry, let name):
                    #expect(placed.insert(entry.remoteID).inserted)
                    after[EntryID(next)] = name
                    next += 1
                case .update(let id, let entry, let newName):
                    #expect(placed.insert(entry.remoteID).inserted)
                    #expect(after[id] != nil)
                    if let newName { after[id] = newName }
                }
            }
            #expect(Set(after.values).count == after.count, "\(known) \(entries)")
            for entry in known where entry.isPinned || entry.isRecent {
                #expect(after[entry.id] == entry.name, "\(known) \(entries)")
            }
            for entry in entries where !placed.contains(entry.remoteID) {
                // Left out only for the sake of what is known.
                #expect(known.contains { $0.isRecent || $0.isSending }, "\(known) \(entries)")
            }
        }
    }
}
