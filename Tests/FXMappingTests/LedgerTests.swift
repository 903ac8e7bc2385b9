import FXSystem
import Synchronization
import SystemPackage
import Testing

@testable import FXMapping

@Suite struct LedgerTests {
    let ledger = SealLedger()
    static let directory = FileIdentity(device: 1, inode: 1)
    static let creator: UInt32 = 1000
    static let other: UInt32 = 2000

    private func file(_ inode: UInt64 = 10, born: Int64 = 1, links: UInt32 = 1, size: UInt64 = 0) -> FileStatus {
        var status = FileStatus.virtual(type: .regular, permissions: 0o644, inode: inode, size: ByteCount(size))
        status.born = Timestamp(seconds: born)
        status.linkCount = links
        return status
    }

    private func at(_ name: StaticString) -> DirectoryName {
        DirectoryName(directory: Self.directory, name: Name(constant: name))
    }
    private let path = RelativePath([Name(constant: "sealed")])

    @Test func whatTheLedgerDoesNotKnowIsSealed() {
        #expect(ledger.contentState(of: file(), for: Self.creator) == .sealed)
        #expect(ledger.nameState(of: file(), at: at("f"), for: Self.creator) == .sealed)
        #expect(ledger.backupPath(of: file()) == nil)
        ledger.stopWriting(file().identity)
        ledger.flushed(file().identity)
        ledger.finishVersion(of: file(), kept: true)
        ledger.linked(file(), at: at("f"), temporary: false)
        ledger.removed(file(), from: at("f"))
        #expect(ledger.count == 0)
    }

