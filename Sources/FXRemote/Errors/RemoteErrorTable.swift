internal import FXSystem
public import SystemPackage

/// The one table from facts to errno, sentence and retry. `docs/ERRORS.md` shows the same rows.
extension RemoteError {
    /// What the kernel is told.
    public var errno: Errno { row.errno }
    /// For a person: what happened and what to do.
    public var message: String { row.message }
    /// True when the same call may succeed later with nothing changed.
    public var isTemporary: Bool { row.isTemporary }
    /// What a service asked to wait before the next attempt.
    public var retryAfter: Duration? {
        switch self {
        case .unavailable(let duration): duration
        case .processing(let duration): duration
        default: nil
        }
    }

    private struct Row {
        var errno: Errno
        var message: String
        var isTemporary = false
    }

    private var row: Row {
        switch self {
        case .local(let errno, let step): RemoteError.row(of: errno, during: step)
        case .noSuchEntry: Row(errno: .noSuchFileOrDirectory, message: "there is no such file")
        case .noAttribute: Row(errno: .noData, message: "there is no such attribute")
        case .exists: Row(errno: .fileExists, message: "the name exists")
        case .nameTaken:
            Row(
                errno: .fileExists,
                message: "another writer of this session has the name; write under another one")
        case .notDirectory: Row(errno: .notDirectory, message: "this is not a directory")
        case .isDirectory: Row(errno: .isDirectory, message: "this is a directory")
        case .directoryNotEmpty: Row(errno: .directoryNotEmpty, message: "the directory is not empty")
        case .needsSession:
            Row(errno: .notPermitted, message: "files belong into a session: make one with mkdir and write into it")
        case .needsFlatNames:
            Row(errno: .notPermitted, message: "the remote has no directories in a session; put files directly into it")
        case .madeByService:
            Row(
                errno: .notPermitted,
                message: "only the service can make directories here; make it there, or use one it has")
        case .protected:
            Row(errno: .notPermitted, message: "nothing that was sealed can be removed; only a draft of your own can")
        case .notSupported: Row(errno: .notPermitted, message: "the remote cannot do this")
        // EOPNOTSUPP and not EPERM: no right would help.
        case .notServed:
            Row(
                errno: .notSupportedOnSocket,
                message: "the service does not serve what was uploaded; read it where it keeps it")
        case .sessionClosed(let state):
            Row(errno: .readOnlyFileSystem, message: "the session is \(state.rawValue); write into a new one")
        case .draining:
            Row(errno: .readOnlyFileSystem, message: "fxmount is being unmounted; write after the next mount")
        case .reservedName:
            Row(errno: .invalidArgument, message: "the remote needs this name for itself; choose another")
        // EILSEQ and not EINVAL: the name is fine here, only the service cannot carry it.
        case .unrepresentableName:
            Row(errno: .illegalByteSequence, message: "the remote cannot carry this name; choose another")
        // mv(1) then copies, which is the right thing to do.
        case .acrossSessions: Row(errno: .improperLink, message: "a rename cannot leave its session; copy instead")
        case .busy:
            Row(
                errno: .resourceBusy, message: "the file is being sent; try again when it is committed",
                isTemporary: true)
        case .deniedEnding(let ending):
            Row(
                errno: .invalidArgument,
                message: ending.isEmpty
                    ? "the remote takes no files without an ending, such as .pdf; choose another name"
                    : "the remote takes no files that end in .\(ending); choose another name, or pack it")
        case .nameTooLong(let limit):
            Row(errno: .fileNameTooLong, message: "the remote takes names of up to \(limit) characters")
        case .tooLarge(let limit?): Row(errno: .fileTooLarge, message: "the remote takes files up to \(limit)")
        case .tooLarge(nil): Row(errno: .fileTooLarge, message: "the remote says that the file is too large for it")
        case .quotaExceeded: Row(errno: .diskQuotaExceeded, message: "the quota at the remote is used up")
        case .serviceFull: Row(errno: .noSpace, message: "the remote has no room left", isTemporary: true)
        case .incomplete(let paths): Row(errno: .resourceBusy, message: RemoteError.sentence(incomplete: paths))
        case .invalidArgument: Row(errno: .invalidArgument, message: "this value makes no sense here")
        case .credentials:
            Row(errno: .permissionDenied, message: "the remote refused the credentials; check the configuration")
        case .noSecret(let reason): Row(errno: .permissionDenied, message: reason)
        case .forbidden: Row(errno: .permissionDenied, message: "the remote does not allow it for this account")
        case .belongsToAnother:
            Row(errno: .permissionDenied, message: "the session belongs to another user of the service")
        // EINVAL and not EIO: the service understood who asked, and not what.
        case .parameterRefused(let saying):
            Row(
                errno: .invalidArgument,
                message: "the remote takes a value of the request for invalid" + (saying.isEmpty ? "" : ": \(saying)"))
        case .fieldsDropped:
            Row(
                errno: .protocolError,
                message:
                    "header fields with underscores do not reach the service; let the proxy before it pass them (nginx: underscores_in_headers on)"
            )
        case .notReadableYet:
            Row(
                errno: .resourceBusy, message: "the service gives files out when their session is complete",
                isTemporary: true)
        case .beingProcessed(let word):
            Row(
                errno: .resourceBusy, message: "the service is not through with the file (\(word)); read it later",
                isTemporary: true)
        case .withheld(let words):
            Row(errno: .permissionDenied, message: "the service withholds the file (\(words))")
        case .processingFailed(let words):
            Row(errno: .ioError, message: "the service could not process the file (\(words))")
        case .untrustedServer(let reason):
            Row(
                errno: .permissionDenied,
                message:
                    "the server's certificate is not trusted (\(reason)); set ca_file to the authority that made it")
        case .accountNeeds(let step): Row(errno: .permissionDenied, message: RemoteError.sentence(of: step))
        case .clockWrong(let seconds):
            Row(errno: .permissionDenied, message: RemoteError.sentence(ofClock: seconds))
        case .securityRefused:
            Row(
                errno: .permissionDenied,
                message: "the remote did not accept the request's security header; check the clock of this machine, "
                    + "then the credentials")
        case .wrongExtension(let id, let saying):
            Row(
                errno: .permissionDenied,
                message: "the service takes no file for extension \(id); set extension_id to one that takes streamed "
                    + "files (5009 is File) and check site_id" + RemoteError.quoted(saying))
        case .notUnderstood(let saying):
            Row(
                errno: .protocolError,
                message: "what is at this address does not know the request; check the url" + RemoteError.quoted(saying)
            )
        case .refusedContent(let saying):
            Row(errno: .invalidArgument, message: "the service refused the file" + RemoteError.quoted(saying))
        case .notPublished(let saying):
            Row(
                errno: .invalidArgument,
                message: "the service has the file and did not publish it; check publish, then retry"
                    + RemoteError.quoted(saying))
        case .processing:
            Row(
                errno: .resourceTemporarilyUnavailable,
                message: "the service has the file and is still working on it", isTemporary: true)
        case .sessionTypeNotLinked(let type):
            Row(
                errno: .permissionDenied,
                message:
                    "the session type \"\(type)\" is not linked to the file service; an administrator has to link it")
        case .sessionTypeUnknown(let type):
            Row(
                errno: .permissionDenied,
                message: "the service shows this account no session type \"\(type)\"; check session_type")
        case .rejected(let status, let saying):
            Row(
                errno: .ioError,
                message: "the remote refused the request with status \(status)" + (saying.isEmpty ? "" : ": \(saying)"))
        case .unreachable: Row(errno: .networkUnreachable, message: "the remote cannot be reached", isTemporary: true)
        case .timedOut: Row(errno: .timedOut, message: "the remote did not answer in time", isTemporary: true)
        case .unavailable: Row(errno: .resourceTemporarilyUnavailable, message: "the remote is busy", isTemporary: true)
        case .protocolViolation: Row(errno: .protocolError, message: "the remote gave an answer that makes no sense")
        // The machine has sent it from the start a second time before this is said.
        case .verificationMismatch:
            Row(errno: .ioError, message: "the remote does not hold what was sent, not even the second time")
        case .partsLost:
            Row(
                errno: .ioError,
                message:
                    "the remote lost parts of the file that were no longer kept here (spool.keep = none); write it again"
            )
        // ENOSPC: with a larger disk it would work.
        case .passedOn:
            Row(
                errno: .noSpace,
                message:
                    "the disk was too small to keep the beginning of the file, which is at the remote: it can only grow; free some space and write it again"
            )
        case .changed: Row(errno: .staleNFSFileHandle, message: "the file changed on the remote; open it again")
        case .expired: Row(errno: .staleNFSFileHandle, message: "the remote no longer keeps this file")
        case .journal(.newer):
            Row(errno: .ioError, message: "the journal was written by a newer fxmount; use that version")
        case .journal(.otherLog):
            Row(
                errno: .ioError,
                message:
                    "journal.ahead does not belong to journal.sqlite; put both back from the same moment, or move journal.ahead away: what was sealed last is only there"
            )
        case .journal(let failure): Row(errno: .ioError, message: "the journal failed (\(failure)); see fxmount doctor")
        case .interrupted: Row(errno: .interrupted, message: "interrupted", isTemporary: true)
        }
    }

