public import FXSystem
internal import Synchronization
internal import SystemPackage

/// One remote as a tree of sessions, directories and files; what a mount shows below `sessions/<remote>`.
///
/// Every call is synchronous and may come from any thread. Which calls may wait for the service `place(for:)` tells, and
/// where to make them; all others are answered from memory, journal and spool. Calls that wait for transfers take a
/// completion, which may run on an engine thread.
///
/// Lock order: `state`, then a revision's monitor, then the journal's queue, the engine's queue, or `waits`. No system
/// call and no completion runs under any of them.
public final class RemoteTree: Sendable {
    public let name: Name
    /// `local`, `s3`, `opentera`, `tus`.
    public let kind: String

    let configuration: RemoteConfiguration
    let backend: any Backend
    let services: TreeServices
    /// A remote that does not answer holds up its own threads only.
    let engine: TransferEngine
    let state: Monitor<TreeState>
    private let currentTerms: Mutex<UploadTerms>
    let waits = Waits()
    let verifications = Verifications()
    /// Where calls that wait for the service are carried out, so that nobody else waits with them; nil when the service
    /// is on this machine.
    public let lane: CallLane?
    /// Where file contents come from the service in one piece, which may take as long as they are large.
    public let contentLane: CallLane?
    let listsEntries: Bool
    let turns = ReadTurns()
    let staged: StagedContents
    let storeSpace = Mutex(StoreSpace())

    init(_ configuration: RemoteConfiguration, services: TreeServices, engine: TransferEngine) {
        self.engine = engine
        staged = StagedContents(directory: services.staging)
        name = configuration.name
        kind = configuration.kind
        self.configuration = configuration
        backend = configuration.backend
        currentTerms = Mutex(
            UploadTerms(
                facts: configuration.backend.facts, retry: configuration.retry, connections: configuration.connections)
        )
        self.services = services
        let facts = configuration.backend.facts
        listsEntries = facts.listsEntries
        lane = facts.isRemote ? .forNames : nil
        contentLane = facts.isRemote ? .forContents : nil
        let now = services.clock.now()
        let root = Node(
            id: .root, parent: .root, name: configuration.name, kind: .directory, mode: 0o755, owner: 0, group: 0,
            modified: now, created: now)
        state = Monitor(TreeState(index: TreeIndex(root: root), sessionDepth: configuration.backend.facts.sessionDepth))
    }

    public var facts: BackendFacts { backend.facts }

    /// What uploads that begin now have in common: a service may tell what it can do only when it is asked.
    var terms: UploadTerms {
        let facts = backend.facts
        return currentTerms.withLock { terms in
            if terms.facts != facts {
                terms = UploadTerms(
                    facts: facts, retry: configuration.retry, connections: configuration.connections)
            }
            return terms
        }
    }

    // MARK: - Looking

    public func root() -> RemoteEntry { state.withLock { $0.entry(.root) } ?? RemoteTree.emptyRoot(named: name) }

    private static func emptyRoot(named name: Name) -> RemoteEntry {
        let epoch = Timestamp(seconds: 0)
        return RemoteEntry(
            id: .root, parent: .root, name: name, kind: .root, size: .zero, mode: 0o755, owner: 0, group: 0,
            modified: epoch, created: epoch,
            isCommitted: true, takesChanges: true, subdirectories: 0)
    }

    /// False once it was removed, replaced, or is no longer at the service.
    public func has(_ id: EntryID) -> Bool { state.withLock { $0.index[id] != nil } }

    public func entry(_ id: EntryID) throws(RemoteError) -> RemoteEntry {
        guard let entry = state.withLock({ $0.entry(id) }) else { throw .noSuchEntry }
        return entry
    }

    /// Asks the service when the name is not known and the last listing is old.
    public func lookup(_ name: Name, in parent: EntryID) throws(RemoteError) -> RemoteEntry {
        if let known = child(name, of: parent) {
            keepFresh(parent)
            return known
        }
        try prepareAbsence(in: parent)
        guard let found = child(name, of: parent) else { throw .noSuchEntry }
        return found
    }

    private func child(_ name: Name, of parent: EntryID) -> RemoteEntry? {
        state.withLock { state in state.index.child(name, of: parent).flatMap { state.entry($0.id) } }
    }

    /// What a directory holds, in the order of creation, which stays the same while entries come. Asks the service when
    /// the directory was never listed.
    /// - Throws: why there is no listing, when nothing is known: a directory is never shown empty because of an error.
    public func entryIDs(in parent: EntryID) throws(RemoteError) -> [EntryID] {
        guard let kind = state.withLock({ $0.index[parent]?.kind }) else { throw .noSuchEntry }
        if kind == .file { throw .notDirectory }
        try prepareListing(of: parent)
        return state.withLock { $0.index.childIDs(of: parent) }
    }

    /// Several entries as they are at one moment; nil for those that are gone.
    public func look(at ids: some Sequence<EntryID>) -> [RemoteEntry?] {
        state.withLock { state in ids.map { state.entry($0) } }
    }

    public func entries(in parent: EntryID) throws(RemoteError) -> [RemoteEntry] {
        look(at: try entryIDs(in: parent)).compactMap(\.self)
    }

    /// The path below the remote, for messages; empty for the root.
    public func path(of id: EntryID) -> RelativePath { state.withLock { $0.index.path(of: id) } }

    /// Finds an entry by its path below the remote.
    public func entry(at path: RelativePath) throws(RemoteError) -> RemoteEntry {
        var current = root()
        for name in path.components { current = try lookup(name, in: current.id) }
        return current
    }

