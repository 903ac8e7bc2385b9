public import FXSystem

/// Renaming in open sessions: free for drafts, on the store for what is committed, never a loss.
extension RemoteTree {
    private struct Plan: Sendable {
        var source: Node
        var target: Node?
        var path: RelativePath
        var newPath: RelativePath
        var isTemporary: Bool
        /// The store has something under the old path.
        var movesOnStore: Bool { source.kind != .file || source.committed != nil }
    }

    /// Answers `rename`. When a draft got its final name it is sealed, and the call completes when it is committed.
    public func rename(
        _ name: Name, in parent: EntryID, to newName: Name, in newParent: EntryID, _ mode: RenameMode, caller: Caller,
        completion: @escaping @Sendable (Result<Void, RemoteError>) -> Void
    ) -> WaitToken {
        let token = waits.begin(completion)
        do throws(RemoteError) {
            if state.withLock({ $0.index.child(newName, of: newParent) == nil }) { try prepareAbsence(in: newParent) }
            let plan = try takePlan(name, parent, newName, newParent, mode, caller)
            guard let plan else {
                waits.finish(token, .success(()))
                return token
            }
            do throws(RemoteError) {
                if plan.movesOnStore { try moveOnStore(plan, to: newParent, as: newName) }
            } catch {
                release(plan, newParent, newName)
                throw error
            }
            finishMove(plan, to: newParent, as: newName)
            sealRenamed(plan.source.id, token)
        } catch {
            switch error {
            case .deniedEnding, .nameTooLong: noteRefusal(of: newName, in: newParent, error)
            default: break
            }
            waits.finish(token, .failure(error))
        }
        return token
    }

    /// The same, waiting for the result on the calling thread.
    public func rename(
        _ name: Name, in parent: EntryID, to newName: Name, in newParent: EntryID, _ mode: RenameMode, caller: Caller
    ) throws(RemoteError) {
        let outcome = Monitor<Result<Void, RemoteError>?>(nil)
        _ = rename(name, in: parent, to: newName, in: newParent, mode, caller: caller) { result in
            outcome.withLock { $0 = result }
        }
        try (outcome.wait { $0 } ?? .failure(.interrupted)).get()
    }

    /// Checks everything and holds the files, so that the engine leaves them alone. nil: the names are the same.
    private func takePlan(
        _ name: Name, _ parent: EntryID, _ newName: Name, _ newParent: EntryID, _ mode: RenameMode, _ caller: Caller
    ) throws(RemoteError) -> Plan? {
        let deadline = ContinuousDeadline.after(configuration.operationTimeout)
        var discards: [DiscardRow] = []
        let outcome = state.wait(until: deadline) { state -> Result<Plan?, RemoteError>? in
            do throws(RemoteError) {
                guard let plan = try check(state, name, parent, newName, newParent, mode, caller) else {
                    return .success(nil)
                }
                // What the service may have heard of under the old name must be settled first.
                let touched = state.index.files(below: plan.source.id) + [plan.target].compactMap { $0 }
                // Its beginning would have to be sent again, and is not here.
                if touched.contains(where: { $0.draft?.hasPassedOn ?? false }) { throw RemoteError.busy }
                discards += withdraw(touched, &state)
                if !touched.allSatisfy({ state.index[$0.id]?.isSettled ?? true }) { return nil }
                if state.isPromised(newName, in: newParent) || state.isPromised(name, in: parent) { return nil }
                for node in touched { state.index.update(node.id) { $0.isHeld = true } }
                state.setPromised(newName, in: newParent, true)
                return .success(plan)
            } catch { return .failure(error) }
        }
        for row in discards { discard(row) }
        guard let outcome else { throw .busy }
        return try outcome.get()
    }

    private func check(
        _ state: TreeState, _ name: Name, _ parent: EntryID, _ newName: Name, _ newParent: EntryID, _ mode: RenameMode,
        _ caller: Caller
    ) throws(RemoteError) -> Plan? {
        _ = try state.checkChange(in: parent)
        guard let source = state.index.child(name, of: parent) else { throw .noSuchEntry }
        guard let session = state.index.session(of: parent) else { throw .notSupported }
        let depth = try state.checkChange(in: newParent)
        guard let newSession = state.index.session(of: newParent) else {
            throw source.kind == .file ? .needsSession : .notSupported
        }
        if mode == .exchange { throw .invalidArgument }
        if session.id != newSession.id { throw .acrossSessions }
        try backend.facts.names.check(newName, depth: depth)
        if state.index.isWithin(newParent, source.id) { throw .invalidArgument }
        let target = state.index.child(newName, of: newParent)
        if target?.id == source.id { return nil }
        if let target { try check(target, replacedBy: source, mode, caller) }
        let plan = Plan(
            source: source, target: target, path: state.index.path(of: source.id),
            newPath: state.index.path(of: newParent).appending(newName),
            isTemporary: configuration.looksTemporary(newName, false, source.mode))
        if source.kind == .file, !plan.isTemporary { try backend.facts.names.checkFile(newName) }
        if plan.movesOnStore, !backend.facts.renamesCommitted { throw .notSupported }
        return plan
    }

