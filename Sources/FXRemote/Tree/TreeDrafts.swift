public import FXSystem
internal import SystemPackage

/// Making, changing and sealing the content of files.
extension RemoteTree {
    /// Answers `create`: a new file, or the one that is there, opened as `flags` say, O_TRUNC included.
    ///
    /// A new file counts as open for writing whatever the access mode is: its last close seals it.
    /// - Throws: `.needsSession` at the root, `.exists` with O_EXCL, what the service's names forbid, ENOSPC of the
    ///   spool.
    public func create(
        _ name: Name, in parent: EntryID, mode: UInt32, flags: OpenFlags, caller: Caller
    ) throws(RemoteError) -> (RemoteEntry, RemoteFile) {
        if listsEntries {
            let isKnown = try state.withLock { state throws(RemoteError) in
                try checkPlace(ofFile: name, in: parent, state)
                return state.index.child(name, of: parent) != nil
            }
            if !isKnown { try prepareAbsence(in: parent) }
        }
        while true {
            do throws(RemoteError) {
                return try createOnce(name, in: parent, mode: mode, flags: flags, caller: caller)
            } catch {
                // What was there was removed, or somebody was faster: the other way now.
                if error == .noSuchEntry, state.withLock({ $0.index[parent] != nil }) { continue }
                if error == .exists, !flags.contains(.exclusive) { continue }
                throw error
            }
        }
    }

    private func checkPlace(ofFile name: Name, in parent: EntryID, _ state: TreeState) throws(RemoteError) {
        let depth = try state.checkChange(in: parent)
        if depth < 1 || state.index.session(of: parent) == nil { throw .needsSession }
        try backend.facts.names.check(name, depth: depth)
    }

    /// Who is told an errno only finds the sentence at the directory, and in the events.
    func noteRefusal(of name: Name, in parent: EntryID, _ error: RemoteError) {
        state.withLock { $0.refusals[parent] = error }
        record(
            "name_refused", path(of: parent).appending(name),
            [.init("error", .string(error.message)), .init("errno", .string(error.errno.symbol))])
    }

    private func createOnce(
        _ name: Name, in parent: EntryID, mode: UInt32, flags: OpenFlags, caller: Caller
    ) throws(RemoteError) -> (RemoteEntry, RemoteFile) {
        let exclusive = flags.contains(.exclusive)
        let (path, existing) = try state.withLock { state throws(RemoteError) in
            try checkPlace(ofFile: name, in: parent, state)
            return (state.index.path(of: parent).appending(name), state.index.child(name, of: parent)?.id)
        }
        if let existing {
            if exclusive { throw .exists }
            let file = try open(existing, flags: flags, caller: caller)
            // Asked for after O_TRUNC took its effect.
            return (try entry(existing), file)
        }
        let isTemporary = configuration.looksTemporary(name, exclusive, mode & 0o7777)
        if !isTemporary {
            do throws(RemoteError) { try backend.facts.names.checkFile(name) } catch {
                noteRefusal(of: name, in: parent, error)
                throw error
            }
        }
        services.journal.waitForRoom()
        let upload = services.spool.newUploadID()
        let file = try services.spool.create(upload, path: RelativePath([self.name] + path.components))
        let revision = Revision(
            id: services.newRevisionID(), upload: upload, file: file, spool: services.spool, owner: caller.uid,
            size: .zero, terms: terms)
        let id = services.newEntryID()
        let now = services.clock.now()
        do throws(RemoteError) {
            try state.withLock { state throws(RemoteError) in
                _ = try state.checkChange(in: parent)
                if state.index.child(name, of: parent) != nil { throw .exists }
                if state.isPromised(name, in: parent) { throw .busy }
                var node = Node(
                    id: id, parent: parent, name: name, kind: .file, mode: mode & 0o7777, owner: caller.uid,
                    group: state.group(for: caller, in: parent), modified: now, created: now)
                node.revisions = [revision]
                node.isTemporary = isTemporary
                node.writers = 1
                state.index.insert(node)
                state.index.update(parent) { $0.modified = now }
                state.refusals[parent] = nil
                services.journal.enqueue(
                    state.rows(of: id, remote: self.name) + [.putRevision(revision.row(entry: id, modified: now))])
            }
        } catch {
            try? services.spool.remove(file.name, because: .droppedDraft)
            throw error
        }
        let handle = RemoteFile(tree: self, entry: id, opener: caller, writes: true)
        handle.noteOpened(revision.id)
        return (try entry(id), handle)
    }

