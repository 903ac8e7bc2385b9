public import FXSystem
internal import Foundation
internal import GRDB

/// Looks whether a journal is sound, also while a mount uses it.
public enum JournalCheck {
    /// Runs SQLite's `quick_check`, and looks whether the log goes with the database; changes nothing.
    /// - Returns: what is wrong, a line each; empty when all is well.
    /// - Throws: `.journal` when the file cannot be read as a database.
    public static func findings(path: String) throws(RemoteError) -> [String] {
        try read(path) { try String.fetchAll($0, sql: "PRAGMA quick_check") }.filter { $0 != "ok" }
    }

    /// What is not at its remote yet: drafts, queued and failed files. Changes nothing.
    /// - Returns: the remotes that have such files.
    public static func unfinished(path: String) throws(RemoteError) -> [(remote: Name, files: Int, size: ByteCount)] {
        let rows = try read(path) { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT e.remote, COUNT(*), SUM(r.size) FROM revisions r JOIN entries e ON e.id = r.entry
                    WHERE r.state != 'committed' GROUP BY e.remote
                    """)
        }
        return rows.compactMap { row in
            guard let bytes = row[0] as Data?, let name = try? Name(validating: Array(bytes)) else { return nil }
            return (name, Int(row[1] as Int64), ByteCount(UInt64(clamping: row[2] as Int64? ?? 0)))
        }
    }

    /// The uploads that the next mount goes on with or lets its remotes forget. Changes nothing.
    public static func uploads(path: String) throws(RemoteError) -> Set<UploadID> {
        let names = try read(path) { database in
            try String.fetchAll(database, sql: "SELECT upload FROM revisions UNION SELECT upload FROM discards")
        }
        return Set(names.map { UploadID($0) })
    }

    /// Reads the database as it is once it has what is in the log.
    private static func read<Value>(_ path: String, _ body: (Database) throws -> Value) throws(RemoteError) -> Value {
        // First: what a mount moves from the log to the database meanwhile is seen in both, not in none.
        let records = try JournalLog.read(path: Journal.log(of: path))
        do {
            var configuration = Configuration()
            configuration.readonly = true
            configuration.busyMode = .timeout(5)
            let file = try DatabaseQueue(path: path, configuration: configuration)
            if records.isEmpty { return try file.read(body) }
            let copy = try DatabaseQueue()
            // Only then where it ends: it may move on at any moment.
            try file.backup(to: copy)
            return try copy.write { database in
                for record in try LogPosition(database).unapplied(records) {
                    for statement in record.statements { try statement.execute(on: database) }
                }
                return try body(database)
            }
        } catch let error as RemoteError {
            throw error
        } catch let error as DatabaseError {
            throw .journal(.database(code: error.extendedResultCode.rawValue))
        } catch { throw .journal(.damaged) }
    }
}
