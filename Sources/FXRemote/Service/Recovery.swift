internal import FXSystem
internal import Logging

/// Puts a state directory in order before anything else uses it; runs on one thread, before every other.
///
/// 1. Small files that the journal has go back into the spool, durably.
/// 2. Entries become the tree again.
/// 3. Committed contents lose their spool files, unless those are kept to be read.
/// 4. Sealed contents wait for the engine, which asks the remote first.
/// 5. Unsealed contents move to `recovered/`; what a service has of them already is let go of when it runs.
/// 6. Spool files the journal does not know move there too: the crash came before their first record.
/// 7. Renames that may not have happened on the remote are finished.
struct Recovery {
    let services: TreeServices
    let trees: [RemoteTree]

    func run(_ contents: JournalContents) throws(RemoteError) {
        var changes = try restoreContents()
        var known = Set<Name>()
        var revisions: [EntryID: [RevisionRow]] = [:]
        for row in contents.revisions { revisions[row.entry, default: []].append(row) }
        for tree in trees {
            let rows = contents.entries.filter { $0.remote == tree.name }
            tree.load(rows)
            tree.load(contents.sent)
            try finishRenames(rows, in: tree, &changes)
            for row in rows where row.kind == .file {
                try restore(row, revisions.removeValue(forKey: row.id) ?? [], in: tree, &changes, &known)
            }
        }
        let entries = Set(contents.entries.map(\.id))
        for row in revisions.values.joined() {
            guard let name = row.spoolName else { throw .journal(.damaged) }
            if entries.contains(row.entry) {
                // Of a remote that is not configured now: it keeps what it has.
                known.insert(name)
            } else {
                // Its file was replaced by a rename that a crash interrupted; what was not committed counts as a stray.
                if row.state == .committed { try services.spool.remove(name, because: .committed) }
                changes.append(.dropRevision(row.id))
            }
        }
        for row in contents.sent where !entries.contains(row.session) {
            changes.append(.dropSent(session: row.session, path: row.path))
        }
        try recoverStrays(known)
        try services.journal.commitDirectly(changes)
        let discards = contents.discards + changes.compactMap { if case .putDiscard(let row) = $0 { row } else { nil } }
        for tree in trees { tree.resumeDiscards(discards.filter { $0.remote == tree.name }) }
    }

    private func restoreContents() throws(RemoteError) -> [JournalChange] {
        // A start with nothing to do writes nothing: the disk may be full.
        if try !services.journal.hasContents() { return [] }
        try services.journal.forEachContent { upload, bytes in try services.spool.restore(upload, bytes) }
        try services.spool.syncDirectory()
        return [.dropContents]
    }

    private func restore(
        _ entry: EntryRow, _ rows: [RevisionRow], in tree: RemoteTree, _ changes: inout [JournalChange],
        _ known: inout Set<Name>
    ) throws(RemoteError) {
        var kept: [Revision] = []
        for row in rows {
            guard let spoolName = row.spoolName else { throw .journal(.damaged) }
            known.insert(spoolName)
            switch row.state {
            case .committed:
                if isKept(row, entry, tree) { continue }
                try services.spool.remove(spoolName, because: .committed)
                changes.append(.dropRevision(row.id))
            case .draft, .expired:
                try recover(spoolName, of: entry, in: tree)
                changes.append(.dropRevision(row.id))
                // The service has the beginning of it, which nobody will end.
                if row.isKnownToService { changes.append(.putDiscard(tree.discardRow(row))) }
            case .queued, .uploading, .failed:
                var row = row
                if row.state == .uploading { row.state = .queued }
                // Whether the last run reached the service is not known for sure; asking is.
                row.isKnownToService = true
                kept.append(
                    Revision(
                        row, spoolName: spoolName, spool: services.spool, owner: entry.owner, terms: tree.terms))
            }
        }
        let revisions = kept
        let isGone = revisions.isEmpty && entry.committed == nil
        tree.state.withLock { state in
            if isGone {
                state.index.remove(entry.id)
            } else {
                state.index.update(entry.id) { $0.revisions = revisions }
            }
            state.reclassify(entry.id)
        }
        if isGone { changes.append(.dropEntry(entry.id)) }
    }