    /// Answers `open`; with O_TRUNC a new, empty draft is begun, also for who only reads (open(2) on Linux).
    public func open(_ id: EntryID, flags: OpenFlags, caller: Caller) throws(RemoteError) -> RemoteFile {
        let changes = flags.writes || flags.contains(.truncate)
        try state.withLock { state throws(RemoteError) in
            guard let node = state.index[id] else { throw .noSuchEntry }
            if node.kind != .file { throw .isDirectory }
            if changes {
                _ = try state.checkChange(of: id)
                state.index.update(id) { node in
                    node.writers += 1
                    node.damage = nil
                    node.draft?.forgiveDraft()
                }
            }
        }
        let file = RemoteFile(tree: self, entry: id, opener: caller, writes: changes)
        if flags.contains(.truncate) {
            let before = state.withLock { $0.index[id]?.draft?.id }
            do throws(RemoteError) { try empty(id, by: caller) } catch {
                file.release()
                throw error
            }
            let after = state.withLock { $0.index[id]?.draft?.id }
            if after != before { file.noteOpened(after) }
        }
        return file
    }

    private func empty(_ id: EntryID, by caller: Caller) throws(RemoteError) {
        while true {
            let draft = try draft(of: id, keepingContent: false, owner: caller.uid, for: caller.thread)
            if let aftermath = try draft.truncate(to: .zero) {
                follow(aftermath, id, draft)
                break
            }
        }
        touch(id)
    }

    /// Answers `truncate` by path; without an open writer the result is sealed at once.
    public func truncate(_ id: EntryID, to size: ByteCount, caller: Caller) throws(RemoteError) {
        if let limit = backend.facts.maximumFileSize, size > limit { throw .tooLarge(limit: limit) }
        while true {
            let draft = try draft(
                of: id, keepingContent: size > .zero, owner: caller.uid, for: caller.thread)
            if let aftermath = try draft.truncate(to: size) {
                follow(aftermath, id, draft)
                break
            }
        }
        touch(id)
        sealIfAbandoned(id)
    }

    func touch(_ id: EntryID) {
        let now = services.clock.now()
        state.withLock { $0.index.update(id) { $0.modified = now } }
    }

    // MARK: - Drafts

    private enum DraftStep { case use(Revision), make(RelativePath, Revision?, CommittedRow?), refuse(RemoteError) }

    /// The draft of a file; makes one from what is there when the newest content is sealed or on the remote.
    /// - Parameter thread: whose call it is; nil when nobody waits for it.
    /// - Throws: `.timedOut` when another thread works on the file for longer than the operation timeout,
    ///   `.interrupted` when the caller dies meanwhile.
    func draft(of id: EntryID, keepingContent: Bool, owner: UInt32, for thread: Int32?) throws(RemoteError) -> Revision
    {
        switch try draftStep(of: id, for: thread) {
        case .use(let draft): return draft
        case .refuse(let error): throw error
        case .make(let path, let newest, let committed):
            do throws(RemoteError) {
                return try makeDraft(
                    of: id, path: path, from: keepingContent ? (newest, committed) : (nil, nil), owner: owner)
            } catch {
                state.withLock { $0.index.update(id) { $0.isDrafting = false } }
                throw error
            }
        }
    }

    /// Waits while a rename or another thread's draft has the file.
    private func draftStep(of id: EntryID, for thread: Int32?) throws(RemoteError) -> DraftStep {
        let deadline = ContinuousDeadline.after(configuration.operationTimeout)
        while true {
            let step = state.wait(until: min(deadline, .after(RemoteTree.deathWatchInterval))) { state -> DraftStep? in
                do throws(RemoteError) {
                    let node = try state.checkChange(of: id)
                    if let draft = node.draft { return .use(draft) }
                    if node.isDrafting || node.isHeld { return nil }
                    state.index.update(id) { $0.isDrafting = true }
                    return .make(state.index.path(of: id), node.revisions.last, node.committed)
                } catch { return .refuse(error) }
            }
            if let step { return step }
            if let thread, WaitingProcess.isDying(thread: thread) { throw .interrupted }
            if deadline.hasPassed { throw .timedOut }
        }
    }

