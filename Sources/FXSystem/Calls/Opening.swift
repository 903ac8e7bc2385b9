internal import CLinux
internal import Glibc
public import SystemPackage

/// How a file is opened: the flags of open(2).
public struct OpenFlags: OptionSet, Sendable, Hashable {
    public var rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }

    public static let readOnly: OpenFlags = []
    public static let writeOnly = OpenFlags(rawValue: O_WRONLY)
    public static let readWrite = OpenFlags(rawValue: O_RDWR)
    public static let create = OpenFlags(rawValue: O_CREAT)
    public static let exclusive = OpenFlags(rawValue: O_EXCL)
    public static let truncate = OpenFlags(rawValue: O_TRUNC)
    public static let append = OpenFlags(rawValue: O_APPEND)
    public static let nonBlocking = OpenFlags(rawValue: O_NONBLOCK)
    public static let dataSync = OpenFlags(rawValue: O_DSYNC)
    public static let noFollow = OpenFlags(rawValue: O_NOFOLLOW)
    public static let directory = OpenFlags(rawValue: O_DIRECTORY)
    public static let closeOnExec = OpenFlags(rawValue: O_CLOEXEC)
    public static let pathOnly = OpenFlags(rawValue: Int32(FX_O_PATH))
    public static let direct = OpenFlags(rawValue: Int32(FX_O_DIRECT))
    public static let temporary = OpenFlags(rawValue: Int32(bitPattern: UInt32(FX_O_TMPFILE)))

    /// True when data can be written through the descriptor (O_WRONLY or O_RDWR).
    public var writes: Bool { rawValue & O_ACCMODE != O_RDONLY }
    /// True when data can be read through the descriptor.
    public var reads: Bool { rawValue & O_ACCMODE != O_WRONLY }
    /// The same with the access mode replaced.
    public func withAccess(_ access: OpenFlags) -> OpenFlags {
        OpenFlags(rawValue: rawValue & ~O_ACCMODE | access.rawValue & O_ACCMODE)
    }
}

extension OwnedDescriptor {
    /// Opens an absolute path from configuration; the only way in by path (house style 26).
    public static func open(absolute path: String, _ flags: OpenFlags, mode: UInt32 = 0) throws(Errno)
        -> OwnedDescriptor
    {
        let bits = flags.union(.closeOnExec).rawValue
        return OwnedDescriptor(
            owning: try retryingOnInterrupt {
                unsafe path.withCString { unsafe fx_openat(Int32(FX_AT_FDCWD), $0, bits, mode) }
            })
    }

    /// Opens an absolute path that has no symbolic link in any of its components (`openat2(2)`, RESOLVE_NO_SYMLINKS).
    /// - Throws: ELOOP at a link, ENOSYS before Linux 5.6.
    public static func open(absoluteWithoutLinks path: String, _ flags: OpenFlags) throws(Errno) -> OwnedDescriptor {
        let bits = UInt64(flags.union(.closeOnExec).rawValue)
        let resolve = UInt64(FX_RESOLVE_NO_SYMLINKS | FX_RESOLVE_NO_MAGICLINKS)
        return OwnedDescriptor(
            owning: try retryingOnInterrupt {
                unsafe path.withCString { unsafe fx_openat2(Int32(FX_AT_FDCWD), $0, bits, 0, resolve) }
            })
    }

    /// Opens `name` in this directory without following a symbolic link (ELOOP if it is one, unless path-only).
    public borrowing func open(_ name: Name, _ flags: OpenFlags, mode: UInt32 = 0) throws(Errno) -> OwnedDescriptor {
        let directory = rawValue
        let bits = flags.union([.closeOnExec, .noFollow]).rawValue
        return OwnedDescriptor(
            owning: try retryingOnInterrupt {
                unsafe name.withCString { unsafe fx_openat(directory, $0, bits, mode) }
            })
    }

    /// Opens this directory again, for reading entries or syncing it; needs only a path-only descriptor.
    public borrowing func reopenDirectory() throws(Errno) -> OwnedDescriptor {
        let directory = rawValue
        let bits = OpenFlags([.directory, .closeOnExec]).rawValue
        return OwnedDescriptor(
            owning: try retryingOnInterrupt { unsafe fx_openat(directory, ".", bits, 0) })
    }

    /// Opens a path below this directory and nowhere else: no `..` out of it, no symbolic link, no magic link, no
    /// other mount (`openat2(2)`: RESOLVE_BENEATH, NO_SYMLINKS, NO_MAGICLINKS, NO_XDEV).
    /// - Throws: EXDEV when the path would leave, ELOOP at a symbolic link, ENOSYS before Linux 5.6.
    public borrowing func openBeneath(_ path: RelativePath, _ flags: OpenFlags) throws(Errno) -> OwnedDescriptor {
        let directory = rawValue
        let bits = UInt64(flags.union(.closeOnExec).rawValue)
        let resolve = UInt64(
            FX_RESOLVE_BENEATH | FX_RESOLVE_NO_SYMLINKS | FX_RESOLVE_NO_MAGICLINKS
                | FX_RESOLVE_NO_XDEV)
        let bytes = (path.isRoot ? [UInt8(ascii: ".")] : path.bytes) + [0]
        return OwnedDescriptor(
            owning: try retryingOnInterrupt {
                unsafe bytes.withUnsafeBytes { raw in
                    unsafe fx_openat2(
                        directory, raw.bindMemory(to: CChar.self).baseAddress, bits, 0, resolve)
                }
            })
    }

    /// An unnamed file in this directory (O_TMPFILE), to be linked when it is whole.
    /// - Throws: EOPNOTSUPP or EISDIR where the file system has none.
    public borrowing func openUnnamed(_ flags: OpenFlags, mode: UInt32) throws(Errno) -> OwnedDescriptor {
        let directory = rawValue
        let bits = flags.union([.temporary, .closeOnExec]).rawValue
        return OwnedDescriptor(
            owning: try retryingOnInterrupt { unsafe fx_openat(directory, ".", bits, mode) })
    }

    /// A second, independent open of the file this descriptor names, by way of `/proc/self/fd`.
    ///
    /// Follows the magic link only, so it opens the very same inode whatever its name is now.
    public borrowing func reopen(_ flags: OpenFlags) throws(Errno) -> OwnedDescriptor {
        let bits = flags.union(.closeOnExec).rawValue
        let path = procPath
        return OwnedDescriptor(
            owning: try retryingOnInterrupt {
                unsafe path.withCString { unsafe fx_openat(Int32(FX_AT_FDCWD), $0, bits, 0) }
            })
    }

    /// The magic link to the open file, for calls that know paths only.
    var procPath: String { "/proc/self/fd/\(rawValue)" }
}
