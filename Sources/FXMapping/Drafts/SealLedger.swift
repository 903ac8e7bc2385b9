public import FXSystem
public import SystemPackage

/// A name in a directory, whatever the directory is called at the moment.
public struct DirectoryName: Hashable, Sendable {
    public var directory: FileIdentity
    public var name: Name

    public init(directory: FileIdentity, name: Name) {
        self.directory = directory
        self.name = name
    }
}

/// Which files are drafts, and who is writing to what, right now.
///
/// Only files somebody is working on are in it; whatever it does not know is sealed, so that after a crash, when it
/// starts empty, everything on disk is protected. Keyed by inode, so that a rule follows a file through all its names.
///
/// Any thread may call. The one call that waits is `startWriting`, and only for a version being made of the same file.
public final class SealLedger: Sendable {
    struct Record {
        /// Creation time; a different one means that the inode number has been reused behind our back.
        var born: Timestamp?
        /// True until the bytes are promised: a new file before its last writer closes it, or a sealed one that is
        /// being
        /// changed after its version was made.
        var isUnsealed: Bool
        /// A writer has closed since the bytes last changed hands. close(2) has returned to it while its RELEASE is
        /// still on
        /// the way, so whoever comes next must find the bytes sealed.
        var isFlushed = false
        var writers = 0
        /// Somebody is making the version; writers wait.
        var isBeingVersioned = false
        var creator: UInt32
        /// The names its creator may take away, and whether each looks temporary.
        var names: [DirectoryName: Bool] = [:]
        /// The file has a name that does not look temporary, so it seals when the last writer goes.
        var hasOrdinaryName: Bool
        /// Made with no permissions at all, as tar makes the stand-in of a link it will put there at the end: as long
        /// as it is
        /// empty it stays a draft.
        var isPlaceholder = false
        /// A version was made while somebody could change the bytes without a trace: a store through a shared mapping
        /// does not
        /// move the change time. The file's change time is moved before it seals, so that no such version passes for
        /// current.
        var hasUncertainVersion = false
        /// The path the file was sealed under before somebody made it a backup.
        var backup: Backup?

        /// Nobody was promised these bytes.
        var isOpenDraft: Bool { isUnsealed && !(isFlushed && hasOrdinaryName) }

        struct Backup {
            var name: DirectoryName
            var path: RelativePath
            var uid: UInt32
        }
    }

    /// Drafts with temporary names stay until they are renamed; past this many, new ones are sealed at once. About 300
    /// bytes each.
    static let maximumRecords = 1_000_000

    private let records = Monitor<[FileIdentity: Record]>([:])

    public init() {}

    // MARK: What a file is

    /// The seal of the bytes.
    public func contentState(of file: FileStatus, for uid: UInt32) -> SealState {
        records.withLock { records in
            guard let record = current(file, in: &records), record.isOpenDraft else { return .sealed }
            return .draft(mine: record.creator == uid)
        }
    }

    /// The seal of one name; a sealed file can still have a temporary name its creator may take away (git links its
    /// `tmp_obj_…` to the final name and then removes it).
    public func nameState(of file: FileStatus, at name: DirectoryName, for uid: UInt32) -> SealState {
        records.withLock { records in
            guard let record = current(file, in: &records) else { return .sealed }
            if let backup = record.backup, backup.name == name { return .backup(mine: backup.uid == uid) }
            guard let temporary = record.names[name], temporary || !record.isFlushed else { return .sealed }
            return .draft(mine: record.creator == uid)
        }
    }

    /// A draft nobody writes to was found at a name this mount did not give it: whoever did, in the backing directory or by another process of
    /// this program, has made it a file like any other.
    func found(_ file: FileStatus, at name: DirectoryName) {
        records.withLock { records in
            guard var record = current(file, in: &records), record.isUnsealed, record.writers == 0,
                record.names[name] == nil
            else { return }
            record.isUnsealed = false
            record.hasOrdinaryName = true
            records[file.identity] = record
            settle(file.identity, in: &records)
        }
    }

    /// Where a backup's bytes were sealed.
    public func backupPath(of file: FileStatus) -> RelativePath? {
        records.withLock { current(file, in: &$0)?.backup?.path }
    }

    /// How many files are being worked on.
    public var count: Int { records.withLock { $0.count } }

    // MARK: Writers

