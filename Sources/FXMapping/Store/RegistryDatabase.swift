internal import FXSystem
internal import GRDB
internal import Glibc
internal import SystemPackage

/// The SQLite file behind the registry: how it is opened, migrated, read and written.
///
/// Safe with several processes: WAL, one writer at a time, five seconds of patience. Any thread may call.
struct RegistryDatabase: Sendable {
    /// What a change is made through; named here so that the registry need not know GRDB.
    typealias Connection = Database

    private let pool: DatabasePool
    private let path: String

    /// Long enough for another process's migration on a slow disk, short enough for somebody who waits at a prompt.
    private static let patience: Double = 5

    /// Opens the database, made if missing, and brings it up to date.
    /// - Throws: `MappingError.database`, `.databaseTooNew` or `.system`.
    init(path: String) throws(MappingError) {
        self.path = path
        do {
            pool = try Self.alone(besides: path) {
                let pool = try DatabasePool(path: path, configuration: Self.configuration())
                let migrator = Self.migrator()
                if try pool.read(migrator.hasBeenSuperseded) {
                    let known = Set(migrator.migrations)
                    throw MappingError.databaseTooNew(
                        try pool.read(migrator.appliedIdentifiers).subtracting(known).sorted())
                }
                try migrator.migrate(pool)
                // A mapping that was reported made has to survive a power cut; GRDB's default in WAL mode is NORMAL.
                try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
                return pool
            }
        } catch {
            throw MappingError(database: error)
        }
    }

    func contents() throws(MappingError) -> RegistryContents {
        do { return try pool.read { try RegistryContents($0) } } catch { throw MappingError(database: error) }
    }

    /// nil when nothing has changed since `generation`.
    func contents(since generation: UInt64) throws(MappingError) -> RegistryContents? {
        do {
            return try pool.read { db in
                try RegistryRows.generation(db) == generation ? nil : try RegistryContents(db)
            }
        } catch { throw MappingError(database: error) }
    }

    /// Runs `body` in one immediate transaction and returns what the database holds afterwards as well.
    func write<Result>(
        _ body: (Database) throws -> Result
    ) throws(MappingError) -> (result: Result, contents: RegistryContents) {
        do {
            return try pool.write { db in
                let result = try body(db)
                return (result, try RegistryContents(db))
            }
        } catch {
            throw MappingError(database: error)
        }
    }

    /// A connection of its own that only looks.
    func watcher() throws(MappingError) -> RegistryWatcher {
        do {
            var configuration = Self.configuration()
            configuration.readonly = true
            return RegistryWatcher(queue: try DatabaseQueue(path: path, configuration: configuration))
        } catch {
            throw MappingError(database: error)
        }
    }

    private static func configuration() -> Configuration {
        var configuration = Configuration()
        configuration.label = "fxmount.mappings"
        configuration.busyMode = .timeout(patience)
        return configuration
    }

    /// Holds the directory's lock while `body` runs: switching a new file to WAL and migrating it are no single
    /// transaction.
    private static func alone<Result>(besides path: String, _ body: () throws -> Result) throws -> Result {
        let parent = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[..<$0]) } ?? "."
        let directory = try OwnedDescriptor.open(absolute: parent.isEmpty ? "/" : parent, [.readOnly, .directory])
        while flock(directory.rawValue, LOCK_EX) != 0 {
            let reason = Errno(rawValue: errno)
            if reason != .interrupted { throw MappingError.system(reason) }
        }
        // The lock goes with the descriptor.
        return try body()
    }

    private static func migrator() -> DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 entities and types") { db in
            try db.execute(
                sql: """
                    CREATE TABLE entity (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        application TEXT NOT NULL,
                        name TEXT NOT NULL,
                        created_seconds INTEGER NOT NULL,
                        created_nanoseconds INTEGER NOT NULL,
                        UNIQUE (application, name));
                    CREATE TABLE type (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        entity_id INTEGER NOT NULL REFERENCES entity (id) ON DELETE RESTRICT,
                        name TEXT NOT NULL,
                        path TEXT CHECK (path LIKE '/%'),
                        policy TEXT NOT NULL,
                        created_seconds INTEGER NOT NULL,
                        created_nanoseconds INTEGER NOT NULL,
                        UNIQUE (entity_id, name));
                    CREATE TABLE registry_state (
                        id INTEGER PRIMARY KEY CHECK (id = 1),
                        generation INTEGER NOT NULL);
                    INSERT INTO registry_state VALUES (1, 1);
                    """)
            // Counted by the database itself, so that a change made by hand is seen like any other.
            for table in ["entity", "type"] {
                for change in ["INSERT", "UPDATE", "DELETE"] {
                    try db.execute(
                        sql: """
                            CREATE TRIGGER \(table)_\(change.lowercased()) AFTER \(change) ON \(table)
                            BEGIN UPDATE registry_state SET generation = generation + 1; END
                            """)
                }
            }
        }
        return migrator
    }
}

/// Looks for changes made by any connection, of this process or another.
///
/// For one thread at a time.
struct RegistryWatcher: Sendable {
    let queue: DatabaseQueue

    /// A number that differs from the last answer when something was committed by another connection (PRAGMA
    /// data_version).
    func dataVersion() throws(MappingError) -> Int64 {
        do {
            return try queue.inDatabase { try Int64.fetchOne($0, sql: "PRAGMA data_version") ?? 0 }
        } catch {
            throw MappingError(database: error)
        }
    }

    func contents() throws(MappingError) -> RegistryContents {
        do { return try queue.read { try RegistryContents($0) } } catch { throw MappingError(database: error) }
    }
}

extension MappingError {
    /// Keeps a fact of ours and wraps what SQLite or the system said.
    init(database error: any Error) {
        switch error {
        case let error as MappingError: self = error
        case let error as Errno: self = .system(error)
        case let error as DatabaseError:
            self = .database(code: error.extendedResultCode.rawValue, message: error.message ?? "no words")
        default: self = .database(code: 1, message: String(describing: error))
        }
    }
}
