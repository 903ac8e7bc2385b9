internal import GRDB

/// Looks whether a database of mappings is sound, also while others use it.
public enum RegistryCheck {
    /// Runs SQLite's `quick_check`; changes nothing.
    /// - Returns: what is wrong, a line each; empty when all is well.
    /// - Throws: `MappingError.database` or `.system` when the file cannot be read as a database.
    public static func findings(path: String) throws(MappingError) -> [String] {
        do {
            var configuration = Configuration()
            configuration.readonly = true
            configuration.busyMode = .timeout(5)
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            return try queue.read { try String.fetchAll($0, sql: "PRAGMA quick_check") }.filter { $0 != "ok" }
        } catch { throw MappingError(database: error) }
    }
}
