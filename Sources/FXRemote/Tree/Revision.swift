internal import Crypto
internal import FXSystem
internal import SystemPackage

/// One content of a file, from its first byte in the spool to the remote.
///
/// Lock order: `monitor` comes after the tree's lock and before nothing; no system call runs under it. Writers count
/// themselves in and out, and a seal waits until none is inside, so the bytes that are hashed are the bytes that are
/// sent.
final class Revision: Sendable {
    let id: RevisionID
    let upload: UploadID
    let spool: Spool
    let spoolName: Name
    let spoolUses: SpoolUses
    /// Draft removal and replacement are for this user.
    let owner: UInt32
    /// For services that want one with each chunk.
    private let chunkDigests: ChunkDigests?
    /// For the extensions of this class only.
    let monitor: Monitor<State>

    struct State {
        var phase: FileState
        var size: UInt64
        var file: SpoolFile?
        /// Writes, truncations and reservations under way.
        var inside = 0
        var isSealing = false
        /// Blocks below this, from `reservedFrom` on, belong to the file already.
        var reserved: Range<UInt64> = 0..<0
        var window: UInt64 = 0
        /// Somebody reserved space, perhaps past the end.
        var hasTail = false
        var digest = SequentialDigest()
        var sha256: SHA256Digest?
        var sealed: Timestamp?
        /// When it was sealed, from the moment the journal was told until it has answered: rows that others write meanwhile
        /// follow that one and say the same.
        var promised: Timestamp?
        /// The journal has its bytes, and nobody has synced the spool file.
        var isJournalled = false
        /// How far the service has it.
        var machine: UploadMachine
        /// What of it may be sent while it is still written.
        var growth: DraftGrowth
        /// Sending it while it is written failed; not before this moment again.
        var earliest: ContinuousDeadline?
        /// Why the service will not take it, found out while it was written.
        var refusal: RemoteError?
        var error: RemoteError?
        var errorText: String?
        /// Removed by its owner; never sealed from then on.
        var isDiscarded = false
    }

    /// The first sequential window; doubled up to `largestWindow`, so a small file reserves what it needs and a large
    /// one calls seldom.
    private static let smallestWindow: UInt64 = 1 << 20
    /// 64 MiB: at 2 GB/s thirty calls a second, and the most a disk near its end gives up too early.
    private static let largestWindow: UInt64 = 64 << 20
    /// 8 MiB: enough for the disk to write in one go; smaller files are written by their seal. A multiple of
    /// `SequentialDigest.claimSize`.
    private static let writebackStep: UInt64 = 8 << 20

    /// A new draft.
    init(
        id: RevisionID, upload: UploadID, file: SpoolFile, spool: Spool, owner: UInt32, size: ByteCount,
        terms: UploadTerms
    ) {
        self.id = id
        self.upload = upload
        self.spool = spool
        self.owner = owner
        spoolName = file.name
        spoolUses = file.uses
        chunkDigests = ChunkDigests(terms.facts)
        monitor = Monitor(
            State(
                phase: .draft, size: size.rawValue, file: file, machine: UploadMachine(terms: terms),
                growth: DraftGrowth(terms)))
    }

    /// A sealed one from the journal.
    init(_ row: RevisionRow, spoolName: Name, spool: Spool, owner: UInt32, terms: UploadTerms) {
        id = row.id
        upload = row.upload
        self.spool = spool
        self.owner = owner
        self.spoolName = spoolName
        spoolUses = SpoolUses()
        chunkDigests = ChunkDigests(terms.facts)
        var state = State(
            phase: row.state, size: row.size.rawValue, machine: UploadMachine(terms: terms, row: row),
            growth: DraftGrowth(terms))
        state.sha256 = row.sha256
        state.sealed = row.sealed
        state.errorText = row.error
        monitor = Monitor(state)
    }

    /// What others may know of it, at one moment.
    struct Standing: Sendable {
        var phase: FileState
        var size: ByteCount
        var sha256: SHA256Digest?
        var sealed: Timestamp?
        var acknowledged: ByteCount
        var attempts: Int
        var error: RemoteError?
        var errorText: String?
        var isKnownToService: Bool
    }

    var standing: Standing {
        monitor.withLock {
            Standing(
                phase: $0.phase, size: ByteCount($0.size), sha256: $0.sha256, sealed: $0.sealed,
                acknowledged: ByteCount($0.machine.held.count), attempts: $0.machine.failures, error: $0.error,
                errorText: $0.errorText, isKnownToService: $0.machine.isKnownToService)
        }
    }

    var phase: FileState { monitor.withLock { $0.phase } }
    var size: ByteCount { monitor.withLock { ByteCount($0.size) } }

    func row(entry: EntryID, modified: Timestamp) -> RevisionRow {
        monitor.withLock {
            RevisionRow(
                id: id, entry: entry, state: $0.promised == nil ? $0.phase : .queued, upload: upload,
                size: ByteCount($0.size), sha256: $0.sha256, sealed: $0.promised ?? $0.sealed, modified: modified,
                isKnownToService: $0.machine.isKnownToService,
                acknowledged: $0.machine.held, stale: $0.machine.stale, freed: $0.machine.freed, note: $0.machine.note,
                attempts: $0.machine.failures, error: $0.errorText)
        }
    }