    @Test func aNewFileIsADraftUntilItsLastWriterGoes() throws {
        let file = file()
        ledger.created(file, at: at("f"), temporary: false, by: Self.creator, writers: 1)
        #expect(ledger.contentState(of: file, for: Self.creator) == .draft(mine: true))
        #expect(ledger.contentState(of: file, for: Self.other) == .draft(mine: false))
        #expect(ledger.nameState(of: file, at: at("f"), for: Self.other) == .draft(mine: false))
        #expect(ledger.nameState(of: file, at: at("g"), for: Self.creator) == .sealed)
        guard case .admitted = try ledger.startWriting(file, uid: Self.other) else { return #expect(Bool(false)) }
        ledger.stopWriting(file.identity)
        #expect(ledger.contentState(of: file, for: Self.creator) == .draft(mine: true))
        ledger.stopWriting(file.identity)
        #expect(ledger.contentState(of: file, for: Self.creator) == .sealed)
        #expect(ledger.count == 0)
    }

    @Test func aFlushPromisesTheBytesBeforeTheReleaseArrives() {
        let file = file()
        ledger.created(file, at: at("f"), temporary: false, by: Self.creator, writers: 1)
        ledger.flushed(file.identity)
        #expect(ledger.contentState(of: file, for: Self.creator) == .sealed)
        #expect(ledger.nameState(of: file, at: at("f"), for: Self.creator) == .sealed)
    }

    @Test func aSecondWriterAfterAFlushNeedsAVersionAndMayThenWrite() throws {
        let file = file()
        ledger.created(file, at: at("f"), temporary: false, by: Self.creator, writers: 1)
        ledger.flushed(file.identity)
        guard case .versionFirst = try ledger.startWriting(file, uid: Self.other) else { return #expect(Bool(false)) }
        ledger.finishVersion(of: file, kept: true)
        #expect(ledger.contentState(of: file, for: Self.other) == .draft(mine: false))
        // The first writer's late release leaves the second one writing.
        ledger.stopWriting(file.identity)
        #expect(ledger.contentState(of: file, for: Self.other) == .draft(mine: false))
        guard case .admitted = try ledger.startWriting(file, uid: Self.other) else { return #expect(Bool(false)) }
        ledger.stopWriting(file.identity)
        ledger.stopWriting(file.identity)
        #expect(ledger.count == 0)
    }

    @Test func aVersionThatFailedLeavesTheBytesSealedAndNobodyCounted() throws {
        let file = file()
        guard case .versionFirst = try ledger.startWriting(file, uid: Self.other) else { return #expect(Bool(false)) }
        ledger.finishVersion(of: file, kept: false)
        #expect(ledger.contentState(of: file, for: Self.other) == .sealed)
        #expect(ledger.count == 0)
    }

    @Test func aSealedFileBeingChangedKeepsItsName() throws {
        let file = file()
        _ = try ledger.startWriting(file, uid: Self.creator)
        ledger.finishVersion(of: file, kept: true)
        #expect(ledger.contentState(of: file, for: Self.creator) == .draft(mine: true))
        #expect(ledger.nameState(of: file, at: at("f"), for: Self.creator) == .sealed)
        ledger.stopWriting(file.identity)
        #expect(ledger.contentState(of: file, for: Self.creator) == .sealed)
    }

    @Test(.timeLimit(.minutes(1))) func writersWaitForAVersionBeingMade() throws {
        let file = file()
        let ledger = ledger
        guard case .versionFirst = try ledger.startWriting(file, uid: Self.creator) else { return #expect(Bool(false)) }
        let admitted = Monitor(0)
        for _ in 0..<4 {
            _ = try ServiceThread(name: "writer") {
                if case .admitted = try? ledger.startWriting(file, uid: Self.other) { admitted.withLock { $0 += 1 } }
            }
        }
        #expect(admitted.wait(until: .after(.milliseconds(50))) { $0 > 0 ? () : nil } == nil)
        ledger.finishVersion(of: file, kept: true)
        #expect(admitted.wait(until: .after(.seconds(20))) { $0 == 4 ? () : nil } != nil)
        for _ in 0..<5 { ledger.stopWriting(file.identity) }
        #expect(ledger.count == 0)
    }

    @Test func aTemporaryNameStaysTheCreatorsUntilItGetsAnOrdinaryOne() {
        let file = file()
        ledger.created(file, at: at("f.part"), temporary: true, by: Self.creator, writers: 1)
        ledger.flushed(file.identity)
        ledger.stopWriting(file.identity)
        #expect(ledger.contentState(of: file, for: Self.creator) == .draft(mine: true))
        #expect(ledger.nameState(of: file, at: at("f.part"), for: Self.creator) == .draft(mine: true))
        ledger.renamed(file, from: at("f.part"), to: at("g.part"), temporary: true, path: path, by: Self.creator)
        #expect(ledger.nameState(of: file, at: at("g.part"), for: Self.creator) == .draft(mine: true))
        #expect(ledger.nameState(of: file, at: at("f.part"), for: Self.creator) == .sealed)
        ledger.renamed(file, from: at("g.part"), to: at("g"), temporary: false, path: path, by: Self.creator)
        #expect(ledger.contentState(of: file, for: Self.creator) == .sealed)
        #expect(ledger.count == 0)
    }

    @Test func gitLinksTheFinalNameAndThenTakesTheTemporaryOneAway() {
        let file = file()
        ledger.created(file, at: at("tmp_obj_x"), temporary: true, by: Self.creator, writers: 1)
        ledger.stopWriting(file.identity)
        var linked = file
        linked.linkCount = 2
        ledger.linked(linked, at: at("abc"), temporary: false)
        #expect(ledger.contentState(of: linked, for: Self.creator) == .sealed)
        #expect(ledger.nameState(of: linked, at: at("tmp_obj_x"), for: Self.creator) == .draft(mine: true))
        #expect(ledger.nameState(of: linked, at: at("abc"), for: Self.creator) == .sealed)
        ledger.removed(linked, from: at("tmp_obj_x"))
        #expect(ledger.nameState(of: file, at: at("abc"), for: Self.creator) == .sealed)
        #expect(ledger.count == 0)
    }

    @Test func vimsBackupIsItsMakersToRemoveAndRemembersItsPath() {
        let file = file()
        ledger.renamed(file, from: at("f"), to: at("f~"), temporary: true, path: path, by: Self.creator)
        #expect(ledger.nameState(of: file, at: at("f~"), for: Self.creator) == .backup(mine: true))
        #expect(ledger.nameState(of: file, at: at("f~"), for: Self.other) == .backup(mine: false))
        #expect(ledger.contentState(of: file, for: Self.creator) == .sealed)
        #expect(ledger.backupPath(of: file) == path)
        ledger.renamed(file, from: at("f~"), to: at("g~"), temporary: true, path: RelativePath(), by: Self.creator)
        #expect(ledger.nameState(of: file, at: at("g~"), for: Self.creator) == .backup(mine: true))
        #expect(ledger.backupPath(of: file) == path)
        ledger.renamed(file, from: at("g~"), to: at("f"), temporary: false, path: path, by: Self.creator)
        #expect(ledger.nameState(of: file, at: at("f"), for: Self.creator) == .sealed)
        #expect(ledger.count == 0)
    }

    @Test func aRenamedDirectoryIsNoBackup() {
        var directory = file()
        directory.mode = 0o040755
        ledger.renamed(directory, from: at("d"), to: at("d~"), temporary: true, path: path, by: Self.creator)
        #expect(ledger.nameState(of: directory, at: at("d~"), for: Self.creator) == .sealed)
        #expect(ledger.count == 0)
    }

    @Test func tarsPlaceholderStaysADraftAsLongAsItIsEmpty() {
        let empty = file()
        ledger.created(empty, at: at("link"), temporary: false, placeholder: true, by: Self.creator, writers: 1)
        #expect(ledger.isPlaceholder(empty.identity))
        ledger.flushed(empty.identity)
        ledger.stopWriting(empty.identity)
        #expect(ledger.nameState(of: empty, at: at("link"), for: Self.creator) == .draft(mine: true))
        #expect(ledger.contentState(of: empty, for: Self.creator) == .draft(mine: true))
        let full = file(11)
        ledger.created(full, at: at("file"), temporary: false, placeholder: true, by: Self.creator, writers: 1)
        ledger.holdsSomething(full.identity)
        ledger.flushed(full.identity)
        #expect(ledger.nameState(of: full, at: at("file"), for: Self.creator) == .sealed)
        ledger.stopWriting(full.identity)
        #expect(ledger.contentState(of: full, for: Self.creator) == .sealed)
        #expect(!ledger.isPlaceholder(full.identity))
    }

    @Test func anInodeNumberUsedAgainIsAnotherFile() {
        ledger.created(file(10, born: 1), at: at("f.part"), temporary: true, by: Self.creator, writers: 0)
        let next = file(10, born: 2)
        #expect(ledger.contentState(of: next, for: Self.creator) == .sealed)
        #expect(ledger.nameState(of: next, at: at("f.part"), for: Self.creator) == .sealed)
        #expect(ledger.count == 0)
        // Without birth times there is nothing to tell them apart by.
        var plain = file(12)
        plain.born = nil
        ledger.created(plain, at: at("g.part"), temporary: true, by: Self.creator, writers: 0)
        #expect(ledger.contentState(of: plain, for: Self.creator) == .draft(mine: true))
    }

    @Test func removingADraftForgetsIt() {
        let file = file()
        ledger.created(file, at: at("f.part"), temporary: true, by: Self.creator, writers: 1)
        ledger.removed(file, from: at("f.part"))
        #expect(ledger.contentState(of: file, for: Self.creator) == .draft(mine: true))
        ledger.stopWriting(file.identity)
        #expect(ledger.count == 0)
    }

    @Test func aVersionMadeWhileOthersWriteMovesTheChangeTime() throws {
        let scratch = try Scratch()
        let name = Name(constant: "f")
        try scratch.write([1, 2], to: name, mode: 0o640)
        let descriptor = try scratch.descriptor().open(name, .readWrite)
        let status = try descriptor.status()
        // One writer only: the version is certain, and nothing is touched.
        _ = try ledger.startWriting(status, uid: 0)
        ledger.finishVersion(of: status, kept: true)
        ledger.distrustVersions(of: descriptor, status.identity)
        let untouched = try descriptor.status().changed
        #expect(untouched == status.changed)
        // A flush and a second writer: what the first one stores through a mapping leaves no trace.
        ledger.flushed(status.identity)
        guard case .versionFirst = try ledger.startWriting(status, uid: 0) else { return #expect(Bool(false)) }
        ledger.finishVersion(of: status, kept: true)
        let deadline = ContinuousDeadline.after(.seconds(10))
        var changed = status.changed
        // The kernel's clock of files is coarse.
        while changed == status.changed && !deadline.hasPassed {
            ledger.distrustVersions(of: descriptor, status.identity)
            changed = try descriptor.status().changed
        }
        #expect(changed > status.changed)
        let after = try descriptor.status()
        #expect(after.permissions == 0o640 && after.modified == status.modified)
    }

    @Test func aThreadsTurnIsItsOwn() throws {
        let turns = DirectoryTurns()
        let identities = (1...4).map { FileIdentity(device: 1, inode: $0) }
        let inside = Mutex<[FileIdentity: Int]>([:])
        let clashes = Atomic<Int>(0)
        let ended = Monitor(0)
        var random = SeededGenerator()
        for _ in 0..<4 {
            let schedule = (0..<500).map { _ in
                Set(
                    [identities.randomElement(using: &random), identities.randomElement(using: &random)].compactMap {
                        $0
                    })
            }
            _ = try ServiceThread(name: "turns") {
                for directories in schedule {
                    turns.take(directories) {
                        let clash = inside.withLock { inside in
                            directories.contains { inside[$0, default: 0] > 0 }
                        }
                        if clash { clashes.add(1, ordering: .relaxed) }
                        inside.withLock { inside in for directory in directories { inside[directory, default: 0] += 1 }
                        }
                        inside.withLock { inside in for directory in directories { inside[directory, default: 0] -= 1 }
                        }
                    }
                }
                ended.withLock { $0 += 1 }
            }
        }
        #expect(ended.wait(until: .after(.seconds(60))) { $0 == 4 ? () : nil } != nil)
        #expect(clashes.load(ordering: .relaxed) == 0)
    }

    @Test(.timeLimit(.minutes(1))) func aTurnEndsWhenItsBodyThrowsAndOtherDirectoriesDoNotWait() throws {
        let turns = DirectoryTurns()
        let (one, two) = (FileIdentity(device: 1, inode: 1), FileIdentity(device: 1, inode: 2))
        #expect(throws: Errno.noSpace) { try turns.take([one]) { () throws(Errno) in throw .noSpace } }
        turns.take([one]) { turns.take([two]) {} }
    }
}
