internal import FXSystem

/// One attempt at one upload: asks the machine, performs, reports, until the machine ends it. Decides nothing.
struct UploadRun {
    let tree: RemoteTree
    let entry: EntryID
    let random: @Sendable () -> Double

    /// - Returns: how long to wait before the next attempt; nil when it is over.
    func perform() -> Duration? {
        guard let (revision, taken) = tree.beginSending(entry) else { return nil }
        var upload = taken
        let standing = revision.standing
        var machine = UploadMachine(
            size: upload.size, facts: tree.backend.facts, retry: tree.configuration.retry, failures: standing.attempts,
            isKnownToService: standing.isKnownToService)
        var action = machine.handle(.start)
        while true {
            switch action {
            case .finish(let file):
                tree.endSending(entry, revision, upload, committed: file)
                return nil
            case .fail(let error):
                tree.endSending(entry, revision, upload, refused: error)
                return nil
            case .retry(let wait):
                tree.endSending(
                    entry, revision, upload, failures: machine.failures, error: machine.lastError ?? .unreachable)
                return wait
            default:
                action = machine.handle(event(of: action, revision, &upload))
            }
        }
    }

    private func event(of action: UploadMachine.Action, _ revision: Revision, _ upload: inout Upload)
        -> UploadMachine.Event
    {
        let backend = tree.backend
        do throws(RemoteError) {
            switch action {
            case .recordIntent:
                tree.recordIntent(entry, revision)
                return .recorded
            case .reconcile:
                return .reconciled(try backend.standing(of: upload))
            case .adopt:
                do throws(RemoteError) { return .adopted(try backend.adopt(upload, revision.content())) } catch {
                    if error == .notSupported { return .cannotAdopt }
                    throw error
                }
            case .begin:
                if let note = try backend.begin(upload), note != upload.note {
                    try tree.keepNote(note, entry, revision)
                    upload.note = note
                }
                return .begun
            case .send(let range):
                try backend.send(range, of: upload, from: revision.content())
                tree.noteAcknowledged(entry, revision, range)
                return .sent(range)
            case .commit:
                return .committed(try backend.commit(upload))
            case .finish, .retry, .fail:
                return .failed(.interrupted, random: 0)
            }
        } catch {
            return .failed(error, random: random())
        }
    }
}
