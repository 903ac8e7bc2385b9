/// What is durable in the log and not in the database yet, in order.
struct JournalBacklog: Sendable {
    private(set) var changes: [JournalChange] = []
    /// The bytes among them that are still wanted.
    private var contents: [RevisionID: [UInt8]] = [:]

    /// Bounds the length of the transaction that brings the database up to date, and with it the wait of whoever comes
    /// then: some twenty milliseconds.
    static let capacity = 4096

    var isEmpty: Bool { changes.isEmpty }
    var isFull: Bool { changes.count >= JournalBacklog.capacity }

    mutating func add(_ added: [JournalChange]) {
        changes += added
        for change in added {
            switch change {
            case .putContent(let id, let bytes): contents[id] = bytes
            case .dropContent(let id), .dropRevision(let id): contents[id] = nil
            case .dropContents: contents = [:]
            case .put, .dropEntry, .putRevision, .putDiscard, .dropDiscard, .putSent, .dropSent: break
            }
        }
    }

    /// The bytes of a revision; nil when they are in the database, if anywhere.
    func content(of revision: RevisionID) -> [UInt8]? { contents[revision] }
}
