import FXSystem
import GRDB
import Glibc
import SystemPackage
import Testing

@testable import FXRemote

private func revision(_ id: UInt64, _ state: FileState = .queued, error: String? = nil) -> RevisionRow {
    RevisionRow(
        id: RevisionID(id), entry: EntryID(9), state: state, upload: UploadID("u\(id)"), size: ByteCount(id),
        modified: Timestamp(seconds: 1), isKnownToService: false, acknowledged: ByteRanges(), attempts: 0, error: error)
}

/// One of each kind.
private func everyKind() throws -> [JournalChange] {
    let entry = EntryRow(
        id: EntryID(1), remote: try Name(validating: [0xff, 0x01]), parent: EntryID(.max), name: try Name("ä"),
        kind: .file,
        mode: 0o644, owner: 7, group: 8, modified: Timestamp(seconds: -5, nanoseconds: 999_999_999),
        created: Timestamp(seconds: 2),
        committed: CommittedRow(
            upload: UploadID("u"), size: ByteCount(.max), sha256: SHA256Digest(hashing: [1]), remoteID: "né",
            time: Timestamp(seconds: 3), details: [.init("a", .bool(true))]))
    let discard = DiscardRow(upload: UploadID("d"), remote: try Name("r"), path: try RelativePath("s/f"))
    let path = try RelativePath("a/b")
    let sent = SentRow(
        session: EntryID(4), path: path, size: ByteCount(1), sha256: SHA256Digest(hashing: []), remoteID: "",
        time: Timestamp(seconds: 9))
    return [
        .put(entry), .dropEntry(EntryID(2)), .putRevision(revision(3, error: "it\0failed")),
        .dropRevision(RevisionID(4)),
        .putDiscard(discard), .dropDiscard(discard), .putContent(RevisionID(5), [0, 1, 255]),
        .putContent(RevisionID(6), []), .dropContent(RevisionID(7)), .dropContents, .putSent(sent),
        .dropSent(session: EntryID(4), path: path),
    ]
}

/// A record as bytes.
@Suite struct JournalRecordTests {
    private func record(_ changes: [JournalChange], _ sequence: UInt64 = 1) -> JournalRecord {
        JournalRecord(identity: 77, sequence: sequence, statements: changes.map(JournalStatement.init))
    }

    @Test func `every kind of change comes back as it was written`() throws {
        let changes = try everyKind()
        let kinds = Set(changes.map { JournalStatement($0).kind })
        #expect(kinds == Set(JournalStatement.Kind.allCases))
        let written = record(changes, .max)
        let bytes = written.bytes
        #expect(JournalRecord(bytes) == written)
        #expect(JournalRecord.length(bytes) == bytes.count)
        #expect(JournalRecord(record([]).bytes) == record([]))
    }

    @Test func `a record of which anything is missing or wrong is none`() throws {
        let bytes = record(try everyKind()).bytes
        for count in bytes.indices { #expect(JournalRecord(Array(bytes[..<count])) == nil, "the first \(count) bytes") }
        for place in bytes.indices {
            for bit in 0..<8 {
                var wrong = bytes
                wrong[place] ^= 1 << bit
                #expect(JournalRecord(wrong) == nil, "bit \(bit) of byte \(place)")
            }
        }
    }

    @Test func `whatever is in the file, only whole records are read`() throws {
        let whole = record(try everyKind()).bytes
        for seed in seeds(3000) {
            var random = SeededGenerator(seed)
            var bytes = whole
            for _ in 0..<random.below(6) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
            if random.below(2) == 0 { bytes = (0..<random.below(200)).map { _ in UInt8(random.below(256)) } }
            let found = JournalLog.records { place, count in Array(bytes.dropFirst(Int(place)).prefix(count)) }
            #expect(found.isEmpty || bytes == whole, "seed \(seed)")
        }
    }
}

/// The file of the log and what the next start makes of it.
@Suite struct JournalLogTests {
    private let position = LogPosition(identity: 5, applied: 40)

    private func path(_ bench: Workbench) -> String { bench.path + "/journal.ahead" }

    private func numbers(_ bench: Workbench) throws -> [UInt64] {
        try JournalLog.read(path: path(bench)).map(\.sequence)
    }

    private func change(_ id: UInt64) -> [JournalChange] { [.putRevision(revision(id))] }

