internal import FXSystem
internal import Foundation
internal import GRDB
internal import SystemPackage

/// The SQLite file of the journal: WAL, `synchronous=FULL`, so that a returned commit survives a power cut.
///
/// Any thread; the queue lets one in at a time: the reader at the start, then the writer, and whoever needs the bytes of a
/// small file again.
struct JournalDatabase: Sendable {
    private let queue: DatabaseQueue

    /// The layout this program writes; a larger number in the file is refused.
    private static let version: Int64 = 10

    /// Opens the database, makes it when it is missing, and brings it up to date.
    /// - Parameter log: a path, of what was committed last.
    init(path: String, log: String) throws(RemoteError) {
        do {
            var configuration = Configuration()
            configuration.busyMode = .timeout(10)
            configuration.prepareDatabase { database in
                try database.execute(sql: "PRAGMA journal_mode = WAL")
                try database.execute(sql: "PRAGMA synchronous = FULL")
                try database.execute(sql: "PRAGMA wal_autocheckpoint = 4000")
            }
            queue = try DatabaseQueue(path: path, configuration: configuration)
            let found = try queue.read { try Int64.fetchOne($0, sql: "PRAGMA user_version") ?? 0 }
            if found > JournalDatabase.version { throw RemoteError.journal(.newer) }
            if found == 0 { try queue.write { try JournalDatabase.create($0) } }
            if found == 1 { try queue.write { try JournalDatabase.addGroups($0) } }
            if found == 1 || found == 2 { try queue.write { try JournalDatabase.addProgress($0) } }
            if (1...3).contains(found) { try queue.write { try JournalDatabase.addDiscards($0) } }
            if (1...4).contains(found) { try queue.write { try JournalDatabase.addExpiry($0) } }
            if (1...5).contains(found) { try queue.write { try JournalDatabase.addProcessing($0) } }
            if (1...6).contains(found) { try queue.write { try JournalDatabase.addDetails($0) } }
            if (1...7).contains(found) { try queue.write { try JournalDatabase.addContents($0) } }
            if (1...8).contains(found) { try queue.write { try JournalDatabase.addSent($0) } }
            if (1...9).contains(found) { try queue.write { try JournalDatabase.addLog($0) } }
            // The log has rows of the layout it was written with: steps to later ones come after this.
            try replay(try position().unapplied(JournalLog.read(path: log)))
        } catch { throw JournalDatabase.typed(error) }
    }

    private static func create(_ database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE entries (
                    id INTEGER PRIMARY KEY, remote BLOB NOT NULL, parent INTEGER NOT NULL, name BLOB NOT NULL,
                    kind INTEGER NOT NULL, mode INTEGER NOT NULL, owner INTEGER NOT NULL,
                    modified INTEGER NOT NULL, modified_ns INTEGER NOT NULL, created INTEGER NOT NULL, created_ns INTEGER NOT NULL,
                    session TEXT, upload TEXT, size INTEGER, sha256 BLOB, remote_id TEXT, committed INTEGER, committed_ns INTEGER,
                    moving_from BLOB, owner_group INTEGER NOT NULL DEFAULT 0, expires INTEGER, processing TEXT, life TEXT,
                    details TEXT);
                CREATE TABLE revisions (
                    id INTEGER PRIMARY KEY, entry INTEGER NOT NULL, state TEXT NOT NULL, upload TEXT NOT NULL,
                    size INTEGER NOT NULL, sha256 BLOB, sealed INTEGER, sealed_ns INTEGER, modified INTEGER NOT NULL,
                    modified_ns INTEGER NOT NULL, known INTEGER NOT NULL, acknowledged INTEGER NOT NULL,
                    attempts INTEGER NOT NULL, error TEXT, note TEXT, ranges TEXT, stale TEXT, freed TEXT);
                CREATE TABLE discards (
                    upload TEXT NOT NULL, note TEXT NOT NULL, remote BLOB NOT NULL, path BLOB NOT NULL, directory TEXT,
                    PRIMARY KEY (upload, note));
                CREATE TABLE contents (revision INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
                \(sentTable)
                \(logTable)
                """)
    }

    private static let sentTable = """
        CREATE TABLE sent (
            session INTEGER NOT NULL, path BLOB NOT NULL, size INTEGER NOT NULL, sha256 BLOB NOT NULL,
            remote_id TEXT NOT NULL, committed INTEGER NOT NULL, committed_ns INTEGER NOT NULL,
            PRIMARY KEY (session, path));
        PRAGMA user_version = 9;
        """

    private static let logTable = """
        CREATE TABLE log (identity INTEGER NOT NULL, applied INTEGER NOT NULL);
        INSERT INTO log VALUES (random(), 0);
        PRAGMA user_version = 10;
        """

    /// From layout 9, in which every commit waited for the database.
    private static func addLog(_ database: Database) throws { try database.execute(sql: logTable) }

    /// From layout 8, which forgot what was sent when the service listed something else.
    private static func addSent(_ database: Database) throws { try database.execute(sql: sentTable) }

    /// From layout 7, in which no file was sealed with its bytes.
    private static func addContents(_ database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE contents (revision INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
                PRAGMA user_version = 8;
                """)
    }