    private func check(_ target: Node, replacedBy source: Node, _ mode: RenameMode, _ caller: Caller)
        throws(RemoteError)
    {
        if mode == .noReplace { throw .exists }
        if target.kind != .file { throw source.kind == .file ? .isDirectory : .directoryNotEmpty }
        if source.kind != .file { throw .notDirectory }
        // A draft goes with its name; only its owner may let it go.
        if target.draft != nil, target.owner != caller.uid { throw .protected }
    }

    /// Intent first, durably; then the store; so that a crash in between is finished at the next start.
    private func moveOnStore(_ plan: Plan, to newParent: EntryID, as newName: Name) throws(RemoteError) {
        var moved = plan.source
        moved.parent = newParent
        moved.name = newName
        moved.movingFrom = plan.path
        var intent = state.withLock {
            $0.missingRows(of: plan.source.id, remote: name) + $0.missingRows(of: newParent, remote: name)
        }
        if let target = plan.target { intent.append(.dropEntry(target.id)) }
        intent.append(.put(moved.row(remote: name)))
        try services.journal.commit(intent)
        do throws(RemoteError) {
            try backend.rename(plan.path, to: plan.newPath, aside: services.spool.newUploadID())
        } catch {
            let restored = [plan.source, plan.target].compactMap { $0 }.map { JournalChange.put($0.row(remote: name)) }
            services.journal.enqueue(restored)
            throw error
        }
    }

    private func release(_ plan: Plan, _ newParent: EntryID, _ newName: Name) {
        state.withLock { state in
            state.setPromised(newName, in: newParent, false)
            let held = state.index.files(below: plan.source.id) + [plan.target].compactMap { $0 }
            for node in held { state.index.update(node.id) { $0.isHeld = false } }
        }
        submitNext(plan.source.id)
        if let target = plan.target { submitNext(target.id) }
    }

    private func finishMove(_ plan: Plan, to newParent: EntryID, as newName: Name) {
        let id = plan.source.id
        let now = services.clock.now()
        let (dropped, files) = state.withLock { state in
            state.setPromised(newName, in: newParent, false)
            var changes: [JournalChange] = []
            var dropped: [Revision] = []
            state.noteDeparture(of: plan.source)
            if let target = plan.target.flatMap({ state.index.remove($0.id) }) {
                state.noteDeparture(of: target)
                state.belowWaits = state.belowWaits.map { $0.entry == target.id ? (id, $0.token) : $0 }
                state.active.remove(target.id)
                state.failed.remove(target.id)
                dropped = target.revisions.filter { $0.phase == .draft && $0.discard() }
                let kept = target.revisions.filter { kept in !dropped.contains { $0.id == kept.id } }
                changes.append(.dropEntry(target.id))
                changes += dropped.map { .dropRevision($0.id) }
                state.index.update(id) { node in
                    node.revisions = kept + node.revisions
                    // The store has the old content under the new name until this one is there.
                    if node.committed == nil { node.committed = target.committed }
                }
                changes += kept.map { .putRevision($0.row(entry: id, modified: target.modified)) }
            }
            let oldParent = plan.source.parent
            state.index.move(id, to: newParent, as: newName)
            state.index.update(id) { node in
                node.movingFrom = nil
                node.isTemporary = plan.isTemporary && node.committed == nil
            }
            state.index.update(oldParent) { $0.modified = now }
            state.index.update(newParent) { $0.modified = now }
            let files = state.index.files(below: id)
            for node in files { state.index.update(node.id) { $0.isHeld = false } }
            changes += state.rows(of: id, remote: name)
            state.noteChange(id)
            state.reclassify(id)
            services.journal.enqueue(changes)
            return (dropped, files.map(\.id))
        }
        for draft in dropped {
            do throws(RemoteError) { try services.spool.remove(draft.spoolName, because: .droppedDraft) } catch {
                record("spool_not_freed", plan.newPath, [.init("error", .string(error.message))])
            }
        }
        if let gone = plan.target?.committed, plan.source.committed != nil {
            services.kept.drop(gone.upload)
            forgetCached([gone.remoteID])
        }
        for file in files { submitNext(file) }
    }

    /// A draft nobody writes any more becomes final with its final name.
    private func sealRenamed(_ id: EntryID, _ token: WaitToken) {
        let verdict = state.withLock { state -> SealRule.Verdict in
            guard let node = state.index[id], node.kind == .file, node.writers == 0, node.draft != nil else {
                return .keepDraft
            }
            return SealRule.verdict(on: .renamedToFinalName, looksTemporary: node.isTemporary)
        }
        if verdict == .keepDraft { return waits.finish(token, .success(())) }
        seal(id) { [self] result in
            switch result {
            case .failure(let error): waits.finish(token, .failure(error))
            case .success(nil): waits.finish(token, .success(()))
            case .success(let revision?): finish(token, afterCommitOf: revision) { _ in }
            }
        }
    }
}