    @Test func `records follow each other, and over the old ones nothing old is read`() throws {
        let bench = try Workbench()
        let log = try JournalLog(path: path(bench), position: position)
        #expect(try numbers(bench) == [])
        for id in 1...5 as ClosedRange<UInt64> { #expect(try log.append(change(id))) }
        #expect(try numbers(bench) == [41, 42, 43, 44, 45])
        #expect(log.attempted == 45)
        log.startOver()
        #expect(try numbers(bench) == [41, 42, 43, 44, 45])
        // As long as the old ones, and of another length.
        #expect(try log.append(change(6)))
        #expect(try numbers(bench) == [46])
        #expect(try log.append([.putContent(RevisionID(1), [UInt8](repeating: 7, count: 5000))]))
        #expect(try numbers(bench) == [46, 47])
        log.empty()
        #expect(try numbers(bench) == [])
        log.startOver()
        #expect(try log.append(change(8)))
        #expect(try numbers(bench) == [48])
    }

    @Test func `it takes what fits and no more`() throws {
        let bench = try Workbench()
        let log = try JournalLog(path: path(bench), position: position)
        let big: [JournalChange] = [.putContent(RevisionID(1), pattern(1 << 20))]
        var count = 0
        while try log.append(big) { count += 1 }
        #expect(count == 3)
        #expect(try numbers(bench).count == 3)
        #expect(log.attempted == 43)
        #expect(try !log.append([.putContent(RevisionID(1), pattern(5 << 20))]))
        #expect(try log.append(change(1)))
        #expect(try numbers(bench).count == 4)
        log.close()
        #expect(try !log.append(change(1)), "closed until the database has everything")
        log.startOver()
        #expect(try log.append(change(1)))
        #expect(try numbers(bench) == [45])
        let size = try OwnedDescriptor.open(absolute: path(bench), .readOnly).status().size.rawValue
        #expect(size == JournalLog.capacity)
    }

    @Test func `what the database has is left out, and a log that does not go on where it ends is refused`() throws {
        let records = [41, 42, 43].map { JournalRecord(identity: 5, sequence: $0, statements: []) }
        #expect(try position.unapplied(records).count == 3)
        #expect(try LogPosition(identity: 5, applied: 42).unapplied(records).map(\.sequence) == [43])
        #expect(try LogPosition(identity: 5, applied: 99).unapplied(records).isEmpty)
        #expect(try LogPosition(identity: 6, applied: 99).unapplied([]).isEmpty)
        let refusal = RemoteError.journal(.otherLog)
        #expect(throws: refusal) { try LogPosition(identity: 5, applied: 39).unapplied(records) }
        #expect(throws: refusal) { try LogPosition(identity: 6, applied: 40).unapplied(records) }
    }
}

/// The journal with its log: what is durable when somebody is told so.
@Suite struct JournalWithLogTests {
    private func journal(_ bench: Workbench) throws -> Journal { try Journal(path: bench.path + "/journal.sqlite") }

    private func inDatabase(_ bench: Workbench) throws -> [Int64] {
        try DatabaseQueue(path: bench.path + "/journal.sqlite").read {
            try Int64.fetchAll($0, sql: "SELECT id FROM revisions ORDER BY id")
        }
    }

    private func known(_ bench: Workbench) throws -> [UInt64] {
        try journal(bench).contents().revisions.map { $0.id.rawValue }.sorted()
    }

    /// A state directory as a crash leaves it.
    private func crashed(_ bench: Workbench) throws -> Workbench {
        let copy = try Workbench()
        bench.snapshot(to: copy.path)
        return copy
    }

    @Test func `who is told has it in the log, and the database gets it later`() throws {
        let bench = try Workbench()
        let journal = try journal(bench)
        try journal.start()
        for id in 1...20 as ClosedRange<UInt64> {
            try journal.commit([.putRevision(revision(id)), .putContent(RevisionID(id), [UInt8(id)])])
            #expect(try journal.content(of: RevisionID(id)) == [UInt8(id)])
        }
        let crash = try crashed(bench)
        #expect(try inDatabase(crash) == [], "the database is not waited for")
        #expect(try known(crash) == Array(1...20))
        #expect(try self.journal(crash).content(of: RevisionID(20)) == [20])
        // Nothing to commit for a while.
        let deadline = ContinuousDeadline.after(.seconds(20))
        while try inDatabase(bench).count < 20, !deadline.hasPassed { usleep(10_000) }
        #expect(try inDatabase(bench) == Array(1...20))
        #expect(try journal.content(of: RevisionID(7)) == [7])
        try journal.commit([.dropRevision(RevisionID(7))])
        #expect(try known(try crashed(bench)) == Array(1...6) + Array(8...20))
        journal.stop()
        #expect(try inDatabase(bench).count == 19)
        #expect(try JournalLog.read(path: bench.path + "/journal.ahead").isEmpty)
    }