    /// What a writer has to do before it may write.
    public enum Admission: Sendable {
        /// The bytes are nobody's promise: write. The writer is counted.
        case admitted
        /// The bytes are sealed: keep a version, then call `finishVersion`. Other writers wait meanwhile. Counted
        /// already.
        case versionFirst
    }

    /// Counts a writer of `file` who may change any byte.
    ///
    /// - Parameter isGivenUp: asked every 100 ms while a version is being made for somebody else.
    /// - Throws: EINTR when the caller is dying.
    public func startWriting(
        _ file: FileStatus, uid: UInt32, isGivenUp: () -> Bool = { false }
    ) throws(Errno) -> Admission {
        while true {
            if let admission = admit(file, uid: uid, waiting: .milliseconds(100)) { return admission }
            if isGivenUp() { throw .interrupted }
        }
    }

    private func admit(_ file: FileStatus, uid: UInt32, waiting pause: Duration) -> Admission? {
        records.wait(until: .after(pause)) { records in
            guard var record = current(file, in: &records) else {
                records[file.identity] = Record(
                    born: file.born, isUnsealed: false, writers: 1, isBeingVersioned: true, creator: uid,
                    hasOrdinaryName: true)
                return .versionFirst
            }
            if record.isBeingVersioned { return nil }
            record.writers += 1
            let admission: Admission = record.isOpenDraft ? .admitted : .versionFirst
            record.isBeingVersioned = !record.isOpenDraft
            if record.isBeingVersioned && record.writers > 1 { record.hasUncertainVersion = true }
            records[file.identity] = record
            return admission
        }
    }

    /// Ends `versionFirst`: the version is durable and the bytes may change, or there is none and the writer is not
    /// counted.
    public func finishVersion(of file: FileStatus, kept: Bool) {
        records.withLock { records in
            guard var record = records[file.identity] else { return }
            record.isBeingVersioned = false
            if kept {
                record.isUnsealed = true
                record.isFlushed = false
            } else {
                record.writers -= 1
            }
            records[file.identity] = record
            settle(file.identity, in: &records)
        }
    }

    /// True for a draft that seals only if it holds something.
    func isPlaceholder(_ identity: FileIdentity) -> Bool {
        records.withLock { $0[identity]?.isPlaceholder ?? false }
    }

    /// A placeholder holds something after all: it is a file like any other.
    func holdsSomething(_ identity: FileIdentity) {
        records.withLock { records in
            guard var record = records[identity], record.isPlaceholder else { return }
            record.isPlaceholder = false
            record.hasOrdinaryName = true
            record.names = record.names.mapValues { _ in false }
            records[identity] = record
        }
    }

    /// A handle that may write was closed once (`flush`); others may still share it (dup(2), fork(2)).
    public func flushed(_ identity: FileIdentity) {
        records.withLock { records in
            guard var record = records[identity], record.writers > 0 else { return }
            record.isFlushed = true
            // An ordinary name is promised with the bytes, for good.
            record.names = record.names.filter { $0.value }
            records[identity] = record
        }
    }

    /// Counts one writer less if it is not the last; false when it is, which is then still counted.
    func stopWritingUnlessLast(_ identity: FileIdentity) -> Bool {
        records.withLock { records in
            guard let record = records[identity], record.writers > 1 else { return false }
            records[identity]?.writers -= 1
            return true
        }
    }

    /// True when no version of the file can be taken for its present bytes by its change time.
    func hasUncertainVersion(_ identity: FileIdentity) -> Bool {
        records.withLock { $0[identity]?.hasUncertainVersion ?? false }
    }

    func hasWriters(_ identity: FileIdentity) -> Bool {
        records.withLock { ($0[identity]?.writers ?? 0) > 0 }
    }

    /// True while nobody but one counted writer is known.
    func hasOneWriter(_ identity: FileIdentity) -> Bool {
        records.withLock { ($0[identity]?.writers ?? 0) <= 1 }
    }

    /// Counts one writer less. The last one seals the file, unless all its names look temporary.
    public func stopWriting(_ identity: FileIdentity) {
        records.withLock { records in
            guard var record = records[identity] else { return }
            record.writers -= 1
            records[identity] = record
            settle(identity, in: &records)
        }
    }

    /// A version was made although somebody may still be writing.
    func madeUncertainVersion(of identity: FileIdentity) {
        records.withLock { $0[identity]?.hasUncertainVersion = true }
    }

