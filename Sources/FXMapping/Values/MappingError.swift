public import SystemPackage

/// Why the registry or a pattern list refused something, as facts.
public enum MappingError: Error, Equatable, Sendable {
    case invalidName(NameKind, String, NameFault)
    case noSuchEntity(EntityName)
    case noSuchType(EntityName, TypeName)
    case entityExists(EntityName)
    case typeExists(EntityName, TypeName)
    /// The path does not start at `/`.
    case pathNotAbsolute(String)
    /// The path contains `..`, whose meaning would depend on symbolic links.
    case pathLeadsUp(String)
    /// The path contains NUL or is longer than the kernel takes.
    case pathUnusable(String)
    /// The directory cannot be opened and read; carries the kernel's reason (ENOENT, ENOTDIR, EACCES, …).
    case directoryNotReadable(String, Errno)
    /// The directory overlaps with a directory that must stay out of types.
    case pathOverlapsReserved(String, Overlap, ReservedDirectory)
    /// The directory overlaps with another type's that has a different policy; the weaker would undermine the stricter.
    case pathOverlapsType(String, Overlap, OverlappedType)
    /// The new policy would not protect everything the old one protects.
    case weakerPolicy(from: Policy, to: Policy)
    /// A staging pattern is not a pattern; carries it as it was given.
    case invalidPattern(String, PatternFault)
    /// SQLite said no; carries its extended result code and words.
    case database(code: Int32, message: String)
    /// The database was made by a newer version of this program; carries the steps it does not know.
    case databaseTooNew([String])
    /// The registry's directory or the poller's thread could not be had.
    case system(Errno)

    /// Another type's mapping, as named by an overlap.
    public struct OverlappedType: Equatable, Sendable {
        public let application: ApplicationID
        public let entity: EntityName
        public let type: TypeName
        public let path: String
        public let policy: Policy
    }
}

/// How one directory lies to another.
public enum Overlap: String, Sendable, Hashable {
    /// They are the same directory.
    case same
    /// The first lies below the second.
    case inside
    /// The second lies below the first.
    case contains
}

/// A directory that types must not overlap with.
public enum ReservedDirectory: Equatable, Sendable {
    /// A mount of this program: a type may neither lie in it nor contain it.
    case mountPoint(String)
    /// Where this program keeps its own data: a type may not lie in it.
    case state(String)

    /// The path as configured.
    public var path: String {
        switch self {
        case .mountPoint(let path), .state(let path): path
        }
    }
}