    /// From layout 6, which knew little of how a committed file got to its service.
    private static func addDetails(_ database: Database) throws {
        try database.execute(
            sql: """
                ALTER TABLE entries ADD COLUMN details TEXT;
                PRAGMA user_version = 7;
                """)
    }

    /// From layout 4, which knew no files that a service drops by itself.
    private static func addExpiry(_ database: Database) throws {
        try database.execute(
            sql: """
                ALTER TABLE entries ADD COLUMN expires INTEGER;
                PRAGMA user_version = 5;
                """)
    }

    /// From layout 5, which knew nothing of what services do after the end of a session.
    private static func addProcessing(_ database: Database) throws {
        try database.execute(
            sql: """
                ALTER TABLE entries ADD COLUMN processing TEXT;
                ALTER TABLE entries ADD COLUMN life TEXT;
                PRAGMA user_version = 6;
                """)
    }

    /// From layout 3, which knew no uploads that begin before their file is sealed.
    private static func addDiscards(_ database: Database) throws {
        try database.execute(
            sql: """
                ALTER TABLE revisions ADD COLUMN stale TEXT;
                ALTER TABLE revisions ADD COLUMN freed TEXT;
                CREATE TABLE discards (
                    upload TEXT NOT NULL, note TEXT NOT NULL, remote BLOB NOT NULL, path BLOB NOT NULL, directory TEXT,
                    PRIMARY KEY (upload, note));
                PRAGMA user_version = 4;
                """)
    }

    /// From layout 1, which knew no groups.
    private static func addGroups(_ database: Database) throws {
        try database.execute(
            sql: """
                ALTER TABLE entries ADD COLUMN owner_group INTEGER NOT NULL DEFAULT 0;
                PRAGMA user_version = 2;
                """)
    }

    /// From layout 2, which knew only how much of an upload was acknowledged.
    private static func addProgress(_ database: Database) throws {
        try database.execute(
            sql: """
                ALTER TABLE revisions ADD COLUMN note TEXT;
                ALTER TABLE revisions ADD COLUMN ranges TEXT;
                PRAGMA user_version = 3;
                """)
    }

    /// Carries out all changes in one durable transaction.
    /// - Parameter sequence: of the last record of the log that is among them.
    func commit(_ changes: [JournalChange], through sequence: UInt64) throws(RemoteError) {
        // One after another: the bytes of files are not in memory twice.
        try carryOut(changes.effective.lazy.map(JournalStatement.init), through: sequence)
    }

