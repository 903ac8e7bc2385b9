internal import FXSystem
internal import GRDB

/// Everything the database holds, read in one transaction.
struct RegistryContents: Sendable {
    /// A type and the application it belongs to.
    struct Row: Sendable {
        var application: ApplicationID
        var type: MappedType
    }

    var generation: UInt64 = 0
    var rows: [Row] = []
    var snapshots: [ApplicationID: RegistrySnapshot] = [:]

    func snapshot(of application: ApplicationID) -> RegistrySnapshot {
        snapshots[application]
            ?? RegistrySnapshot(application: application, generation: generation, entities: [], types: [])
    }

    init() {}

    init(_ db: Database) throws {
        generation = UInt64(clamping: try Int64.fetchOne(db, sql: "SELECT generation FROM registry_state") ?? 0)
        var entities: [ApplicationID: [Entity]] = [:]
        let owners = try GRDB.Row.fetchCursor(
            db, sql: "SELECT id, application, name, created_seconds, created_nanoseconds FROM entity")
        while let row = try owners.next() {
            entities[try ApplicationID(row["application"]), default: []].append(
                Entity(id: row["id"], name: try EntityName(row["name"]), createdAt: Timestamp(row)))
        }
        let aliases = try GRDB.Row.fetchCursor(
            db,
            sql: """
                SELECT type.id, entity.application, entity.name AS entity, type.name, type.path, type.policy,
                       type.created_seconds, type.created_nanoseconds
                FROM type JOIN entity ON entity.id = type.entity_id
                """)
        while let row = try aliases.next() {
            // A policy of a later version is unknown here; the strictest one cannot break its promise.
            let policy = Policy(rawValue: row["policy"]) ?? .readOnly
            rows.append(
                Row(
                    application: try ApplicationID(row["application"]),
                    type: MappedType(
                        id: row["id"], entity: try EntityName(row["entity"]), name: try TypeName(row["name"]),
                        path: row["path"], policy: policy, createdAt: Timestamp(row))))
        }
        let types = Dictionary(grouping: rows, by: \.application)
        for (application, owners) in entities {
            snapshots[application] = RegistrySnapshot(
                application: application, generation: generation, entities: owners,
                types: (types[application] ?? []).map(\.type))
        }
    }
}

extension Timestamp {
    fileprivate init(_ row: GRDB.Row) {
        self.init(seconds: row["created_seconds"], nanoseconds: UInt32(clamping: row["created_nanoseconds"] as Int64))
    }
}
