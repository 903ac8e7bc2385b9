internal import FXSystem

/// The entities and types of one application at one moment; reading it takes no lock and no database.
public struct RegistrySnapshot: Sendable, Equatable {
    public let application: ApplicationID
    /// Counts the changes of the whole database, other applications' included; it only grows.
    public let generation: UInt64
    /// In byte order of their names.
    public let entities: [Entity]
    private let typesByEntity: [EntityName: [MappedType]]
    private let entityByName: [EntityName: Entity]

    init(application: ApplicationID, generation: UInt64, entities: [Entity], types: [MappedType]) {
        self.application = application
        self.generation = generation
        self.entities = entities.sorted { $0.name < $1.name }
        entityByName = Dictionary(entities.map { ($0.name, $0) }) { first, _ in first }
        typesByEntity = Dictionary(grouping: types.sorted { $0.name < $1.name }, by: \.entity)
    }

    /// In byte order of their names; empty for an entity that does not exist.
    public func types(of entity: EntityName) -> [MappedType] { typesByEntity[entity] ?? [] }

    /// All types, by entity and name in byte order.
    public var types: [MappedType] { entities.flatMap { types(of: $0.name) } }

    public func entity(_ name: EntityName) -> Entity? { entityByName[name] }

    public func type(_ entity: EntityName, _ name: TypeName) -> MappedType? {
        typesByEntity[entity]?.first { $0.name == name }
    }

    /// True when both show the same, whatever happened in other applications.
    func showsTheSame(as other: RegistrySnapshot) -> Bool {
        entities == other.entities && typesByEntity == other.typesByEntity
    }
}
