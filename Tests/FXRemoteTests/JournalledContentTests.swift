import FXSystem
import GRDB
import SystemPackage
import Testing

@testable import FXRemote

/// Small files that are sealed with their bytes in the journal: nothing is lost when the spool loses them.
@Suite struct JournalledContentTests {
    /// What a power cut leaves of a file nobody has synced.
    enum Loss: CaseIterable, Sendable {
        case nothing, name, size, zeros, foreign

        func strike(_ file: String, _ size: Int) {
            switch self {
            case .nothing: break
            case .name: run("rm", file)
            case .size: run("truncate", "-s", "0", file)
            case .zeros: JournalledContentTests.write([UInt8](repeating: 0, count: size), to: file)
            case .foreign: JournalledContentTests.write(pattern(size + 4096, seed: 99), to: file)
            }
        }
    }

    private static func write(_ bytes: [UInt8], to file: String) {
        guard let place = try? OwnedDescriptor.open(absolute: file, [.readWrite, .truncate]) else {
            Issue.record("no \(file)")
            return
        }
        let written: Void? = try? unsafe bytes.withUnsafeBytes { (raw: UnsafeRawBufferPointer) in
            try unsafe place.write(raw, at: 0)
        }
        #expect(written != nil)
    }

    private func rows(_ bench: Workbench, _ sql: String) throws -> Int {
        try DatabaseQueue(path: bench.path + "/journal.sqlite").read { try Int.fetchOne($0, sql: sql) ?? 0 }
    }

    private func contents(_ bench: Workbench) throws -> Int { try rows(bench, "SELECT COUNT(*) FROM contents") }

    /// - Returns: after a stop with the files queued.
    private func sealed(_ files: [String: [UInt8]], _ bench: Workbench, keeping: SpoolKeeping = .none) throws {
        let service = try bench.service(bench.closedStore(), commit: .journal, keeping: keeping)
        try service.start()
        let session = try service.trees[0].session("s")
        for (name, bytes) in files.sorted(by: { $0.key < $1.key }) {
            try service.trees[0].put(name, bytes, in: session)
        }
        service.stop()
    }

    private func sendsAll(_ bench: Workbench, _ files: [String: [UInt8]]) throws {
        let service = try bench.service(LocalStore(path: bench.path + "/store", adoptsSpoolFiles: false))
        #expect(try contents(bench) == 0, "they are in the spool again")
        try service.start()
        let session = try #require(try? service.trees[0].lookup(Name("s"), in: .root))
        try waiting { service.trees[0].waitUntilCommitted(below: session.id, $0) }
        service.stop()
        #expect(bench.stored == Dictionary(uniqueKeysWithValues: files.map { ("s/" + $0.key, $0.value) }))
        #expect(bench.files(below: "recovered").isEmpty)
        #expect(bench.files(below: "spool").isEmpty)
    }

    private let limit = Int(JournalRoom.largestContent)

    @Test(arguments: Loss.allCases)
    func `a small file is there again whatever a power cut leaves of it in the spool`(loss: Loss) throws {
        let files = ["empty": [], "one": [7], "small": pattern(16_384), "largest": pattern(limit, seed: 5)]
        let bench = try Workbench()
        try sealed(files, bench)
        #expect(try contents(bench) == files.count)
        for (name, bytes) in bench.files(below: "spool") { loss.strike(bench.path + "/spool/" + name, bytes.count) }
        try sendsAll(bench, files)
    }

    @Test func `a power cut while the next start puts them back loses nothing`() throws {
        let files = ["a": pattern(5_000), "b": pattern(6_000, seed: 2)]
        let bench = try Workbench()
        try sealed(files, bench)
        run("rm", "-r", bench.path + "/spool")
        // A start that ends before its changes are in the journal: its spool may be anything.
        run("mkdir", bench.path + "/spool")
        let first = try #require(try uploads(bench).first)
        Self.write([1], to: made(bench.path + "/spool/" + first))
        try sendsAll(bench, files)
    }

