/// What is durable in the log and not in the database yet, in order.
struct JournalBacklog: Sendable {
    private(set) var changes: [JournalChange] = []
    /// The database could not take them when that was last tried.
    var isStuck = false
    /// What they say of the bytes of a revision: these, or that it has none any more.
    private var contents: [RevisionID: [UInt8]?] = [:]

    /// Bounds the length of the transaction that brings the database up to date, and with it the wait of whoever comes
    /// then: some twenty milliseconds.
    static let capacity = 4096

    var isEmpty: Bool { changes.isEmpty }
    var isFull: Bool { changes.count >= JournalBacklog.capacity }

    mutating func add(_ added: [JournalChange]) {
        changes += added
        for change in added {
            switch change {
            case .putContent(let id, let bytes): contents.updateValue(bytes, forKey: id)
            case .dropContent(let id), .dropRevision(let id): contents.updateValue(nil, forKey: id)
            // Only at a start, before there is a log.
            case .dropContents: break
            case .put, .dropEntry, .putRevision, .putDiscard, .dropDiscard, .putSent, .dropSent: break
            }
        }
    }

    /// The bytes of a revision, or that it has none; nil when it is not mentioned, and the database knows.
    func content(of revision: RevisionID) -> [UInt8]?? { contents[revision] }
}
