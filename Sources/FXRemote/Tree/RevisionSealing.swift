internal import Crypto
internal import FXSystem
internal import SystemPackage

/// The end of a draft, and what becomes of it.
extension Revision {
    /// Makes the bytes durable, without ending the draft. True while it is still a draft.
    func sync() throws(RemoteError) -> Bool {
        if enter() == nil { return false }
        defer { leave { _ in Aftermath() } }
        let file = try content()
        do throws(Errno) { try file.descriptor.syncData() } catch { throw .local(error, during: .spool) }
        try spool.syncDirectory()
        return true
    }

    /// How the bytes of a seal become durable.
    enum SealedBytes: Sendable {
        /// The spool file and its name are durable.
        case synced
        /// They are to go into the journal with the row of the seal.
        case journalled([UInt8])
    }

    /// Ends the draft: waits for writers inside, computes the digest, makes data and name durable or has the journal do
    /// it. The phase is then still `draft` and closed to writers until `finishSeal` or `abandonSeal`.
    /// - Parameter room: of the journal; nil when its bytes have to be durable in the spool.
    /// - Returns: nil when it was sealed already.
    func prepareSeal(room: JournalRoom?) throws(RemoteError) -> SealedBytes? {
        let isFirst =
            monitor.wait { (state: inout State) -> Bool? in
                if state.isSealing { return nil }
                if state.phase != .draft || state.isDiscarded { return false }
                state.isSealing = true
                return true
            } ?? false
        if !isFirst { return nil }
        let plan = monitor.wait { state -> SealPlan? in
            if state.inside > 0 || state.digest.claimed > 0 { return nil }
            let progress = state.digest.progress
            return SealPlan(
                hasher: progress.hasher, position: progress.position, size: state.size,
                trims: state.hasTail || state.reserved.upperBound > state.size,
                isWhole: state.machine.freed.isEmpty)
        }
        guard let plan else { return nil }
        do throws(RemoteError) {
            let file = try content()
            // Gives the reserved blocks past the end back.
            do throws(Errno) { if plan.trims { try file.descriptor.truncate(to: ByteCount(plan.size)) } } catch {
                throw RemoteError.local(error, during: .spool)
            }
            if let room, plan.isWhole, spool.hasRoom(beyond: JournalRoom.spareDisk), room.take(plan.size, for: id) {
                do throws(RemoteError) { return .journalled(try journalBytes(of: file, plan)) } catch {
                    room.giveBack(id)
                    throw error
                }
            }
            try sync(file, plan)
            return .synced
        } catch {
            abandonSeal()
            throw error
        }
    }

    private struct SealPlan {
        /// Of the bytes below `position`.
        var hasher: SHA256
        var position: UInt64
        var size: UInt64
        var trims: Bool
        /// The spool has given up nothing of it.
        var isWhole: Bool
    }

    private func journalBytes(of file: SpoolFile, _ plan: SealPlan) throws(RemoteError) -> [UInt8] {
        let bytes = try file.bytes(plan.size)
        // What could not be written to the disk may have been read from there again.
        do throws(Errno) {
            do throws(Errno) { try file.descriptor.awaitWriteback() } catch {
                if error != .noFunction, error != .notPermitted { throw error }
                // A sandbox knows what everybody uses.
                try file.descriptor.syncData()
            }
        } catch { throw .local(error, during: .spool) }
        var hasher = plan.hasher
        hasher.update(data: bytes[Int(plan.position)...])
        let digest = SHA256Digest(hasher)
        monitor.withLock { state in
            state.sha256 = digest
            state.isJournalled = true
        }
        return bytes
    }

    private func sync(_ file: SpoolFile, _ plan: SealPlan) throws(RemoteError) {
        var hasher = plan.hasher
        do throws(Errno) {
            try file.hash(plan.position..<plan.size, into: &hasher)
            try file.descriptor.syncData()
        } catch { throw RemoteError.local(error, during: .spool) }
        try spool.syncDirectory()
        let digest = SHA256Digest(hasher)
        monitor.withLock { $0.sha256 = digest }
    }

    /// The row that makes the seal durable; while it is on its way the phase is still `draft`.
    func sealedRow(entry: EntryID, modified: Timestamp, at time: Timestamp) -> RevisionRow {
        monitor.withLock { $0.promised = time }
        return row(entry: entry, modified: modified)
    }

    /// The row that takes back the one before; until `abandonSeal` nobody else can seal it.
    func unsealedRow(entry: EntryID, modified: Timestamp) -> RevisionRow {
        monitor.withLock { $0.promised = nil }
        return row(entry: entry, modified: modified)
    }

    /// It has its final bytes.
    /// - Returns: what an attempt under way is to do now.
    func finishSeal(at time: Timestamp) -> [UploadMachine.Action] {
        monitor.withLock { state in
            state.isSealing = false
            state.promised = nil
            state.sealed = time
            state.reserved = 0..<0
            state.phase = state.machine.isIdle ? .queued : .uploading
            return state.machine.handle(.sealed(size: state.size))
        }
    }

    func abandonSeal() {
        monitor.withLock { state in
            state.isSealing = false
            state.promised = nil
            state.sha256 = nil
            state.isJournalled = false
            state.reserved = 0..<0
        }
    }

    /// What it was sealed with, for whoever takes it further. What nobody has synced may be lost to an error of the disk that nobody was
    /// told of; the journal has it then.
    func sealedContent(_ journal: Journal) throws(RemoteError) -> any UploadContent & CommittedContent {
        let file = try content()
        let (isJournalled, size, sha256) = monitor.withLock { ($0.isJournalled, $0.size, $0.sha256) }
        if !isJournalled { return file }
        if let bytes = try? file.bytes(size), SHA256Digest(hashing: bytes) == sha256 { return JournalledContent(bytes) }
        guard let bytes = try journal.content(of: id), SHA256Digest(hashing: bytes) == sha256 else {
            throw .verificationMismatch
        }
        return JournalledContent(bytes)
    }
}

/// The bytes of a small file, compared with their digest and held while they are sent.
private struct JournalledContent: UploadContent, CommittedContent {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var identity: FileIdentity? { nil }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        let rest = bytes.dropFirst(Int(clamping: offset)).prefix(buffer.count)
        unsafe buffer.copyBytes(from: rest)
        return rest.count
    }

    func link(as name: Name, in directory: borrowing OwnedDescriptor) throws(RemoteError) { throw .notSupported }
}
