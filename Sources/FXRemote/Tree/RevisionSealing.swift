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

    /// Ends the draft: waits for writers inside, computes the digest, makes data and name durable. The phase is then
    /// still `draft` and closed to writers until `finishSeal` or `abandonSeal`.
    /// - Returns: false when it was sealed already.
    func prepareSeal() throws(RemoteError) -> Bool {
        let started =
            monitor.wait { (state: inout State) -> (hasher: SHA256, position: UInt64, size: UInt64, trims: Bool)?? in
                if state.isSealing { return nil }
                if state.phase != .draft || state.isDiscarded { return .some(nil) }
                state.isSealing = true
                return .some((SHA256(), 0, 0, false))
            } ?? nil
        if started == nil { return false }
        let plan = monitor.wait { state -> (hasher: SHA256, position: UInt64, size: UInt64, trims: Bool)? in
            if state.inside > 0 || state.digest.claimed > 0 { return nil }
            let progress = state.digest.progress
            return (
                progress.hasher, progress.position, state.size, state.hasTail || state.reserved.upperBound > state.size
            )
        }
        guard let plan else { return false }
        do throws(RemoteError) {
            let file = try content()
            var hasher = plan.hasher
            do throws(Errno) {
                // Gives the reserved blocks past the end back.
                if plan.trims { try file.descriptor.truncate(to: ByteCount(plan.size)) }
                try file.hash(plan.position..<plan.size, into: &hasher)
                try file.descriptor.syncData()
            } catch { throw RemoteError.local(error, during: .spool) }
            try spool.syncDirectory()
            let digest = SHA256Digest(hasher)
            monitor.withLock { $0.sha256 = digest }
        } catch {
            abandonSeal()
            throw error
        }
        return true
    }

    /// The row that makes the seal durable; while it is on its way the phase is still `draft`.
    func sealedRow(entry: EntryID, modified: Timestamp, at time: Timestamp) -> RevisionRow {
        var row = row(entry: entry, modified: modified)
        row.state = .queued
        row.sealed = time
        return row
    }

    /// It has its final bytes.
    /// - Returns: what an attempt under way is to do now.
    func finishSeal(at time: Timestamp) -> [UploadMachine.Action] {
        monitor.withLock { state in
            state.isSealing = false
            state.sealed = time
            state.reserved = 0..<0
            state.phase = state.machine.isIdle ? .queued : .uploading
            return state.machine.handle(.sealed(size: state.size))
        }
    }

    func abandonSeal() {
        monitor.withLock { state in
            state.isSealing = false
            state.sha256 = nil
            state.reserved = 0..<0
        }
    }
}
