internal import FXSystem

/// One row of `entries`: a session, directory or file.
struct EntryRow: Sendable, Equatable {
    enum Kind: Int64, Sendable {
        case session = 1, directory = 2, file = 3
    }

    var id: EntryID
    var remote: Name
    var parent: EntryID
    var name: Name
    var kind: Kind
    var mode: UInt32
    var owner: UInt32
    var group: UInt32
    var modified: Timestamp
    var created: Timestamp
    /// Sessions only.
    var session: SessionState?
    /// Files only: what the remote holds under this name.
    var committed: CommittedRow?
    /// Directories only: the service's own id.
    var remoteID: String?
    /// Sessions only: how long the service keeps what is in it.
    var life: SessionLife?
    /// The path on the remote while a rename there may not have happened yet.
    var movingFrom: RelativePath?
}

/// What the remote holds and verified.
struct CommittedRow: Sendable, Equatable {
    var upload: UploadID
    var size: ByteCount
    /// nil when the service does not tell, of a file that was not written here.
    var sha256: SHA256Digest?
    var remoteID: String
    var time: Timestamp
    /// When the service drops it by itself, to the second.
    var expires: Timestamp?
    /// What the service made of it, as far as that was followed.
    var processing: FileProcessing?
    /// What else the backend told of it: see `CommittedFile.details`.
    var details: [JSONValue.Member] = []

    /// Attempts before the one that counts, which the service may hold as files of their own: its id of one or ours, and
    /// when it drops them (RFC 3339).
    var repeatedAttempts: [(id: String, end: String)] {
        (details.first { $0.key == "orphans" }?.value.elements ?? []).compactMap { entry in
            guard let id = entry["remote_id"]?.string ?? entry["attempt"]?.string, let end = entry["gone_by"]?.string
            else { return nil }
            return (id, end)
        }
    }

    /// Contents this one has replaced, directly or one after another, and which the service drops by itself only: its id of
    /// one, and when (RFC 3339).
    var replaced: [(id: String, end: String)] {
        (details.first { $0.key == CommittedRow.replacedKey }?.value.elements ?? []).compactMap { entry in
            guard let id = entry["remote_id"]?.string, let end = entry["gone_by"]?.string else { return nil }
            return (id, end)
        }
    }

    /// Takes over what `old` leaves at the service when this one replaces it.
    /// - Parameter now: what is gone by then is not mentioned any more.
    mutating func replace(_ old: CommittedRow, at now: Timestamp) {
        if old.upload == upload || old.remoteID == remoteID { return }
        var left = old.replaced
        if let end = old.expires { left.append((old.remoteID, end.rfc3339)) }
        left = left.filter { $0.end > now.rfc3339 }.suffix(CommittedRow.mostReplaced)
        if left.isEmpty { return }
        let list = left.map {
            JSONValue.object([.init("remote_id", .string($0.id)), .init("gone_by", .string($0.end))])
        }
        details.append(.init(CommittedRow.replacedKey, .array(list)))
    }

    private static let replacedKey = "replaced"
    /// A file that is written again and again does not make its row grow for ever.
    private static let mostReplaced = 100

    /// What a person should look at although it is committed.
    var warning: String? { details.first { $0.key == "warning" }?.value.string }
}

/// One row of `revisions`: a content on its way.
struct RevisionRow: Sendable, Equatable {
    var id: RevisionID
    var entry: EntryID
    var state: FileState
    /// Also the name of the spool file.
    var upload: UploadID
    var size: ByteCount
    /// nil until sealed.
    var sha256: SHA256Digest?
    var sealed: Timestamp?
    var modified: Timestamp
    /// True once the service may have heard of this upload.
    var isKnownToService: Bool
    /// Acknowledged by the service and still what the file has.
    var acknowledged: ByteRanges
    /// What the service may hold with bytes that the file has no more.
    var stale = ByteRanges()
    /// What the spool has given up: the service alone has it.
    var freed = ByteRanges()
    /// What the backend must know to go on: see `Backend.begin`.
    var note: String?
    var attempts: Int
    /// Why it failed, for a person.
    var error: String?
}

/// One row of `discards`: an unfinished upload that the service is to forget.
struct DiscardRow: Sendable, Hashable {
    var upload: UploadID
    var remote: Name
    /// Where the service knows it, from the session down.
    var path: RelativePath
    /// Of the directory, when the service has one for it.
    var directoryID: String?
    var note: String?
}

/// One row of `sent`: a content that was sent from here, and which the service has listed no more, or another one in its
/// place.
struct SentRow: Sendable, Equatable {
    var session: EntryID
    /// Below the session.
    var path: RelativePath
    var size: ByteCount
    var sha256: SHA256Digest
    var remoteID: String
    /// When it was committed.
    var time: Timestamp
}

/// One change of the journal; an upsert or the removal of a row.
enum JournalChange: Sendable, Equatable {
    case putDiscard(DiscardRow)
    case dropDiscard(DiscardRow)
    case put(EntryRow)
    case dropEntry(EntryID)
    case putRevision(RevisionRow)
    /// With its bytes, if the journal has them.
    case dropRevision(RevisionID)
    /// The bytes of a small file, sealed in the same transaction; not tried again when that fails.
    case putContent(RevisionID, [UInt8])
    case dropContent(RevisionID)
    /// Of all revisions.
    case dropContents
    case putSent(SentRow)
    case dropSent(session: EntryID, path: RelativePath)
}

extension [JournalChange] {
    /// The same without what a later change of the same row makes void.
    var effective: [JournalChange] {
        if count < 2 { return self }
        var entries: Set<EntryID> = []
        var revisions: Set<RevisionID> = []
        var contents: Set<RevisionID> = []
        let kept = reversed().filter { change in
            switch change {
            case .put(let row): entries.insert(row.id).inserted
            case .dropEntry(let id): entries.insert(id).inserted
            case .putRevision(let row): revisions.insert(row.id).inserted
            case .dropRevision(let id):
                // Both its rows.
                [contents.insert(id).inserted, revisions.insert(id).inserted].contains(true)
            case .putContent(let id, _), .dropContent(let id): contents.insert(id).inserted
            case .putDiscard, .dropDiscard, .dropContents, .putSent, .dropSent: true
            }
        }
        return kept.reversed()
    }
}

/// Everything the journal knows, as read at the start.
struct JournalContents: Sendable {
    var entries: [EntryRow] = []
    var revisions: [RevisionRow] = []
    var discards: [DiscardRow] = []
    var sent: [SentRow] = []
}