    // MARK: - Directories

    /// What a new directory is.
    private enum Placement { case aboveSessions, session, inSession }

    private func checkPlace(of name: Name, in parent: EntryID, _ state: TreeState) throws(RemoteError) -> Placement {
        let depth = try state.checkChange(in: parent)
        let facts = backend.facts
        try facts.names.check(name, depth: depth)
        if state.index.session(of: parent) != nil {
            if !facts.makesDirectories { throw .needsFlatNames }
            return .inSession
        }
        if depth == 0, facts.makesSessions { return .session }
        if depth < 0, facts.makesDirectoriesAboveSessions { return .aboveSessions }
        throw .madeByService
    }

    /// Answers `mkdir`; at the depth of sessions it opens one.
    /// - Throws: `.needsFlatNames` and `.madeByService` where the service has no such directories.
    public func makeDirectory(_ name: Name, in parent: EntryID, mode: UInt32, caller: Caller) throws(RemoteError)
        -> RemoteEntry
    {
        do throws(RemoteError) {
            return try makeDirectoryNow(name, in: parent, mode: mode, caller: caller)
        } catch {
            if error != .exists { state.withLock { $0.refusals[parent] = error } }
            throw error
        }
    }

    private func makeDirectoryNow(
        _ name: Name, in parent: EntryID, mode: UInt32, caller: Caller
    ) throws(RemoteError) -> RemoteEntry {
        // What cannot be made anyway is refused without asking the service.
        _ = try state.withLock { state throws(RemoteError) in try checkPlace(of: name, in: parent, state) }
        try prepareAbsence(in: parent)
        let (path, directory, placement) = try state.withLock {
            state throws(RemoteError) -> (RelativePath, StoredDirectory, Placement) in
            let placement = try checkPlace(of: name, in: parent, state)
            if state.index.child(name, of: parent) != nil { throw .exists }
            return (state.index.path(of: parent).appending(name), state.directory(parent), placement)
        }
        let remoteID = try backend.makeDirectory(path, in: directory)
        let now = services.clock.now()
        let id = services.newEntryID()
        let entry = try state.withLock { state throws(RemoteError) in
            _ = try state.checkChange(in: parent)
            if state.index.child(name, of: parent) != nil { throw RemoteError.exists }
            if state.isPromised(name, in: parent) { throw RemoteError.busy }
            var node = Node(
                id: id, parent: parent, name: name, kind: placement == .session ? .session : .directory,
                mode: mode & 0o7777, owner: caller.uid, group: state.group(for: caller, in: parent), modified: now,
                created: now, session: placement == .session ? .open : nil)
            node.remoteID = remoteID
            state.index.insert(node)
            state.index.update(parent) { $0.modified = now }
            state.noteChange(id)
            if listsEntries { state.listings[id] = .made(ttl: configuration.listingTTL) }
            state.refusals[parent] = nil
            journalEntry(id, &state)
            return state.entry(id)
        }
        guard let entry else { throw .noSuchEntry }
        // What goes into it is journalled at once, and would have no place after a crash.
        try services.journal.commit([])
        if placement == .session { record("session_opened", path) }
        return entry
    }

    /// Answers `rmdir`: never, so that nothing sealed can go with it.
    public func removeDirectory(_ name: Name, in parent: EntryID, caller: Caller) throws(RemoteError) {
        let entry = try lookup(name, in: parent)
        if !entry.isDirectory { throw .notDirectory }
        throw .protected
    }

    // MARK: - Times and modes

    /// Answers `chmod`; the bits are kept in the journal.
    public func setMode(_ id: EntryID, _ mode: UInt32) throws(RemoteError) {
        try state.withLock { state throws(RemoteError) in
            _ = try state.checkChange(of: id)
            state.index.update(id) { $0.mode = mode & 0o7777 }
            journalEntry(id, &state)
        }
    }

    /// Answers `chown`; kept when root asks, without effect else.
    public func setOwner(_ id: EntryID, to owner: UInt32?, group: UInt32?, caller: Caller) throws(RemoteError) {
        try state.withLock { state throws(RemoteError) in
            _ = try state.checkChange(of: id)
            if caller.uid != 0 { return }
            state.index.update(id) { node in
                node.owner = owner ?? node.owner
                node.group = group ?? node.group
            }
            journalEntry(id, &state)
        }
    }

    /// Answers `utimensat` for the modification time, before or after the file was closed.
    public func setModified(_ id: EntryID, _ change: TimeChange) throws(RemoteError) {
        let time: Timestamp
        switch change {
        case .keep: return
        case .now: time = services.clock.now()
        case .set(let given): time = given
        }
        let stored: RelativePath? = try state.withLock { state throws(RemoteError) in
            let node = try state.checkChange(of: id)
            state.index.update(id) { $0.modified = time }
            journalEntry(id, &state)
            return node.committed != nil && !node.isSending ? state.index.path(of: id) : nil
        }
        if let stored, backend.facts.keepsModificationTimes { try backend.setModified(stored, time) }
    }

    // MARK: - Small tools of the extensions

    /// Queues the row of an entry; called under the tree's lock, so that the journal sees the order of memory.
    func journalEntry(_ id: EntryID, _ state: inout TreeState) {
        services.journal.enqueue(state.rows(of: id, remote: name))
    }

    func record(_ kind: String, _ path: RelativePath, _ more: [JSONValue.Member] = []) {
        services.events.record(
            kind, [.init("remote", .string(name.description)), .init("path", .string(path.description))] + more)
    }
}
