public import FXSystem
internal import Synchronization
internal import SystemPackage

/// One open handle of a session's file. Any thread.
///
/// The first failure of an upload this handle waited for is remembered, and every later call gets it.
/// Lock order: `state` is a leaf and is never held during another call.
public final class RemoteFile: Sendable {
    public let entry: EntryID
    let tree: RemoteTree
    private let opener: CallingProcess
    private let owner: UInt32
    private let writes: Bool
    let state: Mutex<State>

    struct State {
        var hasWritten = false
        var failure: RemoteError?
        /// The first byte that a write could not put into the draft, and why.
        var missing: (offset: UInt64, error: RemoteError)?
        var isReleased = false
        /// What opening made, until somebody writes.
        var opened: RevisionID?
        /// The draft last written to; kept for a file that was removed while open.
        var draft: Revision?
        var reading: RemoteFileReading
    }

    init(tree: RemoteTree, entry: EntryID, opener: Caller, writes: Bool) {
        self.tree = tree
        self.entry = entry
        // Looked up while the caller waits for its open; later it may be gone.
        self.opener = CallingProcess(of: opener)
        owner = opener.uid
        self.writes = writes
        let node = tree.state.withLock { $0.index[entry] }
        state = Mutex(State(draft: node?.draft, reading: RemoteFileReading(node)))
    }

    public func status() throws(RemoteError) -> RemoteEntry { try tree.entry(entry) }

    // MARK: - Bytes

