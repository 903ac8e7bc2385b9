public import FXSystem

/// A directory of a service, a session, or the remote's root (the empty path, without an id).
public struct StoredDirectory: Sendable, Equatable {
    public var path: RelativePath
    /// nil when the service was never asked for it.
    public var remoteID: String?

    public init(path: RelativePath, remoteID: String?) {
        self.path = path
        self.remoteID = remoteID
    }

    public static let root = StoredDirectory(path: RelativePath(), remoteID: nil)
}

/// Where a committed file can be asked for at its service, by whoever may.
public struct FileLinks: Sendable, Equatable {
    /// Its bytes.
    public var url: String
    /// What the service makes of it.
    public var status: String?

    public init(url: String, status: String? = nil) {
        self.url = url
        self.status = status
    }
}

/// A committed file of a service.
public struct StoredFile: Sendable, Equatable {
    public var path: RelativePath
    public var remoteID: String
    public var size: ByteCount
    /// Of the directory it is in, when known.
    public var directoryID: String?

    public init(path: RelativePath, remoteID: String, size: ByteCount, directoryID: String? = nil) {
        self.path = path
        self.remoteID = remoteID
        self.size = size
        self.directoryID = directoryID
    }
}

/// One entry of a listing.
public struct ListedEntry: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        /// A directory above sessions, or one in a session.
        case directory
        case session(SessionState)
        case file(ByteCount)
    }

    /// As the service has it: any bytes, any length, not unique. `ServerNames` makes file names of these.
    public var name: [UInt8]
    public var kind: Kind
    /// Unique in the listing, and the same in every listing.
    public var remoteID: String
    /// nil when the service does not tell.
    public var modified: Timestamp?
    /// Known when the service keeps it.
    public var sha256: SHA256Digest?
    /// The upload that made it, when it is one of this program's and the service tells.
    public var upload: UploadID?

    public init(
        name: [UInt8], kind: Kind, remoteID: String, modified: Timestamp? = nil, sha256: SHA256Digest? = nil,
        upload: UploadID? = nil
    ) {
        self.name = name
        self.kind = kind
        self.remoteID = remoteID
        self.modified = modified
        self.sha256 = sha256
        self.upload = upload
    }
}

/// One line of `fxmount remote test`.
public struct ServiceFinding: Sendable, Equatable {
    public enum Verdict: String, Sendable {
        case works, warning, fails
    }

    public var verdict: Verdict
    /// What was looked at: `credentials`, `bucket writable`.
    public var subject: String
    /// What was found, and what to do about it when something is wrong.
    public var sentence: String
    /// Why it fails, where an error says it: whether trying again helps, and the exit code, come from it.
    public var error: RemoteError?

    public init(_ verdict: Verdict, _ subject: String, _ sentence: String, error: RemoteError? = nil) {
        self.verdict = verdict
        self.subject = subject
        self.sentence = sentence
        self.error = error
    }

    /// A failure in the words of its error.
    public static func failure(_ subject: String, _ error: RemoteError) -> ServiceFinding {
        ServiceFinding(.fails, subject, error.message, error: error)
    }
}

/// One content on its way to one path.
public struct Upload: Sendable, Equatable {
    public var id: UploadID
    /// Session, directories, file name.
    public var path: RelativePath
    /// The directory it goes into, when the service has an id for it.
    public var directoryID: String?
    /// Of the sealed content; of what was written so far while it grows.
    public var size: ByteCount
    /// nil while the file is still being written (`facts.uploadsWhileWriting`): then only `begin`, `send` and `discard`
    /// are called with it.
    public var sha256: SHA256Digest?
    public var modified: Timestamp
    /// What `begin` returned, also in an earlier run.
    public var note: String?
    /// What the service has acknowledged, also in an earlier run.
    public var acknowledged: ByteRanges
    /// What is there under this path now; it stays until the new content is verified.
    public var replaces: StoredFile?

    public init(
        id: UploadID, path: RelativePath, directoryID: String? = nil, size: ByteCount, sha256: SHA256Digest?,
        modified: Timestamp, note: String? = nil, acknowledged: ByteRanges = ByteRanges(), replaces: StoredFile? = nil
    ) {
        self.id = id
        self.path = path
        self.directoryID = directoryID
        self.size = size
        self.sha256 = sha256
        self.modified = modified
        self.note = note
        self.acknowledged = acknowledged
        self.replaces = replaces
    }

    public var isGrowing: Bool { sha256 == nil }
}

/// How far a service has come with an upload.
public enum UploadStanding: Sendable, Equatable {
    case nothing
    /// These bytes are held.
    case partial(ByteRanges)
    case committed(CommittedFile)
}

/// An upload whose place at the service nobody knows.
public struct LostUpload: Sendable, Equatable {
    public var upload: UploadID
    public var path: RelativePath
    /// What the service may have, and until when.
    public var sentence: String

    public init(upload: UploadID, path: RelativePath, sentence: String) {
        self.upload = upload
        self.path = path
        self.sentence = sentence
    }
}

/// A file the service has whole and verified.
public struct CommittedFile: Sendable, Equatable {
    /// The service's own id.
    public var remoteID: String
    public var size: ByteCount
    /// When the service drops it by itself; nil when it does not say so.
    public var expires: Timestamp?
    /// What else is known of how it got there, as members of an object; kept in the journal, shown in the receipt.
    public var details: [JSONValue.Member]
    /// Something of its upload is still there, such as a claim on its name; `Backend.discard` takes it back, behind the back
    /// of whoever waits for the file.
    public var hasLeftovers = false

    public init(remoteID: String, size: ByteCount, expires: Timestamp? = nil, details: [JSONValue.Member] = []) {
        self.remoteID = remoteID
        self.size = size
        self.expires = expires
        self.details = details
    }
}