    /// Carries out what a log has and the database has not, in one durable transaction.
    private func replay(_ records: [JournalRecord]) throws(RemoteError) {
        guard let last = records.last else { return }
        try carryOut(records.flatMap(\.statements), through: last.sequence)
    }

    private func carryOut(_ statements: some Sequence<JournalStatement>, through sequence: UInt64) throws(RemoteError) {
        do {
            try queue.write { database in
                for statement in statements { try statement.execute(on: database) }
                try database.cachedStatement(sql: "UPDATE log SET applied = ?").execute(arguments: [sequence.stored])
            }
        } catch { throw JournalDatabase.typed(error) }
    }

    /// Where the log goes on.
    func position() throws(RemoteError) -> LogPosition {
        do {
            return try queue.read { try LogPosition($0) }
        } catch { throw JournalDatabase.typed(error) }
    }

    /// The bytes of one revision; nil when they are not here.
    func content(of id: RevisionID) throws(RemoteError) -> [UInt8]? {
        do {
            return try queue.read { database in
                try Data.fetchOne(
                    database, sql: "SELECT bytes FROM contents WHERE revision = ?", arguments: [id.rawValue.stored]
                ).map(Array.init)
            }
        } catch { throw JournalDatabase.typed(error) }
    }

    /// Whether there are bytes of any revision.
    func hasContents() throws(RemoteError) -> Bool {
        do {
            return try queue.read { try Bool.fetchOne($0, sql: "SELECT EXISTS(SELECT 1 FROM contents)") ?? false }
        } catch { throw JournalDatabase.typed(error) }
    }

    /// The bytes of every content that was sealed with them, one after another. A draft's are of a seal that failed.
    func forEachContent(_ body: (UploadID, [UInt8]) throws -> Void) throws(RemoteError) {
        do {
            try queue.read { database in
                let rows = try Row.fetchCursor(
                    database,
                    sql: """
                        SELECT r.upload, c.bytes FROM contents c JOIN revisions r ON r.id = c.revision
                        WHERE r.state != 'draft' ORDER BY r.id
                        """)
                while let row = try rows.next() { try body(UploadID(row["upload"]), row.bytes("bytes")) }
            }
        } catch { throw JournalDatabase.typed(error) }
    }

    func contents() throws(RemoteError) -> JournalContents {
        do {
            return try queue.read { database in
                var contents = JournalContents()
                let entries = try Row.fetchCursor(database, sql: "SELECT * FROM entries ORDER BY id")
                while let row = try entries.next() { contents.entries.append(try EntryRow(row)) }
                let revisions = try Row.fetchCursor(database, sql: "SELECT * FROM revisions ORDER BY id")
                while let row = try revisions.next() { contents.revisions.append(try RevisionRow(row)) }
                let discards = try Row.fetchCursor(database, sql: "SELECT * FROM discards ORDER BY upload")
                while let row = try discards.next() { contents.discards.append(try DiscardRow(row)) }
                let sent = try Row.fetchCursor(database, sql: "SELECT * FROM sent ORDER BY session, path")
                while let row = try sent.next() { contents.sent.append(try SentRow(row)) }
                return contents
            }
        } catch { throw JournalDatabase.typed(error) }
    }

    private static func typed(_ error: any Error) -> RemoteError {
        if let error = error as? RemoteError { return error }
        if let error = error as? DatabaseError {
            // SQLITE_FULL: the table knows what a full disk means.
            if error.resultCode == .SQLITE_FULL { return .local(.noSpace, during: .journal) }
            return .journal(.database(code: error.extendedResultCode.rawValue))
        }
        return .journal(.damaged)
    }
}

extension LogPosition {
    init(_ database: Database) throws {
        guard let row = try Row.fetchOne(database, sql: "SELECT identity, applied FROM log") else {
            throw RemoteError.journal(.damaged)
        }
        self.init(identity: UInt64(bitPattern: row["identity"]), applied: UInt64(bitPattern: row["applied"]))
    }
}

