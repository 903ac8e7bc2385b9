internal import FXSystem

/// Second tries of what a remote refused.
extension RemoteTree {
    /// Queues every failed file at or below an entry again, and lets waiting attempts of the remote start now.
    /// - Returns: how many were failed.
    @discardableResult
    func retry(below id: EntryID) throws(RemoteError) -> Int {
        if state.withLock({ $0.isDraining }) { throw .draining }
        return retry { state, file in state.index.isWithin(file, id) }
    }

    /// The same below a path that starts with the remote's name.
    func retry(below prefix: RelativePath) -> Int {
        retry { [name] state, file in RelativePath([name] + state.index.path(of: file).components).isWithin(prefix) }
    }

    private func retry(_ isMeant: (borrowing TreeState, EntryID) -> Bool) -> Int {
        backend.reconsider()
        let again: [EntryID] = state.withLock { state in
            var again: [EntryID] = []
            for id in state.listings.keys { state.listings[id]?.failureUntil = nil }
            for id in state.failed.sorted() {
                guard isMeant(state, id), let node = state.index[id] else { continue }
                for revision in node.revisions where revision.phase == .failed {
                    revision.clearAttempts()
                    revision.setPhase(.queued)
                    services.journal.enqueue([.putRevision(revision.row(entry: id, modified: node.modified))])
                }
                again.append(id)
            }
            for id in again { state.reclassify(id) }
            return again
        }
        // First the service is asked again, then there is something to ask: else a thread could still refuse it.
        engine.hurry()
        for id in again { engine.submit(.upload(self, id)) }
        return again.count
    }
}