    @Test func `a crash between the database and the new start of the log writes nothing twice`() throws {
        let bench = try Workbench()
        let journal = try journal(bench)
        try journal.start()
        try journal.commit([.putRevision(revision(1))])
        try journal.commit([.putRevision(revision(2))])
        let old = try crashed(bench)
        try journal.commit([.dropRevision(RevisionID(1))])
        journal.stop()
        // The log as it was, the database as it is: revision 1 does not come back.
        run("cp", old.path + "/journal.ahead", bench.path + "/journal.ahead")
        #expect(try known(bench) == [2])
    }

    @Test func `a log of another journal is refused, and the sentence says what to do`() throws {
        let (bench, other) = (try Workbench(), try Workbench())
        for place in [bench, other] {
            let journal = try journal(place)
            try journal.start()
            try journal.commit([.putRevision(revision(1))])
            run("cp", place.path + "/journal.ahead", place.path + "/kept")
            journal.stop()
        }
        run("cp", other.path + "/kept", bench.path + "/journal.ahead")
        let refusal = RemoteError.journal(.otherLog)
        #expect(throws: refusal) { try known(bench) }
        #expect(throws: refusal) { try JournalCheck.findings(path: bench.path + "/journal.sqlite") }
        #expect(refusal.message.contains("move journal.ahead away"))
        run("rm", bench.path + "/journal.ahead")
        #expect(try known(bench) == [1])
    }

    @Test func `a log that cannot be written does not keep anything from being durable`() throws {
        let bench = try Workbench()
        run("ln", "-s", "/dev/full", bench.path + "/journal.ahead")
        let journal = try journal(bench)
        try journal.start()
        try journal.commit([.putRevision(revision(1))])
        #expect(try inDatabase(bench) == [1])
        try journal.commit([.putRevision(revision(2))])
        journal.stop()
        #expect(try inDatabase(bench) == [1, 2])
    }

    @Test func `a log cut anywhere in its last record has all the others`() throws {
        let bench = try Workbench()
        let journal = try journal(bench)
        try journal.start()
        for id in 1...3 as ClosedRange<UInt64> {
            try journal.commit([.putRevision(revision(id)), .putContent(RevisionID(id), pattern(9_000))])
        }
        let crash = try crashed(bench)
        journal.stop()
        let whole = 12_288
        for cut in stride(from: 2 * whole, to: 3 * whole, by: 512) {
            let copy = try crashed(crash)
            run("truncate", "-s", "\(cut)", copy.path + "/journal.ahead")
            // The last block of a record has less than all of it.
            let isWhole = cut >= 2 * whole + JournalRecord.length(try head(crash, at: 2 * whole))!
            #expect(try known(copy) == (isWhole ? [1, 2, 3] : [1, 2]), "cut at \(cut)")
        }
    }

    private func head(_ bench: Workbench, at place: Int) throws -> [UInt8] {
        try OwnedDescriptor.open(absolute: bench.path + "/journal.ahead", .readOnly).read(
            JournalRecord.headBytes, at: UInt64(place))
    }

    /// Lets the database take nothing for now, and again.
    private func rename(_ old: String, _ new: String, _ bench: Workbench) throws {
        try DatabaseQueue(path: bench.path + "/journal.sqlite").write {
            try $0.execute(sql: "ALTER TABLE \(old) RENAME TO \(new)")
        }
    }

    @Test func `what the database could not take at the end is there at the next start`() throws {
        let bench = try Workbench()
        let journal = try journal(bench)
        try journal.start()
        try journal.commit([.putRevision(revision(1))])
        try rename("revisions", "hidden", bench)
        journal.stop()
        try rename("hidden", "revisions", bench)
        #expect(try inDatabase(bench) == [])
        #expect(try known(bench) == [1])
    }

