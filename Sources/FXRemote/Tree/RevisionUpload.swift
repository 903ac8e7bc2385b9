internal import FXSystem

/// How a content gets to the service, from its first chunk to its end.
extension Revision {
    /// What follows from a change of a draft, outside of its lock.
    struct Aftermath: Sendable {
        /// The digest worker should look at it.
        var hasBacklog = false
        /// A further chunk is whole and no attempt is under way: one may begin.
        var mayBegin = false
        /// What the attempt under way does now.
        var actions: [UploadMachine.Action] = []
    }

    /// Tells the machine, and says what it wants.
    func advance(_ event: UploadMachine.Event) -> [UploadMachine.Action] {
        monitor.withLock { $0.machine.handle(event) }
    }

    /// The upload as it stands now.
    func upload(_ base: Upload, modified: Timestamp?) -> Upload {
        monitor.withLock { state in
            var upload = base
            upload.size = ByteCount(state.size)
            upload.sha256 = state.machine.isSealed ? state.sha256 : nil
            upload.modified = modified ?? base.modified
            upload.note = state.machine.note
            upload.acknowledged = state.machine.held
            return upload
        }
    }

    /// An attempt begins; false when it is not the time for one.
    func beginAttempt() -> Bool {
        monitor.withLock { state in
            if !state.machine.isIdle { return false }
            switch state.phase {
            case .queued:
                if state.sha256 == nil { return false }
                state.phase = .uploading
                return true
            case .draft:
                if state.isSealing || state.isDiscarded || state.refusal != nil { return false }
                return state.growth.isLarge && state.earliest.map(\.hasPassed) ?? true
            case .uploading, .committed, .failed, .expired: return false
            }
        }
    }

    /// What the backend must know to go on.
    var note: String? { monitor.withLock { $0.machine.note } }
    func note(_ note: String) { monitor.withLock { $0.machine.remember(note) } }

    /// What an attempt met, while it goes on trying.
    func note(_ error: RemoteError) {
        monitor.withLock { state in
            state.error = error
            state.errorText = error.message
        }
    }

    func setPhase(_ phase: FileState, error: RemoteError? = nil) {
        monitor.withLock { state in
            state.phase = phase
            state.error = error
            state.errorText = error?.message
        }
    }

    /// An attempt failed for now: a sealed file is queued again, a draft goes on growing and is tried again later.
    /// - Returns: the failures so far; nil for a draft.
    func postpone(for wait: Duration) -> Int? {
        monitor.withLock { state in
            if let error = state.machine.lastError {
                state.error = error
                state.errorText = error.message
            }
            if state.phase == .draft {
                state.earliest = .after(wait)
                return nil
            }
            state.phase = .queued
            return state.machine.failures
        }
    }

    func clearAttempts() {
        monitor.withLock { state in
            state.machine.clearFailures()
            state.error = nil
            state.errorText = nil
        }
    }

    /// The service refused a draft for good while it was written: its writer is told at the next write.
    /// - Returns: false when it was sealed meanwhile.
    func refuseDraft(_ error: RemoteError) -> Bool {
        monitor.withLock { state in
            if state.phase != .draft { return false }
            state.refusal = error
            return true
        }
    }

    /// Why the service will not take it, found out while it was written.
    func checkRefusal() throws(RemoteError) {
        if let refusal = monitor.withLock({ $0.refusal }) { throw refusal }
    }

    /// Somebody opens it for writing again.
    func forgiveDraft() {
        monitor.withLock { state in
            state.refusal = nil
            state.machine.clearFailures()
        }
    }

    /// Its path is about to change, or it goes: what is under way of a draft ends soon.
    /// - Returns: true when nothing is under way and the service is to forget it, which is the caller's to see to.
    func withdraw() -> Bool {
        monitor.withLock { state in
            switch state.phase {
            case .draft: state.machine.handle(.cancelled).contains(.abandon)
            case .failed: state.machine.isIdle && state.machine.isKnownToService
            case .queued, .uploading, .committed, .expired: false
            }
        }
    }

    /// True while an attempt is to end because the draft goes another way.
    var isLeaving: Bool { monitor.withLock { $0.machine.isLeaving } }

    /// Forgets what the service knows; returns it, for whoever lets the service forget it too.
    func startOver() -> (isKnown: Bool, note: String?) {
        monitor.withLock { state in
            let known = (state.machine.isKnownToService, state.machine.note)
            state.machine.startOver()
            return known
        }
    }
}

extension Revision.State {
    /// After a write of the calling thread, while it still counts as inside.
    mutating func written(_ range: Range<UInt64>) -> Revision.Aftermath {
        var aftermath = changed(range)
        let facts = machine.terms.facts
        if growth.note(range, chunk: { facts.chunk(at: $0).range }) {
            aftermath.actions += machine.handle(.grown(to: growth.end))
            aftermath.mayBegin = machine.isIdle
        }
        aftermath.hasBacklog = digest.hasBacklog
        return aftermath
    }

    /// Bytes were overwritten, or may have been.
    mutating func changed(_ range: Range<UInt64>) -> Revision.Aftermath {
        // What lies behind all that was sent concerns nobody.
        if range.lowerBound >= machine.sentEnd { return Revision.Aftermath() }
        return Revision.Aftermath(actions: machine.handle(.changed(range)))
    }

    mutating func cut(to size: UInt64) -> Revision.Aftermath {
        growth.cut(to: size)
        return Revision.Aftermath(actions: machine.handle(.cut(to: size)))
    }
}
