internal import FXSystem
internal import GRDB

/// Looks whether a journal is sound, also while a mount uses it.
public enum JournalCheck {
    /// Runs SQLite's `quick_check`; changes nothing.
    /// - Returns: what is wrong, a line each; empty when all is well.
    /// - Throws: `.journal` when the file cannot be read as a database.
    public static func findings(path: String) throws(RemoteError) -> [String] {
        do {
            var configuration = Configuration()
            configuration.readonly = true
            configuration.busyMode = .timeout(5)
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            return try queue.read { try String.fetchAll($0, sql: "PRAGMA quick_check") }.filter { $0 != "ok" }
        } catch let error as DatabaseError {
            throw .journal(.database(code: error.extendedResultCode.rawValue))
        } catch { throw .journal(.damaged) }
    }
}
