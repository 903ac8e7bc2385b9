internal import FXSystem
internal import GRDB

/// The statements that change rows; each runs inside the caller's transaction.
enum RegistryRows {
    static func insertEntity(
        _ name: EntityName, in application: ApplicationID, at time: Timestamp, _ db: Database
    ) throws -> Entity {
        if try entityID(name, in: application, db) != nil { throw MappingError.entityExists(name) }
        try db.execute(
            sql: "INSERT INTO entity (application, name, created_seconds, created_nanoseconds) VALUES (?, ?, ?, ?)",
            arguments: [application.text, name.text, time.seconds, Int64(time.nanoseconds)])
        return Entity(id: db.lastInsertedRowID, name: name, createdAt: time)
    }

    static func insertType(
        _ name: TypeName, of entity: EntityName, in application: ApplicationID, path: String?, policy: Policy,
        at time: Timestamp, _ db: Database
    ) throws -> MappedType {
        guard let owner = try entityID(entity, in: application, db) else { throw MappingError.noSuchEntity(entity) }
        if try typeID(name, of: entity, in: application, db) != nil { throw MappingError.typeExists(entity, name) }
        try db.execute(
            sql: """
                INSERT INTO type (entity_id, name, path, policy, created_seconds, created_nanoseconds)
                VALUES (?, ?, ?, ?, ?, ?)
                """,
            arguments: [owner, name.text, path, policy.rawValue, time.seconds, Int64(time.nanoseconds)])
        return MappedType(
            id: db.lastInsertedRowID, entity: entity, name: name, path: path, policy: policy, createdAt: time)
    }

    static func update(_ type: MappedType, path: String?, policy: Policy, _ db: Database) throws -> MappedType {
        try db.execute(
            sql: "UPDATE type SET path = ?, policy = ? WHERE id = ?", arguments: [path, policy.rawValue, type.id])
        if db.changesCount == 0 { throw MappingError.noSuchType(type.entity, type.name) }
        return MappedType(
            id: type.id, entity: type.entity, name: type.name, path: path, policy: policy, createdAt: type.createdAt)
    }

    static func deleteType(_ name: TypeName, of entity: EntityName, in application: ApplicationID, _ db: Database)
        throws
    {
        guard let id = try typeID(name, of: entity, in: application, db) else {
            throw MappingError.noSuchType(entity, name)
        }
        try db.execute(sql: "DELETE FROM type WHERE id = ?", arguments: [id])
    }

    static func generation(_ db: Database) throws -> UInt64 {
        UInt64(clamping: try Int64.fetchOne(db, sql: "SELECT generation FROM registry_state") ?? 0)
    }

    private static func entityID(_ name: EntityName, in application: ApplicationID, _ db: Database) throws -> Int64? {
        try Int64.fetchOne(
            db, sql: "SELECT id FROM entity WHERE application = ? AND name = ?",
            arguments: [application.text, name.text])
    }

    private static func typeID(
        _ name: TypeName, of entity: EntityName, in application: ApplicationID, _ db: Database
    ) throws -> Int64? {
        try Int64.fetchOne(
            db,
            sql: """
                SELECT type.id FROM type JOIN entity ON entity.id = type.entity_id
                WHERE entity.application = ? AND entity.name = ? AND type.name = ?
                """,
            arguments: [application.text, entity.text, name.text])
    }
}
