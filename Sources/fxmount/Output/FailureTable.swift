internal import FXFuse
internal import FXMapping
internal import FXRemote
internal import FXSystem
internal import SystemPackage

/// The one table from errors to what a user is told and to exit codes.
extension CommandFailure {
    init(describing error: any Error) {
        switch error {
        case let failure as CommandFailure: self = failure
        case let error as MappingError: self.init(error)
        case let error as ExchangeError: self.init(error)
        case let error as RemoteError: self.init(error)
        case let error as MountError: self.init(error)
        case let errno as Errno: self.init(ExitStatus(errno: errno.rawValue), errno.sentence, errno: errno)
        default: self.init(.failure, "\(error)")
        }
    }

    private init(_ error: MountError) {
        switch error {
        case .options:
            self.init(
                .usage, "the kernel or libfuse refused a mount option",
                hint: "libfuse said which on stderr or in the log")
        case .mount:
            self.init(
                .failure, "the mount failed; libfuse said why on stderr or in the log",
                hint: "`fxmount doctor` checks /dev/fuse and fusermount3", errno: .permissionDenied)
        case .resources(let number):
            self.init(
                .temporary, "threads or memory are short: \(Errno(rawValue: number).sentence)",
                errno: Errno(rawValue: number))
        case .busy:
            self.init(
                .temporary, "the mount is in use", hint: "close what is open in it, or use --lazy", errno: .resourceBusy
            )
        case .unmount(let number):
            self.init(.failure, "cannot unmount: \(Errno(rawValue: number).sentence)", errno: Errno(rawValue: number))
        }
    }

    private init(_ error: RemoteError) {
        let status: ExitStatus =
            switch error {
            case .credentials, .noSecret, .forbidden, .accountNeeds, .sessionTypeNotLinked, .sessionTypeUnknown,
                .clockWrong, .securityRefused:
                .credentials
            case .untrustedServer, .wrongExtension, .notUnderstood: .configuration
            case .protected: .policy
            case .verificationMismatch: .verification
            case .incomplete: .workLeft
            case .journal(.newer), .notSupported, .sessionClosed, .reservedName, .unrepresentableName, .tooLarge,
                .changed, .expired, .deniedEnding, .nameTooLong, .refusedContent, .notPublished:
                .refused
            default: error.isTemporary ? .temporary : .failure
            }
        self.init(status, error.message, errno: error.errno)
    }

    private init(_ error: ExchangeError) {
        if case .registry(let error) = error {
            self.init(error)
            return
        }
        let (status, hint): (ExitStatus, String?) =
            switch error {
            case .parameter: (.usage, nil)
            case .noSuchEntity, .noSuchType: (.failure, "`fxmount type list` shows what there is")
            case .unmapped: (.failure, "`fxmount type update` maps it to a directory")
            case .directoryUnavailable: (.failure, "when it is back the type works again")
            case .notFound, .alreadyExists, .wrongKind, .accessDenied, .cancelled, .registry: (.failure, nil)
            case .refused: (.policy, nil)
            case .beingWritten, .tooManyTransfers: (.temporary, "try again in a moment")
            case .otherFileSystem, .tooLarge: (.refused, nil)
            case .directoryTaken: (.refused, "choose a directory outside of it")
            case .prompt(.cancelled): (.failure, nil)
            case .prompt(.timedOut): (.timedOut, nil)
            case .prompt(.nobodyToAsk): (.usage, "name it: --path DIR --no-prompt (an existing directory you can read)")
            case .system(_, let reason): (ExitStatus(errno: reason.rawValue), nil)
            }
        self.init(status, error.message, hint: hint, errno: error.errno)
    }

    private init(_ error: MappingError) {
        let (status, hint): (ExitStatus, String?) =
            switch error {
            case .invalidName, .pathNotAbsolute, .pathLeadsUp, .pathUnusable: (.usage, nil)
            case .noSuchEntity, .noSuchType: (.failure, "`fxmount type list` shows what there is")
            case .entityExists: (.failure, nil)
            case .typeExists: (.failure, "`fxmount type update` maps it to another directory")
            case .directoryNotReadable: (.failure, "map a directory that exists and that you can read")
            case .pathOverlapsReserved, .pathOverlapsType: (.refused, "choose a directory outside of it")
            case .weakerPolicy: (.policy, "--weaken allows it")
            case .invalidPattern: (.configuration, "correct staging_patterns in the configuration")
            // SQLITE_BUSY and SQLITE_LOCKED.
            case .database(let code, _):
                ([5, 6].contains(code & 0xff) ? .temporary : .failure, "`fxmount doctor` checks it")
            case .databaseTooNew: (.refused, "update this program")
            case .system: (.failure, nil)
            }
        self.init(status, error.message, hint: hint, errno: error.errno)
    }
}
