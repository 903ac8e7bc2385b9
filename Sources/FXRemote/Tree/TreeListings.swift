internal import FXSystem

/// Bringing listings of the service into the tree. See docs/SEMANTICS.md, Listings.
extension RemoteTree {
    /// Makes sure that a directory may be answered for from memory: brings its first listing, and asks for another one in
    /// the background when the last is old.
    /// - Throws: why there is no listing, when nothing is known of the directory.
    func prepareListing(of id: EntryID) throws(RemoteError) {
        switch standing(of: id) {
        case .fresh, .unavailable(isDue: false): return
        case .stale, .unavailable(isDue: true): refreshInBackground(id)
        case .failed(let error): if isEmpty(id) { throw error }
        case .unknown:
            // Something of it is in the journal: that is better than nothing, and `user.fxmount.error` tells the rest.
            if isEmpty(id) { try refresh(id) } else { refreshForAWhile(id) }
        }
    }

    /// Makes sure that a name nobody knows is not in a directory: brings a listing unless there is a fresh one.
    /// - Throws: why there is none, when there never was; an older one counts while the service does not answer.
    func prepareAbsence(in id: EntryID) throws(RemoteError) {
        switch standing(of: id) {
        case .fresh, .unavailable(isDue: false): return
        case .unavailable(isDue: true): refreshInBackground(id)
        case .failed(let error): throw error
        case .stale: refreshForAWhile(id)
        case .unknown: try refresh(id)
        }
    }

    /// Something of a directory was answered for from memory: asks for another listing when that is due.
    func keepFresh(_ id: EntryID) {
        switch standing(of: id) {
        case .stale, .unknown, .unavailable(isDue: true): refreshInBackground(id)
        case .fresh, .failed, .unavailable(isDue: false): return
        }
    }

    /// True when the service need not be asked about a directory before it is answered for.
    func isListed(_ id: EntryID, _ need: ListingNeed) -> Bool {
        switch (standing(of: id), need) {
        case (.fresh, _), (.unavailable, _), (.failed, _), (.stale, .content): true
        case (.stale, .absence), (.unknown, _): false
        }
    }

    enum ListingNeed { case content, absence }

    private func isEmpty(_ id: EntryID) -> Bool { state.withLock { $0.index.isEmpty(id) } }

    /// Brings a listing, and waits for it half of the time that the call has: the rest is for an answer from memory.
    private func refreshForAWhile(_ id: EntryID) {
        refreshInBackground(id)
        _ = state.wait(until: .after(configuration.operationTimeout / 2)) { state in
            let listing = state.listings[id]
            if state.isStopped { return true }
            return listing?.isQueued == true || listing?.isUnderWay == true ? nil : true
        }
    }

    private func standing(of id: EntryID) -> DirectoryListing.Standing {
        if !listsEntries { return .fresh }
        return state.withLock { state in
            if !backend.facts.listsSessions, state.isInSession(id) { return .fresh }
            // A service that has ended is not asked.
            if state.isStopped { return .unavailable(isDue: false) }
            return state.listings[id]?.standing ?? .unknown
        }
    }

    /// Asks for an old listing again, unless that has just been tried; never waits where there is a lane.
    func refreshInBackground(_ id: EntryID) {
        guard let lane else {
            // What went wrong is in the listing's state.
            do throws(RemoteError) { try refresh(id) } catch { return }
            return
        }
        let isFirst = state.withLock { state in
            if state.index[id] == nil { return false }
            var listing = state.listings[id] ?? DirectoryListing()
            defer { state.listings[id] = listing }
            if listing.isQueued || listing.isUnderWay { return false }
            listing.isQueued = true
            return true
        }
        if !isFirst { return }
        let forget: @Sendable () -> Void = { [self] in state.withLock { $0.listings[id]?.isQueued = false } }
        let isTaken = lane.submit(
            .background,
            run: { [self] in
                defer { forget() }
                // What went wrong is in the listing's state.
                do throws(RemoteError) { try refresh(id) } catch { return }
            }, drop: forget)
        if !isTaken { forget() }
    }

    /// Brings a listing now, or waits for the one that is under way.
    func refresh(_ id: EntryID) throws(RemoteError) {
        guard let (directory, began) = try beginListing(id) else { return }
        let start = ContinuousDeadline.now()
        do throws(RemoteError) {
            let listed = try backend.list(directory)
            merge(listed, into: id, began: began)
            let span = start.elapsed
            state.withLock { state in
                state.listings[id]?.succeed(after: span, ttl: configuration.listingTTL)
                state.refusals[id] = nil
            }
        } catch {
            let isFirst = state.withLock { state in
                defer { state.listings[id]?.fail(error, ttl: configuration.listingTTL) }
                return state.listings[id]?.failure != error
            }
            if isFirst { record("not_listed", directory.path, [.init("error", .string(error.message))]) }
            throw error
        }
    }

