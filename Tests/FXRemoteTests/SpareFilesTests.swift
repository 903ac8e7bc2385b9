import FXSystem
import GRDB
import Glibc
import SystemPackage
import Testing

@testable import FXRemote

/// Spool files of small committed contents that become those of later drafts.
@Suite struct SpareFilesTests {
    private let path = try? RelativePath("local/s/f")

    private func inode(_ file: SpoolFile) throws -> UInt64 { try file.descriptor.status().identity.inode }

    private func made(_ bytes: [UInt8], in spool: Spool) throws -> SpoolFile {
        let file = try spool.create(spool.newUploadID(), path: try #require(path))
        try unsafe bytes.withUnsafeBytes { (raw: UnsafeRawBufferPointer) in try unsafe file.descriptor.write(raw, at: 0)
        }
        return file
    }

    /// What a content leaves when its file is closed.
    private func closed(_ bytes: [UInt8], in spool: Spool) throws -> (name: Name, inode: UInt64, uses: SpoolUses) {
        let file = try made(bytes, in: spool)
        return (file.name, try inode(file), file.uses)
    }

    @Test(arguments: [true, false]) func `a draft gets the emptied file of a committed one`(open: Bool) throws {
        let bench = try Workbench()
        let spool = try Spool(stateDirectory: bench.path)
        var file: SpoolFile? = try made(pattern(9_000), in: spool)
        let (name, uses) = (try #require(file).name, try #require(file).uses)
        let first = try inode(#require(file))
        if !open { file = nil }
        try spool.reuse(name, file: file, uses: uses)
        file = nil
        #expect(bench.files(below: "spool").isEmpty)
        #expect(Array(bench.files(below: "spare").values) == [[]])
        let upload = spool.newUploadID()
        let next = try spool.create(upload, path: RelativePath("local/s/other"))
        #expect(try inode(next) == first)
        #expect(bench.files(below: "spool") == [upload.text: []])
        #expect(bench.files(below: "spare").isEmpty)
        #expect(spool.recordedPath(of: next.name)?.description == "local/s/other")
    }

    @Test func `a file somebody reads stays as it is until it is closed`() throws {
        let bench = try Workbench()
        let spool = try Spool(stateDirectory: bench.path)
        let content = try closed(pattern(9_000), in: spool)
        let reader = try spool.open(content.name, uses: content.uses)
        try spool.reuse(content.name, file: nil, uses: content.uses)
        let next = try made(pattern(9_000, seed: 2), in: spool)
        #expect(try inode(next) != content.inode)
        #expect(try reader.bytes(9_000) == pattern(9_000))
        #expect(bench.files(below: "spare").isEmpty)
        // The same where whoever gives it up has it open too.
        let second = try spool.open(next.name, uses: next.uses)
        try spool.reuse(next.name, file: next, uses: next.uses)
        #expect(try second.bytes(9_000) == pattern(9_000, seed: 2))
        #expect(bench.files(below: "spare").isEmpty)
    }

    @Test func `whoever opens a content while it is given up reads its bytes or finds none`() throws {
        let bench = try Workbench()
        let spool = try Spool(stateDirectory: bench.path)
        let current = Monitor<(name: Name, uses: SpoolUses, seed: UInt64)?>(nil)
        let isOver = Monitor(false)
        let found = Monitor((whole: 0, gone: 0, wrong: 0))
        let readers: [WorkerThread] = try (0..<2).map { number in
            try WorkerThread(name: "reader-\(number)") {
                while !isOver.withLock({ $0 }) {
                    guard let content = current.withLock({ $0 }) else { continue }
                    guard let file = try? spool.open(content.name, uses: content.uses) else {
                        found.withLock { $0.gone += 1 }
                        continue
                    }
                    let bytes = try? file.bytes(600)
                    found.withLock {
                        if bytes == pattern(600, seed: content.seed) { $0.whole += 1 } else { $0.wrong += 1 }
                    }
                }
            }
        }
        for seed in UInt64(1)...3_000 {
            let content = try closed(pattern(600, seed: seed), in: spool)
            current.withLock { $0 = (content.name, content.uses, seed) }
            if seed % 3 == 0 { sched_yield() }
            try spool.reuse(content.name, file: nil, uses: content.uses)
        }
        isOver.withLock { $0 = true }
        for reader in readers { reader.join() }
        let counts = found.withLock { $0 }
        #expect(counts.wrong == 0)
        #expect(counts.whole > 0 && counts.gone > 0)
    }

    @Test(arguments: [false, true]) func `a content that is given up while it is read is read to its end`(
        isRead: Bool
    ) throws {
        let bench = try Workbench()
        let spool = try Spool(stateDirectory: bench.path)
        let upload = spool.newUploadID()
        let terms = UploadTerms(facts: try LocalStore(path: bench.path + "/store").facts, retry: .quick, connections: 1)
        let revision = Revision(
            id: RevisionID(1), upload: upload, file: try spool.create(upload, path: try #require(path)), spool: spool,
            owner: 0, size: .zero, terms: terms)
        let bytes = pattern(700)
        #expect(try unsafe bytes.withUnsafeBytes { try unsafe revision.write($0, at: 0) } != nil)
        guard case .journalled = try revision.prepareSeal(room: JournalRoom()) else {
            Issue.record("not for the journal")
            return
        }
        _ = revision.finishSeal(at: Timestamp(seconds: 1))
        // The one file all readers share.
        let reader = isRead ? try revision.content() : nil
        try revision.freeContent()
        if let reader { #expect(try reader.bytes(700) == bytes) }
        #expect(bench.files(below: "spool").isEmpty)
        #expect(bench.files(below: "spare").count == (isRead ? 0 : 1))
        #expect(throws: RemoteError.local(.noSuchFileOrDirectory, during: .spool)) { try revision.content() }
    }

    @Test func `a file a power cut has left in both places is the spool's`() throws {
        let bench = try Workbench()
        var spool: Spool? = try Spool(stateDirectory: bench.path)
        let file = try made(pattern(50), in: try #require(spool))
        let name = file.name
        spool = nil
        run("ln", "\(bench.path)/spool/\(name)", bench.path + "/spare/63")
        run("touch", bench.path + "/spare/62")
        let again = try Spool(stateDirectory: bench.path)
        #expect(bench.files(below: "spare") == ["63": pattern(50)])
        #expect(bench.files(below: "spool") == [name.description: pattern(50)])
        for number in 0..<SpareFiles.capacity {
            let content = try closed([UInt8(number)], in: again)
            try again.reuse(content.name, file: nil, uses: content.uses)
        }
        #expect(bench.files(below: "spool") == [name.description: pattern(50)])
        try again.close()
        #expect(bench.files(below: "spare") == ["63": pattern(50)])
    }

    @Test func `at most sixty-four are kept`() throws {
        let bench = try Workbench()
        let spool = try Spool(stateDirectory: bench.path)
        let contents = try (0..<70).map { number in try closed([UInt8(number)], in: spool) }
        for content in contents { try spool.reuse(content.name, file: nil, uses: content.uses) }
        #expect(bench.files(below: "spool").isEmpty)
        #expect(bench.files(below: "spare").count == SpareFiles.capacity)
        try spool.close()
        #expect(bench.files(below: "spare").isEmpty)
        let late = try closed([1], in: spool)
        try spool.reuse(late.name, file: nil, uses: late.uses)
        #expect(bench.files(below: "spool").isEmpty)
        #expect(bench.files(below: "spare").isEmpty)
    }

    @Test func `what a crash leaves of them goes at the next start, and is nobody's content`() throws {
        let bench = try Workbench()
        let spool = try Spool(stateDirectory: bench.path)
        let content = try closed(pattern(100), in: spool)
        // The crash came before it was emptied.
        run("mv", "\(bench.path)/spool/\(content.name)", bench.path + "/spare/7")
        let service = try bench.service()
        #expect(bench.files(below: "spare").isEmpty)
        #expect(bench.files(below: "recovered").isEmpty)
        service.stop()
    }

    @Test func `spare files somebody took away, or on another file system, are made anew`() throws {
        let bench = try Workbench()
        let spool = try Spool(stateDirectory: bench.path)
        let content = try closed([1], in: spool)
        try spool.reuse(content.name, file: nil, uses: content.uses)
        run("sh", "-c", "rm '\(bench.path)'/spare/*")
        let next = try made([2], in: spool)
        #expect(Array(bench.files(below: "spool").values) == [[2]])
        try spool.reuse(next.name, file: next, uses: next.uses)
        try spool.reuse(next.name, file: nil, uses: next.uses)
        #expect(bench.files(below: "spool").isEmpty)
    }

    @Test func `many small files one after another use few, and one of them may grow`() throws {
        let bench = try Workbench()
        let seen = Monitor<Set<UInt64>>([])
        let backend = FaultyService(
            try LocalStore(path: bench.path + "/store", adoptsSpoolFiles: false),
            observe: { call, moment in
                guard call == .begin, moment == .before else { return }
                let spool = try? OwnedDescriptor.open(absolute: bench.path + "/spool", .directory)
                for name in (try? spool?.entryNames()) ?? [] {
                    guard let status = try? spool?.status(of: name) else { continue }
                    seen.withLock { _ = $0.insert(status.identity.inode) }
                }
            })
        let service = try bench.service(backend)
        try service.start()
        let session = try service.trees[0].session("s")
        var files: [String: [UInt8]] = [:]
        for number in 0..<120 {
            let size = number % 10 == 9 ? 200_000 : 3_000 + number
            files["s/\(number)"] = pattern(size, seed: UInt64(number + 1))
            try service.trees[0].put("\(number)", pattern(size, seed: UInt64(number + 1)), in: session)
        }
        service.stop()
        #expect(bench.stored == files)
        // Twelve of them are larger, and do not come back.
        #expect(seen.withLock { $0.count } < 60)
        #expect(bench.files(below: "spool").isEmpty)
        #expect(bench.files(below: "spare").isEmpty)
        #expect(bench.files(below: "recovered").isEmpty)
    }
}

/// What whoever waits for the journal is told at its end.
@Suite struct JournalEndTests {
    @Test func `whoever asked while the last transaction failed is not told that it is durable`() throws {
        let bench = try Workbench()
        let path = bench.path + "/journal.sqlite"
        // No log that could take it instead.
        run("ln", "-s", "/dev/full", bench.path + "/journal.ahead")
        let journal = try Journal(path: path)
        try journal.start()
        func row(_ id: UInt64) -> JournalChange {
            .putRevision(
                RevisionRow(
                    id: RevisionID(id), entry: EntryID(9), state: .queued, upload: UploadID("u\(id)"), size: .zero,
                    modified: Timestamp(seconds: 1), isKnownToService: false, acknowledged: ByteRanges(), attempts: 0))
        }
        let answers = Monitor<[UInt64: Bool]>([:])
        func ask(_ id: UInt64) {
            journal.enqueue([row(id)]) { result in
                let isDone = (try? result.get()) != nil
                answers.withLock { $0[id] = isDone }
            }
        }
        ask(1)
        #expect(answers.wait(until: .after(.seconds(20))) { $0[1] } == true)
        try DatabaseQueue(path: path).writeWithoutTransaction { other in
            // The next transaction waits for this one, and fails then.
            try other.execute(sql: "BEGIN IMMEDIATE")
            ask(2)
            usleep(100_000)
            ask(3)
            let stopper = try WorkerThread(name: "stopper") { journal.stop() }
            usleep(100_000)
            try other.execute(sql: "DROP TABLE revisions; COMMIT")
            stopper.join()
        }
        #expect(answers.withLock { $0 } == [1: true, 2: false, 3: false])
    }
}

/// What a batch of changes leaves to write.
@Suite struct JournalChangeTests {
    private func row(_ id: UInt64, _ state: FileState) -> JournalChange {
        .putRevision(
            RevisionRow(
                id: RevisionID(id), entry: EntryID(9), state: state, upload: UploadID("u\(id)"), size: .zero,
                modified: Timestamp(seconds: 1), isKnownToService: false, acknowledged: ByteRanges(), attempts: 0))
    }

    @Test func `only the last change of a row is written, in its place`() {
        let entry = JournalChange.dropEntry(EntryID(9))
        #expect(
            [row(1, .draft), entry, row(1, .queued), row(2, .draft)].effective == [
                entry, row(1, .queued), row(2, .draft),
            ])
        #expect([row(1, .draft), entry, entry].effective == [row(1, .draft), entry])
        #expect([JournalChange]().effective.isEmpty)
    }

    @Test func `bytes and their end are told apart from the row they belong to`() {
        let bytes = JournalChange.putContent(RevisionID(1), [1])
        #expect([row(1, .draft), row(1, .queued), bytes].effective == [row(1, .queued), bytes])
        #expect(
            [bytes, row(1, .committed), .dropContent(RevisionID(1))].effective == [
                row(1, .committed), .dropContent(RevisionID(1)),
            ])
        #expect([bytes, row(1, .committed), .dropRevision(RevisionID(1))].effective == [.dropRevision(RevisionID(1))])
        // The row goes with its bytes, whatever came in between.
        #expect(
            [.dropRevision(RevisionID(1)), .dropContent(RevisionID(1))].effective == [
                .dropRevision(RevisionID(1)), .dropContent(RevisionID(1)),
            ])
        #expect([bytes, .putContent(RevisionID(2), [2])].effective == [bytes, .putContent(RevisionID(2), [2])])
    }
}
