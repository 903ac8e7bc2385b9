internal import FXSystem

/// One entry of a remote in memory.
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
    /// Why the session could not be completed the last time.
    var refusal: RemoteError?
    var committed: CommittedRow?
    /// The service's own id of a directory.
    var remoteID: String?
    /// Contents that are not on the remote yet, oldest first; at most the last is a draft.
    var revisions: [Revision] = []
    var movingFrom: RelativePath?
    /// Open handles that may write.
    var writers = 0
    /// The name looks temporary: closing does not seal.
    var isTemporary = false
    /// The engine works on it; its path must not change.
    var isSending = false
    /// Its draft is on the way into the journal.
    var isSealing: Bool { sealers > 0 }
    /// Calls that are sealing it: several can close the same file at once, and it is under way until the last has ended.
    var sealers = 0
    /// A rename works on it; the engine must wait.
    var isHeld = false
    /// Somebody makes a draft of it; others wait for that one.
    var isDrafting = false
    /// A write to its draft failed: it is not what its writer meant it to be, and is not sealed until somebody opens
    /// it for
    /// writing again.
    var damage: RemoteError?
    var subdirectories: UInt32 = 0

    func row(remote: Name) -> EntryRow {
        EntryRow(
            id: id, remote: remote, parent: parent, name: name, kind: kind, mode: mode, owner: owner, group: group,
            modified: modified, created: created, session: session, committed: committed, remoteID: remoteID,
            movingFrom: movingFrom)
    }

    /// True when nothing the service may have heard of is under way, so that the path may change.
    var isSettled: Bool {
        if isSending || isHeld || isDrafting || isSealing { return false }
        return revisions.allSatisfy {
            let standing = $0.standing
            return standing.phase == .draft || standing.phase == .failed || !standing.isKnownToService
        }
    }

    /// The draft on top, if there is one.
    var draft: Revision? { revisions.last.flatMap { $0.phase == .draft ? $0 : nil } }
    var failed: Revision? { revisions.first { $0.phase == .failed } }
    /// The content whose turn it is.
    var nextToSend: Revision? { revisions.first { $0.phase != .failed } }
    var isNeverSealed: Bool { committed == nil && revisions.allSatisfy { $0.phase == .draft } }

    var fileState: FileState { revisions.last?.phase ?? (committed == nil ? .draft : .committed) }
    var size: ByteCount { revisions.last?.size ?? committed?.size ?? .zero }
}

/// All entries of a remote by id and by name. Pure; guarded by the tree.
struct TreeIndex: Sendable {
    private(set) var nodes: [EntryID: Node]
    private var children: [EntryID: [Name: EntryID]] = [:]

    init(root: Node) { nodes = [root.id: root] }

    subscript(id: EntryID) -> Node? { nodes[id] }

    func child(_ name: Name, of parent: EntryID) -> Node? {
        guard let id = children[parent]?[name] else { return nil }
        return nodes[id]
    }

    func children(of parent: EntryID) -> [Node] {
        (children[parent] ?? [:]).values.compactMap { nodes[$0] }.sorted { $0.id < $1.id }
    }

    func isEmpty(_ parent: EntryID) -> Bool { children[parent]?.isEmpty ?? true }

    mutating func insert(_ node: Node) {
        nodes[node.id] = node
        children[node.parent, default: [:]][node.name] = node.id
        if node.kind != .file { nodes[node.parent]?.subdirectories += 1 }
    }

    @discardableResult
    mutating func remove(_ id: EntryID) -> Node? {
        guard let node = nodes.removeValue(forKey: id) else { return nil }
        children[node.parent]?[node.name] = nil
        if node.kind != .file { nodes[node.parent]?.subdirectories -= 1 }
        return node
    }

    mutating func update(_ id: EntryID, _ change: (inout Node) -> Void) {
        if var node = nodes.removeValue(forKey: id) {
            change(&node)
            nodes[id] = node
        }
    }

    /// After a load in which children may have come before their parents.
    mutating func recountSubdirectories() {
        for id in nodes.keys {
            let count = (children[id] ?? [:]).values.count { nodes[$0]?.kind != .file }
            nodes[id]?.subdirectories = UInt32(count)
        }
    }

    mutating func move(_ id: EntryID, to parent: EntryID, as name: Name) {
        guard var node = remove(id) else { return }
        node.parent = parent
        node.name = name
        insert(node)
    }

    /// From the session down; empty for the root.
    func path(of id: EntryID) -> RelativePath {
        var names: [Name] = []
        var current = id
        while current != .root, let node = nodes[current] {
            names.append(node.name)
            current = node.parent
        }
        return RelativePath(names.reversed())
    }

    /// The session an entry is or lies in; nil for the root.
    func session(of id: EntryID) -> Node? {
        var current = id
        while let node = nodes[current] {
            if node.parent == .root, current != .root { return node }
            if current == .root { return nil }
            current = node.parent
        }
        return nil
    }

    /// How many directories are above: 0 for a session.
    func depth(of id: EntryID) -> Int { path(of: id).components.count - 1 }

    func isWithin(_ id: EntryID, _ ancestor: EntryID) -> Bool {
        var current = id
        while current != ancestor {
            guard current != .root, let node = nodes[current] else { return false }
            current = node.parent
        }
        return true
    }

    /// Visits every file at or below an entry, in no order.
    func forEachFile(below id: EntryID, _ body: (Node) -> Void) {
        // A list and not a recursion: directories may be deep.
        var waiting = [id]
        while let next = waiting.popLast() {
            guard let node = nodes[next] else { continue }
            if node.kind == .file { body(node) } else if let below = children[next] { waiting += below.values }
        }
    }

    /// Every file at or below an entry, in path order.
    func files(below id: EntryID) -> [Node] {
        guard let node = nodes[id] else { return [] }
        if node.kind == .file { return [node] }
        return children(of: id).sorted { $0.name < $1.name }.flatMap { files(below: $0.id) }
    }
}