    private func made(_ file: String) -> String {
        run("touch", file)
        return file
    }

    private func uploads(_ bench: Workbench) throws -> [String] {
        try DatabaseQueue(path: bench.path + "/journal.sqlite").read {
            try String.fetchAll($0, sql: "SELECT upload FROM revisions ORDER BY id")
        }
    }

    @Test func `a larger file is not in the journal`() throws {
        let files = ["large": pattern(limit + 1)]
        let bench = try Workbench()
        try sealed(files, bench)
        #expect(try contents(bench) == 0)
        try sendsAll(bench, files)
    }

    @Test func `what stays in the spool after it was sent is durable there`() throws {
        let bench = try Workbench()
        try sealed(["kept": pattern(100)], bench, keeping: .all)
        #expect(try contents(bench) == 0)
    }

    @Test(arguments: [true, false]) func `what a store takes over as it is was synced before`(adopts: Bool) throws {
        let bench = try Workbench()
        let wasJournalled = Monitor(false)
        let service = try bench.service(
            LocalStore(path: bench.path + "/store", adoptsSpoolFiles: adopts),
            didCommit: { changes in
                if changes.contains(where: { if case .putContent = $0 { true } else { false } }) {
                    wasJournalled.withLock { $0 = true }
                }
            })
        try service.start()
        try service.trees[0].put("f", [1], in: try service.trees[0].session("s"))
        service.stop()
        #expect(wasJournalled.withLock { $0 } == !adopts)
    }

    @Test func `a committed file leaves nothing in the journal`() throws {
        let bench = try Workbench()
        let service = try bench.service(LocalStore(path: bench.path + "/store", adoptsSpoolFiles: false))
        try service.start()
        let session = try service.trees[0].session("s")
        for number in 0..<50 {
            try service.trees[0].put("\(number)", pattern(4_000, seed: UInt64(number)), in: session)
        }
        service.stop()
        #expect(bench.stored.count == 50)
        #expect(try contents(bench) == 0)
    }

