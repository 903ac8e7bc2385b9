internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// What a handle is read from, besides the draft.
struct RemoteFileReading: Sendable {
    /// The content that is read; nil after a draft was, and when there was none at the open.
    var pinned: ContentIdentity?
    /// A content of this machine, by its upload.
    var local: (upload: UploadID, content: any CommittedContent)?
    var service: ContentReader?

    init(_ node: Node?) {
        if let node, node.revisions.isEmpty { pinned = node.committed.map { ContentIdentity($0) } }
    }

    mutating func take() -> RemoteFileReading {
        defer { (local, service) = (nil, nil) }
        return self
    }
}

/// Reading a handle: from the draft, from what the spool or the machine has, or from the service.
extension RemoteFile {
    /// Where the bytes of a read are.
    public enum Source: Sendable {
        /// On this machine: `read(into:at:)` waits for a disk at most.
        case here
        case service(ContentReader)
    }

    /// Which content was there when the file was opened; nil for a draft.
    public var openedContent: ContentIdentity? { state.withLock { $0.reading.pinned } }

    /// Where the next read has to look.
    /// - Throws: `.changed` when somebody else gave the file another content since it was opened; what was written through
    ///   the mount is read at once instead.
    public func source() throws(RemoteError) -> Source {
        try checkFailure()
        guard let lane = tree.contentLane else { return .here }
        let (hasDraft, committed) = tree.state.withLock { state in
            let node = state.index[entry]
            return (node?.revisions.isEmpty == false, node?.committed)
        }
        guard !hasDraft, let committed else {
            state.withLock { $0.reading.pinned = nil }
            return .here
        }
        let identity = ContentIdentity(committed)
        let isOwn = tree.services.spool.isOwn(committed.upload)
        let isChanged = state.withLock { state in
            if let pinned = state.reading.pinned, !pinned.isSame(as: identity), !isOwn { return true }
            return false
        }
        if isChanged { throw .changed }
        if !tree.backend.facts.readsBack || tree.services.kept.has(committed.upload) { return .here }
        return .service(reader(of: identity, on: lane))
    }

    private func reader(of identity: ContentIdentity, on lane: CallLane) -> ContentReader {
        let (found, old): (ContentReader?, ContentReader?) = state.withLock { state in
            if let reader = state.reading.service, let pinned = state.reading.pinned, pinned.isSame(as: identity) {
                return (reader, nil)
            }
            state.reading.pinned = identity
            return (nil, state.reading.service.take())
        }
        if let found { return found }
        old?.close()
        let made = ContentReader(
            size: identity.size, readers: tree.services.readers, turns: tree.turns, lane: lane,
            limits: tree.backend.facts.readsRanges ? ReadWindow.Limits() : .staged,
            changed: { [tree, entry] in tree.noteChangedContent(entry) },
            close: { [tree, entry] in tree.closeStored($0, of: entry) },
            open: { [tree, entry] () throws(RemoteError) in try tree.openStored(entry, identity, lane) })
        // Another thread may have made one meanwhile.
        return state.withLock { state in
            if let reader = state.reading.service { return reader }
            if !state.isReleased { state.reading.service = made }
            return made
        }
    }

    /// Fills `buffer` from `offset`, short only at the end of the file. May wait for a service, unless `source` says
    /// `.here`.
    public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        if case .service(let reader) = try source() { return try unsafe wait(for: reader, buffer, at: offset) }
        // A second look: between the first one and the read the file may have been committed.
        do throws(RemoteError) { return try unsafe readHere(into: buffer, at: offset) } catch {
            if error != .local(.noSuchFileOrDirectory, during: .spool) { throw error }
            return try unsafe readHere(into: buffer, at: offset)
        }
    }

    private func wait(
        for reader: ContentReader, _ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(RemoteError) -> Int {
        let outcome = Monitor<Result<ReadBytes, RemoteError>?>(nil)
        let start = reader.read(buffer.count, at: offset) { result in outcome.withLock { $0 = result } }
        reader.bringAhead()
        switch start {
        case .bytes(let bytes): return unsafe bytes.copy(to: buffer)
        case .failed(let error): throw error
        case .waits:
            let bytes = try (outcome.wait { $0 } ?? .failure(.interrupted)).get()
            return unsafe bytes.copy(to: buffer)
        }
    }

    private func readHere(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        let (newest, committed) = tree.state.withLock { ($0.index[entry]?.revisions.last, $0.index[entry]?.committed) }
        if let newest { return try unsafe newest.read(into: buffer, at: offset) }
        if let committed { return try unsafe localContent(of: committed.upload).read(into: buffer, at: offset) }
        guard let removed = state.withLock({ $0.draft }) else { throw .noSuchEntry }
        return try unsafe removed.read(into: buffer, at: offset)
    }

    private func localContent(of upload: UploadID) throws(RemoteError) -> any CommittedContent {
        if let known = state.withLock({ $0.reading.local }), known.upload == upload { return known.content }
        let content = try tree.openStored(entry)
        state.withLock { $0.reading.local = (upload, content) }
        return content
    }
}

extension RemoteTree {
    /// Opens a content at the service, if it is still the one of this file.
    func openStored(
        _ id: EntryID, _ identity: ContentIdentity, _ lane: CallLane
    ) throws(RemoteError) -> any CommittedContent {
        guard let committed = state.withLock({ $0.index[id]?.committed }) else { throw .noSuchEntry }
        if !identity.isSame(as: ContentIdentity(committed)) { throw .changed }
        if backend.facts.readsRanges || services.kept.has(committed.upload) {
            let (content, stored) = try openCommitted(id)
            return stored.flatMap { cached(content, of: $0, identity, lane) } ?? content
        }
        return try staged.join(id, identity, lane: lane) { () throws(RemoteError) in try openStored(id) }
    }

    func closeStored(_ content: any CommittedContent, of id: EntryID) {
        if let content = content as? StagedContent { staged.leave(content, of: id) }
        if let content = content as? CachedContent { content.close() }
    }

    // MARK: - The cache

    /// The content with what the cache has of it; nil when nothing of it is kept.
    private func cached(
        _ content: any CommittedContent, of stored: StoredFile, _ identity: ContentIdentity, _ lane: CallLane
    ) -> CachedContent? {
        guard let cache = services.cache, stored.size == identity.size, let key = cacheKey(stored.remoteID),
            let file = cache.join(key, size: stored.size)
        else { return nil }
        return CachedContent(
            content as? any FetchedContent ?? LaneContent(content, lane), file, in: cache, lane: lane)
    }

    private func cacheKey(_ remoteID: String) -> CacheKey? {
        backend.contentMark(remoteID).map {
            CacheKey(remote: [kind, name.description, configuration.address], mark: $0)
        }
    }

    /// The service has a content no more.
    func forgetCached(_ remoteIDs: some Sequence<String>) {
        guard let cache = services.cache, backend.facts.readsRanges else { return }
        for id in remoteIDs { if let key = cacheKey(id) { cache.forget(key) } }
    }

    /// A read found another content than the last listing told of.
    func noteChangedContent(_ id: EntryID) {
        let parent = state.withLock { $0.index[id]?.parent }
        if listsEntries, let parent { refreshInBackground(parent) }
    }
}
