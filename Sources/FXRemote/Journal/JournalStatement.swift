internal import FXSystem
internal import Foundation
internal import GRDB

/// A change as the database carries it out: which statement, with which values. What `JournalLog` writes down, too.
struct JournalStatement: Sendable, Equatable {
    /// The numbers are part of the log's layout.
    enum Kind: UInt8, Sendable, CaseIterable {
        case putEntry = 1
        case dropEntry = 2
        case putRevision = 3
        case dropRevision = 4
        case putDiscard = 5
        case dropDiscard = 6
        case putContent = 7
        case dropContent = 8
        case dropContents = 9
        case putSent = 10
        case dropSent = 11
    }

    var kind: Kind
    var values: [DatabaseValue]

    func execute(on database: Database) throws {
        let arguments = StatementArguments(values)
        for text in sql { try database.cachedStatement(sql: text).execute(arguments: arguments) }
    }

    /// Carried out one after another with the same values.
    private var sql: [String] {
        switch kind {
        case .putEntry: [put(into: "entries")]
        case .dropEntry: ["DELETE FROM entries WHERE id = ?"]
        case .putRevision: [put(into: "revisions")]
        case .dropRevision: ["DELETE FROM revisions WHERE id = ?", "DELETE FROM contents WHERE revision = ?"]
        case .putDiscard: [put(into: "discards")]
        case .dropDiscard: ["DELETE FROM discards WHERE upload = ? AND note = ?"]
        case .putContent: [put(into: "contents")]
        case .dropContent: ["DELETE FROM contents WHERE revision = ?"]
        case .dropContents: ["DELETE FROM contents"]
        case .putSent: [put(into: "sent")]
        case .dropSent: ["DELETE FROM sent WHERE session = ? AND path = ?"]
        }
    }

    private func put(into table: String) -> String {
        "INSERT OR REPLACE INTO \(table) VALUES (?\(String(repeating: ",?", count: max(0, values.count - 1))))"
    }
}

extension JournalStatement {
    init(_ change: JournalChange) {
        switch change {
        case .put(let row): self.init(kind: .putEntry, values: JournalStatement.values(row))
        case .dropEntry(let id): self.init(kind: .dropEntry, [id.rawValue.stored])
        case .putRevision(let row): self.init(kind: .putRevision, values: JournalStatement.values(row))
        case .dropRevision(let id): self.init(kind: .dropRevision, [id.rawValue.stored])
        case .putDiscard(let row):
            self.init(
                kind: .putDiscard,
                [row.upload.text, row.note ?? "", row.remote.stored, row.path.bytes.stored, row.directoryID])
        case .dropDiscard(let row): self.init(kind: .dropDiscard, [row.upload.text, row.note ?? ""])
        case .putContent(let id, let bytes): self.init(kind: .putContent, [id.rawValue.stored, bytes.stored])
        case .dropContent(let id): self.init(kind: .dropContent, [id.rawValue.stored])
        case .dropContents: self.init(kind: .dropContents, values: [])
        case .putSent(let row):
            self.init(
                kind: .putSent,
                [
                    row.session.rawValue.stored, row.path.bytes.stored, row.size.rawValue.stored,
                    row.sha256.bytes.stored, row.remoteID, row.time.seconds, Int64(row.time.nanoseconds),
                ])
        case .dropSent(let session, let path):
            self.init(kind: .dropSent, [session.rawValue.stored, path.bytes.stored])
        }
    }

    private init(kind: Kind, _ values: [(any DatabaseValueConvertible)?]) {
        self.init(kind: kind, values: values.map { $0?.databaseValue ?? .null })
    }

    private static func values(_ row: EntryRow) -> [DatabaseValue] {
        let committed = row.committed
        let details = committed.flatMap { $0.details.isEmpty ? nil : JSONValue.object($0.details).text }
        let values: [(any DatabaseValueConvertible)?] = [
            row.id.rawValue.stored, row.remote.stored, row.parent.rawValue.stored, row.name.stored, row.kind.rawValue,
            Int64(row.mode), Int64(row.owner), row.modified.seconds, Int64(row.modified.nanoseconds),
            row.created.seconds, Int64(row.created.nanoseconds), row.session?.rawValue, committed?.upload.text,
            committed?.size.rawValue.stored, committed?.sha256?.bytes.stored, committed?.remoteID ?? row.remoteID,
            committed?.time.seconds, committed.map { Int64($0.time.nanoseconds) }, row.movingFrom?.bytes.stored,
            Int64(row.group), committed?.expires?.seconds, committed?.processing?.text, row.life?.text, details,
        ]
        return values.map { $0?.databaseValue ?? .null }
    }

    private static func values(_ row: RevisionRow) -> [DatabaseValue] {
        let values: [(any DatabaseValueConvertible)?] = [
            row.id.rawValue.stored, row.entry.rawValue.stored, row.state.rawValue, row.upload.text,
            row.size.rawValue.stored, row.sha256?.bytes.stored, row.sealed?.seconds,
            row.sealed.map { Int64($0.nanoseconds) }, row.modified.seconds, Int64(row.modified.nanoseconds),
            row.isKnownToService, row.acknowledged.count.stored, Int64(row.attempts), row.error, row.note,
            row.acknowledged.text, row.stale.isEmpty ? nil : row.stale.text, row.freed.isEmpty ? nil : row.freed.text,
        ]
        return values.map { $0?.databaseValue ?? .null }
    }
}

extension UInt64 {
    /// SQLite has signed numbers only.
    var stored: Int64 { Int64(bitPattern: self) }
}

extension [UInt8] {
    fileprivate var stored: DatabaseValue { unsafe DatabaseValue(value: withUnsafeBytes { unsafe Data($0) }) ?? .null }
}

extension Name {
    fileprivate var stored: DatabaseValue { Array(bytes).stored }
}
