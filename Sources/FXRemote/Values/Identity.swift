internal import FXSystem

/// A file, directory or session of a remote; the same for the life of the state directory. 1 is the remote's root.
public struct EntryID: Hashable, Sendable, Comparable {
    public var rawValue: UInt64

    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    public static let root = EntryID(1)
    public static func < (left: EntryID, right: EntryID) -> Bool { left.rawValue < right.rawValue }
}

/// One content of a file: what a draft becomes when it is sealed.
struct RevisionID: Hashable, Sendable, Comparable {
    var rawValue: UInt64

    init(_ rawValue: UInt64) { self.rawValue = rawValue }

    static func < (left: RevisionID, right: RevisionID) -> Bool { left.rawValue < right.rawValue }
}

/// What a backend knows one upload by, before and after a crash: unique among all state directories.
public struct UploadID: Hashable, Sendable {
    /// Lower-case hexadecimal digits and `-`: fit for a file name and a header.
    public var text: String

    public init(_ text: String) { self.text = text }

    /// Of a content that was not sent from here, when the service does not tell.
    public static let unknown = UploadID("")
}

/// Which content of a file it is, as far as the service tells.
public struct ContentIdentity: Sendable, Equatable {
    let upload: UploadID
    let remoteID: String
    let size: ByteCount

    init(_ committed: CommittedRow) {
        upload = committed.upload
        remoteID = committed.remoteID
        size = committed.size
    }

    /// A service may give the same content another id, when it was renamed.
    public func isSame(as other: ContentIdentity) -> Bool {
        if upload != .unknown, other.upload != .unknown { return upload == other.upload }
        return remoteID == other.remoteID && size == other.size
    }
}

/// A call that waits for transfers; see `RemoteTree.cancel(_:)`.
public struct WaitToken: Hashable, Sendable {
    let number: UInt64
}