    /// Call before `stopWriting`: moves the change time of a file that has uncertain versions.
    func distrustVersions(of descriptor: borrowing OwnedDescriptor, _ identity: FileIdentity) {
        guard records.withLock({ $0[identity]?.hasUncertainVersion ?? false }) else { return }
        // Without it the next version might be saved wrongly; a file whose mode cannot be set again is rare, and
        // read-only then.
        if let mode = try? descriptor.status().permissions {
            try? ThreadCredentials.settingModes { () throws(Errno) in try descriptor.setPermissions(mode) }
        }
    }

    // MARK: Names

    /// A file was created through the mount and is a draft; `writers` is 1 if it was opened for writing.
    public func created(
        _ file: FileStatus, at name: DirectoryName, temporary: Bool, placeholder: Bool = false, by uid: UInt32,
        writers: Int
    ) {
        records.withLock { records in
            let temporary = temporary || placeholder
            if writers == 0 && !temporary { return }
            if writers == 0 && records.count >= SealLedger.maximumRecords { return }
            records[file.identity] = Record(
                born: file.born, isUnsealed: true, writers: writers, creator: uid, names: [name: temporary],
                hasOrdinaryName: !temporary, isPlaceholder: placeholder)
        }
    }

    /// A file got a second name.
    public func linked(_ file: FileStatus, at name: DirectoryName, temporary: Bool) {
        records.withLock { records in
            guard var record = current(file, in: &records) else { return }
            if !temporary { record.hasOrdinaryName = true }
            // An ordinary name of promised bytes is promised as well.
            if record.isUnsealed && (temporary || !record.isFlushed) { record.names[name] = temporary }
            records[file.identity] = record
            settle(file.identity, in: &records)
        }
    }

    /// A name changed. A draft that gets an ordinary name seals when nobody writes; a sealed file that gets a
    /// temporary one is a backup.
    public func renamed(
        _ file: FileStatus, from old: DirectoryName, to new: DirectoryName, temporary: Bool, path: RelativePath,
        by uid: UInt32
    ) {
        records.withLock { records in
            if var record = current(file, in: &records) {
                if record.names.removeValue(forKey: old) != nil {
                    if temporary || !record.isFlushed { record.names[new] = temporary }
                    if !temporary { record.hasOrdinaryName = true }
                    records[file.identity] = record
                    settle(file.identity, in: &records)
                    return
                }
                if var backup = record.backup, backup.name == old {
                    backup.name = new
                    record.backup = temporary ? backup : nil
                    records[file.identity] = record
                    settle(file.identity, in: &records)
                    return
                }
                if !temporary { return }
                record.backup = .init(name: new, path: path, uid: uid)
                records[file.identity] = record
            } else if temporary, !file.isDirectory, records.count < SealLedger.maximumRecords {
                records[file.identity] = Record(
                    born: file.born, isUnsealed: false, creator: uid, hasOrdinaryName: true,
                    backup: .init(name: new, path: path, uid: uid))
            }
        }
    }

    /// A name was taken away or replaced.
    public func removed(_ file: FileStatus, from name: DirectoryName) {
        records.withLock { records in
            guard var record = current(file, in: &records) else { return }
            record.names[name] = nil
            if record.backup?.name == name { record.backup = nil }
            if file.linkCount <= 1 && record.names.isEmpty { record.hasOrdinaryName = true }
            records[file.identity] = record
            settle(file.identity, in: &records)
        }
    }

    // MARK: Private

    private func current(_ file: FileStatus, in records: inout [FileIdentity: Record]) -> Record? {
        guard let record = records[file.identity] else { return nil }
        if let born = record.born, let now = file.born, born != now {
            records[file.identity] = nil
            return nil
        }
        return record
    }

    /// Seals a file nobody writes to that has an ordinary name, and forgets what is sealed and has nothing to remember.
    private func settle(_ identity: FileIdentity, in records: inout [FileIdentity: Record]) {
        guard var record = records[identity], record.writers <= 0, !record.isBeingVersioned else { return }
        if record.hasOrdinaryName {
            record.isUnsealed = false
            record.isFlushed = false
            record.names = record.names.filter { $0.value }
        }
        let isForgettable = !record.isUnsealed && record.names.isEmpty && record.backup == nil
        records[identity] = isForgettable ? nil : record
    }
}
