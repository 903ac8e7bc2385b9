internal import CLinux
internal import Glibc

extension OwnedDescriptor {
    /// True when another open file description of this file can write to it, a shared mapping included.
    ///
    /// By asking for a read lease, which the kernel refuses with EAGAIN then, and giving it back at once (fcntl(2),
    /// F_SETLEASE). False where leases are not supported, or for a file of another user without CAP_LEASE. Open for reading.
    public var isOpenForWritingElsewhere: Bool {
        switch tryReadLease() {
        case .granted, .unsupported: false
        case .refused: true
        }
    }

    /// What the kernel says of a read lease; a granted one has been given back.
    public enum ReadLease: Sendable {
        case granted, refused, unsupported
    }

    /// Asks for a read lease and gives it back. SIGIO must be ignored: breaking a lease sends it.
    public borrowing func tryReadLease() -> ReadLease {
        // F_SETLEASE = 1024 (F_LINUX_SPECIFIC_BASE).
        if fx_fcntl_int(rawValue, 1024, Int32(F_RDLCK)) == 0 {
            _ = fx_fcntl_int(rawValue, 1024, Int32(F_UNLCK))
            return .granted
        }
        return errno == EAGAIN ? .refused : .unsupported
    }
}
