/// The exit codes of `fxmount`; part of the command-line contract (docs/cli.md). An unknown code is a failure.
enum ExitStatus: Int32, Sendable, CaseIterable {
    case success = 0
    case failure = 1
    case usage = 2
    /// The same call may succeed later.
    case temporary = 5
    /// The same call will never succeed.
    case refused = 7
    case configuration = 10
    /// Another process holds the state directory or the mount point.
    case locked = 11
    case credentials = 12
    /// The no-delete policy of a type says no.
    case policy = 13
    case verification = 24
    /// EX_TEMPFAIL of sysexits.h: files are left that a later mount will send.
    case workLeft = 75
    /// As timeout(1) has it.
    case timedOut = 124
    /// 128 + SIGINT, as a shell reports it.
    case interrupted = 130
    /// 128 + SIGTERM.
    case terminated = 143

    /// The `code` of the JSON error object; stable.
    var code: String {
        switch self {
        case .success: "ok"
        case .failure: "failed"
        case .usage: "usage"
        case .temporary: "temporary"
        case .refused: "refused"
        case .configuration: "configuration"
        case .locked: "locked"
        case .credentials: "credentials"
        case .policy: "policy"
        case .verification: "verification"
        case .workLeft: "work_left"
        case .timedOut: "timed_out"
        case .interrupted: "interrupted"
        case .terminated: "terminated"
        }
    }

    /// The nearest status for what a system call answered.
    init(errno: Int32) {
        switch errno {
        case 1: self = .policy  // EPERM: a rule of ours says no.
        case 11, 16, 28, 101, 104, 110, 111, 113, 122: self = .temporary  // EAGAIN EBUSY ENOSPC, the network, EDQUOT
        case 22, 27, 30, 36, 84, 95: self = .refused  // EINVAL EFBIG EROFS ENAMETOOLONG EILSEQ EOPNOTSUPP
        default: self = .failure
        }
    }
}
