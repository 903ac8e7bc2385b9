public import FXSystem

/// One kept state of one path.
public struct Version: Sendable, Hashable {
    /// Of the file it is a version of, below the mapped root.
    public let path: RelativePath
    public let stamp: VersionStamp
    /// In bytes.
    public let size: ByteCount
    /// Type and permission bits, as the file had them.
    public let mode: UInt32
    public let owner: UInt32
    public let group: UInt32
    /// As the file had it.
    public let modified: Timestamp

    /// What tells the versions of one path apart, for people and scripts.
    public var id: String { stamp.text }

    init(path: RelativePath, stamp: VersionStamp, status: FileStatus) {
        self.path = path
        self.stamp = stamp
        size = status.size
        mode = status.mode
        owner = status.owner
        group = status.group
        modified = status.modified
    }
}