    /// How soon a waiting caller that was killed is let go.
    private static let deathWatchInterval: Duration = .milliseconds(100)

    /// Opens what was committed under a file's name: in the spool while it is kept there, else at the service.
    func openStored(_ id: EntryID) throws(RemoteError) -> any CommittedContent { try openCommitted(id).content }

    /// - Returns: nil for `stored` when the content comes from the spool.
    func openCommitted(
        _ id: EntryID
    ) throws(RemoteError) -> (content: any CommittedContent, stored: StoredFile?) {
        let (committed, stored, session) = state.withLock {
            ($0.index[id]?.committed, $0.storedFile(id), $0.index.session(of: id)?.session)
        }
        guard let committed, let stored else { throw .noSuchEntry }
        if let kept = services.kept.content(of: committed.upload) { return (kept, nil) }
        if !backend.facts.readsBack { throw .expired }
        if !backend.facts.readsOpenSessions, session?.takesChanges ?? false { throw .notReadableYet }
        return (try backend.open(stored), stored)
    }

    /// The same for who reads all of it: a service without ranges is asked for it once.
    private func openToRead(_ id: EntryID) throws(RemoteError) -> any CommittedContent {
        let content = try openStored(id)
        guard !backend.facts.readsRanges, let content = content as? any FetchedContent else { return content }
        let size = content.knownSize ?? state.withLock { $0.index[id]?.committed?.size } ?? .zero
        return try BroughtContent(content, size: size, in: services.staging)
    }

    private func makeDraft(
        of id: EntryID, path: RelativePath, from source: (sealed: Revision?, committed: CommittedRow?), owner: UInt32
    ) throws(RemoteError) -> Revision {
        let upload = services.spool.newUploadID()
        let file = try services.spool.create(upload, path: RelativePath([name] + path.components))
        do throws(RemoteError) {
            var size = ByteCount.zero
            if let sealed = source.sealed {
                do throws(RemoteError) {
                    try sealed.checkHeld(0..<1)
                    size = try sealed.sealedContent(services.journal).copy(to: file.descriptor)
                } catch {
                    // It was committed in between and its spool file is gone; the remote has the same bytes.
                    if error != .local(.noSuchFileOrDirectory, during: .spool) { throw error }
                    size = try openToRead(id).copy(to: file.descriptor)
                }
            } else if source.committed != nil {
                size = try openToRead(id).copy(to: file.descriptor)
            }
            let draft = Revision(
                id: services.newRevisionID(), upload: upload, file: file, spool: services.spool, owner: owner,
                size: size, terms: terms)
            try state.withLock { state throws(RemoteError) in
                let node = try state.checkChange(of: id)
                state.index.update(id) { node in
                    node.revisions.append(draft)
                    node.isDrafting = false
                }
                services.journal.enqueue(
                    state.missingRows(of: id, remote: name)
                        + [.putRevision(draft.row(entry: id, modified: node.modified))])
            }
            return draft
        } catch {
            try? services.spool.remove(file.name, because: .droppedDraft)
            throw error
        }
    }

    // MARK: - Sealing

