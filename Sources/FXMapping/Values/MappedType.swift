public import FXSystem

/// An alias for a local directory, as the registry knows it.
public struct MappedType: Sendable, Hashable {
    /// The same for the life of the type and never given to another one.
    public let id: Int64
    public let entity: EntityName
    public let name: TypeName
    /// Absolute and lexically normal; nil while the type is unmapped.
    public let path: String?
    public let policy: Policy
    public let createdAt: Timestamp

    /// Follows from the path.
    public var status: MappingStatus { path == nil ? .unmapped : .mapped }

    init(id: Int64, entity: EntityName, name: TypeName, path: String?, policy: Policy, createdAt: Timestamp) {
        self.id = id
        self.entity = entity
        self.name = name
        self.path = path
        self.policy = policy
        self.createdAt = createdAt
    }
}

/// An owner of types, as the registry knows it; it may have none.
public struct Entity: Sendable, Hashable {
    /// The same for the life of the entity and never given to another one.
    public let id: Int64
    public let name: EntityName
    public let createdAt: Timestamp

    init(id: Int64, name: EntityName, createdAt: Timestamp) {
        self.id = id
        self.name = name
        self.createdAt = createdAt
    }
}
