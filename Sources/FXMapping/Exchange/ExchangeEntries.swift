public import FXSystem

/// What this process may do with a file or directory under its type's policy.
public struct AccessMode: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let read = AccessMode(rawValue: 4)
    public static let write = AccessMode(rawValue: 2)
    /// Executing a file, searching a directory.
    public static let execute = AccessMode(rawValue: 1)

    /// The letters of `rwx` that hold, in this order; empty for none.
    public var text: String {
        (contains(.read) ? "r" : "") + (contains(.write) ? "w" : "") + (contains(.execute) ? "x" : "")
    }
}

/// A file or directory as the API shows it (`File`).
public struct FileEntry: Sendable, Hashable {
    /// Its own name. Bytes that are no UTF-8 are shown as `\xNN`; such a file can be listed and not be asked for.
    public var name: String
    /// Absolute, on this machine.
    public var path: String
    /// The components of the directory that holds it, its own name not among them.
    public var relPath: [String]
    public var type: TypeAddress
    public var size: ByteCount
    public var modified: Timestamp
    public var isDirectory: Bool
    public var access: AccessMode

    /// What follows the last dot, without it; empty for directories and for names without or with only a leading dot.
    public var fileExtension: String {
        guard !isDirectory, let dot = name.lastIndex(of: "."), dot != name.startIndex else { return "" }
        return String(name[name.index(after: dot)...])
    }

    /// The published fields, in their published order.
    public var json: JSONValue {
        [
            "extension": .string(fileExtension), "name": .string(name), "path": .string(path),
            "relPath": .array(relPath.map { .string($0) }), "type": .string(type.type.text),
            "entity": .string(type.entity.text), "size": .bytes(size), "lastModificationTime": .time(modified),
            "isDir": .bool(isDirectory), "access": .string(access.text),
        ]
    }
}

/// A type as the API shows it (`Type`).
public struct TypeEntry: Sendable, Hashable {
    public var application: ApplicationID
    public var mapped: MappedType
    /// Of the mapped directory; empty when it is unmapped or out of reach.
    public var access: AccessMode
    /// How many entries the mapped directory has, those below subdirectories not counted; 0 when it is out of reach.
    public var files: Int

    public var address: TypeAddress { TypeAddress(mapped.entity, mapped.name) }

    /// The published fields, in their published order; `path` is null for an unmapped type.
    public var json: JSONValue {
        [
            "entity": .string(mapped.entity.text), "type": .string(mapped.name.text), "path": .text(mapped.path),
            "access": .string(access.text), "status": .string(mapped.status.rawValue), "files": .integer(Int64(files)),
            "appid": .string(application.text),
        ]
    }
}

/// One page of files.
public struct FileList: Sendable, Hashable {
    public var files: [FileEntry]
    /// Of all pages together.
    public var total: Int
    /// Types whose directory could not be read, so that their files are missing from this list; only `listContent`
    /// has any.
    public var unavailable: [TypeAddress] = []

    /// `{files, total}`, and `unavailable` where there is something to tell.
    public var json: JSONValue {
        var members: [JSONValue.Member] = [
            .init("files", .array(files.map(\.json))), .init("total", .integer(Int64(total))),
        ]
        if !unavailable.isEmpty {
            let types = unavailable.map { type -> JSONValue in
                ["entity": .string(type.entity.text), "type": .string(type.type.text)]
            }
            members.append(.init("unavailable", .array(types)))
        }
        return .object(members)
    }
}

/// One page of types.
public struct TypeList: Sendable, Hashable {
    public var types: [TypeEntry]
    /// Of all pages together.
    public var total: Int

    /// `{types, total}`
    public var json: JSONValue { ["types": .array(types.map(\.json)), "total": .integer(Int64(total))] }
}
