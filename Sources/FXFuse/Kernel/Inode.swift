/// The number by which the kernel knows one of our nodes; never used again for another node while the mount lives.
struct Inode: Hashable, Sendable {
    var rawValue: UInt64

    /// FUSE_ROOT_ID.
    static let root = Inode(rawValue: 1)
}

/// What makes two nodes the same.
enum NodeKey: Hashable, Sendable {
    case root, types, sessions, control
    case entity(Int64)
    case type(Int64)
    case mapped(type: Int64, device: UInt64, inode: UInt64)
    case remote(index: Int)
    case entry(remote: Int, id: UInt64)
    case controlFile(Int)
    case controlSessions
    case controlEntry(remote: Int, id: UInt64)
    case controlDocument(remote: Int, id: UInt64, document: UInt64)
}
