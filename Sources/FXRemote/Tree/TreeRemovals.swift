public import FXSystem

/// What can be removed: drafts, and what a service may delete because its owner has said so.
extension RemoteTree {
    /// Drops a draft that opening a file made, when its opener is the only one who has it.
    func withdraw(_ draft: RevisionID, of id: EntryID) {
        let dropped: Revision? = state.withLock { state in
            guard let node = state.index[id], let last = node.draft, last.id == draft, node.writers <= 1,
                !node.isHeld, last.size == .zero, last.discard()
            else { return nil }
            var changes: [JournalChange] = [.dropRevision(draft)]
            if node.isNeverSealed {
                state.index.remove(id)
                changes.append(.dropEntry(id))
            } else {
                state.index.update(id) { $0.revisions.removeLast() }
            }
            services.journal.enqueue(changes)
            return last
        }
        guard let dropped else { return }
        do throws(RemoteError) { try services.spool.remove(dropped.spoolName, because: .droppedDraft) } catch {
            record("spool_not_freed", path(of: id), [.init("error", .string(error.message))])
        }
    }

    /// Answers `unlink`: for a draft of the caller's own that was never sealed, and for a committed file where the
    /// configuration lets the service delete; everything else is `.protected`.
    public func remove(_ name: Name, in parent: EntryID, caller: Caller) throws(RemoteError) {
        enum Step { case dropped([Revision], [DiscardRow]), delete(StoredFile, EntryID) }
        let step = try state.withLock { state throws(RemoteError) -> Step in
            _ = try state.checkChange(in: parent)
            guard let node = state.index.child(name, of: parent) else { throw .noSuchEntry }
            if node.kind != .file { throw .isDirectory }
            if node.isHeld { throw .busy }
            if backend.facts.deletesCommitted, node.revisions.isEmpty, let stored = state.storedFile(node.id) {
                _ = try state.checkChange(of: node.id)
                if !node.isSettled { throw .busy }
                state.index.update(node.id) { $0.isHeld = true }
                return .delete(stored, node.id)
            }
            if !node.isNeverSealed || node.owner != caller.uid || node.isDrafting { throw .protected }
            // From here on it cannot be sealed; a seal under way wins.
            for draft in node.revisions where !draft.discard() { throw .protected }
            let discards = withdraw([node], &state)
            state.index.remove(node.id)
            services.journal.enqueue([.dropEntry(node.id)] + node.revisions.map { .dropRevision($0.id) })
            return .dropped(node.revisions, discards)
        }
        switch step {
        case .dropped(let revisions, let discards):
            for row in discards { discard(row) }
            for draft in revisions { try services.spool.remove(draft.spoolName, because: .droppedDraft) }
        case .delete(let stored, let id): try delete(stored, id)
        }
    }

    /// Nothing else touches the file meanwhile: it is held.
    private func delete(_ stored: StoredFile, _ id: EntryID) throws(RemoteError) {
        // What the journal has not heard of yet would be sent again after a crash, and what was sent from here be missed. With a
        // full disk it is deleted all the same.
        try? services.journal.commit(state.withLock { $0.renouncing(id, remote: name) })
        do throws(RemoteError) { try backend.delete(stored) } catch {
            state.withLock { state in
                state.index.update(id) { $0.isHeld = false }
                guard let node = state.index[id], !node.isFound else { return }
                services.journal.enqueue([.put(node.row(remote: name))] + state.sentRows(of: id))
            }
            submitNext(id)
            throw error
        }
        let now = services.clock.now()
        let upload: UploadID? = state.withLock { state in
            guard let node = state.index[id] else { return nil }
            state.noteDeparture(of: node)
            services.journal.enqueue(state.dropSent(id))
            state.index.remove(id)
            state.index.update(node.parent) { $0.modified = now }
            if !node.isFound { services.journal.enqueue([.dropEntry(id)]) }
            return node.committed?.upload
        }
        if let upload { services.kept.drop(upload) }
        forgetCached([stored.remoteID])
        record("deleted", stored.path, [.init("size", .bytes(stored.size))])
    }
}
