internal import FXSystem

/// Completing and aborting sessions.
extension RemoteTree {
    /// Answers `setfattr -n user.fxmount.state`: `complete`, `complete expires-after=30d`, `aborted`, `verify` or `verify-content` on a
    /// session, `orphans` on a remote, `retry` on any entry.
    public func setAttribute(
        _ attribute: String, to value: String, of id: EntryID,
        completion: @escaping @Sendable (Result<Void, RemoteError>) -> Void
    ) -> WaitToken {
        let token = waits.begin(completion)
        do throws(RemoteError) {
            if attribute != "state" { throw .noAttribute }
            switch value {
            case "complete": try complete(id, lasting: nil, token)
            case _ where value.hasPrefix(RemoteTree.completeLasting):
                guard let life = Lifetime(String(value.dropFirst(RemoteTree.completeLasting.count))) else {
                    throw .invalidArgument
                }
                if !backend.facts.limitsSessionLife { throw .notSupported }
                try complete(id, lasting: life, token)
            case "aborted": try abort(id, token)
            case "orphans": lookForOrphans(id, token)
            case "verify": try verify(id, reading: false, token)
            case "verify-content": try verify(id, reading: true, token)
            case "retry":
                try retry(below: id)
                waits.finish(token, .success(()))
            default: throw .invalidArgument
            }
        } catch { waits.finish(token, .failure(error)) }
        return token
    }

    private static let completeLasting = "complete expires-after="

    private func complete(_ id: EntryID, lasting life: Lifetime?, _ token: WaitToken) throws(RemoteError) {
        waitForClosing(below: id)
        let isDone = try state.withLock { state throws(RemoteError) in
            guard let node = state.index[id], let session = node.session else { throw .invalidArgument }
            if state.isDraining { throw .draining }
            switch session {
            case .complete: return true
            case .completing:
                state.completionWaits[id, default: []].append(token)
                return false
            case .aborted, .expired: throw .sessionClosed(session)
            case .open, .failed: break
            }
            let obstacles = state.obstacles(in: id)
            if !obstacles.isEmpty {
                state.index.update(id) { $0.refusal = .incomplete(obstacles) }
                throw .incomplete(obstacles)
            }
            state.completionWaits[id, default: []].append(token)
            state.index.update(id) { node in
                node.session = .completing
                node.refusal = nil
                node.life = life.map { SessionLife(lasting: $0) }
            }
            journalEntry(id, &state)
            return false
        }
        if isDone { return waits.finish(token, .success(())) }
        continueCompletion(of: id)
    }

    /// The kernel tells of a last close after close(2) returned: a file that was just closed is given the time.
    private func waitForClosing(below id: EntryID) {
        _ = state.wait(until: .after(RemoteTree.closingPatience)) { state in
            let files = state.index.files(below: id)
            let isClosing = files.contains { $0.draft != nil && !$0.isTemporary && !$0.isSealing }
            return !isClosing || files.contains { $0.failed != nil || $0.draft != nil && $0.isTemporary } ? true : nil
        }
    }

    private static let closingPatience: Duration = .milliseconds(500)

    /// Waits for what is sealed, then lets the engine finish; also after a restart.
    func continueCompletion(of id: EntryID) {
        _ = waitUntilCommitted(below: id) { [self] _ in engine.submit(.complete(self, id, failures: 0)) }
    }

    /// Runs on an engine thread when nothing below the session is under way any more. Whatever the service says for now,
    /// a completion that was begun goes on until it is over one way or the other, as an upload does.
    func performCompletion(of id: EntryID, _ failures: Int, _ random: () -> Double) -> TransferJob.Outcome {
        let plan: Result<SessionManifest, RemoteError>? = state.withLock { state in
            guard let node = state.index[id], node.session == .completing else { return nil }
            let obstacles = state.obstacles(in: id)
            if !obstacles.isEmpty { return .failure(.incomplete(obstacles)) }
            return .success(state.manifest(of: node))
        }
        guard let plan else { return TransferJob.Outcome() }
        do throws(RemoteError) {
            let manifest = try plan.get()
            // Durable before the service hears of it: whatever happens next, the next run goes on with it.
            if let begun = state.withLock({ $0.index[id]?.row(remote: name) }) {
                try services.journal.commit([.put(begun)])
            }
            try forgetDiscarded(below: manifest.directory.path)
            try backend.complete(manifest)
            let end = manifest.lifetime.map { Timestamp(seconds: services.clock.now().seconds + $0.seconds) }
            let completed: EntryRow? = state.withLock { state in
                state.index.update(id) { node in
                    node.session = .complete
                    node.life = end.map { .until($0) }
                    node.refusal = nil
                }
                return state.index[id]?.row(remote: name)
            }
            if let completed { try services.journal.commit([.put(completed)]) }
            record(
                "session_complete", manifest.directory.path,
                [.init("files", .integer(Int64(manifest.files.count)))])
            finishCompletion(of: id, .success(()))
            follow(id)
            return TransferJob.Outcome(finding: .works)
        } catch {
            if let wait = postponeCompletion(of: id, error, failures + 1, random) {
                return TransferJob.Outcome(
                    finding: UploadRun.finding(error), again: (.complete(self, id, failures: failures + 1), wait))
            }
            endCompletion(of: id, failed: error)
            return TransferJob.Outcome(finding: UploadRun.finding(error))
        }
    }

