internal import FXSystem

/// What was sent, where the service has listed something else since: nothing in its place, or another content. The tree
/// shows what the service has; verifications and receipts go by this.
///
/// A newer content of ours, or removing the file here, ends it. Kept in the journal.
extension TreeState {
    /// What of `node` is to be kept when the service no longer has it. nil for what was not sent from here.
    private func sentRow(_ node: Node) -> SentRow? {
        guard !node.isFound, let committed = node.committed, committed.upload != .unknown,
            let sha256 = committed.sha256, let session = index.session(of: node.id)
        else { return nil }
        return SentRow(
            session: session.id, path: index.pathInSession(of: node.id), size: committed.size, sha256: sha256,
            remoteID: committed.remoteID, time: committed.time)
    }

    /// Before entries go that a listing has no more.
    /// - Returns: what the journal has to know.
    mutating func keepSent(ofFilesBelow gone: Set<EntryID>) -> [JournalChange] {
        var changes: [JournalChange] = []
        for id in gone {
            // A session that is gone has nothing that could be asked for.
            if index[id]?.session != nil || index.session(of: id) == nil {
                for session in sent.keys where index.isWithin(session, id) { changes += dropSent(of: session) }
                continue
            }
            for node in index.files(below: id) { if let row = sentRow(node) { changes += keepSent(row) } }
        }
        return changes
    }

    /// After a listing was taken over.
    /// - Parameter old: the entry as it was before.
    /// - Returns: what the journal has to know.
    mutating func keepSent(of old: Node) -> [JournalChange] {
        guard old.kind == .file, let row = sentRow(old), let new = index[old.id]?.committed,
            new.upload != old.committed?.upload
        else { return [] }
        return keepSent(row)
    }

    /// The first loss counts: what came after it was not sent from here.
    private mutating func keepSent(_ row: SentRow) -> [JournalChange] {
        if sent[row.session]?[row.path] != nil { return [] }
        sent[row.session, default: [:]][row.path] = row
        return [.putSent(row)]
    }

    /// A newer content of ours has the name, or it was removed here.
    /// - Returns: what the journal has to know.
    mutating func dropSent(_ id: EntryID) -> [JournalChange] {
        if sent.isEmpty { return [] }
        guard let session = index.session(of: id), sent[session.id] != nil,
            let row = sent[session.id]?.removeValue(forKey: index.pathInSession(of: id))
        else { return [] }
        if sent[session.id]?.isEmpty ?? false { sent[session.id] = nil }
        return [.dropSent(session: row.session, path: row.path)]
    }

    /// What the journal is to say while the service is asked to remove a file: nobody promises it any more.
    func renouncing(_ id: EntryID, remote: Name) -> [JournalChange] {
        guard let node = index[id], !node.isFound else { return [] }
        var row = node.row(remote: remote)
        row.committed?.upload = .unknown
        row.committed?.sha256 = nil
        return [.put(row)]
            + sentRows(of: id).compactMap { change in
                if case .putSent(let sent) = change { .dropSent(session: sent.session, path: sent.path) } else { nil }
            }
    }

    /// What the journal says of it as long as it is not removed.
    func sentRows(of id: EntryID) -> [JournalChange] {
        guard let session = index.session(of: id), let rows = sent[session.id],
            let row = rows[index.pathInSession(of: id)]
        else { return [] }
        return [.putSent(row)]
    }

    private mutating func dropSent(of session: EntryID) -> [JournalChange] {
        guard let rows = sent.removeValue(forKey: session) else { return [] }
        return rows.values.map { .dropSent(session: session, path: $0.path) }
    }

    /// One file of a session as it was sent, or as the service lists it when it was not sent from here.
    struct Sent {
        var path: RelativePath
        var size: ByteCount
        var sha256: SHA256Digest?
        var remoteID: String
        var time: Timestamp
        /// What is shown in the tree under the path now.
        var node: Node?
        /// The service has listed nothing, or another content, under the path since.
        var isLost: Bool
    }

    /// Every committed file of a session, in path order.
    func sentFiles(of session: EntryID) -> [Sent] {
        var lost = sent[session] ?? [:]
        var files = index.files(below: session).compactMap { node -> Sent? in
            guard let committed = node.committed else { return nil }
            let path = index.pathInSession(of: node.id)
            if let row = lost.removeValue(forKey: path) {
                var file = Sent(row, node)
                // It is back.
                file.isLost = !row.isContent(of: committed)
                return file
            }
            return Sent(
                path: path, size: committed.size, sha256: committed.sha256, remoteID: committed.remoteID,
                time: committed.time, node: node, isLost: false)
        }
        if !lost.isEmpty {
            files += lost.values.map { Sent($0, nil) }
            files.sort { $0.path < $1.path }
        }
        return files
    }
}

extension SentRow {
    /// True when the service has it, as far as it tells.
    fileprivate func isContent(of listed: CommittedRow) -> Bool {
        if listed.size != size { return false }
        if let digest = listed.sha256 { return digest == sha256 }
        return listed.remoteID == remoteID
    }
}

extension TreeState.Sent {
    fileprivate init(_ row: SentRow, _ node: Node?) {
        self.init(
            path: row.path, size: row.size, sha256: row.sha256, remoteID: row.remoteID, time: row.time, node: node,
            isLost: true)
    }
}