    /// Writes all of `buffer` or nothing; returns its length.
    /// - Parameter caller: who is let go when it dies while this waits for somebody else's draft; nil for nobody.
    /// - Throws: EFBIG over the service's limit, ENOSPC, EROFS while draining or when the session is closed.
    public func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64, by caller: Caller? = nil)
        throws(RemoteError) -> Int
    {
        try checkFailure()
        try changeWhole(from: offset, to: offset &+ UInt64(buffer.count), by: caller) { draft throws(RemoteError) in
            try draft.checkRefusal()
            return try makingRoom(for: UInt64(buffer.count), of: draft, by: caller) { () throws(RemoteError) in
                try unsafe draft.write(buffer, at: offset)
            }
        }
        return buffer.count
    }

    /// Runs a change that the file cannot do without.
    /// - Parameter end: how far the file reaches afterwards, which may be further than the service takes.
    private func changeWhole(
        from offset: UInt64, to end: UInt64, by caller: Caller?,
        _ body: (Revision) throws(RemoteError) -> Revision.Aftermath?
    ) throws(RemoteError) {
        do throws(RemoteError) {
            if let limit = tree.backend.facts.maximumFileSize, end > limit.rawValue { throw .tooLarge(limit: limit) }
            try change(by: caller, body)
        } catch {
            // Who was killed while it waited is told nothing, and has changed nothing.
            if error != .interrupted { miss(offset, error) }
            throw error
        }
        caughtUp(to: offset)
    }

    /// A change failed: until it is repeated with success the file is not what its writer means, and is not sealed.
    private func miss(_ offset: UInt64, _ error: RemoteError) {
        state.withLock { state in
            if state.missing.map({ $0.offset > offset }) ?? true { state.missing = (offset, error) }
        }
        tree.state.withLock { $0.index.update(entry) { $0.damage = error } }
    }

    private func caughtUp(to offset: UInt64) {
        let isWhole = state.withLock { state in
            guard let missing = state.missing, offset <= missing.offset else { return false }
            state.missing = nil
            return true
        }
        if isWhole { tree.state.withLock { $0.index.update(entry) { $0.damage = nil } } }
    }

    /// Answers `ftruncate`.
    public func truncate(to size: ByteCount, by caller: Caller? = nil) throws(RemoteError) {
        try checkFailure()
        try changeWhole(from: size.rawValue, to: size.rawValue, by: caller) { draft throws(RemoteError) in
            try draft.truncate(to: size)
        }
    }

    /// Answers `fallocate`: the range has space afterwards.
    /// - Parameter growing: the file reaches to the end of the range too; false is FALLOC_FL_KEEP_SIZE.
    public func allocate(
        offset: UInt64, length: UInt64, growing: Bool, by caller: Caller? = nil
    ) throws(RemoteError) {
        try checkFailure()
        let (end, overflow) = offset.addingReportingOverflow(length)
        if overflow || length == 0 { throw .invalidArgument }
        try changeWhole(from: offset, to: end, by: caller) { draft throws(RemoteError) in
            try makingRoom(for: length, of: nil, by: caller) { () throws(RemoteError) in
                try draft.allocate(offset..<end, growing: growing)
            }
        }
    }

    /// What the spool only keeps to be read goes before a write fails for want of space; then what the service has of
    /// the draft already. A failed change has changed nothing, so it can be repeated.
    private func makingRoom<Result>(
        for count: UInt64, of draft: Revision?, by caller: Caller?, _ body: () throws(RemoteError) -> Result
    ) throws(RemoteError) -> Result {
        while true {
            do throws(RemoteError) { return try body() } catch {
                if error != .local(.noSpace, during: .spool) { throw error }
                if tree.services.kept.makeRoom(for: count) { continue }
                guard let draft, try tree.passOn(draft, of: entry, for: caller?.thread) else { throw error }
            }
        }
    }

    /// Runs one change on the draft, on a new one when the last was sealed in between.
    private func change(
        by caller: Caller?, _ body: (Revision) throws(RemoteError) -> Revision.Aftermath?
    ) throws(RemoteError) {
        if !writes { throw .local(.badFileDescriptor, during: .spool) }
        while true {
            let draft = try currentDraft(for: caller)
            if let aftermath = try body(draft) {
                state.withLock { state in
                    state.hasWritten = true
                    state.draft = draft
                }
                tree.touch(entry)
                tree.follow(aftermath, entry, draft)
                return
            }
        }
    }

    private func currentDraft(for caller: Caller?) throws(RemoteError) -> Revision {
        do throws(RemoteError) {
            return try tree.draft(of: entry, keepingContent: true, owner: owner, for: caller?.thread)
        } catch {
            // Removed while open: POSIX lets the writer go on.
            if error == .noSuchEntry, let draft = state.withLock({ $0.draft }), draft.isDiscarded { return draft }
            throw error
        }
    }

    // MARK: - Closing

    /// Answers `flush`, once for each closed descriptor. Completes at once when nothing is to be sealed; else when the
    /// remote has the file, or the journal, as configured.
    public func flush(
        caller: Caller, _ completion: @escaping @Sendable (Result<Void, RemoteError>) -> Void
    ) -> WaitToken {
        let token = tree.waits.begin(completion)
        let (hasWritten, failure, written) = state.withLock {
            ($0.hasWritten, $0.failure ?? $0.missing?.error, $0.draft)
        }
        if let failure {
            tree.waits.finish(token, .failure(failure))
            return token
        }
        let closing = SealRule.Closing.flush(
            isOpener: hasWritten && CallingProcess(of: caller) == opener, hasWritten: hasWritten)
        let isTemporary = tree.state.withLock { $0.index[entry]?.isTemporary ?? true }
        if SealRule.verdict(on: closing, looksTemporary: isTemporary) == .keepDraft {
            tree.waits.finish(token, .success(()))
            return token
        }
        state.withLock { $0.hasWritten = false }
        tree.seal(entry) { [self] result in
            switch result {
            case .failure(let error):
                remember(error)
                tree.waits.finish(token, .failure(error))
            case .success(let revision):
                // Sealed by another writer: what this one wrote is in that content, and arrives or fails with it.
                guard let holder = revision ?? written, !holder.isDiscarded else {
                    return tree.waits.finish(token, .success(()))
                }
                tree.finish(token, afterCommitOf: holder) { [self] error in remember(error) }
            }
        }
        return token
    }

    /// Answers `fsync`: the bytes survive a power cut and are recorded; the draft goes on.
    public func sync(_ completion: @escaping @Sendable (Result<Void, RemoteError>) -> Void) -> WaitToken {
        let token = tree.waits.begin(completion)
        do throws(RemoteError) {
            try checkFailure()
            guard let draft = tree.state.withLock({ $0.index[entry]?.draft }), try draft.sync() else {
                tree.waits.finish(token, .success(()))
                return token
            }
            let isKept: Bool = try tree.state.withLock { state throws(RemoteError) in
                if state.isStopped { throw RemoteError.draining }
                guard let node = state.index[entry] else { return false }
                tree.services.journal.enqueue([
                    .put(node.row(remote: tree.name)), .putRevision(draft.row(entry: entry, modified: node.modified)),
                ]) { [tree] in tree.waits.finish(token, $0) }
                return true
            }
            if !isKept { tree.waits.finish(token, .success(())) }
        } catch {
            tree.noteDamage(error, of: entry)
            tree.waits.finish(token, .failure(error))
        }
        return token
    }

    /// Answers `release`, the last close of this handle; seals what no other writer has open.
    public func release() {
        let (isFirst, reading, _) = state.withLock { state in
            defer { state.isReleased = true }
            // The blocks of a file that was removed while open are free from here on.
            return (!state.isReleased, state.reading.take(), state.draft.take())
        }
        reading.service?.close()
        if !isFirst || !writes { return }
        tree.state.withLock { $0.index.update(entry) { $0.writers -= 1 } }
        tree.sealIfAbandoned(entry)
    }

    /// Opening made this draft.
    func noteOpened(_ draft: RevisionID?) { state.withLock { $0.opened = draft } }

    /// Takes back what opening did, and releases: nobody will use this handle. A file that was made goes, one that was
    /// emptied is as before, unless somebody else has opened it meanwhile.
    public func withdraw() {
        if let opened = state.withLock({ $0.hasWritten ? nil : $0.opened }) { tree.withdraw(opened, of: entry) }
        release()
    }

    deinit { release() }

    private func remember(_ error: RemoteError) {
        state.withLock { if $0.failure == nil { $0.failure = error } }
    }

    func checkFailure() throws(RemoteError) {
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }
}
