public import FXSystem

/// What a service makes of a committed file before it gives it out, and how that ended.
public struct FileProcessing: Sendable, Equatable {
    public enum Stage: String, Sendable {
        /// Not decided yet.
        case pending
        case available
        /// The service gives it to nobody.
        case withheld
        /// The service could not look at it.
        case failed
        /// The service has it no more.
        case gone
    }

    public var stage: Stage
    /// The service's own word, without spaces.
    public var word: String
    /// What the service says about it.
    public var reason: String?
    /// What the service has now; nil when it does not tell.
    public var size: ByteCount?
    /// The service has changed the bytes.
    public var isChanged = false

    public init(_ stage: Stage, _ word: String) {
        self.stage = stage
        self.word = word
    }

    /// Nothing more is expected to happen to it.
    public var isOver: Bool { stage != .pending }

    /// Why it cannot be read; nil when it can.
    public var readError: RemoteError? {
        switch stage {
        case .pending: .beingProcessed(word)
        case .available: nil
        case .withheld: .withheld(words)
        case .failed: .processingFailed(words)
        case .gone: .noSuchEntry
        }
    }

    /// Why it will not be given out; nil when it is, or that is not decided.
    var endError: RemoteError? { isOver ? readError : nil }

    /// `Blocked`, `Blocked: Infected`.
    var words: String { word + (reason.map { ": " + $0 } ?? "") }

    /// What it means for `user.fxmount.state` of a committed file.
    var fileState: FileState {
        switch stage {
        case .pending, .available: .committed
        case .withheld, .failed: .failed
        case .gone: .expired
        }
    }

    /// For the journal: stage, word, and a reason if there is one.
    var text: String { "\(stage.rawValue) \(word)" + (reason.map { " " + $0 } ?? "") }

    /// nil for what was not written by `text`.
    init?(text: String) {
        let parts = text.split(separator: " ", maxSplits: 2).map(String.init)
        guard parts.count >= 2, let stage = Stage(rawValue: parts[0]) else { return nil }
        self.init(stage, parts[1])
        reason = parts.count > 2 ? parts[2] : nil
    }
}