    @Test func `the journal takes a bounded number of bytes, and again when they have left`() {
        let room = JournalRoom()
        let most = JournalRoom.capacity / JournalRoom.largestContent
        for number in 0..<most { #expect(room.take(JournalRoom.largestContent, for: RevisionID(number))) }
        #expect(!room.take(1, for: RevisionID(most)))
        #expect(room.take(0, for: RevisionID(most)))
        room.giveBack(RevisionID(3))
        room.giveBack(RevisionID(3))
        #expect(room.take(JournalRoom.largestContent, for: RevisionID(most + 1)))
        #expect(!room.take(1, for: RevisionID(most + 2)))
        #expect(!JournalRoom().take(JournalRoom.largestContent + 1, for: RevisionID(1)))
    }

    @Test func `files past the bound are synced by themselves and arrive as well`() throws {
        let count = Int(JournalRoom.capacity) / limit + 5
        let files = Dictionary(uniqueKeysWithValues: (0..<count).map { ("\($0)", pattern(limit, seed: UInt64($0))) })
        let bench = try Workbench()
        try sealed(files, bench)
        #expect(try contents(bench) == count - 5)
        #expect(try rows(bench, "SELECT SUM(LENGTH(bytes)) FROM contents") == Int(JournalRoom.capacity))
        try sendsAll(bench, files)
    }

    @Test func `bytes that the disk lost behind our back are sent as they were sealed`() throws {
        let bench = try Workbench()
        let sealing = Monitor(false)
        let backend = FaultyService(
            try LocalStore(path: bench.path + "/store", adoptsSpoolFiles: false),
            observe: { call, moment in
                guard call == .begin, moment == .before else { return }
                for name in bench.files(below: "spool").keys {
                    Loss.zeros.strike(bench.path + "/spool/" + name, 9_000)
                }
                sealing.withLock { $0 = true }
            })
        let service = try bench.service(backend)
        try service.start()
        let session = try service.trees[0].session("s")
        try service.trees[0].put("f", pattern(9_000), in: session)
        service.stop()
        #expect(sealing.withLock { $0 })
        #expect(bench.stored == ["s/f": pattern(9_000)])
    }

    @Test func `rows that are written while a seal is on its way to the journal say the same`() throws {
        let bench = try Workbench()
        let spool = try Spool(stateDirectory: bench.path)
        let upload = spool.newUploadID()
        let file = try spool.create(upload, path: RelativePath("s/f"))
        let terms = UploadTerms(facts: try LocalStore(path: bench.path + "/store").facts, retry: .quick, connections: 1)
        let draft = Revision(
            id: RevisionID(1), upload: upload, file: file, spool: spool, owner: 0, size: .zero, terms: terms)
        let (entry, time) = (EntryID(2), Timestamp(seconds: 7))
        func state() -> FileState { draft.row(entry: entry, modified: time).state }
        guard case .journalled(let bytes) = try draft.prepareSeal(room: JournalRoom()) else {
            Issue.record("not for the journal")
            return
        }
        #expect(bytes.isEmpty)
        #expect(state() == .draft)
        #expect(draft.sealedRow(entry: entry, modified: time, at: time).state == .queued)
        #expect(state() == .queued)
        #expect(draft.row(entry: entry, modified: time).sealed == time)
        #expect(draft.unsealedRow(entry: entry, modified: time).state == .draft)
        draft.abandonSeal()
        #expect(state() == .draft)
    }

    @Test func `what was refused and then replaced is kept and never sent again, also after a crash`() throws {
        let bench = try Workbench()
        let crash = try Workbench()
        let backend = FaultyService(try LocalStore(path: bench.path + "/store", adoptsSpoolFiles: false))
        backend.inject(.refuse(.quotaExceeded), at: .commit, number: 1)
        let service = try bench.service(
            backend, commit: .journal,
            didCommit: { changes in
                let isCommitted = changes.contains {
                    if case .putRevision(let row) = $0 { row.state == .committed } else { false }
                }
                // Before the spool loses anything.
                if isCommitted { bench.snapshot(to: crash.path) }
            })
        try service.start()
        let tree = service.trees[0]
        let session = try tree.session("s")
        let id = try tree.put("f", pattern(900), in: session)
        #expect(throws: RemoteError.self) { try waiting { tree.waitUntilCommitted(below: session, $0) } }
        #expect(try tree.entry(id).fileState == .failed)
        try tree.put("f", pattern(1_000, seed: 2), in: session)
        try waiting { tree.waitUntilCommitted(below: session, $0) }
        service.stop()
        for place in [bench, crash] {
            let again = try place.service(LocalStore(path: bench.path + "/store", adoptsSpoolFiles: false))
            try again.start()
            #expect(again.retry(try RelativePath("local")) == 0)
            again.stop()
            #expect(bench.stored == ["s/f": pattern(1_000, seed: 2)])
            #expect(place.files(below: "recovered").values.contains(pattern(900)))
            #expect(place.files(below: "spool").isEmpty)
        }
    }

    @Test func `a draft is never given the bytes of a seal that failed`() throws {
        let bench = try Workbench()
        let service = try bench.service()
        try service.start()
        let session = try service.trees[0].session("s")
        let (_, file) = try service.trees[0].create(
            Name("open"), in: session, mode: 0o644, exclusive: true, caller: me)
        try file.put(pattern(1_000), at: 0)
        service.stop()
        file.release()
        try DatabaseQueue(path: bench.path + "/journal.sqlite").write {
            try $0.execute(sql: "INSERT INTO contents SELECT id, x'0102' FROM revisions")
        }
        let again = try bench.service()
        try again.start()
        again.stop()
        #expect(bench.files(below: "recovered")["local/s/open"] == pattern(1_000))
        #expect(try contents(bench) == 0)
    }
}