    private func isKept(_ row: RevisionRow, _ entry: EntryRow, _ tree: RemoteTree) -> Bool {
        guard let committed = entry.committed, let name = row.spoolName, isWhole(row, name),
            services.kept.keep(row, committed: committed, facts: tree.facts)
        else { return false }
        services.kept.settle(row.upload)
        return true
    }

    /// Small files may have been committed before anybody synced them; what is larger was synced when it was sealed.
    private func isWhole(_ row: RevisionRow, _ name: Name) -> Bool {
        if services.spool.size(of: name) == nil { return false }
        if row.size.rawValue > JournalRoom.largestContent { return true }
        guard let bytes = try? services.spool.open(name).bytes(row.size.rawValue) else { return false }
        return SHA256Digest(hashing: bytes) == row.sha256
    }

    private func recover(_ spoolName: Name, of entry: EntryRow, in tree: RemoteTree) throws(RemoteError) {
        // A draft that was removed, or moved here by a recovery that did not get to its end.
        if services.spool.size(of: spoolName) == nil { return }
        let path = RelativePath([tree.name] + tree.path(of: entry.id).components)
        try recover(spoolName, as: path)
    }

    private func recover(_ spoolName: Name, as path: RelativePath) throws(RemoteError) {
        let place = try services.spool.recover(spoolName, as: path)
        services.events.record(
            "recovered", level: .warning,
            [.init("path", .string(path.description)), .init("recovered_as", .string(place.description))])
    }

    private func recoverStrays(_ known: Set<Name>) throws(RemoteError) {
        for name in try services.spool.names() where !known.contains(name) {
            let path = services.spool.recordedPath(of: name)
            try recover(name, as: path ?? RelativePath([name]))
        }
    }

    private func finishRenames(_ rows: [EntryRow], in tree: RemoteTree, _ changes: inout [JournalChange])
        throws(RemoteError)
    {
        for row in rows {
            guard let old = row.movingFrom else { continue }
            if tree.lane != nil {
                // The service may not answer now; `resume` begins with it.
                tree.state.withLock { $0.index.update(row.id) { $0.isHeld = true } }
                continue
            }
            try tree.backend.rename(old, to: tree.path(of: row.id), aside: services.spool.newUploadID())
            tree.state.withLock { $0.index.update(row.id) { $0.movingFrom = nil } }
            var done = row
            done.movingFrom = nil
            changes.append(.put(done))
        }
    }
}

extension RevisionRow {
    /// The spool file is named after the upload.
    var spoolName: Name? { try? Name(upload.text) }
}

extension EntryRow {
    fileprivate var committedTime: Timestamp { committed?.time ?? created }
}

extension RemoteTree {
    /// Fills the tree with the rows of the journal, parents first whatever their order.
    func load(_ rows: [EntryRow]) {
        state.withLock { state in
            for row in rows {
                var node = Node(
                    id: row.id, parent: row.parent, name: row.name, kind: row.kind, mode: row.mode, owner: row.owner,
                    group: row.group, modified: row.modified, created: row.created, session: row.session,
                    committed: row.committed)
                node.movingFrom = row.movingFrom
                node.remoteID = row.remoteID
                node.life = row.life
                state.index.insert(node)
            }
            state.index.recountSubdirectories()
            let committed = rows.filter { $0.committed != nil }.sorted { $0.committedTime < $1.committedTime }
            for row in committed.suffix(RecentCommits.limit) { state.recent.note(row.id) }
        }
    }

    /// What was sent of the sessions of this tree.
    func load(_ rows: [SentRow]) {
        state.withLock { state in
            for row in rows where state.index[row.session] != nil {
                state.sent[row.session, default: [:]][row.path] = row
            }
        }
    }

    /// Hands everything that waits to the engine.
    func resume() {
        let (files, completing, complete) = state.withLock { state in
            (
                state.active.sorted(),
                state.index.all.filter { $0.session == .completing }.map(\.id),
                state.index.all.filter { $0.session == .complete }.map(\.id)
            )
        }
        for id in files { engine.submit(.upload(self, id)) }
        for id in completing { continueCompletion(of: id) }
        for id in complete { follow(id) }
        finishRenames()
    }
}
