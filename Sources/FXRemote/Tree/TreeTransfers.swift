internal import FXSystem
internal import SystemPackage

/// What the engine asks and tells, and what calls that wait hear of it.
extension RemoteTree {
    // MARK: - The engine's side

    /// Takes the next content of a file for sending, a sealed one or a draft that has grown large; its path stays as it
    /// is until `endSending`.
    /// - Returns: nil when there is nothing to send, or a rename has the file: then the rename submits it again.
    func beginSending(_ id: EntryID) -> UploadRun? {
        state.withLock { state in
            guard let node = state.index[id], !node.isSending, !node.isHeld, let revision = node.nextToSend else {
                return nil
            }
            if revision.phase == .draft && (node.isTemporary || node.isSealing || state.isDraining) { return nil }
            if !revision.beginAttempt() { return nil }
            let base = Upload(
                id: revision.upload, path: state.index.path(of: id), directoryID: state.index[node.parent]?.remoteID,
                size: .zero, sha256: nil, modified: node.modified, replaces: state.storedFile(id))
            let run = UploadRun(tree: self, entry: id, revision: revision, base: base)
            state.index.update(id) { $0.sending = run }
            return run
        }
    }

    /// What a change of a draft brought about, outside of its lock.
    func follow(_ aftermath: Revision.Aftermath, _ id: EntryID, _ draft: Revision) {
        if aftermath.hasBacklog { services.digests.add(draft) }
        if aftermath.mayBegin { engine.submit(.upload(self, id)) }
        if aftermath.actions.isEmpty { return }
        // Its run is there as long as actions come; a draft that was removed has none.
        let run = state.withLock { state in state.index[id]?.sending }
        if let run, run.revision === draft { engine.submit(aftermath.actions.map(run.step)) }
    }

    /// Records that the service is about to hear of an upload. Durably of a draft: after a crash nobody would ask the
    /// service for it, and what it had would stay there.
    func recordIntent(_ id: EntryID, _ revision: Revision) throws(RemoteError) {
        guard revision.phase == .draft else {
            // Not waited for: the seal is durable, and a recovered upload always asks the service first.
            return journalProgress(id, revision)
        }
        let row = state.withLock { state in
            state.index[id].map { revision.row(entry: id, modified: $0.modified) }
        }
        if let row { try services.journal.commit([.putRevision(row)]) }
    }

    /// Keeps durably what the backend has to know to go on with an upload.
    func keepNote(_ note: String, _ run: UploadRun) throws(RemoteError) {
        run.revision.note(note)
        let row = state.withLock { state in
            state.index[run.entry].map { run.revision.row(entry: run.entry, modified: $0.modified) }
        }
        if let row { try services.journal.commit([.putRevision(row)]) }
    }

    func journalProgress(_ id: EntryID, _ revision: Revision) {
        state.withLock { state in
            // A draft that was removed has no row any more.
            guard let node = state.index[id], node.revisions.contains(where: { $0 === revision }) else { return }
            services.journal.enqueue([.putRevision(revision.row(entry: id, modified: node.modified))])
        }
    }

    /// The disk is full: the service has some of a draft already, or will have.
    /// - Returns: true when there is more room now.
    func passOn(_ draft: Revision, of id: EntryID, for thread: Int32?) throws(RemoteError) -> Bool {
        let isSent = state.withLock { state in !(state.index[id]?.isTemporary ?? true) && !state.isDraining }
        if !isSent || !backend.facts.uploadsWhileWriting || !services.kept.passesOn { return false }
        let hasRoom = try draft.passOn(
            patience: configuration.operationTimeout,
            isDying: { thread.map { WaitingProcess.isDying(thread: $0) } ?? false })
        if hasRoom { journalProgress(id, draft) }
        return hasRoom
    }

    func modified(of id: EntryID) -> Timestamp? { state.withLock { $0.index[id]?.modified } }