    @Test func `once the database has failed nothing is promised before it works again`() throws {
        let bench = try Workbench()
        let journal = try journal(bench)
        try journal.start()
        try journal.commit([.putRevision(revision(1))])
        try rename("revisions", "hidden", bench)
        // Tried when nothing is to be done for a while, and then before anybody is told anything.
        let deadline = ContinuousDeadline.after(.seconds(20))
        var refused: RemoteError?
        while refused == nil, !deadline.hasPassed {
            usleep(300_000)
            do throws(RemoteError) { try journal.commit([.putRevision(revision(2))]) } catch { refused = error }
        }
        #expect(refused != nil)
        try rename("hidden", "revisions", bench)
        try journal.commit([.putRevision(revision(3))])
        #expect(try inDatabase(bench) == [1, 2, 3])
        #expect(try known(try crashed(bench)) == [1, 2, 3])
        journal.stop()
    }

    @Test(.enabled(if: geteuid() == 0, "mounts a small tmpfs"))
    func `on a full disk the log goes on, gives back what it does not need, and the database catches up`() throws {
        let bench = try Workbench()
        let disk = bench.path + "/disk"
        run("mkdir", disk)
        run("mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", disk)
        defer { run("umount", disk) }
        let small = Workbench(at: disk)
        let journal = try journal(small)
        try journal.start()
        try journal.commit([.putRevision(revision(1))])
        run("sh", "-c", "cat /dev/zero > \(disk)/fill 2>/dev/null; true")
        let log = try OwnedDescriptor.open(absolute: disk + "/journal.ahead", .readOnly)
        #expect(try log.status().size.rawValue == 1 << 20, "grown before the disk was full")
        // More than the database has pages for, and a pause in which it finds that out.
        let texts = String(repeating: "why ", count: 200)
        for id in 2...100 as ClosedRange<UInt64> { try journal.commit([.putRevision(revision(id, error: texts))]) }
        usleep(500_000)
        try journal.commit([.putRevision(revision(101))])
        let crash = try crashed(small)
        #expect(try known(crash) == Array(1...101))
        let deadline = ContinuousDeadline.after(.seconds(20))
        while try inDatabase(small).count < 101, !deadline.hasPassed { usleep(50_000) }
        #expect(try inDatabase(small).count == 101, "what the log gave back is enough")
        journal.stop()
    }

    @Test func `small files that only the log has are sent after a power cut took the spool`() throws {
        let (bench, store) = (try Workbench(), try Workbench())
        let service = try bench.service(bench.closedStore(), commit: .journal)
        try service.start()
        let session = try service.trees[0].session("s")
        for number in 0..<5 { _ = try service.trees[0].put("\(number)", pattern(3_000 + number), in: session) }
        let crash = try crashed(bench)
        service.stop()
        #expect(try inDatabase(crash) == [])
        for name in crash.files(below: "spool").keys { run("truncate", "-s", "0", crash.path + "/spool/" + name) }
        let later = try crash.service(LocalStore(path: store.path + "/store", adoptsSpoolFiles: false))
        try later.start()
        let found = try later.trees[0].lookup(Name("s"), in: .root)
        try waiting { later.trees[0].waitUntilCommitted(below: found.id, $0) }
        later.stop()
        #expect(store.stored == Dictionary(uniqueKeysWithValues: (0..<5).map { ("s/\($0)", pattern(3_000 + $0)) }))
    }

    @Test func `more than the log takes goes into the database, in order`() throws {
        let bench = try Workbench()
        let journal = try journal(bench)
        try journal.start()
        for round in 0..<12 as Range<UInt64> {
            try journal.commit([.putRevision(revision(round)), .putContent(RevisionID(round), pattern(1 << 20))])
            if round > 0 { try journal.commit([.dropRevision(RevisionID(round - 1))]) }
        }
        #expect(try known(try crashed(bench)) == [11])
        #expect(try journal.content(of: RevisionID(11)) == pattern(1 << 20))
        #expect(try journal.content(of: RevisionID(10)) == nil)
        journal.stop()
        #expect(try inDatabase(bench) == [11])
    }

    @Test func `who looks from outside sees what is in the log`() throws {
        let bench = try Workbench()
        let path = bench.path + "/journal.sqlite"
        let service = try bench.service(bench.closedStore(), commit: .journal)
        try service.start()
        let session = try service.trees[0].session("s")
        for number in 0..<30 {
            _ = try service.trees[0].put("\(number)", [UInt8(number)], in: session)
            // At any moment: in the log, in the database, on the way.
            let found = try JournalCheck.unfinished(path: path)
            #expect(found.map(\.files) == [number + 1])
            #expect(try JournalCheck.uploads(path: path).count == number + 1)
        }
        #expect(try JournalCheck.findings(path: path) == [])
        service.stop()
        #expect(try JournalCheck.unfinished(path: path).map(\.files) == [30])
    }
}
