internal import FXSystem
public import SystemPackage

/// The one table from facts to errno and to sentences (house style 14).
extension MappingError {
    /// What a system call through the mount answers.
    public var errno: Errno {
        switch self {
        case .invalidName(_, _, .tooLong): .fileNameTooLong
        case .invalidName: .invalidArgument
        case .noSuchEntity, .noSuchType: .noSuchFileOrDirectory
        case .entityExists, .typeExists: .fileExists
        case .pathNotAbsolute, .pathLeadsUp, .pathUnusable: .invalidArgument
        case .directoryNotReadable(_, let reason): reason
        // A rule of ours and nothing about rights: the same call with another path succeeds, so not EACCES.
        case .pathOverlapsReserved, .pathOverlapsType, .weakerPolicy: .notPermitted
        case .invalidPattern: .invalidArgument
        case .database(let code, _): Self.errno(ofSQLite: code)
        // Nothing is broken and nothing of it may be touched by this version.
        case .databaseTooNew: .readOnlyFileSystem
        case .system(let reason): reason
        }
    }

    /// The primary result code is the low byte (sqlite.org/rescode.html).
    private static func errno(ofSQLite code: Int32) -> Errno {
        switch code & 0xff {
        case 3, 23: .permissionDenied
        // SQLITE_BUSY and SQLITE_LOCKED, after five seconds of waiting.
        case 5, 6: .resourceBusy
        case 7: .noMemory
        case 8: .readOnlyFileSystem
        case 13: .noSpace
        case 14: .noSuchFileOrDirectory
        default: .ioError
        }
    }

    /// What happened, for a person.
    public var message: String {
        switch self {
        case .invalidName(let kind, let text, let fault):
            "\"\(shown(text))\" cannot be the name of an \(kind.rawValue == "type" ? "alias" : kind.rawValue): \(fault.message)"
        case .noSuchEntity(let entity): "there is no entity \(entity)"
        case .noSuchType(let entity, let type): "there is no type \(entity)/\(type)"
        case .entityExists(let entity): "there is an entity \(entity) already"
        case .typeExists(let entity, let type): "there is a type \(entity)/\(type) already"
        case .pathNotAbsolute(let path): "\(shown(path)) is not an absolute path"
        case .pathLeadsUp(let path): "\(shown(path)) contains \"..\"; give the path without it"
        case .pathUnusable(let path): "\(shown(path)) is not a path the system can take"
        case .directoryNotReadable(let path, let reason): "\(shown(path)) cannot be mapped: \(reason)"
        case .pathOverlapsReserved(let path, let overlap, .mountPoint(let other)):
            "\(shown(path)) \(overlap.phrase) the mount point \(shown(other))"
        case .pathOverlapsReserved(let path, let overlap, .state(let other)):
            "\(shown(path)) \(overlap.phrase) the state directory \(shown(other))"
        case .pathOverlapsType(let path, let overlap, let other):
            "\(shown(path)) \(overlap.phrase) \(shown(other.path)), mapped as \(other.entity)/\(other.type) "
                + "of application \(other.application) with policy \(other.policy.rawValue); overlapping types need the same policy"
        case .weakerPolicy(let from, let to):
            "\(to.rawValue) does not protect everything that \(from.rawValue) protects; weakening has to be asked for"
        case .invalidPattern(let pattern, let fault): "staging pattern \"\(shown(pattern))\": \(fault.message)"
        case .database(let code, let text): "the mapping database failed: \(text) (SQLite \(code))"
        case .databaseTooNew(let steps):
            "the mapping database was made by a newer version (it has \(steps.joined(separator: ", ")))"
        case .system(let reason): "the mapping database cannot be used: \(reason)"
        }
    }
}

extension NameFault {
    /// The rule that was broken, for a person.
    public var message: String {
        switch self {
        case .empty: "it is empty"
        case .containsSlash: "it contains a slash"
        case .startsWithDot: "it starts with a dot"
        case .invisibleCharacter: "it contains a control or format character"
        case .tooLong(let length): "it has \(length) bytes, more than 255"
        }
    }
}

extension Overlap {
    var phrase: String {
        switch self {
        case .same: "is the same directory as"
        case .inside: "lies inside"
        case .contains: "contains"
        }
    }
}

private func shown(_ text: String) -> String { displayed(Array(text.utf8)) }
