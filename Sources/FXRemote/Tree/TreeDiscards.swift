internal import FXSystem

/// Unfinished uploads that will never be finished: their file got another name before it was sealed, was removed, or was
/// a draft when the last run ended. The service is let forget them in the background; the journal remembers until then.
extension RemoteTree {
    /// A draft under way ended for another path or for nothing; what the service has of it goes.
    func endSending(abandoned run: UploadRun) {
        let row = state.withLock { state in
            state.index.update(run.entry) { $0.sending = nil }
            return abandon(run.revision, of: run.entry, knownAs: run.base.path, run.base.directoryID, state)
        }
        if let row { discard(row) }
        submitNext(run.entry)
    }

    /// Queues the end of what the service has of a content that nothing is under way of, and forgets it here. Called
    /// under the tree's lock.
    func abandon(
        _ revision: Revision, of id: EntryID, knownAs path: RelativePath, _ directoryID: String?,
        _ state: borrowing TreeState
    ) -> DiscardRow? {
        let (isKnown, note) = revision.startOver()
        var changes: [JournalChange] = []
        var row: DiscardRow?
        if isKnown {
            let discarded = DiscardRow(
                upload: revision.upload, remote: name, path: path, directoryID: directoryID, note: note)
            changes.append(.putDiscard(discarded))
            row = discarded
        }
        if let node = state.index[id], node.revisions.contains(where: { $0 === revision }) {
            changes.append(.putRevision(revision.row(entry: id, modified: node.modified)))
        }
        services.journal.enqueue(changes)
        return row
    }

    /// Stops early uploads of files that are about to get another path or to go; those with a chunk under way end a
    /// little later. Called under the tree's lock.
    func withdraw(_ nodes: [Node], _ state: inout TreeState) -> [DiscardRow] {
        var discards: [DiscardRow] = []
        for node in nodes {
            let path = state.index.path(of: node.id)
            let directoryID = state.index[node.parent]?.remoteID
            for revision in node.revisions {
                if revision.withdraw() {
                    if node.sending?.revision === revision { state.index.update(node.id) { $0.sending = nil } }
                    let row = abandon(revision, of: node.id, knownAs: path, directoryID, state)
                    discards += [row].compactMap { $0 }
                    continue
                }
                // Should the program end before its last chunk does.
                if let run = node.sending, run.revision === revision, revision.isLeaving, let note = revision.note {
                    let row = DiscardRow(
                        upload: revision.upload, remote: name, path: path, directoryID: directoryID, note: note)
                    services.journal.enqueue([.putDiscard(row)])
                }
            }
        }
        return discards
    }

    /// The row of what a committed upload left at the service.
    func discardRow(of upload: Upload) -> DiscardRow {
        // Without the note: what that was for has become the file.
        DiscardRow(upload: upload.id, remote: name, path: upload.path, directoryID: upload.directoryID, note: nil)
    }

    /// The row of a draft that the last run had begun to send.
    func discardRow(_ row: RevisionRow) -> DiscardRow {
        state.withLock { state in
            let parent = state.index[row.entry]?.parent
            return DiscardRow(
                upload: row.upload, remote: name, path: state.index.path(of: row.entry),
                directoryID: parent.flatMap { state.index[$0]?.remoteID }, note: row.note)
        }
    }

    /// What earlier runs left; the engine begins with it when it starts.
    func resumeDiscards(_ rows: [DiscardRow]) { for row in Set(rows) { discard(row) } }

    func discard(_ row: DiscardRow) {
        state.withLock { _ = $0.discards.insert(row) }
        engine.submit(.discard(self, row, failures: 0))
    }

    private func forget(_ row: DiscardRow) throws(RemoteError) {
        try backend.discard(
            Upload(
                id: row.upload, path: row.path, directoryID: row.directoryID, size: .zero, sha256: nil,
                modified: services.clock.now(), note: row.note))
        state.withLock { _ = $0.discards.remove(row) }
        services.journal.enqueue([.dropDiscard(row)])
    }

    /// Before a session becomes final: what a service still has of unfinished uploads may stand in the way.
    func forgetDiscarded(below path: RelativePath) throws(RemoteError) {
        for row in state.withLock({ $0.discards }) where row.path.isWithin(path) { try forget(row) }
    }

    /// Runs on an engine thread.
    func performDiscard(_ row: DiscardRow, _ failures: Int, _ random: () -> Double) -> TransferJob.Outcome {
        if state.withLock({ !$0.discards.contains(row) }) { return TransferJob.Outcome(finding: .nothing) }
        do throws(RemoteError) {
            try forget(row)
            return TransferJob.Outcome(finding: .works)
        } catch {
            let finding = UploadRun.finding(error)
            let failed = failures + 1
            if let wait = configuration.retry.wait(after: error, failures: failed, random: random()) {
                return TransferJob.Outcome(finding: finding, again: (.discard(self, row, failures: failed), wait))
            }
            // The next start tries again; until then `doctor` lists it as unfinished.
            record("not_discarded", row.path, [.init("error", .string(error.message))])
            return TransferJob.Outcome(finding: finding)
        }
    }
}