    /// Seals the draft of a file, if it has one, and hands it to the engine.
    /// - Parameter sealed: called when the journal has it (the revision, also when somebody else sealed it meanwhile),
    ///   when there was nothing to seal (nil), or with the error.
    func seal(_ id: EntryID, _ sealed: @escaping @Sendable (Result<Revision?, RemoteError>) -> Void) {
        // Counted as under way from here on, so that whoever waits for the session waits for this. A rename comes to its
        // end first: it may give the content to another entry.
        let (draft, damage) =
            state.wait { state -> (Revision?, RemoteError?)? in
                guard let node = state.index[id], let draft = node.draft else { return (nil, nil) }
                if node.isHeld { return nil }
                if let damage = node.damage { return (nil, damage) }
                state.beginSealing(id)
                return (draft, nil)
            } ?? (nil, nil)
        if let damage { return sealed(.failure(damage)) }
        guard let draft else { return sealed(.success(nil)) }
        let bytes: [JournalChange]
        do throws(RemoteError) {
            try draft.passOnAtHand()
            switch try draft.prepareSeal(room: leavesSpool ? services.journal.room : nil) {
            case nil:
                endSealing(id)
                return sealed(.success(draft.isDiscarded ? nil : draft))
            case .synced: bytes = []
            case .journalled(let content): bytes = [.putContent(draft.id, content)]
            }
        } catch {
            noteDamage(error, of: id)
            endSealing(id, of: draft, failed: error)
            return sealed(.failure(error))
        }
        let now = services.clock.now()
        let isKept: Bool? = state.withLock { state in
            if state.isStopped { return nil }
            guard let node = state.index[id], node.revisions.contains(where: { $0.id == draft.id }) else {
                return false
            }
            services.journal.enqueue(
                bytes + [
                    .put(node.row(remote: name)),
                    .putRevision(draft.sealedRow(entry: id, modified: node.modified, at: now)),
                ]
            ) { [self] result in finishSeal(of: draft, entry: id, at: now, result, sealed) }
            return true
        }
        guard isKept != true else { return }
        services.journal.room.giveBack(draft.id)
        draft.abandonSeal()
        endSealing(id, of: draft, failed: .interrupted)
        // Removed by its owner while it was being closed, or closed when the service had already ended.
        sealed(isKept == nil ? .failure(.draining) : .success(nil))
    }

    /// The disk says once that it has lost bytes of a draft, and then gives others for them: as it is now it is not what its
    /// writer meant.
    func noteDamage(_ error: RemoteError, of id: EntryID) {
        guard error == .local(.ioError, during: .spool) else { return }
        state.withLock { $0.index.update(id) { $0.damage = error } }
    }

    /// Nobody relies on the spool file once the service has the bytes: neither is it kept, nor does the service make it its
    /// own.
    private var leavesSpool: Bool {
        let facts = backend.facts
        return facts.readsBack && !facts.adoptsLocalFiles && services.kept.passesOn
    }

    private func finishSeal(
        of draft: Revision, entry id: EntryID, at time: Timestamp, _ result: Result<Void, RemoteError>,
        _ sealed: @Sendable (Result<Revision?, RemoteError>) -> Void
    ) {
        switch result {
        case .failure(let error):
            // The seal's row may still be written later; this one follows it, and is there before anybody seals it again.
            state.withLock { state in
                guard let node = state.index[id] else { return }
                services.journal.enqueue([
                    .dropContent(draft.id), .putRevision(draft.unsealedRow(entry: id, modified: node.modified)),
                ])
            }
            services.journal.room.giveBack(draft.id)
            draft.abandonSeal()
            endSealing(id, of: draft, failed: error)
            sealed(.failure(error))
        case .success:
            let (path, actions) = state.withLock { state in
                let actions = draft.finishSeal(at: time)
                state.endSealing(id)
                return (state.index.path(of: id), actions)
            }
            record("sealed", path, [.init("size", .bytes(draft.size))])
            sealed(.success(draft))
            // One that began while it was written goes on; any other waits for its turn.
            follow(Revision.Aftermath(mayBegin: draft.phase == .queued, actions: actions), id, draft)
        }
    }

    /// Nothing came of a seal: whoever waited for it is told, other closes of the same content included.
    private func endSealing(_ id: EntryID, of draft: Revision? = nil, failed error: RemoteError? = nil) {
        let woken = state.withLock { state in
            state.endSealing(id)
            return state.takeSettledWaits(of: draft?.id, below: id, error: error)
        }
        answer(woken)
    }

    /// Seals a draft nobody has open for writing, unless its name looks temporary.
    func sealIfAbandoned(_ id: EntryID) {
        let isAbandoned = state.withLock { state in
            guard let node = state.index[id], node.writers == 0, node.draft != nil else { return false }
            return SealRule.verdict(on: .lastRelease, looksTemporary: node.isTemporary) == .seal
        }
        if !isAbandoned { return }
        seal(id) { [self] result in
            if case .failure(let error) = result {
                // Nobody waits for it any more: the draft stays, and is listed.
                record("seal_failed", path(of: id), [.init("error", .string(error.message))])
            }
        }
    }
}
