import FXSystem

@testable import FXRemote

/// Sends one sealed content as the engine does it, on this thread: every decision is `UploadMachine`'s.
struct UploadDriver {
    let backend: any Backend
    /// Ends a test that would otherwise go on for ever.
    var limit = Duration.seconds(30)
    /// Attempts that met a temporary error, of the last call.
    private(set) var failures = 0
    /// What the journal would have kept of the last upload.
    private(set) var note: String?

    init(_ backend: any Backend) { self.backend = backend }

    /// - Throws: the error the file would have as `failed`, or `.timedOut` at the limit.
    mutating func send(_ bytes: [UInt8], as upload: Upload) throws(RemoteError) -> CommittedFile {
        let retry = RetryPolicy(initial: .milliseconds(2), maximum: .milliseconds(20))
        var machine = UploadMachine(terms: UploadTerms(facts: backend.facts, retry: retry, connections: 4))
        _ = machine.handle(.sealed(size: UInt64(bytes.count)))
        let deadline = ContinuousDeadline.after(limit)
        var actions = machine.handle(.start)
        failures = 0
        while true {
            if deadline.hasPassed || actions.isEmpty { throw .timedOut }
            let action = actions.removeFirst()
            switch action {
            case .finish(let file):
                note = machine.note
                if file.hasLeftovers { clear(upload, until: deadline) }
                return file
            case .fail(let error): throw error
            case .abandon: throw .interrupted
            case .retry(let wait):
                failures += 1
                pause(wait)
                actions = machine.handle(.start)
            default: actions += machine.handle(event(of: action, bytes, upload, &machine))
            }
        }
    }

    /// What the engine does in the background, until it succeeds.
    private func clear(_ upload: Upload, until deadline: ContinuousDeadline) {
        var left = upload
        left.sha256 = nil
        left.note = nil
        while !deadline.hasPassed {
            do throws(RemoteError) { return try backend.discard(left) } catch { pause(.milliseconds(5)) }
        }
    }

    private func event(
        of action: UploadMachine.Action, _ bytes: [UInt8], _ base: Upload, _ machine: inout UploadMachine
    ) -> UploadMachine.Event {
        var upload = base
        upload.note = machine.note
        upload.acknowledged = machine.held
        do throws(RemoteError) {
            switch action {
            case .reconcile: return .reconciled(try backend.standing(of: upload))
            case .adopt: return .cannotAdopt
            case .begin: return .begun(note: try backend.begin(upload))
            case .send(let range):
                try backend.send(range, of: upload, from: Bytes(bytes: bytes))
                return .sent(range)
            case .wait(let range, let wait):
                pause(wait)
                return .due(range)
            case .discard:
                try backend.discard(upload)
                return .discarded
            case .commit:
                while let note = try backend.prepareCommit(upload), note != upload.note {
                    machine.remember(note)
                    upload.note = note
                }
                return .committed(try backend.commit(upload))
            default: return .recorded
            }
        } catch {
            if case .send(let range) = action { return .notSent(range, error, random: 0) }
            return .failed(error, random: 0)
        }
    }

    /// Waits on a monitor nobody wakes.
    private func pause(_ duration: Duration) { _ = Monitor(()).wait(until: .after(duration)) { _ -> Bool? in nil } }
}