    /// The service has it: journal, then the spool file goes, then whoever waits is told.
    func endSending(_ run: UploadRun, committed file: CommittedFile) {
        let (id, revision) = (run.entry, run.revision)
        let upload = revision.upload(run.base, modified: run.sentModified)
        let now = services.clock.now()
        var row = CommittedRow(
            upload: upload.id, size: file.size, sha256: upload.sha256, remoteID: file.remoteID, time: now,
            expires: file.expires, details: file.details)
        if let old = state.withLock({ $0.index[id]?.committed }) { row.replace(old, at: now) }
        // Before anybody can see it as committed, and ask where its bytes are.
        let isKept = services.kept.keep(
            revision.row(entry: id, modified: upload.modified), committed: row, facts: backend.facts)
        let leftovers = file.hasLeftovers ? discardRow(of: upload) : nil
        let (woken, modified, superseded, discards) = state.withLock { state in
            var superseded: [Revision] = []
            var discards: [DiscardRow] = []
            let old = state.index[id]?.committed?.upload
            state.index.update(id) { node in
                node.committed = row
                node.sending = nil
                // What was refused before this one was written is history now; its bytes are kept.
                superseded = Array(node.revisions.prefix { $0.id != revision.id }.filter { $0.phase == .failed })
                node.revisions.removeAll { kept in kept.id == revision.id || superseded.contains { $0.id == kept.id } }
            }
            // Nor may the service go on with what it has of it.
            for old in superseded where old.withdraw() {
                discards += [abandon(old, of: id, knownAs: run.base.path, run.base.directoryID, state)].compactMap {
                    $0
                }
            }
            revision.setPhase(.committed)
            state.recent.note(id)
            state.noteChange(id)
            state.reclassify(id)
            journalEntry(id, &state)
            let node = state.index[id]
            let modified = node?.modified ?? upload.modified
            var committed = revision.row(entry: id, modified: modified)
            committed.state = .committed
            let left = leftovers.map { [JournalChange.putDiscard($0)] } ?? []
            // What was refused before goes to `recovered/`, also after a crash, and not to the service.
            let history = superseded.map { old in
                var row = old.row(entry: id, modified: modified)
                row.state = .expired
                return JournalChange.putRevision(row)
            }
            let changes = history + [.putRevision(committed), .dropContent(revision.id)] + left + state.dropSent(id)
            // Nobody waits for it: after a crash the service is asked, and says that it has it.
            services.journal.enqueue(
                changes,
                whenWritten: { [self] result in
                    // Only what the journal knows as committed may lose its spool file.
                    guard case .success = result else { return revision.releaseContent() }
                    if let old, old != upload.id { services.kept.drop(old) }
                    if isKept { services.kept.settle(upload.id) } else { freeSpool(of: revision) }
                })
            return (state.takeSettledWaits(of: revision.id, below: id), modified, superseded, discards)
        }
        for row in discards + [leftovers].compactMap({ $0 }) { discard(row) }
        // Handles may keep the revision; its blocks are to be free again.
        if isKept || !revision.isReusable { revision.releaseContent() }
        if let replaced = upload.replaces?.remoteID, replaced != file.remoteID { forgetCached([replaced]) }
        for old in superseded { keepSuperseded(old, of: upload.path) }
        record(
            "committed", upload.path, [.init("size", .bytes(file.size)), .init("sha256", .text(upload.sha256?.text))])
        if let warning = row.warning {
            record("committed_with_doubt", upload.path, [.init("warning", .string(warning))])
        }
        // It was touched while it was under way.
        if modified != upload.modified, backend.facts.keepsModificationTimes {
            do throws(RemoteError) { try backend.setModified(upload.path, modified) } catch {
                record("time_not_kept", upload.path, [.init("error", .string(error.message))])
            }
        }
        answer(woken)
        submitNext(id)
    }

    /// A committed content needs its spool file no more.
    private func freeSpool(of revision: Revision) {
        do throws(RemoteError) {
            try revision.freeContent()
            services.journal.enqueue([.dropRevision(revision.id)])
        } catch {
            services.events.record("spool_not_freed", [.init("error", .string(error.message))])
        }
    }

    /// Moves refused bytes to `recovered/` when newer ones of the same file arrived.
    private func keepSuperseded(_ revision: Revision, of path: RelativePath) {
        do throws(RemoteError) {
            let place = try services.spool.recover(revision.spoolName, as: RelativePath([name] + path.components))
            services.journal.enqueue([.dropRevision(revision.id)])
            record("recovered", path, [.init("recovered_as", .string(place.description))])
        } catch { record("spool_not_freed", path, [.init("error", .string(error.message))]) }
    }

    /// The service refused it for good: the bytes stay.
    func endSending(_ run: UploadRun, refused error: RemoteError) {
        let (id, revision) = (run.entry, run.revision)
        let woken: [(WaitToken, Result<Void, RemoteError>)]? = state.withLock { state in
            state.index.update(id) { $0.sending = nil }
            if revision.refuseDraft(error) { return nil }
            revision.setPhase(.failed, error: error)
            state.reclassify(id)
            if let node = state.index[id] {
                services.journal.enqueue([.putRevision(revision.row(entry: id, modified: node.modified))])
            }
            return state.takeSettledWaits(of: revision.id, below: id, error: error)
        }
        let facts: [JSONValue.Member] = [
            .init("error", .string(error.message)), .init("errno", .string(error.errno.symbol)),
        ]
        guard let woken else { return record("refused_early", run.base.path, facts) }
        revision.releaseContent()
        record("failed", run.base.path, facts)
        answer(woken)
        submitNext(id)
    }

