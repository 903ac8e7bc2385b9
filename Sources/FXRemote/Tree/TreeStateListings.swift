internal import FXSystem

/// What merging a listing asks of a tree and does to it.
extension TreeState {
    /// The entries of a directory, as `ListingMerge` looks at them.
    func known(in directory: EntryID, since began: UInt64, facts: BackendFacts) -> [ListingMerge.Known] {
        let isAboveSessions = depth(in: directory) < 0
        return index.children(of: directory).map { node in
            let committed = node.committed
            let isFile = node.kind == .file
            let isWorked =
                isFile ? isWorkedOn(node, since: began) : !node.isFound && hasLocalWork(below: node.id, since: began)
            let isPinned = isWorked || node.session != nil && !facts.listsSessions
            return ListingMerge.Known(
                id: node.id, name: node.name, isFile: isFile, remoteID: isFile ? committed?.remoteID : node.remoteID,
                upload: committed?.upload ?? .unknown, isRecent: node.lastChange > began, isPinned: isPinned,
                // Directories above sessions are the service's, and so are their names.
                keepsName: isPinned || !node.isFound && !isAboveSessions,
                isSending: isFile && node.revisions.contains { $0.phase != .draft && $0.phase != .failed })
        }
    }

    /// A listing that is under way may still show an entry in its old place.
    mutating func noteDeparture(of node: Node) {
        guard listings[node.parent]?.isUnderWay == true else { return }
        if let remoteID = node.committed?.remoteID ?? node.remoteID {
            listings[node.parent]?.departed.insert(remoteID)
        }
    }

    func isInSession(_ directory: EntryID) -> Bool { index.session(of: directory) != nil }

    private func isWorkedOn(_ node: Node, since began: UInt64) -> Bool {
        node.lastChange > began || !node.revisions.isEmpty || node.writers > 0 || !node.isSettled
    }

    /// True when an entry, or one below it, has contents that are not on the service, is open for writing, or changed
    /// here after a listing began.
    func hasLocalWork(below id: EntryID, since began: UInt64) -> Bool {
        var waiting = [id]
        while let next = waiting.popLast() {
            guard let node = index[next] else { continue }
            if isWorkedOn(node, since: began) || promisedNames[next] != nil { return true }
            if node.kind != .file { waiting += index.childIDs(of: next) }
        }
        return false
    }

    /// Takes out what a listing has no more, unless there is local work in it.
    /// - Returns: what the journal has to forget, and the ids of the files.
    mutating func drop(
        _ vanished: [EntryID], from directory: EntryID, since began: UInt64
    ) -> (changes: [JournalChange], files: [String]) {
        let gone = Set(vanished.filter { index[$0]?.parent == directory && !hasLocalWork(below: $0, since: began) })
        if gone.isEmpty { return ([], []) }
        var changes = keepSent(ofFilesBelow: gone)
        var files: [String] = []
        for node in index.remove(gone, from: directory) {
            listings[node.id] = nil
            refusals[node.id] = nil
            if !node.isFound { changes.append(.dropEntry(node.id)) }
            if let file = node.committed?.remoteID { files.append(file) }
        }
        return (changes, files)
    }

    /// Takes over what a listing says of an entry.
    /// - Returns: true when the journal has to know.
    mutating func update(_ id: EntryID, _ entry: ListedEntry, at now: Timestamp) -> Bool {
        guard let node = index[id] else { return false }
        switch entry.kind {
        case .file: return updateFile(node, entry, at: now)
        case .directory, .session: return updateDirectory(node, entry)
        }
    }

    private mutating func updateFile(_ node: Node, _ entry: ListedEntry, at now: Timestamp) -> Bool {
        guard var row = CommittedRow(entry, at: now) else { return false }
        let old = node.committed
        if node.isFound {
            if let modified = entry.modified, modified != node.modified {
                index.update(node.id) { $0.modified = modified }
            }
            if old?.remoteID != row.remoteID || old?.size != row.size || old?.upload != row.upload
                || old?.sha256 != row.sha256
            {
                index.update(node.id) { $0.setListed(row) }
            }
            return false
        }
        if let old, old.isSameContent(as: entry) {
            if old.remoteID == row.remoteID { return false }
            row = old
            row.remoteID = entry.remoteID
        }
        let isOther = old?.isSameContent(as: entry) == false
        index.update(node.id) { node in
            node.committed = row
            // What was written here has the time it was given here; what somebody else wrote has that of the service.
            if isOther, node.revisions.isEmpty { node.modified = row.time }
        }
        return true
    }

    private mutating func updateDirectory(_ node: Node, _ entry: ListedEntry) -> Bool {
        var state = node.session
        if case .session(let listed) = entry.kind, let own = node.session { state = own.merged(with: listed) }
        let isOther = node.remoteID != entry.remoteID
        if isOther, node.remoteID != nil { listings[node.id] = nil }
        let modified = node.isFound ? entry.modified ?? node.modified : node.modified
        guard isOther || state != node.session || modified != node.modified else { return false }
        let newState = state
        index.update(node.id) { node in
            node.remoteID = entry.remoteID
            node.session = newState
            node.modified = modified
        }
        return !node.isFound
    }
}

extension CommittedRow {
    /// True when a listed file is the one that was committed here, as far as the service tells.
    fileprivate func isSameContent(as entry: ListedEntry) -> Bool {
        guard case .file(let listedSize) = entry.kind, listedSize == size else { return false }
        if let other = entry.upload, upload != .unknown { return other == upload }
        if let digest = entry.sha256, let sha256 { return digest == sha256 }
        return entry.remoteID == remoteID
    }
}

extension SessionState {
    /// The service's word, unless this program has gone further.
    fileprivate func merged(with listed: SessionState) -> SessionState {
        switch self {
        case .completing, .complete, .aborted: self
        case .open, .failed, .expired: listed
        }
    }
}
