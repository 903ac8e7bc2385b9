internal import CLinux
internal import Glibc
public import SystemPackage

/// A file descriptor with one owner; it is closed when its owner goes away.
///
/// Any thread may use a borrowed descriptor; the kernel orders the calls. Giving it away is `consuming`.
public struct OwnedDescriptor: ~Copyable, Sendable {
    /// The number the kernel knows it by. Valid only while this value lives; do not store it.
    public let rawValue: CInt

    /// Takes over `rawValue`, which nobody else may close from now on.
    public init(owning rawValue: CInt) {
        self.rawValue = rawValue
    }

    /// Closes it and reports what the kernel says of delayed writes (`close(2)`: EIO, ENOSPC, EDQUOT).
    ///
    /// The descriptor is gone in either case; close is never retried (Linux releases it before it reports EINTR).
    public consuming func close() throws(Errno) {
        let number = rawValue
        discard self
        if Glibc.close(number) != 0 {
            let error = Errno(rawValue: errno)
            if error != .interrupted { throw error }
        }
    }

    /// Gives the number to an owner outside Swift, such as a child process or libfuse.
    public consuming func release() -> CInt {
        let number = rawValue
        discard self
        return number
    }

    /// A second descriptor of the same open file, close-on-exec.
    public borrowing func duplicate() throws(Errno) -> OwnedDescriptor {
        let number = rawValue
        return OwnedDescriptor(owning: try retryingOnInterrupt { fx_fcntl_int(number, F_DUPFD_CLOEXEC, 3) })
    }

    deinit { _ = Glibc.close(rawValue) }
}

/// Runs a system call that reports failure as -1 in errno, again while it says EINTR.
///
/// Not for `close`. errno is read at once, before ARC or anything else can run a call of its own.
@inline(__always)
func retryingOnInterrupt<Result: FixedWidthInteger>(_ call: () -> Result) throws(Errno) -> Result {
    while true {
        let result = call()
        if result != -1 { return result }
        let error = Errno(rawValue: errno)
        if error != .interrupted { throw error }
    }
}
