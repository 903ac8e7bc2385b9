internal import CLinux

/// What `statx(2)` says of a file.
public struct FileStatus: Sendable, Equatable {
    public var device: UInt64
    public var inode: UInt64
    /// Type and permission bits, as `st_mode`.
    public var mode: UInt32
    public var linkCount: UInt32
    public var owner: UInt32
    public var group: UInt32
    /// Device number of a device node: major << 32 | minor.
    public var specialDevice: UInt64
    public var size: ByteCount
    /// In units of 512 bytes, as `st_blocks`.
    public var blocks: UInt64
    public var blockSize: UInt32
    public var accessed: Timestamp
    public var modified: Timestamp
    public var changed: Timestamp
    /// Creation time, where the file system keeps one.
    public var born: Timestamp?
    /// The mount the file was found on (STATX_MNT_ID, Linux 5.8); tells a bind mount from its surroundings.
    public var mountID: UInt64

    init(_ raw: fx_statx) {
        device = UInt64(raw.dev_major) << 32 | UInt64(raw.dev_minor)
        inode = raw.ino
        mode = UInt32(raw.mode)
        linkCount = raw.nlink
        owner = raw.uid
        group = raw.gid
        specialDevice = UInt64(raw.rdev_major) << 32 | UInt64(raw.rdev_minor)
        size = ByteCount(raw.size)
        blocks = raw.blocks
        blockSize = raw.blksize
        accessed = Timestamp(raw.atime)
        modified = Timestamp(raw.mtime)
        changed = Timestamp(raw.ctime)
        born = raw.mask & UInt32(FX_STATX_BTIME) != 0 ? Timestamp(raw.btime) : nil
        mountID = raw.mnt_id
    }

    public var type: FileType { FileType(mode: mode) }
    public var permissions: UInt32 { mode & 0o7777 }
    public var isDirectory: Bool { type == .directory }
    public var isRegular: Bool { type == .regular }
    /// What makes two names the same file.
    public var identity: FileIdentity { FileIdentity(device: device, inode: inode) }
}

/// Device and inode number: the same for all names of one file, on this machine, while the file exists.
public struct FileIdentity: Hashable, Sendable {
    public var device: UInt64
    public var inode: UInt64

    public init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}

/// The file type bits of `st_mode`.
public enum FileType: UInt32, Sendable {
    case fifo = 0o010000
    case characterDevice = 0o020000
    case directory = 0o040000
    case blockDevice = 0o060000
    case regular = 0o100000
    case symbolicLink = 0o120000
    case socket = 0o140000

    /// An unknown type counts as a socket: it is listed and cannot be opened.
    public init(mode: UInt32) {
        self = FileType(rawValue: mode & 0o170000) ?? .socket
    }
}

/// Seconds and nanoseconds since 1970 UTC.
public struct Timestamp: Hashable, Sendable, Comparable {
    public var seconds: Int64
    public var nanoseconds: UInt32

    public init(seconds: Int64, nanoseconds: UInt32 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    init(_ raw: fx_statx_timestamp) {
        seconds = raw.tv_sec
        nanoseconds = raw.tv_nsec
    }

    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }
}

extension FileStatus {
    /// The status of something that is not a file on a disk: owned by this process, one block size, times as given.
    public static func virtual(
        type: FileType, permissions: UInt32, inode: UInt64, size: ByteCount = .zero, owner: UInt32 = 0,
        group: UInt32 = 0,
        time: Timestamp = Timestamp(seconds: 0)
    ) -> FileStatus {
        var raw = fx_statx()
        raw.mode = UInt16(truncatingIfNeeded: type.rawValue | permissions)
        raw.ino = inode
        raw.size = size.rawValue
        raw.blocks = (size.rawValue + 511) / 512
        raw.blksize = 4096
        raw.nlink = type == .directory ? 2 : 1
        raw.uid = owner
        raw.gid = group
        var status = FileStatus(raw)
        status.accessed = time
        status.modified = time
        status.changed = time
        return status
    }
}
