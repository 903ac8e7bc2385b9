public import FXSystem

/// A parameter of an operation, by its published name.
public enum ExchangeParameter: String, Sendable, Hashable, CaseIterable {
    case entity, type, fromType, toType, fileName, newFileName, relPath, fromRelPath, toRelPath, file
    case initPath, modal, timeout, recursive, page, start, size, sort, implicitCreationType, notifyOnCompletion
}

/// What is wrong with a parameter.
public enum ParameterFault: Sendable, Equatable {
    /// It is required and was not given.
    case missing
    case empty
    /// `.` or `..`, or for a type or entity a leading dot.
    case dots
    /// It contains `/` or `\`, where one name is expected.
    case separator
    case nul
    /// It starts as a path of Windows does, `C:`.
    case driveLetter
    /// The name is one of ours, `.fxversions`.
    case reserved
    /// A control or format character in the name of an entity or type.
    case invisibleCharacter
    /// Longer than a name or a path can be; carries its length in bytes.
    case tooLong(Int)
    /// A number that is too small or too large.
    case outOfRange
    /// Neither of the values it may have.
    case unknownValue
    /// A directory would be moved or copied into itself.
    case intoItself
}

/// Which type: entity and alias, checked. Whether there is one is another question.
public struct TypeAddress: Sendable, Hashable {
    public let entity: EntityName
    public let type: TypeName

    public init(_ entity: EntityName, _ type: TypeName) {
        self.entity = entity
        self.type = type
    }

    /// Checks texts as they came from outside; nil is an absent parameter.
    /// - Parameter parameter: what the type is called in the operation: `type`, `fromType` or `toType`.
    /// - Throws: `ExchangeError.parameter`.
    public init(entity: String?, type: String?, as parameter: ExchangeParameter = .type) throws(ExchangeError) {
        self.entity = try TypeAddress.entity(entity)
        guard let type else { throw .parameter(parameter, .missing) }
        do throws(MappingError) { self.type = try TypeName(type) } catch {
            throw .parameter(parameter, ParameterFault(error))
        }
    }

    /// Checks the name of an entity alone; nil is an absent parameter.
    /// - Throws: `ExchangeError.parameter`.
    public static func entity(_ text: String?) throws(ExchangeError) -> EntityName {
        guard let text else { throw .parameter(.entity, .missing) }
        do throws(MappingError) { return try EntityName(text) } catch {
            throw .parameter(.entity, ParameterFault(error))
        }
    }
}

extension TypeAddress: CustomStringConvertible {
    public var description: String { "\(entity)/\(type)" }
}

/// A directory below a type, as `relPath` names it: its components, none of which can lead out.
public struct FolderPath: Sendable, Hashable {
    /// Empty for the mapped directory itself.
    public let path: RelativePath

    public static let root = FolderPath(RelativePath())

    init(_ path: RelativePath) { self.path = path }

    /// Checks the components as they came from outside; nil and the empty array are the mapped directory itself.
    /// - Parameter parameter: what it is called in the operation: `relPath`, `fromRelPath` or `toRelPath`.
    /// - Throws: `ExchangeError.parameter` for a component that is empty, `.`, `..`, `.fxversions`, too long, starts with a
    ///   drive letter or contains `/`, `\` or NUL, and for more than 4095 bytes together.
    public init(_ components: [String]?, as parameter: ExchangeParameter = .relPath) throws(ExchangeError) {
        var names: [Name] = []
        for component in components ?? [] { names.append(try Name(exchanged: component, as: parameter)) }
        let path = RelativePath(names)
        // PATH_MAX of Linux, the final NUL included.
        if path.bytes.count >= 4096 { throw .parameter(parameter, .tooLong(path.bytes.count)) }
        self.path = path
    }

    /// The components as text.
    public var texts: [String] { path.components.map { $0.exchangedText } }
}

/// A file or directory below a type: type, folder and its own name, all checked.
public struct FileAddress: Sendable, Hashable {
    public let type: TypeAddress
    public let folder: FolderPath
    public let name: Name

    init(_ type: TypeAddress, _ folder: FolderPath, _ name: Name) {
        self.type = type
        self.folder = folder
        self.name = name
    }

    /// Checks `fileName` and `relPath` as they came from outside; nil is an absent parameter.
    /// - Throws: `ExchangeError.parameter`, by the rules of `FolderPath`.
    public init(
        _ type: TypeAddress, relPath: [String]? = nil, fileName: String?,
        as parameters: (folder: ExchangeParameter, name: ExchangeParameter) = (.relPath, .fileName)
    ) throws(ExchangeError) {
        guard let fileName else { throw .parameter(parameters.name, .missing) }
        self.type = type
        name = try Name(exchanged: fileName, as: parameters.name)
        folder = try FolderPath(relPath, as: parameters.folder)
    }

    /// Where `relPath` alone names something, its last component included (`existsFile`, `createDir`).
    /// - Throws: `ExchangeError.parameter`, `missing` when there is no component.
    public init(_ type: TypeAddress, path: [String]?) throws(ExchangeError) {
        guard let path, let last = path.last else { throw .parameter(.relPath, .missing) }
        self.type = type
        folder = try FolderPath(Array(path.dropLast()))
        name = try Name(exchanged: last, as: .relPath)
    }

    /// Below the mapped directory.
    public var path: RelativePath { folder.path.appending(name) }
}

extension FileAddress: CustomStringConvertible {
    public var description: String { "\(type)/\(path)" }
}

extension Name {
    /// A name as the File Exchange API takes it: no separator of any system, no drive letter, none of ours.
    init(exchanged text: String, as parameter: ExchangeParameter) throws(ExchangeError) {
        let bytes = Array(text.utf8)
        if bytes.contains(UInt8(ascii: "\\")) { throw .parameter(parameter, .separator) }
        if bytes.count > 1, bytes[1] == UInt8(ascii: ":"), (bytes[0] | 0x20) >= UInt8(ascii: "a"),
            (bytes[0] | 0x20) <= UInt8(ascii: "z")
        {
            throw .parameter(parameter, .driveLetter)
        }
        do throws(NameError) {
            try self.init(validating: bytes)
        } catch {
            throw .parameter(parameter, ParameterFault(error))
        }
        if MappedRoot.isReserved(self) { throw .parameter(parameter, .reserved) }
    }

    /// The name as text; bytes that are no UTF-8 are shown as `\xNN`, and as such can be listed and not be asked for.
    var exchangedText: String { String(validating: bytes, as: UTF8.self) ?? displayed(bytes) }
}

extension ParameterFault {
    init(_ error: NameError) {
        switch error {
        case .empty: self = .empty
        case .dots: self = .dots
        case .nul: self = .nul
        case .slash: self = .separator
        case .tooLong(let length): self = .tooLong(length)
        }
    }

    init(_ error: MappingError) {
        guard case .invalidName(_, let text, let fault) = error else {
            self = .unknownValue
            return
        }
        switch fault {
        case .empty: self = .empty
        case .containsSlash: self = .separator
        case .startsWithDot: self = .dots
        case .invisibleCharacter: self = text.utf8.contains(0) ? .nul : .invisibleCharacter
        case .tooLong(let length): self = .tooLong(length)
        }
    }
}
