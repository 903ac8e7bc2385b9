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

    /// A service that takes nothing for now.
    private func closed(_ bench: Workbench) throws -> FaultyService {
        let service = FaultyService(try LocalStore(path: bench.path + "/store", adoptsSpoolFiles: false))
        for call in [FaultyService.Call.begin, .standing] {
            for number in 1...1000 { service.inject(.refuse(.unreachable), at: call, number: number) }
        }
        return service
    }

    /// - Returns: after a stop with the files queued.
    private func sealed(_ files: [String: [UInt8]], _ bench: Workbench, keeping: SpoolKeeping = .none) throws {
        let service = try bench.service(closed(bench), commit: .journal, keeping: keeping)
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

    @Test func `a committed file leaves nothing in the journal`() throws {
        let bench = try Workbench()
        let service = try bench.service(LocalStore(path: bench.path + "/store", adoptsSpoolFiles: false))
        try service.start()
        let session = try service.trees[0].session("s")
        for number in 0..<50 { try service.trees[0].put("\(number)", pattern(4_000, seed: UInt64(number)), in: session) }
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
