internal import CLinux
internal import Glibc
public import SystemPackage

extension OwnedDescriptor {
    /// What the kernel knows of the open file; works on path-only descriptors.
    public borrowing func status() throws(Errno) -> FileStatus {
        let number = rawValue
        var raw = fx_statx()
        _ = try retryingOnInterrupt {
            unsafe fx_statx(
                number, "", Int32(FX_AT_EMPTY_PATH), UInt32(FX_STATX_BASIC_BTIME_MNT), &raw)
        }
        return FileStatus(raw)
    }

    /// What `name` in this directory is, without following a symbolic link.
    public borrowing func status(of name: Name) throws(Errno) -> FileStatus {
        let number = rawValue
        var raw = fx_statx()
        _ = try retryingOnInterrupt {
            unsafe name.withCString {
                unsafe fx_statx(
                    number, $0, Int32(FX_AT_SYMLINK_NOFOLLOW), UInt32(FX_STATX_BASIC_BTIME_MNT), &raw)
            }
        }
        return FileStatus(raw)
    }

    /// The target of a symbolic link in this directory, as bytes.
    public borrowing func target(of name: Name) throws(Errno) -> [UInt8] {
        let number = rawValue
        // PATH_MAX: no link target is longer (symlink(7)).
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = try retryingOnInterrupt {
            unsafe name.withCString { cName in
                unsafe buffer.withUnsafeMutableBytes {
                    unsafe readlinkat(
                        number, cName, $0.bindMemory(to: CChar.self).baseAddress.unsafelyUnwrapped, $0.count)
                }
            }
        }
        buffer.removeLast(buffer.count - count)
        return buffer
    }

    /// Size and free space of the file system that holds the open file.
    public borrowing func space() throws(Errno) -> FileSystemSpace {
        let number = rawValue
        var raw = statfs()
        _ = try retryingOnInterrupt { unsafe fstatfs(number, &raw) }
        return FileSystemSpace(
            blockSize: UInt64(raw.f_bsize), fragmentSize: UInt64(raw.f_frsize == 0 ? raw.f_bsize : raw.f_frsize),
            blocks: UInt64(raw.f_blocks), freeBlocks: UInt64(raw.f_bfree), availableBlocks: UInt64(raw.f_bavail),
            files: UInt64(raw.f_files), freeFiles: UInt64(raw.f_ffree),
            id: UInt64(UInt32(bitPattern: raw.f_fsid.__val.0)) << 32 | UInt64(UInt32(bitPattern: raw.f_fsid.__val.1)),
            kind: UInt64(bitPattern: Int64(raw.f_type)))
    }
}

/// What `statfs(2)` says of a file system.
public struct FileSystemSpace: Sendable, Equatable {
    /// In bytes.
    public var blockSize: UInt64
    /// In bytes; the unit of the block counts.
    public var fragmentSize: UInt64
    public var blocks: UInt64
    public var freeBlocks: UInt64
    /// Free for ordinary users.
    public var availableBlocks: UInt64
    public var files: UInt64
    public var freeFiles: UInt64
    /// `f_fsid`: the same at every mount of the same file system, on those that have a UUID.
    public var id: UInt64
    /// `f_type`: the magic number of the kind of file system (statfs(2)).
    public var kind: UInt64

    public init(
        blockSize: UInt64, fragmentSize: UInt64, blocks: UInt64, freeBlocks: UInt64, availableBlocks: UInt64,
        files: UInt64, freeFiles: UInt64, id: UInt64, kind: UInt64
    ) {
        self.blockSize = blockSize
        self.fragmentSize = fragmentSize
        self.blocks = blocks
        self.freeBlocks = freeBlocks
        self.availableBlocks = availableBlocks
        self.files = files
        self.freeFiles = freeFiles
        self.id = id
        self.kind = kind
    }

    /// What an ordinary user can still write.
    public var available: ByteCount { ByteCount(availableBlocks &* fragmentSize) }
}
