public import FXSystem

/// Where a file is on its way; the words of `user.fxmount.state`.
public enum FileState: String, Sendable, CaseIterable {
    /// Not promised to anybody; never sent.
    case draft
    /// Sealed, waiting for its turn or for the next attempt.
    case queued
    case uploading
    /// The remote has the whole file and verified it.
    case committed
    /// Refused for good; the bytes stay here.
    case failed
    case expired
}

/// Where a session is; the words of `user.fxmount.state`.
public enum SessionState: String, Sendable, CaseIterable {
    case open, completing, complete, failed, aborted, expired

    /// True while files can be added and changed.
    public var takesChanges: Bool { self == .open || self == .failed }
}

/// A file, directory or session as `stat` and `ls` show it.
public struct RemoteEntry: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        case root
        case session(SessionState)
        case directory
        case file(FileState)
    }

    public var id: EntryID
    public var parent: EntryID
    public var name: Name
    public var kind: Kind
    public var size: ByteCount
    /// Permission bits.
    public var mode: UInt32
    /// Who made it, unless root gave it to somebody else.
    public var owner: UInt32
    public var group: UInt32
    public var modified: Timestamp
    public var created: Timestamp
    /// True when the remote holds some content under this name, possibly an older one than is shown.
    public var isCommitted: Bool
    /// False once the session is complete, aborted or completing: every change is EROFS.
    public var takesChanges: Bool
    /// Number of subdirectories, for `st_nlink`.
    public var subdirectories: UInt32

    public var isDirectory: Bool { fileState == nil }
    public var fileState: FileState? { if case .file(let state) = kind { state } else { nil } }
    public var sessionState: SessionState? { if case .session(let state) = kind { state } else { nil } }
}
