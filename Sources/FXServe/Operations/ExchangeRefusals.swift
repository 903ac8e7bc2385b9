internal import FXMapping
internal import FXSystem
internal import SystemPackage

/// The one table from what FXMapping throws to what is answered.
extension Refusal {
    init(_ error: ExchangeError) {
        self.init(Refusal.condition(of: error), Refusal.sentence(of: error))
        if error.isTemporary { retryAfter = 1 }
    }

    private static func condition(of error: ExchangeError) -> Condition {
        switch error {
        case .parameter: .parameter
        case .noSuchEntity: .entityMissing
        case .noSuchType, .unmapped: .typeMissing
        case .notFound, .directoryUnavailable(_, .noSuchFileOrDirectory), .directoryUnavailable(_, .notDirectory):
            .notFound
        case .wrongKind: .notFound
        case .alreadyExists: .alreadyExists
        case .directoryUnavailable, .accessDenied, .refused, .directoryTaken, .otherFileSystem: .notPermitted
        case .beingWritten: .notPermitted
        case .tooLarge: .payloadTooLarge
        case .prompt, .cancelled: .aborted
        case .tooManyTransfers: .tooManyRequests
        case .registry(let error): condition(of: error)
        case .system(_, .noSpace), .system(_, .quotaExceeded): .storageFull
        case .system(_, .fileNameTooLong), .system(_, .invalidArgument), .system(_, .illegalByteSequence): .parameter
        case .system(_, .fileTooLarge): .payloadTooLarge
        case .system(_, .noSuchFileOrDirectory): .notFound
        case .system(_, .permissionDenied), .system(_, .notPermitted), .system(_, .readOnlyFileSystem): .notPermitted
        case .system: .failed
        }
    }

    private static func condition(of error: MappingError) -> Condition {
        switch error {
        case .invalidName, .pathNotAbsolute, .pathLeadsUp, .pathUnusable, .invalidPattern: .parameter
        case .noSuchEntity: .entityMissing
        case .noSuchType: .typeMissing
        case .entityExists, .typeExists: .alreadyExists
        case .directoryNotReadable(_, .noSuchFileOrDirectory), .directoryNotReadable(_, .notDirectory): .notFound
        case .directoryNotReadable, .pathOverlapsReserved, .pathOverlapsType, .weakerPolicy: .notPermitted
        case .databaseTooNew, .database, .system: .failed
        }
    }

    /// The registry's own sentences name directories and databases of the whole user: those are kept back.
    private static func sentence(of error: ExchangeError) -> String {
        guard case .registry(let error) = error else { return error.message }
        switch error {
        case .pathOverlapsReserved, .pathOverlapsType: return "this directory cannot be mapped: it is in use"
        case .database, .databaseTooNew, .system: return "the mappings cannot be used at the moment"
        default: return error.message
        }
    }

    /// What else can come up in a handler.
    init(describing error: any Error) {
        switch error {
        case let refusal as Refusal: self = refusal
        case let error as ExchangeError: self.init(error)
        case let error as Errno where error == .noSpace || error == .quotaExceeded:
            self.init(.storageFull, "there is no space for the file")
        default: self.init(.failed, "something went wrong here")
        }
    }
}
