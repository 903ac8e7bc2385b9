internal import FXSystem

/// A piece of work for the engine.
enum TransferJob: Sendable {
    /// Begin an attempt at the next content of a file.
    case upload(RemoteTree, EntryID)
    /// One action of an upload under way.
    case step(UploadRun, UploadMachine.Action)
    case complete(RemoteTree, EntryID, failures: Int)
    /// Look at what the service makes of a complete session.
    case follow(RemoteTree, EntryID, RemoteTree.Following)
    /// Let the service forget an unfinished upload.
    case discard(RemoteTree, DiscardRow, failures: Int)

    /// What came of a job: what it told of the service, and what is to be done next.
    struct Outcome: Sendable {
        /// nil: nothing was asked.
        var finding: ServiceGate.Finding?
        /// Steps of uploads under way.
        var steps: [UploadRun.Step] = []
        /// To be begun after a pause.
        var again: (job: TransferJob, after: Duration)?

        init(finding: ServiceGate.Finding? = nil, again: (job: TransferJob, after: Duration)? = nil) {
            self.finding = finding
            self.again = again
        }
    }

    func run(random: @Sendable () -> Double) -> Outcome {
        switch self {
        case .upload(let tree, let entry):
            guard let run = tree.beginSending(entry) else { return Outcome(finding: .nothing) }
            return run.begin(random)
        case .step(let run, let action): return run.perform(action, random)
        case .complete(let tree, let session, let failures):
            return tree.performCompletion(of: session, failures, random)
        case .follow(let tree, let session, let following): return tree.performFollow(session, following, random)
        case .discard(let tree, let row, let failures): return tree.performDiscard(row, failures, random)
        }
    }

    /// The service is not to be asked: it refused us a moment ago.
    func refuse(_ error: RemoteError) -> Outcome {
        switch self {
        case .upload(let tree, let entry): tree.refuseSending(entry, error)
        case .discard, .follow: return Outcome(again: (self, ServiceGate.refusalPause))
        case .complete(let tree, let session, _): tree.refuseCompletion(of: session, error)
        case .step: break
        }
        return Outcome()
    }
}