    /// The service refuses everything of ours now: nothing was asked.
    func refuseCompletion(of id: EntryID, _ error: RemoteError) {
        if state.withLock({ $0.index[id]?.session == .completing }) { endCompletion(of: id, failed: error) }
    }

    /// - Returns: when to try again; nil when that is pointless, or the service has done it.
    private func postponeCompletion(
        of id: EntryID, _ error: RemoteError, _ failures: Int, _ random: () -> Double
    ) -> Duration? {
        guard let wait = configuration.retry.wait(after: error, failures: failures, random: random()) else {
            return nil
        }
        let isOpen = state.withLock { state in
            if state.index[id]?.session != .completing { return false }
            state.index.update(id) { $0.refusal = error }
            return true
        }
        if !isOpen { return nil }
        record(
            "completion_retrying", path(of: id),
            [.init("attempts", .integer(Int64(failures))), .init("error", .string(error.message))])
        return wait
    }

    private func endCompletion(of id: EntryID, failed error: RemoteError) {
        let isComplete = state.withLock { state in
            // The service has completed it; only the journal has not got that yet, and will hear it again.
            if state.index[id]?.session == .complete { return true }
            state.index.update(id) { node in
                node.session = .open
                node.refusal = error
            }
            journalEntry(id, &state)
            return false
        }
        record(
            isComplete ? "journal_failed" : "session_not_completed", path(of: id),
            [.init("error", .string(error.message))])
        finishCompletion(of: id, .failure(error))
    }

    private func finishCompletion(of id: EntryID, _ result: Result<Void, RemoteError>) {
        let tokens = state.withLock { $0.completionWaits.removeValue(forKey: id) ?? [] }
        for token in tokens { waits.finish(token, result) }
    }

    private func abort(_ id: EntryID, _ token: WaitToken) throws(RemoteError) {
        let (isDone, place) = try state.withLock { state throws(RemoteError) in
            guard let node = state.index[id], let session = node.session else { throw .invalidArgument }
            switch session {
            case .aborted: return (true, state.directory(id))
            case .complete, .completing, .expired: throw .sessionClosed(session)
            case .open, .failed: return (false, state.directory(id))
            }
        }
        if isDone { return waits.finish(token, .success(())) }
        try backend.abort(place)
        try state.withLock { state throws(RemoteError) in
            if state.isStopped { throw RemoteError.draining }
            state.index.update(id) { $0.session = .aborted }
            guard let node = state.index[id] else { return }
            services.journal.enqueue([.put(node.row(remote: name))]) { [waits] in waits.finish(token, $0) }
        }
        record("session_aborted", place.path)
    }
}

extension TreeState {
    /// What stands in the way of completing a session: drafts and files the remote refused.
    func obstacles(in session: EntryID) -> [RelativePath] {
        index.files(below: session).filter { $0.draft != nil && !$0.isSealing || $0.failed != nil }.map {
            index.path(of: $0.id)
        }
    }

    func manifest(of session: Node) -> SessionManifest {
        let files = index.files(below: session.id).compactMap { node -> SessionManifest.File? in
            guard let committed = node.committed else { return nil }
            return SessionManifest.File(
                path: index.pathInSession(of: node.id), size: committed.size,
                sha256: committed.sha256, modified: node.modified, committed: committed.time,
                remoteID: committed.remoteID)
        }
        return SessionManifest(
            session: session.name, directory: directory(session.id), files: files, lifetime: session.life?.lifetime)
    }
}