    /// nil when another thread has brought one meanwhile.
    private func beginListing(_ id: EntryID) throws(RemoteError) -> (StoredDirectory, UInt64)? {
        enum Start { case begin(StoredDirectory, UInt64), done, refuse(RemoteError) }
        var hasWaited = false
        let deadline = ContinuousDeadline.after(configuration.operationTimeout)
        let start = state.wait(until: deadline) { state -> Start? in
            guard let node = state.index[id] else { return .refuse(.noSuchEntry) }
            if node.kind == .file { return .refuse(.notDirectory) }
            if state.isStopped { return .refuse(.draining) }
            var listing = state.listings[id] ?? DirectoryListing()
            if listing.isUnderWay {
                hasWaited = true
                return nil
            }
            if hasWaited {
                if let failure = listing.failure { return .refuse(failure) }
                if case .fresh = listing.standing { return .done }
            }
            listing.begin()
            listing.isQueued = false
            state.listings[id] = listing
            return .begin(state.directory(id), state.changes)
        }
        switch start {
        case .begin(let directory, let began): return (directory, began)
        case .done: return nil
        case .refuse(let error): throw error
        case nil: throw .timedOut
        }
    }

    // MARK: - Merging

    /// Entries changed under one hold of the lock, so that a large directory stops nobody for long.
    private static let mergeBatch = 2048

    private func merge(_ listed: [ListedEntry], into id: EntryID, began: UInt64) {
        let (known, departed, depth) = state.withLock { state in
            (
                state.known(in: id, since: began, facts: backend.facts), state.listings[id]?.departed ?? [],
                state.depth(in: id)
            )
        }
        let names = backend.facts.names
        let reserved = Set(depth == 0 ? names.reservedForSessions : depth == 1 ? names.reservedInSessions : [])
        let merge = ListingMerge(known: known, listed: listed, departed: departed, reserved: reserved)
        let gone = state.withLock { state in
            let (changes, files) = state.drop(merge.vanished, from: id, since: began)
            services.journal.enqueue(changes)
            state.orphans.absent[id] = backend.facts.listsSessions ? Set(merge.absent) : []
            return files
        }
        forgetCached(gone)
        let now = services.clock.now()
        var rest = merge.changes[...]
        while !rest.isEmpty {
            let batch = rest.prefix(RemoteTree.mergeBatch)
            rest = rest.dropFirst(batch.count)
            state.withLock { state in
                for change in batch { apply(change, to: id, since: began, at: now, &state) }
            }
        }
        if services.cache != nil { forgetReplaced(known, merge.changes) }
    }

    /// What another content has taken the place of.
    private func forgetReplaced(_ known: [ListingMerge.Known], _ changes: [ListingMerge.Change]) {
        var old: [EntryID: String] = [:]
        for entry in known where entry.isFile { old[entry.id] = entry.remoteID }
        forgetCached(
            changes.compactMap { change in
                guard case .update(let id, let entry, _) = change, let before = old[id], before != entry.remoteID else {
                    return nil
                }
                return before
            })
    }

    private func apply(
        _ change: ListingMerge.Change, to directory: EntryID, since began: UInt64, at now: Timestamp,
        _ state: inout TreeState
    ) {
        guard state.index[directory] != nil else { return }
        switch change {
        case .insert(let entry, let name):
            // Somebody was faster; the next listing sees both.
            if state.index.child(name, of: directory) != nil || state.isPromised(name, in: directory) { return }
            state.index.insert(
                Node(
                    services.newEntryID(), entry, name, in: directory, of: services,
                    isInSession: state.isInSession(directory)))
        case .update(let id, let entry, let newName):
            guard let node = state.index[id], node.parent == directory, node.lastChange <= began else { return }
            if let newName, !state.hasLocalWork(below: id, since: began),
                state.index.child(newName, of: directory) == nil
            {
                state.index.move(id, to: directory, as: newName)
            }
            if state.update(id, entry, at: now) {
                services.journal.enqueue(state.keepSent(of: node))
                journalEntry(id, &state)
            }
        }
    }
}

extension Node {
    /// An entry that was found in a listing.
    fileprivate init(
        _ id: EntryID, _ entry: ListedEntry, _ name: Name, in directory: EntryID, of services: TreeServices,
        isInSession: Bool
    ) {
        // A service that tells no time has none: 1970, the same at every look.
        let time = entry.modified ?? Timestamp(seconds: 0)
        var kind = EntryRow.Kind.file
        var session: SessionState?
        switch entry.kind {
        case .file: break
        case .directory: kind = .directory
        case .session(let state):
            kind = isInSession ? .directory : .session
            session = isInSession ? nil : state
        }
        self.init(
            id: id, parent: directory, name: name, kind: kind, mode: kind == .file ? 0o644 : 0o755,
            owner: services.owner, group: services.group, modified: time, created: time, session: session)
        isFound = true
        if let row = CommittedRow(entry, at: time) { setListed(row) } else { remoteID = entry.remoteID }
    }
}

extension CommittedRow {
    /// What a listing says of a file.
    init?(_ entry: ListedEntry, at time: Timestamp) {
        guard case .file(let size) = entry.kind else { return nil }
        self.init(
            upload: entry.upload ?? .unknown, size: size, sha256: entry.sha256, remoteID: entry.remoteID,
            time: entry.modified ?? time)
    }
}
