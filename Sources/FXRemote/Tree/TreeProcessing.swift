internal import FXSystem

/// What a service makes of the files of a complete session, followed until it is through with all of them.
extension RemoteTree {
    /// How far one look at all files of a session is.
    struct Following: Sendable, Equatable {
        /// The last file that was looked at.
        var position = EntryID.root
        /// Looks since something changed: the pause between them grows.
        var idle = 0
        var hasChanged = false
    }

    /// Files asked about before others get their turn.
    private static let followBatch = 32

    /// Begins to follow, unless there is nothing to follow.
    func follow(_ session: EntryID) {
        if !backend.facts.processesFiles { return }
        let isNeeded = state.withLock { state in
            // What was committed shows up beside the sessions.
            if !backend.facts.listsSessions { state.forgetListingsOutsideSessions() }
            return state.index[session]?.session == .complete && !state.processed(in: session).pending.isEmpty
        }
        if isNeeded { engine.submit(.follow(self, session, Following())) }
    }

    /// Runs on an engine thread.
    func performFollow(
        _ session: EntryID, _ following: Following, _ random: () -> Double
    ) -> TransferJob.Outcome {
        let (pending, words) = state.withLock { $0.processed(in: session) }
        if pending.isEmpty {
            if !backend.facts.listsSessions { state.withLock { $0.forgetListingsOutsideSessions() } }
            record("session_processed", path(of: session), [.init("files", .string(words))])
            return TransferJob.Outcome(finding: .nothing)
        }
        var next = following
        let batch = pending.drop { $0.id <= following.position }.prefix(RemoteTree.followBatch)
        for file in batch {
            do throws(RemoteError) {
                if noteProcessing(try backend.processing(of: file.stored), of: file.id) { next.hasChanged = true }
                next.position = file.id
            } catch {
                // Refusals may be put right as well as bad connections; there is no hurry.
                let isFirst = following.idle == 0
                next.idle += 1
                if isFirst, !error.isTemporary {
                    record("not_followed", file.stored.path, [.init("error", .string(error.message))])
                }
                let wait = pause(after: error.isTemporary ? error : .timedOut, next.idle, random)
                return TransferJob.Outcome(
                    finding: UploadRun.finding(error), again: (.follow(self, session, next), wait))
            }
        }
        if !batch.isEmpty {
            return TransferJob.Outcome(finding: .works, again: (.follow(self, session, next), .zero))
        }
        // A whole look is over.
        if next.hasChanged { record("session_processing", path(of: session), [.init("files", .string(words))]) }
        next = Following(idle: next.hasChanged ? 1 : next.idle + 1)
        return TransferJob.Outcome(
            finding: .nothing, again: (.follow(self, session, next), pause(after: .timedOut, next.idle, random)))
    }

    private func pause(after error: RemoteError, _ count: Int, _ random: () -> Double) -> Duration {
        configuration.retry.wait(after: error, failures: count, random: random()) ?? configuration.retry.maximum
    }

    /// - Returns: whether it is another state than before.
    private func noteProcessing(_ processing: FileProcessing, of id: EntryID) -> Bool {
        let (path, replaced): (RelativePath?, UploadID?) = state.withLock { state in
            guard let node = state.index[id], var row = node.committed, node.revisions.isEmpty,
                row.processing != processing.journalled
            else { return (nil, nil) }
            row.processing = processing.journalled
            if processing.isChanged, let size = processing.size {
                // The service gives out other bytes than it was sent.
                row.size = size
                row.sha256 = nil
            }
            let changed = row
            state.index.update(id) { $0.committed = changed }
            state.noteChange(id)
            journalEntry(id, &state)
            return (state.index.path(of: id), processing.isChanged ? row.upload : nil)
        }
        // What was sent is not what there is now.
        if let replaced { services.kept.drop(replaced) }
        guard let path else { return false }
        switch processing.stage {
        case .withheld, .failed, .gone: record("file_withheld", path, [.init("state", .string(processing.words))])
        case .pending, .available: break
        }
        return true
    }

    /// `user.fxmount.processing` of a directory: the worst stage, then how many files have which word of the service;
    /// nil where the service processes nothing, or nothing was completed.
    func processingText(of node: Node) -> String? {
        guard backend.facts.processesFiles else { return nil }
        if node.kind == .file { return node.committed?.processing?.word }
        return state.withLock { state in
            guard state.index.session(of: node.id)?.session == .complete else { return nil }
            let stage = state.worstStage(in: node.id)
            return stage.map { $0.rawValue + " " + state.processed(in: node.id).words }
        }
    }

    /// Which files a service does not give out; nil when there are none.
    func withheldText(of node: Node) -> String? {
        guard backend.facts.processesFiles else { return nil }
        let withheld = state.withLock { state in
            state.index.files(below: node.id).compactMap { file -> String? in
                guard let processing = file.committed?.processing, file.fileState != .committed else { return nil }
                return "\(state.index.pathInSession(of: file.id)) (\(processing.words))"
            }
        }
        if withheld.isEmpty { return nil }
        // Enough for a person; each file has its own.
        let more = withheld.count > 5 ? " and \(withheld.count - 5) more" : ""
        return "the service does not give out " + withheld.prefix(5).joined(separator: ", ") + more
    }
}

extension FileProcessing {
    /// What is kept of it.
    fileprivate var journalled: FileProcessing? { FileProcessing(text: text) }
}

extension TreeState {
    /// Directories that are not in a session are asked for anew when somebody looks.
    fileprivate mutating func forgetListingsOutsideSessions() {
        for id in listings.keys where id != .root && !isInSession(id) && listings[id]?.isUnderWay != true {
            listings[id] = nil
        }
    }

    /// Files the service has not decided about, in the order of their ids, and all of them by the service's words.
    fileprivate func processed(in id: EntryID) -> (pending: [(id: EntryID, stored: StoredFile)], words: String) {
        var pending: [(id: EntryID, stored: StoredFile)] = []
        var counts: [String: Int] = [:]
        index.forEachFile(below: id) { node in
            guard let committed = node.committed else { return }
            counts[committed.processing?.word ?? "unknown", default: 0] += 1
            if committed.processing?.isOver ?? false { return }
            if let stored = storedFile(node.id) { pending.append((node.id, stored)) }
        }
        pending.sort { $0.id < $1.id }
        return (pending, counts.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " "))
    }

    fileprivate func worstStage(in id: EntryID) -> FileProcessing.Stage? {
        let order: [FileProcessing.Stage] = [.available, .pending, .gone, .failed, .withheld]
        var worst: Int?
        index.forEachFile(below: id) { node in
            guard let committed = node.committed else { return }
            let stage = committed.processing?.stage ?? .pending
            worst = max(worst ?? 0, order.firstIndex(of: stage) ?? 0)
        }
        return worst.map { order[$0] }
    }
}
