internal import FXSystem
internal import Synchronization

/// One attempt at one upload: performs what the machine of its revision says, and reports. Decides nothing.
///
/// Its actions may be performed by several threads at once; the machine is guarded by the revision.
final class UploadRun: Sendable {
    /// A further action for the engine.
    struct Step: Sendable {
        var run: UploadRun
        var action: UploadMachine.Action
        var after: Duration?
    }

    let tree: RemoteTree
    let entry: EntryID
    let revision: Revision
    /// As it was when the attempt began; its path stays as it is until the end.
    let base: Upload
    /// The modification time the service was told.
    private let sent: Mutex<Timestamp>

    init(tree: RemoteTree, entry: EntryID, revision: Revision, base: Upload) {
        self.tree = tree
        self.entry = entry
        self.revision = revision
        self.base = base
        sent = Mutex(base.modified)
    }

    var sentModified: Timestamp { sent.withLock { $0 } }

    /// Begins the attempt.
    func begin(_ random: () -> Double) -> TransferJob.Outcome {
        var outcome = TransferJob.Outcome()
        carryOut(revision.advance(.start), random, &outcome)
        return outcome
    }

    /// Performs one action and what follows from it.
    func perform(_ action: UploadMachine.Action, _ random: () -> Double) -> TransferJob.Outcome {
        var outcome = TransferJob.Outcome()
        carryOut([action], random, &outcome)
        return outcome
    }

    /// Single actions follow each other on this thread; chunks of a larger file go through the queue, so that others
    /// get their turn in between.
    private func carryOut(_ first: [UploadMachine.Action], _ random: () -> Double, _ outcome: inout TransferJob.Outcome)
    {
        var actions = first
        while !actions.isEmpty {
            let action = actions.removeFirst()
            for other in actions { outcome.steps.append(step(other)) }
            if performEnd(action, &outcome) { return }
            actions = revision.advance(event(of: action, random, &outcome))
            if case .send = action { tree.journalProgress(entry, revision) }
            if let next = actions.first, goesThroughQueue(next) {
                outcome.steps += actions.map(step)
                return
            }
        }
    }

    private func goesThroughQueue(_ action: UploadMachine.Action) -> Bool {
        switch action {
        case .wait: true
        case .send(let range): range.lowerBound > 0 || range.upperBound < revision.size.rawValue
        default: false
        }
    }

    func step(_ action: UploadMachine.Action) -> Step {
        if case .wait(_, let duration) = action { return Step(run: self, action: action, after: duration) }
        return Step(run: self, action: action)
    }

    /// Tells the tree that the attempt is over; false when the action is another one.
    private func performEnd(_ action: UploadMachine.Action, _ outcome: inout TransferJob.Outcome) -> Bool {
        switch action {
        case .finish(let file): tree.endSending(self, committed: file)
        case .fail(let error): tree.endSending(self, refused: error)
        case .abandon: tree.endSending(abandoned: self)
        case .retry(let wait):
            if tree.endSending(self, retryAfter: wait) { outcome.again = (.upload(tree, entry), wait) }
        default: return false
        }
        return true
    }

    private func event(
        of action: UploadMachine.Action, _ random: () -> Double, _ outcome: inout TransferJob.Outcome
    ) -> UploadMachine.Event {
        defer { tree.noteLostUploads() }
        do throws(RemoteError) {
            let event = try perform(action)
            if asksService(action) { outcome.finding = .works }
            return event
        } catch {
            outcome.finding = UploadRun.finding(error)
            if error.isTemporary { revision.note(error) }
            if case .send(let range) = action { return .notSent(range, error, random: random()) }
            return .failed(error, random: random())
        }
    }

    private func asksService(_ action: UploadMachine.Action) -> Bool {
        switch action {
        case .recordIntent, .wait: false
        default: true
        }
    }

    private func perform(_ action: UploadMachine.Action) throws(RemoteError) -> UploadMachine.Event {
        let backend = tree.backend
        switch action {
        case .recordIntent:
            try tree.recordIntent(entry, revision)
            return .recorded
        case .reconcile: return .reconciled(try backend.standing(of: upload))
        case .adopt:
            let upload = upload
            sent.withLock { $0 = upload.modified }
            do throws(RemoteError) { return .adopted(try backend.adopt(upload, revision.content())) } catch {
                if error == .notSupported { return .cannotAdopt }
                throw error
            }
        case .begin:
            let upload = upload
            let note = try backend.begin(upload)
            if let note, note != upload.note { try tree.keepNote(note, self) }
            return .begun(note: note)
        case .send(let range):
            try backend.send(
                range, of: upload, from: SendingContent(try revision.sealedContent(tree.services.journal), self))
            return .sent(range)
        case .wait(let range, _): return .due(range)
        case .discard:
            try backend.discard(upload)
            return .discarded
        case .commit:
            var upload = upload
            while let note = try backend.prepareCommit(upload), note != upload.note {
                try tree.keepNote(note, self)
                upload.note = note
            }
            sent.withLock { $0 = upload.modified }
            return .committed(try backend.commit(upload))
        case .finish, .retry, .fail, .abandon: throw .interrupted
        }
    }

    /// The upload as it stands now.
    private var upload: Upload { revision.upload(base, modified: tree.modified(of: entry)) }

    /// What an error says of the service as a whole.
    static func finding(_ error: RemoteError) -> ServiceGate.Finding {
        switch error {
        case .credentials, .accountNeeds, .untrustedServer, .clockWrong, .securityRefused, .wrongExtension:
            .refuses(error)
        case .unreachable, .timedOut: .pauses(unreachablePause)
        case .unavailable(let pause): .pauses(pause ?? unreachablePause)
        // Nobody was asked, or it says nothing.
        case .local, .journal, .interrupted: .nothing
        default: .works
        }
    }

    /// How long others wait when one upload found nobody; it goes on trying in its own rhythm.
    private static let unreachablePause: Duration = .seconds(1)
}

/// The spool file while it is sent: reading ends when the transfer is to end, so that nothing waits for the last byte.
private struct SendingContent: UploadContent {
    private let file: any UploadContent
    private let run: UploadRun

    init(_ file: any UploadContent, _ run: UploadRun) {
        self.file = file
        self.run = run
    }

    var identity: FileIdentity? { file.identity }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        if run.revision.isLeaving || run.tree.engine.isStopping { throw .interrupted }
        return try unsafe file.read(into: buffer, at: offset)
    }

    func md5(of range: Range<UInt64>) throws(RemoteError) -> [UInt8] {
        try run.revision.md5(of: range, from: self)
    }

    func link(as name: Name, in directory: borrowing OwnedDescriptor) throws(RemoteError) { throw .notSupported }
}
