internal import FXSystem
public import SystemPackage

/// Asks the user for a directory.
///
/// One of the desktop, of a terminal or of a test; several threads may ask at once.
public protocol DirectoryChooser: Sendable {
    /// Returns the absolute path the user agreed to. Waits for the user, at most for the question's timeout.
    /// - Throws: `PromptFailure`; never waits when there is nobody to ask.
    func choose(_ question: DirectoryQuestion) throws(PromptFailure) -> String
}

/// What the user is asked.
public struct DirectoryQuestion: Sendable, Hashable {
    public var application: ApplicationID
    public var type: TypeAddress
    /// Shown first: absolute, it existed a moment ago.
    public var preselected: String
    /// nil waits without end.
    public var timeout: Duration?

    public init(application: ApplicationID, type: TypeAddress, preselected: String, timeout: Duration?) {
        self.application = application
        self.type = type
        self.preselected = preselected
        self.timeout = timeout
    }
}

/// Why there is no answer.
public enum PromptFailure: Error, Sendable, Equatable {
    /// The user does not want to.
    case cancelled
    /// Nobody answered in time.
    case timedOut
    /// There is no desktop and no terminal.
    case nobodyToAsk

    public var errno: Errno {
        switch self {
        case .cancelled: .canceled
        case .timedOut: .timedOut
        case .nobodyToAsk: .noSuchAddressOrDevice
        }
    }

    /// For a person, without a full stop.
    public var message: String {
        switch self {
        case .cancelled: "cancelled; nothing was changed"
        case .timedOut: "nobody answered in time; nothing was changed"
        case .nobodyToAsk: "there is nobody to ask for a directory"
        }
    }
}

/// Never asks: for services without a desktop and for what must not hang.
public struct NobodyToAsk: DirectoryChooser {
    public init() {}
    public func choose(_ question: DirectoryQuestion) throws(PromptFailure) -> String { throw .nobodyToAsk }
}

/// Tells the user of the end of a transfer, where `notifyOnCompletion` asked for it.
public protocol TransferNotices: Sendable {
    /// Must return soon; whether the user sees it changes nothing.
    func tell(_ transfer: TransferRecord)
}

/// Tells nobody.
public struct NoNotices: TransferNotices {
    public init() {}
    public func tell(_ transfer: TransferRecord) {}
}

/// What to do about a question the rules do not insist on (`modal`).
public enum PromptWish: Sendable, Hashable {
    /// Ask, also when the path that was given would do (`modal` true, the default).
    case ask
    /// Ask only when there is no other way (`modal` false).
    case onlyIfNeeded
}
