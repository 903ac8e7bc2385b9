internal import CLinux
internal import Glibc
internal import SystemPackage

/// What this process may do with a file, by its mode, its ACL and the mount it lies on.
public struct AllowedAccess: Sendable, Hashable {
    public var reads = false
    public var writes = false
    /// Executing a file, searching a directory.
    public var executes = false
}

extension OwnedDescriptor {
    /// What this process may do with the open file; works on path-only descriptors.
    public borrowing func access() -> AllowedAccess { unsafe allowed("", Int32(FX_AT_EMPTY_PATH)) }

    /// What this process may do with `name` in this directory; a symbolic link is not followed.
    public borrowing func access(to name: Name) -> AllowedAccess {
        unsafe name.withCString { unsafe allowed($0, Int32(FX_AT_SYMLINK_NOFOLLOW)) }
    }

    private borrowing func allowed(_ name: UnsafePointer<CChar>, _ flags: Int32) -> AllowedAccess {
        let number = rawValue
        let bits = flags | Int32(FX_AT_EACCESS)
        // faccessat2(2) of Linux 5.8; whatever it says but yes is a no.
        return unsafe AllowedAccess(
            reads: fx_faccessat2(number, name, R_OK, bits) == 0, writes: fx_faccessat2(number, name, W_OK, bits) == 0,
            executes: fx_faccessat2(number, name, X_OK, bits) == 0)
    }
}
