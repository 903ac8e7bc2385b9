internal import Glibc
public import SystemPackage

extension Errno {
    /// The symbol a manual page uses: `ENOSPC`. A number without one appears as `E123`.
    public var symbol: String { symbols[rawValue] ?? "E\(rawValue)" }

    /// The operation is refused by a rule of ours or the kernel's: EXDEV in the words of rename(2) and link(2).
    public static var crossDevice: Errno { .improperLink }

    /// The quota of the user or of the service is used up.
    public static var quotaExceeded: Errno { Errno(rawValue: 122) }

    /// There is no such extended attribute.
    public static var noAttribute: Errno { Errno(rawValue: 61) }
}

// Outside the extension: there the C constants are hidden by members of the same name.
private let symbols: [Int32: String] = [
    EPERM: "EPERM", ENOENT: "ENOENT", EINTR: "EINTR", EIO: "EIO", ENXIO: "ENXIO", E2BIG: "E2BIG", EBADF: "EBADF",
    EAGAIN: "EAGAIN", ENOMEM: "ENOMEM", EACCES: "EACCES", EBUSY: "EBUSY", EEXIST: "EEXIST", EXDEV: "EXDEV",
    ENODEV: "ENODEV", ENOTDIR: "ENOTDIR", EISDIR: "EISDIR", EINVAL: "EINVAL", ENFILE: "ENFILE", EMFILE: "EMFILE",
    ENOTTY: "ENOTTY", ETXTBSY: "ETXTBSY", EFBIG: "EFBIG", ENOSPC: "ENOSPC", ESPIPE: "ESPIPE", EROFS: "EROFS",
    EMLINK: "EMLINK", EPIPE: "EPIPE", ERANGE: "ERANGE", ENAMETOOLONG: "ENAMETOOLONG", ENOSYS: "ENOSYS",
    ENOTEMPTY: "ENOTEMPTY", ELOOP: "ELOOP", ENODATA: "ENODATA", EPROTO: "EPROTO", EILSEQ: "EILSEQ",
    EOPNOTSUPP: "EOPNOTSUPP", ETIMEDOUT: "ETIMEDOUT", ENETUNREACH: "ENETUNREACH", ECONNREFUSED: "ECONNREFUSED",
    ECONNRESET: "ECONNRESET", EHOSTUNREACH: "EHOSTUNREACH", ESTALE: "ESTALE", EDQUOT: "EDQUOT",
    ENOTCONN: "ENOTCONN", ECANCELED: "ECANCELED", EOVERFLOW: "EOVERFLOW", EDEADLK: "EDEADLK", ENOLCK: "ENOLCK",
]