    var isDiscarded: Bool { monitor.withLock { $0.isDiscarded } }

    /// Gives a draft up for good; false when it is sealed or about to be.
    func discard() -> Bool {
        monitor.withLock { state in
            if state.phase != .draft || state.isSealing { return false }
            state.isDiscarded = true
            return true
        }
    }

    // MARK: - Bytes

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        let size = size.rawValue
        if offset >= size { return 0 }
        let count = Int(min(UInt64(buffer.count), size - offset))
        try checkHeld(offset..<offset + UInt64(count))
        let got = try unsafe content().read(
            into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]), at: offset)
        // Given up meanwhile, the blocks were read as zeros.
        try checkHeld(offset..<offset + UInt64(count))
        return got
    }

    /// The spool file; opened again when it was given back.
    func content() throws(RemoteError) -> SpoolFile {
        if let file = monitor.withLock({ $0.file }) { return file }
        let opened = try spool.open(spoolName, uses: spoolUses)
        return monitor.withLock {
            if let file = $0.file { return file }
            $0.file = opened
            return opened
        }
    }

    /// Closes the spool file of a sealed revision, so that a long queue holds no descriptors.
    func releaseContent() {
        let released: SpoolFile? = monitor.withLock {
            if $0.phase == .draft { return nil }
            return $0.file.take()
        }
        _ = consume released
    }

    /// Its spool file may become that of another draft once it is committed. After a power cut its old name may have any
    /// bytes then: those of a small file are not looked for there.
    var isReusable: Bool { monitor.withLock { $0.isJournalled } }

    /// Frees the blocks of a content that the journal knows as committed.
    func freeContent() throws(RemoteError) {
        if !isReusable {
            releaseContent()
            return try spool.remove(spoolName, because: .committed)
        }
        var file = monitor.withLock { $0.file.take() }
        // From here on nobody gets this one any more; who has it still reads.
        if file != nil, !isKnownUniquelyReferenced(&file) { return try spool.remove(spoolName, because: .committed) }
        try spool.reuse(spoolName, file: file, uses: spoolUses)
    }

    /// Writes all of `buffer`, or nothing.
    /// - Returns: what follows from it; nil when it is sealed, and a new draft is needed; nothing was written then.
    func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Aftermath? {
        let (end, overflow) = offset.addingReportingOverflow(UInt64(buffer.count))
        if overflow || end > UInt64(Int64.max) { throw .local(.fileTooLarge, during: .spool) }
        guard let before = try enter(changingFrom: offset) else { return nil }
        do throws(RemoteError) {
            let file = try content()
            do throws(Errno) {
                try reserve(offset..<end, of: file, sizeBefore: before)
                do throws(Errno) { try unsafe file.descriptor.write(buffer, at: offset) } catch {
                    // What lies past the old end goes; what lies before it may be torn, and whoever wrote it is told.
                    if end > before { cut(file, to: before) }
                    throw error
                }
            } catch { throw RemoteError.local(error, during: .spool) }
        } catch {
            // Some of it may have been written: a hash of what was there before is worth nothing.
            leave { state in
                state.digest.noteWrite(at: offset, count: 0)
                return state.changed(offset..<end)
            }
            throw error
        }
        return leave { state in
            state.digest.noteWrite(at: offset, count: buffer.count)
            state.size = max(state.size, end)
            return state.written(offset..<end)
        }
    }

    /// Takes off what a failed write of the calling thread left past the end, unless others write at the same time:
    /// it could be theirs.
    private func cut(_ file: SpoolFile, to size: UInt64) {
        let wasSealing: Bool? = monitor.withLock { state in
            if state.inside > 1 || state.size != size { return nil }
            // Keeps others out; who waits to seal waits for this thread anyway.
            defer { state.isSealing = true }
            return state.isSealing
        }
        guard let wasSealing else { return }
        try? file.descriptor.truncate(to: ByteCount(size))
        monitor.withLock { state in
            state.isSealing = wasSealing
            state.reserved = 0..<0
        }
    }

    /// Reserves `range` for a caller of fallocate(2); grows the file when `growing`. Returns nil when sealed.
    func allocate(_ range: Range<UInt64>, growing: Bool) throws(RemoteError) -> Aftermath? {
        guard let before = try enter(changingFrom: range.lowerBound) else { return nil }
        do throws(RemoteError) {
            let file = try content()
            do throws(Errno) {
                if growing { try file.extend(range, sizeBefore: before) } else { try file.reserve(range) }
            } catch { throw RemoteError.local(error, during: .spool) }
        } catch {
            leave { _ in Aftermath() }
            throw error
        }
        return leave { state in
            if growing { state.size = max(state.size, range.upperBound) } else { state.hasTail = true }
            return Aftermath()
        }
    }

    /// - Returns: nil when it is sealed.
    func truncate(to size: ByteCount) throws(RemoteError) -> Aftermath? {
        if size.rawValue > UInt64(Int64.max) { throw .local(.fileTooLarge, during: .spool) }
        if try enter(changingFrom: size.rawValue) == nil { return nil }
        do throws(RemoteError) {
            let file = try content()
            do throws(Errno) { try file.descriptor.truncate(to: size) } catch {
                throw RemoteError.local(error, during: .spool)
            }
        } catch {
            leave { _ in Aftermath() }
            throw error
        }
        return leave { state in
            state.digest.noteTruncation(to: size.rawValue)
            state.size = size.rawValue
            // Truncation gives the blocks past the end back.
            state.reserved = 0..<0
            return state.cut(to: size.rawValue)
        }
    }

    /// Waits for a seal under way; then the size, or nil when the revision takes no more bytes.
    func enter() -> UInt64? {
        monitor.wait { (state: inout State) -> UInt64?? in
            if state.isSealing { return nil }
            if state.phase != .draft { return .some(nil) }
            state.inside += 1
            return .some(state.size)
        } ?? nil
    }

    /// The same for a change of the bytes from `offset` on.
    /// - Throws: `.passedOn` when they are the service's alone.
    private func enter(changingFrom offset: UInt64) throws(RemoteError) -> UInt64? {
        guard let size = enter() else { return nil }
        do throws(RemoteError) {
            try monitor.withLock { state throws(RemoteError) in try state.checkGrowth(from: offset) }
        } catch {
            leave { _ in Aftermath() }
            throw error
        }
        return size
    }

    @discardableResult
    func leave(_ change: (inout State) -> Aftermath) -> Aftermath {
        monitor.withLock { state in
            state.inside -= 1
            return change(&state)
        }
    }

    private func reserve(_ range: Range<UInt64>, of file: SpoolFile, sizeBefore: UInt64) throws(Errno) {
        // A file system takes the space of a few pages when they are written, and the seal reports what it cannot.
        if range.upperBound <= JournalRoom.largestContent { return }
        let plan: Range<UInt64>? = monitor.withLock { state in
            if state.reserved.lowerBound <= range.lowerBound, range.upperBound <= state.reserved.upperBound {
                return nil
            }
            // Only a file that grows at its end gets a window.
            let isSequential = range.lowerBound == state.reserved.upperBound || range.lowerBound == sizeBefore
            if !isSequential || range.upperBound < Revision.smallestWindow { return range }
            state.window = min(max(state.window * 2, Revision.smallestWindow), Revision.largestWindow)
            return range.lowerBound..<(range.upperBound + state.window)
        }
        guard let plan else { return }
        var granted = plan
        do throws(Errno) { try file.reserve(plan) } catch {
            if plan == range { throw error }
            // The window does not fit; the write itself may.
            try file.reserve(range)
            granted = range
        }
        let result = granted
        monitor.withLock { state in
            let continues =
                result.lowerBound <= state.reserved.upperBound && result.lowerBound >= state.reserved.lowerBound
            state.reserved =
                continues
                ? state.reserved.lowerBound..<max(state.reserved.upperBound, result.upperBound) : result
        }
    }

    // MARK: - Digest while writing

    /// Hashes one piece of what has been written so far; true when there is more. Runs on the digest thread.
    func hashBacklog() -> Bool {
        let work: (SequentialDigest.Claim, SpoolFile)? = monitor.withLock { state in
            if state.phase != .draft || state.isSealing { return nil }
            guard let file = state.file, let claim = state.digest.claim() else { return nil }
            return (claim, file)
        }
        guard let (claim, file) = work else { return false }
        var hasher = claim.hasher
        do throws(Errno) { try file.hash(claim.range, into: &hasher) } catch {
            // The seal reads it again and reports the error to somebody who waits.
            monitor.withLock { $0.digest.abandon(claim) }
            return false
        }
        let result = hasher
        let (hasMore, position, generation) = monitor.withLock { state in
            state.digest.accept(claim, hasher: result)
            return (state.digest.hasBacklog, state.digest.position, state.digest.generation)
        }
        chunkDigests?.hashAhead(of: file, upTo: position, generation: generation)
        // The disk works while the file is still being written, so that the seal has little left to wait for.
        let end = claim.range.upperBound
        if end % Revision.writebackStep == 0 { file.descriptor.startWriteback(of: end - Revision.writebackStep..<end) }
        return hasMore
    }

    /// The MD5 of a chunk of a sealed file.
    /// - Parameter content: the file, as it is read while it is sent.
    func md5(of range: Range<UInt64>, from content: some UploadContent) throws(RemoteError) -> [UInt8] {
        guard let chunkDigests else { return try content.hashMD5(range) }
        let (size, generation) = monitor.withLock { ($0.size, $0.digest.generation) }
        return try chunkDigests.take(range, of: content, size: size, generation: generation)
    }
}