extension EntryRow {
    fileprivate init(_ row: Row) throws {
        guard let kind = Kind(rawValue: row["kind"]) else { throw RemoteError.journal(.damaged) }
        id = EntryID(UInt64(bitPattern: row["id"]))
        remote = try Name(validating: row.bytes("remote"))
        parent = EntryID(UInt64(bitPattern: row["parent"]))
        name = try Name(validating: row.bytes("name"))
        self.kind = kind
        mode = UInt32(truncatingIfNeeded: row["mode"] as Int64)
        owner = UInt32(truncatingIfNeeded: row["owner"] as Int64)
        group = UInt32(truncatingIfNeeded: row["owner_group"] as Int64)
        modified = row.time("modified")
        created = row.time("created")
        session = (row["session"] as String?).flatMap(SessionState.init(rawValue:))
        if let upload = row["upload"] as String? {
            committed = CommittedRow(
                upload: UploadID(upload), size: ByteCount(UInt64(bitPattern: row["size"])),
                sha256: SHA256Digest(bytes: row.bytes("sha256")),
                remoteID: row["remote_id"], time: row.time("committed"),
                expires: (row["expires"] as Int64?).map { Timestamp(seconds: $0) },
                processing: (row["processing"] as String?).flatMap { FileProcessing(text: $0) },
                details: (row["details"] as String?).flatMap { JSONValue(parsing: $0)?.members } ?? [])
        }
        if kind != .file { remoteID = row["remote_id"] }
        life = (row["life"] as String?).flatMap { SessionLife(text: $0) }
        if (row["moving_from"] as Data?) != nil { movingFrom = try RelativePath(validating: row.bytes("moving_from")) }
    }
}

extension RevisionRow {
    fileprivate init(_ row: Row) throws {
        guard let state = FileState(rawValue: row["state"]) else { throw RemoteError.journal(.damaged) }
        id = RevisionID(UInt64(bitPattern: row["id"]))
        entry = EntryID(UInt64(bitPattern: row["entry"]))
        self.state = state
        upload = UploadID(row["upload"])
        size = ByteCount(UInt64(bitPattern: row["size"]))
        sha256 = SHA256Digest(bytes: row.bytes("sha256"))
        sealed = (row["sealed"] as Int64?).map { _ in row.time("sealed") }
        modified = row.time("modified")
        isKnownToService = row["known"]
        acknowledged =
            (row["ranges"] as String?).map(ByteRanges.init(text:))
            ?? ByteRanges(upTo: UInt64(bitPattern: row["acknowledged"]))
        stale = ByteRanges(text: row["stale"] ?? "")
        freed = ByteRanges(text: row["freed"] ?? "")
        note = row["note"]
        attempts = row["attempts"]
        error = row["error"]
    }
}

extension DiscardRow {
    fileprivate init(_ row: Row) throws {
        upload = UploadID(row["upload"])
        remote = try Name(validating: row.bytes("remote"))
        path = try RelativePath(validating: row.bytes("path"))
        directoryID = row["directory"]
        note = (row["note"] as String).isEmpty ? nil : row["note"]
    }
}

extension SentRow {
    fileprivate init(_ row: Row) throws {
        guard let sha256 = SHA256Digest(bytes: row.bytes("sha256")) else { throw RemoteError.journal(.damaged) }
        self.init(
            session: EntryID(UInt64(bitPattern: row["session"])),
            path: try RelativePath(validating: row.bytes("path")), size: ByteCount(UInt64(bitPattern: row["size"])),
            sha256: sha256, remoteID: row["remote_id"], time: row.time("committed"))
    }
}

extension Row {
    fileprivate func bytes(_ column: String) -> [UInt8] { (self[column] as Data?).map(Array.init) ?? [] }

    fileprivate func time(_ column: String) -> Timestamp {
        Timestamp(seconds: self[column], nanoseconds: UInt32(truncatingIfNeeded: self["\(column)_ns"] as Int64))
    }
}
