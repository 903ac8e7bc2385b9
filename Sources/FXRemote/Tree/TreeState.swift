internal import FXSystem
internal import Glibc
internal import Synchronization

/// What the lock of a tree guards.
struct TreeState: Sendable {
    var index: TreeIndex
    /// How many directories are above a session.
    let sessionDepth: Int
    /// Counts what changes here, so that a listing can tell what happened after it began.
    private(set) var changes: UInt64 = 0
    var isDraining = false
    /// The journal takes nothing more.
    var isStopped = false
    /// Files with a sealed content that is not on the remote yet, or one that is being sealed.
    var active: Set<EntryID> = []
    /// Files with a content the remote refused for good.
    var failed: Set<EntryID> = []
    var revisionWaits: [RevisionID: [WaitToken]] = [:]
    var recent = RecentCommits()
    var belowWaits: [(entry: EntryID, token: WaitToken)] = []
    var completionWaits: [EntryID: [WaitToken]] = [:]

    /// How directories were listed; only those that were asked for.
    var listings: [EntryID: DirectoryListing] = [:]
    /// Why the last change in a directory was refused.
    var refusals: [EntryID: RemoteError] = [:]

    /// Unfinished uploads the service has not forgotten yet.
    var discards: Set<DiscardRow> = []
    /// What is known of things at the service that nobody goes on with.
    var orphans = OrphanFindings()

    /// What was sent of the files of a session, where the service has listed something else since.
    var sent: [EntryID: [RelativePath: SentRow]] = [:]

    /// Names a rename is about to give.
    var promisedNames: [EntryID: Set<Name>] = [:]

    init(index: TreeIndex, sessionDepth: Int = 0) {
        self.index = index
        self.sessionDepth = sessionDepth
    }

    /// From here on listings that have begun know less of an entry than this program.
    mutating func noteChange(_ id: EntryID) {
        changes += 1
        let number = changes
        index.update(id) { $0.lastChange = number }
    }

    /// Rows of an entry and of those above it that the journal has not got; the upper ones first.
    mutating func missingRows(of id: EntryID, remote: Name) -> [JournalChange] {
        var rows: [JournalChange] = []
        var current = id
        // What is above something journalled is journalled.
        while current != .root, let node = index[current], node.isFound {
            index.update(current) { $0.setJournalled() }
            if let known = index[current] { rows.append(.put(known.row(remote: remote))) }
            current = node.parent
        }
        return rows.reversed()
    }

    /// The row of an entry as it is now, after those above it that the journal has not got.
    mutating func rows(of id: EntryID, remote: Name) -> [JournalChange] {
        guard id != .root, let node = index[id] else { return [] }
        let above = missingRows(of: node.parent, remote: remote)
        index.update(id) { $0.setJournalled() }
        return above + (index[id].map { [.put($0.row(remote: remote))] } ?? [])
    }

    func entry(_ id: EntryID) -> RemoteEntry? {
        guard let node = index[id] else { return nil }
        let kind: RemoteEntry.Kind =
            id == .root
            ? .root : node.session.map { .session($0) } ?? (node.kind == .file ? .file(node.fileState) : .directory)
        return RemoteEntry(
            id: id, parent: node.parent, name: node.name, kind: kind, size: node.size, mode: node.mode,
            owner: node.owner, group: node.group, modified: node.shownModified, created: node.created,
            isCommitted: node.committed != nil,
            takesChanges: takesChanges(id),
            subdirectories: node.subdirectories)
    }

    /// A directory as the service knows it.
    func directory(_ id: EntryID) -> StoredDirectory {
        StoredDirectory(path: index.path(of: id), remoteID: index[id]?.remoteID)
    }

    /// What the service holds under a file's name; nil when it holds nothing.
    func storedFile(_ id: EntryID) -> StoredFile? {
        guard let node = index[id], let committed = node.committed else { return nil }
        return StoredFile(
            path: index.path(of: id), remoteID: committed.remoteID, size: committed.size,
            directoryID: index[node.parent]?.remoteID)
    }

    /// How deep an entry of a directory is: 0 for a session, 1 for what is directly in one, less than 0 above sessions.
    func depth(in parent: EntryID) -> Int {
        guard let session = index.session(of: parent) else { return index.depth(of: parent) - sessionDepth }
        return index.depth(of: parent) - index.depth(of: session.id) + 1
    }

