public import FXSystem

/// Which of the three kinds of name a text was meant to be.
public enum NameKind: String, Sendable {
    case application, entity, type
}

/// Why a text is not the name of an application, entity or type.
public enum NameFault: Equatable, Sendable {
    case empty, containsSlash, startsWithDot
    /// A control, format or line-separating character, which could deceive whoever reads a listing.
    case invisibleCharacter
    /// Longer than 255 bytes; carries the length.
    case tooLong(Int)
}

/// The application whose types a mount shows; two applications never see each other's types.
public struct ApplicationID: Hashable, Sendable {
    /// The same as bytes, fit to be a directory entry.
    public let name: Name
    public let text: String

    /// - Throws: `MappingError.invalidName` unless `text` is 1 to 255 bytes without `/`, without control and format
    ///   characters, and not starting with a dot.
    public init(_ text: String) throws(MappingError) {
        name = try checked(text, as: .application)
        self.text = text
    }
}

/// The owner of types inside an application.
public struct EntityName: Hashable, Sendable {
    /// The same as bytes, fit to be a directory entry.
    public let name: Name
    public let text: String

    /// - Throws: `MappingError.invalidName`, by the rules of `ApplicationID`.
    public init(_ text: String) throws(MappingError) {
        name = try checked(text, as: .entity)
        self.text = text
    }
}

/// The alias of a local directory, unique inside its entity.
public struct TypeName: Hashable, Sendable {
    /// The same as bytes, fit to be a directory entry.
    public let name: Name
    public let text: String

    /// - Throws: `MappingError.invalidName`, by the rules of `ApplicationID`.
    public init(_ text: String) throws(MappingError) {
        name = try checked(text, as: .type)
        self.text = text
    }
}

extension ApplicationID: CustomStringConvertible { public var description: String { text } }
extension EntityName: CustomStringConvertible { public var description: String { text } }
extension TypeName: CustomStringConvertible { public var description: String { text } }

extension EntityName: Comparable {
    /// Byte order.
    public static func < (left: EntityName, right: EntityName) -> Bool { left.name < right.name }
}

extension TypeName: Comparable {
    /// Byte order.
    public static func < (left: TypeName, right: TypeName) -> Bool { left.name < right.name }
}

/// Equality of names is equality of bytes: Swift compares text by canonical equivalence, a directory does not.
extension ApplicationID {
    public static func == (left: ApplicationID, right: ApplicationID) -> Bool { left.name == right.name }
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

extension EntityName {
    public static func == (left: EntityName, right: EntityName) -> Bool { left.name == right.name }
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

extension TypeName {
    public static func == (left: TypeName, right: TypeName) -> Bool { left.name == right.name }
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

private func checked(_ text: String, as kind: NameKind) throws(MappingError) -> Name {
    if text.utf8.first == UInt8(ascii: ".") { throw .invalidName(kind, text, .startsWithDot) }
    for scalar in text.unicodeScalars {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate:
            throw .invalidName(kind, text, .invisibleCharacter)
        default: break
        }
    }
    do throws(NameError) {
        return try Name(text)
    } catch {
        switch error {
        case .empty: throw .invalidName(kind, text, .empty)
        case .dots: throw .invalidName(kind, text, .startsWithDot)
        case .nul: throw .invalidName(kind, text, .invisibleCharacter)
        case .slash: throw .invalidName(kind, text, .containsSlash)
        case .tooLong(let length): throw .invalidName(kind, text, .tooLong(length))
        }
    }
}