    /// The service refuses everything of ours now: nothing was asked.
    func refuseSending(_ id: EntryID, _ error: RemoteError) {
        guard let run = beginSending(id) else { return }
        endSending(run, refused: error)
    }

    /// It did not work now; a sealed file is queued again.
    /// - Returns: false for a draft: it is tried again when it has grown, or is sealed.
    func endSending(_ run: UploadRun, retryAfter wait: Duration) -> Bool {
        let (id, revision) = (run.entry, run.revision)
        let failures: Int? = state.withLock { state in
            state.index.update(id) { $0.sending = nil }
            let failures = revision.postpone(for: wait)
            if let node = state.index[id], node.revisions.contains(where: { $0 === revision }) {
                services.journal.enqueue([.putRevision(revision.row(entry: id, modified: node.modified))])
            }
            return failures
        }
        guard let failures else { return false }
        revision.releaseContent()
        record(
            "retrying", run.base.path,
            [
                .init("attempts", .integer(Int64(failures))),
                .init("error", .text(revision.standing.errorText)),
            ])
        return true
    }

    func submitNext(_ id: EntryID) {
        let hasNext = state.withLock { $0.index[id]?.nextToSend?.phase == .queued }
        if hasNext { engine.submit(.upload(self, id)) }
    }

    // MARK: - The caller's side

    /// Finishes a call when a sealed revision is where its remote's commit mode wants it: at once when it is there, or
    /// was refused, already.
    func finish(
        _ token: WaitToken, afterCommitOf revision: Revision, _ remember: @escaping @Sendable (RemoteError) -> Void
    ) {
        let inner = waits.begin { [waits] result in
            if case .failure(let error) = result { remember(error) }
            waits.finish(token, result)
        }
        // Looked at and registered under one lock: the engine may end an upload at any time before.
        let immediate: Result<Void, RemoteError>? = state.withLock { state in
            let standing = revision.standing
            switch standing.phase {
            case .committed: return .success(())
            case .failed, .expired: return .failure(standing.error ?? .local(.ioError, during: .store))
            case .draft, .queued, .uploading: break
            }
            // What the service alone has in an unfinished upload it may still lose: nobody is told that it is safe.
            if configuration.commit == .journal, !revision.hasPassedOn { return .success(()) }
            // It is sealed and goes on at the next start; nothing here will end it.
            if state.isStopped { return .failure(.interrupted) }
            state.revisionWaits[revision.id, default: []].append(inner)
            return nil
        }
        if let immediate { waits.finish(inner, immediate) }
    }

    /// Completes when every sealed file at or below an entry is on the remote; fails with the first error when one was
    /// refused.
    ///
    /// Drafts do not count: nobody promised them. At once when there is nothing to wait for.
    public func waitUntilCommitted(
        below id: EntryID, _ completion: @escaping @Sendable (Result<Void, RemoteError>) -> Void
    ) -> WaitToken {
        let token = waits.begin(completion)
        let immediate: Result<Void, RemoteError>? = state.withLock { state in
            if state.hasActive(below: id) {
                if state.isStopped { return .failure(.interrupted) }
                state.belowWaits.append((id, token))
                return nil
            }
            return state.failure(below: id).map { .failure($0) } ?? .success(())
        }
        if let immediate { waits.finish(token, immediate) }
        return token
    }

    /// Gives a waiting call up because its caller was killed.
    /// - Returns: true when the completion will never be called; false when it was called or is about to be.
    @discardableResult
    public func cancel(_ token: WaitToken) -> Bool { waits.cancel(token) }

    func answer(_ woken: [(WaitToken, Result<Void, RemoteError>)]) {
        for (token, result) in woken { waits.finish(token, result) }
    }
}

extension TreeState {
    /// Takes out the waits that are over now that a revision is settled.
    mutating func takeSettledWaits(
        of revision: RevisionID?, below id: EntryID, error: RemoteError? = nil
    ) -> [(WaitToken, Result<Void, RemoteError>)] {
        let result: Result<Void, RemoteError> = error.map { .failure($0) } ?? .success(())
        var woken = (revision.flatMap { revisionWaits.removeValue(forKey: $0) } ?? []).map { ($0, result) }
        var remaining: [(entry: EntryID, token: WaitToken)] = []
        for wait in belowWaits {
            if !index.isWithin(id, wait.entry) || hasActive(below: wait.entry) {
                remaining.append(wait)
            } else {
                woken.append((wait.token, failure(below: wait.entry).map { .failure($0) } ?? .success(())))
            }
        }
        belowWaits = remaining
        return woken
    }
}
