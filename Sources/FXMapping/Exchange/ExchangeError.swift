public import FXSystem
public import SystemPackage

/// Why an operation of the File Exchange API was not carried out. Nothing has changed then, where a case does not say otherwise.
///
/// Paths in it are `entity/type/relPath/name`. No case tells anything of another application.
public enum ExchangeError: Error, Sendable, Equatable {
    /// A parameter is missing or cannot be what it says.
    case parameter(ExchangeParameter, ParameterFault)
    /// There is no such entity in this application; only where no type was named.
    case noSuchEntity(EntityName)
    /// There is no such type in this application, its entity included.
    case noSuchType(TypeAddress)
    /// The type exists and has no directory.
    case unmapped(TypeAddress)
    /// The mapped directory is gone or cannot be entered; carries the kernel's reason.
    case directoryUnavailable(TypeAddress, Errno)
    /// There is no such file or directory, or something above it is a file.
    case notFound(String)
    /// The name is taken.
    case alreadyExists(String)
    /// It is a directory, a link or a device where a file was wanted, or a file where a directory was.
    case wrongKind(String, Errno)
    /// Rights are missing (EACCES), or the path leads through a symbolic link (ELOOP) or onto another file system mounted
    /// there (EXDEV): such paths lead out of the type.
    case accessDenied(String, Errno)
    /// The no-delete policy of the type says no: EPERM, or EROFS for `read-only`.
    case refused(String, Policy, Errno)
    /// Somebody, here or in a mount, has the file open for writing: it is a draft, and the same call may succeed later.
    case beingWritten(String)
    /// A file can be moved within one file system only; it can be copied.
    case otherFileSystem(String)
    /// More bytes than the limit that was given.
    case tooLarge(limit: ByteCount)
    /// The user was asked, or should have been.
    case prompt(PromptFailure)
    /// The directory overlaps with one of another application's types under another policy.
    case directoryTaken(String)
    /// The registry refused: overlaps with own types and reserved directories, a path that is no path, its database.
    case registry(MappingError)
    /// So many transfers are under way already.
    case tooManyTransfers(limit: Int)
    /// The transfer was cancelled, or its source ended early.
    case cancelled(String)
    /// What a system call said: ENOSPC, EIO, EDQUOT and others.
    case system(String, Errno)

    /// The nearest errno.
    public var errno: Errno {
        switch self {
        case .parameter(_, .tooLong): .fileNameTooLong
        case .parameter: .invalidArgument
        case .noSuchEntity, .noSuchType, .notFound: .noSuchFileOrDirectory
        case .unmapped: .noSuchAddressOrDevice
        case .directoryUnavailable(_, let reason), .wrongKind(_, let reason), .accessDenied(_, let reason),
            .refused(_, _, let reason), .system(_, let reason):
            reason
        case .alreadyExists: .fileExists
        case .beingWritten: .resourceBusy
        case .otherFileSystem: .crossDevice
        case .tooLarge: .fileTooLarge
        case .prompt(let failure): failure.errno
        case .directoryTaken: .notPermitted
        case .registry(let error): error.errno
        case .tooManyTransfers: .resourceTemporarilyUnavailable
        case .cancelled: .canceled
        }
    }

    /// True when the same call may succeed later without anybody doing anything.
    public var isTemporary: Bool {
        switch self {
        case .beingWritten, .tooManyTransfers: true
        default:
            [.noSpace, .quotaExceeded, .resourceBusy, .resourceTemporarilyUnavailable, .staleNFSFileHandle].contains(
                errno)
        }
    }

    /// What happened, in one sentence for a person, without a full stop.
    public var message: String {
        switch self {
        case .parameter(let parameter, let fault): "\(parameter.rawValue) \(fault.phrase)"
        case .noSuchEntity(let entity): "there is no entity \(entity)"
        case .noSuchType(let type): "there is no type \(type)"
        case .unmapped(let type): "\(type) is not mapped to a directory"
        case .directoryUnavailable(let type, let reason): "the directory of \(type) cannot be entered: \(reason)"
        case .notFound(let path): "there is no \(path)"
        case .alreadyExists(let path): "there is a \(path) already"
        case .wrongKind(let path, .isDirectory): "\(path) is a directory"
        case .wrongKind(let path, .notDirectory): "\(path) is not a directory"
        case .wrongKind(let path, _): "\(path) is not a file with contents"
        case .accessDenied(let path, .tooManySymbolicLinkLevels): "\(path) leads through a symbolic link"
        case .accessDenied(let path, .crossDevice): "\(path) leads onto another file system"
        case .accessDenied(let path, let reason): "\(path): \(reason)"
        case .refused(let path, let policy, _): "\(path): the policy \(policy.rawValue) does not allow it"
        case .beingWritten(let path): "\(path) is being written by somebody"
        case .otherFileSystem(let path): "\(path) lies on another file system; copy it instead"
        case .tooLarge(let limit): "more than \(limit)"
        case .prompt(let failure): failure.message
        case .directoryTaken(let path): "\(displayed(path.utf8)) cannot be mapped: it is in use under another policy"
        case .registry(let error): error.message
        case .tooManyTransfers(let limit): "\(limit) transfers are under way already"
        case .cancelled(let path): "the transfer of \(path) was cut short"
        case .system(let path, let reason): "\(path): \(reason)"
        }
    }
}

extension ParameterFault {
    /// What is wrong, to follow the name of the parameter.
    var phrase: String {
        switch self {
        case .missing: "is missing"
        case .empty: "is empty"
        case .dots: "is or begins with dots"
        case .separator: "contains a separator of paths"
        case .nul: "contains NUL"
        case .driveLetter: "begins with a drive letter"
        case .reserved: "is a name kept for versions"
        case .invisibleCharacter: "contains a control or format character"
        case .tooLong(let length): "has \(length) bytes, which is too long"
        case .outOfRange: "is out of range"
        case .unknownValue: "has a value it cannot have"
        case .intoItself: "lies in the directory that is moved or copied"
        }
    }
}