    private static func row(of errno: Errno, during step: LocalStep) -> Row {
        switch errno {
        case .noSpace:
            // A full disk can be emptied; what is sealed waits for that.
            Row(errno: errno, message: "the disk of the \(step.rawValue) is full; free some space", isTemporary: true)
        case .diskQuotaExceeded:
            Row(errno: errno, message: "the disk quota for the \(step.rawValue) is used up", isTemporary: true)
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory, .resourceTemporarilyUnavailable:
            Row(errno: errno, message: "the system is short of resources (\(errno.symbol))", isTemporary: true)
        default:
            Row(errno: errno, message: "the \(step.rawValue) failed with \(errno.symbol)")
        }
    }

    private static func quoted(_ words: String) -> String { words.isEmpty ? "" : ": \(words)" }

    private static func sentence(ofClock seconds: Int64) -> String {
        let amount = abs(seconds)
        let span = amount < 120 ? "\(amount) s" : amount < 7200 ? "\(amount / 60) min" : "\(amount / 3600) h"
        return "this machine's clock is \(span) \(seconds > 0 ? "behind" : "ahead of") the service's, which refuses "
            + "requests for that; set the clock"
    }

    private static func sentence(of step: AccountStep) -> String {
        switch step {
        case .secondFactor: "the account needs a second factor, which a mount cannot give; use an account without one"
        case .secondFactorSetup: "the account has to set up its second factor first; log in with a browser once"
        case .passwordChange: "the account has to change its password first; log in with a browser once"
        case .newerClient: "the service wants a newer client; update fxmount"
        case .apiKey: "the account needs a second factor, which a mount cannot give; set token_file to an API key"
        case .uploaderGroup:
            "the account has to be in exactly one group that may upload; an administrator has to see to that"
        case .lockedOut: "the account is locked after wrong passwords; wait two minutes, correct the password, retry"
        }
    }

    private static func sentence(incomplete paths: [RelativePath]) -> String {
        // Enough for a person; the whole list is in transfers.jsonl.
        let shown = paths.prefix(5).map(\.description).joined(separator: ", ")
        let more = paths.count > 5 ? " and \(paths.count - 5) more" : ""
        return "the session has files that are drafts or failed: \(shown)\(more); close, retry or export them first"
    }
}
