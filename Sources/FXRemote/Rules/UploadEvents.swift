internal import FXSystem

/// What an upload asks for and what it is told.
extension UploadMachine {
    enum Action: Sendable, Equatable {
        /// Record that the service is about to hear of this upload, then report `.recorded`.
        case recordIntent
        /// Ask the service what it holds of this upload.
        case reconcile
        /// Give the service the spool file itself.
        case adopt
        case begin
        case send(Range<UInt64>)
        /// Report `.due` after a wait.
        case wait(Range<UInt64>, Duration)
        /// Let the service forget what it holds, then report `.discarded`.
        case discard
        case commit
        /// The service verified the file: record it and tell whoever waits.
        case finish(CommittedFile)
        case retry(after: Duration)
        case fail(RemoteError)
        /// The draft goes another way: what the service holds of it is to be forgotten some time.
        case abandon
    }

    enum Event: Sendable, Equatable {
        // Of the engine.
        case start
        case recorded
        case reconciled(UploadStanding)
        case begun(note: String?)
        case sent(Range<UInt64>)
        /// - Parameter random: in 0…1, for the jitter.
        case notSent(Range<UInt64>, RemoteError, random: Double)
        case due(Range<UInt64>)
        case discarded
        case committed(CommittedFile)
        case adopted(CommittedFile)
        /// The service cannot take the spool file itself; nothing was changed.
        case cannotAdopt
        case failed(RemoteError, random: Double)
        // Of the draft.
        /// The bytes up to here are written, from the start without a gap.
        case grown(to: UInt64)
        case changed(Range<UInt64>)
        case cut(to: UInt64)
        case sealed(size: UInt64)
        /// Its path is about to change, or it is removed.
        case cancelled
    }
}
