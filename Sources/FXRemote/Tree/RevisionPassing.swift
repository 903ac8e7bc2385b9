internal import CLinux
internal import FXSystem
internal import SystemPackage

/// Giving up the beginning of a draft that the service has: so a file passes through that is larger than the disk.
///
/// Only while it is written, and only what the service has acknowledged and the digest has seen. From then on the file
/// may grow at its end and not be changed before it, and its beginning cannot be read until it is committed: the service
/// alone has these bytes, and would give them to nobody before.
extension Revision {
    /// What is given up at once, at least: each time costs a few system calls and a row of the journal.
    private static let smallestPassing: UInt64 = 1 << 20

    private enum Look { case pass(Range<UInt64>), never }

    /// True when a part of it is at the service alone.
    var hasPassedOn: Bool { monitor.read { !$0.machine.freed.isEmpty } }

    /// Gives up what the service has acknowledged; waits for it while something is on its way.
    /// - Parameters:
    ///   - patience: how long an upload that has not begun is waited for.
    ///   - isDying: of the caller, looked at from time to time.
    /// - Returns: false when nothing was given up, and nothing will be.
    func passOn(patience: Duration, isDying: () -> Bool) throws(RemoteError) -> Bool {
        let deadline = ContinuousDeadline.after(patience)
        while true {
            let look = monitor.wait(until: .after(.milliseconds(100))) { state -> Look? in
                if state.phase != .draft || state.isSealing || state.isDiscarded || state.refusal != nil {
                    return .never
                }
                // A writer inside may be below the range.
                if state.inside == 0, let range = state.passable(atLeast: Revision.smallestPassing) {
                    state.machine.free(range)
                    return .pass(range)
                }
                return state.mayBecomePassable(before: deadline) ? nil : .never
            }
            switch look {
            case .pass(let range): return try giveUp(range)
            case .never: return false
            case nil: if isDying() { throw .interrupted }
            }
        }
    }

    /// The same without waiting: the journal needs a little room for the seal that follows.
    func passOnAtHand() throws(RemoteError) {
        let range: Range<UInt64>? = monitor.withLock { state in
            if state.phase != .draft || state.inside > 0 || state.machine.freed.isEmpty { return nil }
            guard let range = state.passable(atLeast: 1) else { return nil }
            state.machine.free(range)
            return range
        }
        if let range { _ = try giveUp(range) }
    }

    /// Frees the blocks; whoever reads has seen before that they are given up.
    private func giveUp(_ range: Range<UInt64>) throws(RemoteError) -> Bool {
        let file = try content()
        spool.markIncomplete(file)
        do throws(Errno) {
            try file.descriptor.allocate(
                mode: Int32(FX_FALLOC_PUNCH_HOLE | FX_FALLOC_KEEP_SIZE), offset: range.lowerBound,
                length: range.upperBound - range.lowerBound)
            return true
        } catch {
            // A file system without holes frees nothing.
            if error == .notSupported || error == .notSupportedOnSocket || error == .noFunction { return false }
            throw .local(error, during: .spool)
        }
    }

    /// Refuses what would need bytes that only the service has.
    func checkHeld(_ range: Range<UInt64>) throws(RemoteError) {
        let (isGone, phase) = monitor.withLock { state in
            (!range.isEmpty && range.lowerBound < state.machine.freed.end, state.phase)
        }
        if !isGone { return }
        switch phase {
        // Its spool file goes: whoever looks again finds it at the service.
        case .committed: throw .local(.noSuchFileOrDirectory, during: .spool)
        case .failed: throw .partsLost
        case .draft, .queued, .uploading, .expired: throw .busy
        }
    }
}

extension Revision.State {
    /// What may be given up now: it goes on where the last one ended, so that it is always the beginning of the file.
    func passable(atLeast count: UInt64) -> Range<UInt64>? {
        let from = machine.freed.end
        let end = min(machine.held.prefix, digest.position)
        return end >= from + count ? from..<end : nil
    }

    /// Something is on its way to the service or into the digest, or is about to be.
    func mayBecomePassable(before deadline: ContinuousDeadline) -> Bool {
        if machine.isIdle { return growth.isLarge && earliest == nil && !deadline.hasPassed }
        return !machine.waitsForGrowth || digest.claimed > 0 || digest.hasBacklog
    }

    /// Once something was given up the file only grows: its digest cannot be computed again.
    func checkGrowth(from offset: UInt64) throws(RemoteError) {
        if !machine.freed.isEmpty, offset < size { throw .passedOn }
    }
}