    func takesChanges(_ id: EntryID) -> Bool {
        if isDraining { return false }
        return index.session(of: id)?.session?.takesChanges ?? true
    }

    /// Refuses a new entry where none may be made; returns its depth, see `depth(in:)`.
    func checkChange(in parent: EntryID) throws(RemoteError) -> Int {
        guard let node = index[parent] else { throw .noSuchEntry }
        if node.kind == .file { throw .notDirectory }
        try checkOpen(parent)
        return depth(in: parent)
    }

    func checkChange(of id: EntryID) throws(RemoteError) -> Node {
        guard let node = index[id] else { throw .noSuchEntry }
        try checkOpen(id)
        if node.kind == .file, index.session(of: id) == nil { throw .needsSession }
        return node
    }

    private func checkOpen(_ id: EntryID) throws(RemoteError) {
        if isDraining { throw .draining }
        if let session = index.session(of: id)?.session, !session.takesChanges { throw .sessionClosed(session) }
    }

    /// The first reason why what is below an entry will not arrive; nil when all did.
    func failure(below id: EntryID) -> RemoteError? {
        for file in failed where index.isWithin(file, id) {
            if let error = index[file]?.failed?.standing.error { return error }
            return .incomplete([index.path(of: file)])
        }
        return nil
    }

    /// The group of a new entry: its maker's, or that of a directory with the set-group-ID bit (mkdir(2)).
    func group(for caller: Caller, in parent: EntryID) -> UInt32 {
        if let directory = index[parent], directory.mode & 0o2000 != 0 { return directory.group }
        return caller.gid
    }

    func hasActive(below id: EntryID) -> Bool { active.contains { index.isWithin($0, id) } }

    mutating func beginSealing(_ id: EntryID) {
        index.update(id) { $0.sealers += 1 }
        reclassify(id)
    }

    mutating func endSealing(_ id: EntryID) {
        index.update(id) { $0.sealers -= 1 }
        reclassify(id)
    }

    func isPromised(_ name: Name, in parent: EntryID) -> Bool { promisedNames[parent]?.contains(name) ?? false }

    mutating func setPromised(_ name: Name, in parent: EntryID, _ isPromised: Bool) {
        if isPromised {
            promisedNames[parent, default: []].insert(name)
        } else {
            promisedNames[parent]?.remove(name)
            if promisedNames[parent]?.isEmpty ?? false { promisedNames[parent] = nil }
        }
    }

    /// Brings `active` and `failed` up to date with a file.
    mutating func reclassify(_ id: EntryID) {
        let phases = index[id]?.revisions.map(\.phase) ?? []
        let isSealing = index[id]?.isSealing ?? false
        if isSealing || phases.contains(.queued) || phases.contains(.uploading) {
            active.insert(id)
        } else {
            active.remove(id)
        }
        if phases.contains(.failed) { failed.insert(id) } else { failed.remove(id) }
    }
}

/// What all trees of a state directory share.
final class TreeServices: Sendable {
    let spool: Spool
    let journal: Journal
    let kept: KeptContents
    let readers: Readers
    let staging: StagingDirectory
    /// nil when nothing that was read is kept.
    let cache: ReadCache?
    let digests: DigestWorker
    let events: EventLog
    let clock: WallClock
    private let lastEntry: Atomic<UInt64>
    private let lastRevision: Atomic<UInt64>
    /// Of what was not made here.
    let owner = geteuid()
    let group = getegid()

    init(
        spool: Spool, journal: Journal, kept: KeptContents, readers: Readers, staging: StagingDirectory,
        cache: ReadCache?, digests: DigestWorker, events: EventLog, clock: WallClock, contents: JournalContents
    ) {
        self.spool = spool
        self.journal = journal
        self.kept = kept
        self.readers = readers
        self.staging = staging
        self.cache = cache
        self.digests = digests
        self.events = events
        self.clock = clock
        // 1 is the root of every remote.
        lastEntry = Atomic(contents.entries.map(\.id.rawValue).max() ?? 1)
        lastRevision = Atomic(contents.revisions.map(\.id.rawValue).max() ?? 0)
    }

    func newEntryID() -> EntryID { EntryID(lastEntry.wrappingAdd(1, ordering: .relaxed).newValue) }
    func newRevisionID() -> RevisionID { RevisionID(lastRevision.wrappingAdd(1, ordering: .relaxed).newValue) }
}
