internal import FXSystem

/// One entry of a remote in memory. Small, because a listed session may have a hundred thousand of them: what only
/// files under work have is kept aside.
struct Node: Sendable {
    var id: EntryID
    var parent: EntryID
    var name: Name
    var kind: EntryRow.Kind
    var mode: UInt32
    var owner: UInt32
    var group: UInt32
    var modified: Timestamp
    var created: Timestamp
    var session: SessionState?
    /// Found in a listing of the service; the journal does not know it.
    var isFound = false
    /// The service's own id of a directory, and of a file that was found and never changed here.
    var remoteID: String?
    private var listedSize = ByteCount.zero
    /// When it was last changed here, in the numbers of `TreeState.changes`; listings that began before know less.
    var lastChange: UInt64 = 0
    var subdirectories: UInt32 = 0
    private var record: Aside<CommittedRow>?
    private var aside: Aside<NodeWork>?

    init(
        id: EntryID, parent: EntryID, name: Name, kind: EntryRow.Kind, mode: UInt32, owner: UInt32, group: UInt32,
        modified: Timestamp, created: Timestamp, session: SessionState? = nil, committed: CommittedRow? = nil
    ) {
        self.id = id
        self.parent = parent
        self.name = name
        self.kind = kind
        self.mode = mode
        self.owner = owner
        self.group = group
        self.modified = modified
        self.created = created
        self.session = session
        if let committed { record = .value(committed) }
    }

    /// What the remote holds under a file's name.
    var committed: CommittedRow? {
        get {
            if case .value(let row) = record { return row }
            guard kind == .file, let remoteID else { return nil }
            return CommittedRow(
                upload: .unknown, size: listedSize, sha256: nil, remoteID: remoteID, time: modified)
        }
        set {
            if kind == .file { remoteID = nil }
            record = newValue.map { .value($0) }
        }
    }

    /// Takes over what a listing says of a file; without what only this program's uploads have.
    mutating func setListed(_ row: CommittedRow) {
        if isFound, row.sha256 == nil, row.upload == .unknown {
            record = nil
            remoteID = row.remoteID
            listedSize = row.size
        } else {
            committed = row
        }
    }

    /// The journal has it from now on.
    mutating func setJournalled() {
        isFound = false
        if kind == .file, let row = committed { committed = row }
    }

    var work: NodeWork {
        get { if case .value(let work) = aside { work } else { NodeWork() } }
        set { aside = newValue.isIdle ? nil : .value(newValue) }
    }

    func row(remote: Name) -> EntryRow {
        EntryRow(
            id: id, remote: remote, parent: parent, name: name, kind: kind, mode: mode, owner: owner, group: group,
            modified: modified, created: created, session: session, committed: committed,
            remoteID: kind == .file ? nil : remoteID, life: life, movingFrom: movingFrom)
    }
}

/// A value behind a pointer.
private indirect enum Aside<Value: Sendable>: Sendable {
    case value(Value)
}

/// What only entries have that are worked on.
struct NodeWork: Sendable {
    /// Why the session could not be completed, or the directory not be changed, the last time.
    var refusal: RemoteError?
    /// Contents that are not on the remote yet, oldest first; at most the last is a draft.
    var revisions: [Revision] = []
    var movingFrom: RelativePath?
    /// Of a session: how long the service keeps what is in it.
    var life: SessionLife?
    /// Open handles that may write.
    var writers = 0
    /// The name looks temporary: closing does not seal.
    var isTemporary = false
    /// The engine works on it; its path must not change.
    var sending: UploadRun?
    /// Calls that are sealing it: several can close the same file at once, and it is under way until the last has
    /// ended.
    var sealers = 0
    /// A rename works on it; the engine must wait.
    var isHeld = false
    /// Somebody makes a draft of it; others wait for that one.
    var isDrafting = false
    /// A write to its draft failed: it is not what its writer meant it to be, and is not sealed until somebody opens
    /// it for writing again.
    var damage: RemoteError?

    var isIdle: Bool {
        revisions.isEmpty && refusal == nil && movingFrom == nil && writers == 0 && sealers == 0 && damage == nil
            && life == nil && !isTemporary && sending == nil && !isHeld && !isDrafting
    }
}

extension Node {
    var refusal: RemoteError? {
        get { work.refusal }
        set { work.refusal = newValue }
    }
    var revisions: [Revision] {
        get { work.revisions }
        set { work.revisions = newValue }
    }
    var movingFrom: RelativePath? {
        get { work.movingFrom }
        set { work.movingFrom = newValue }
    }
    var life: SessionLife? {
        get { work.life }
        set { work.life = newValue }
    }
    var writers: Int {
        get { work.writers }
        set { work.writers = newValue }
    }
    var isTemporary: Bool {
        get { work.isTemporary }
        set { work.isTemporary = newValue }
    }
    var sending: UploadRun? {
        get { work.sending }
        set { work.sending = newValue }
    }
    var isSending: Bool { sending != nil }
    /// Its draft is on the way into the journal.
    var isSealing: Bool { sealers > 0 }
    var sealers: Int {
        get { work.sealers }
        set { work.sealers = newValue }
    }
    var isHeld: Bool {
        get { work.isHeld }
        set { work.isHeld = newValue }
    }
    var isDrafting: Bool {
        get { work.isDrafting }
        set { work.isDrafting = newValue }
    }
    var damage: RemoteError? {
        get { work.damage }
        set { work.damage = newValue }
    }

    /// True when nothing the service may have heard of is under way, so that the path may change.
    var isSettled: Bool {
        if isSending || isHeld || isDrafting || isSealing { return false }
        return revisions.allSatisfy {
            let standing = $0.standing
            return standing.phase == .failed || !standing.isKnownToService
        }
    }

    /// The draft on top, if there is one.
    var draft: Revision? { revisions.last.flatMap { $0.phase == .draft ? $0 : nil } }
    var failed: Revision? { revisions.first { $0.phase == .failed } }
    /// The content whose turn it is.
    var nextToSend: Revision? { revisions.first { $0.phase != .failed } }
    var isNeverSealed: Bool { committed == nil && revisions.allSatisfy { $0.phase == .draft } }

    var fileState: FileState {
        if let phase = revisions.last?.phase { return phase }
        guard let committed else { return .draft }
        return committed.processing?.fileState ?? .committed
    }
    /// What `stat` tells. Of a refused content none of its times: who compares times then brings it again, and does not
    /// take it for done.
    var shownModified: Timestamp {
        revisions.last?.phase == .failed ? Timestamp(seconds: 0, nanoseconds: 0) : modified
    }
    var size: ByteCount { revisions.last?.size ?? committed?.size ?? .zero }
}
