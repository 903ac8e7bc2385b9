internal import FXSystem
internal import SystemPackage

/// Something the kernel can have an inode of. What a kind of node does not support is refused by default.
///
/// Any libfuse worker calls any method at any time. A method may block on a local disk, and on a network only when
/// `lane(for:)` names where else to call it.
protocol Node: AnyObject, Sendable {
    var key: NodeKey { get }

    /// The status to show; `inode` in it is the number users see.
    func status(using handle: (any FileHandle)?) throws(Errno) -> FileStatus

    func setAttributes(_ change: SetAttributes, using handle: (any FileHandle)?, by caller: Caller) throws(Errno)
        -> FileStatus

    /// `other` was found under the same key; take over what is newer in it, such as the name it was found by.
    func adopt(_ other: any Node)

    /// Where to carry out a call that may wait for a network; nil for the worker.
    func lane(for call: NodeCall) -> RequestLane?

    /// The most seconds the kernel may believe entry and attributes, whatever the mount is set to.
    var longestTimeout: Double { get }

    /// False when `other` has the same key and is nevertheless another file: the file system has used the inode again.
    func isSameFile(as other: any Node) -> Bool

    /// It was found under its own key; takes over where.
    /// - Returns: false when it is another file after all, or no file of a mapped directory.
    func isFound(again status: FileStatus, as name: Name, in directory: MappedDirectory) -> Bool

    func readLink() throws(Errno) -> [UInt8]
    func open(_ flags: OpenFlags, by caller: Caller) throws(Errno) -> any FileHandle
    func space() throws(Errno) -> FileSystemSpace

    func attribute(_ name: String, by caller: Caller) throws(Errno) -> [UInt8]
    func attributeNames() throws(Errno) -> [UInt8]
    /// Answers itself, at once or later.
    func setAttribute(
        _ name: String, to value: [UInt8], _ mode: AttributeMode, by caller: Caller, _ request: consuming PendingRequest
    )
    func removeAttribute(_ name: String, by caller: Caller) throws(Errno)

    /// nil for everything that is not a directory.
    var asDirectory: (any DirectoryNode)? { get }
}

/// A node with names in it.
protocol DirectoryNode: Node {
    func lookup(_ name: Name, by caller: Caller) throws(Errno) -> Found
    func openDirectory(by caller: Caller) throws(Errno) -> any DirectoryHandle
    func create(_ name: Name, _ flags: OpenFlags, mode: UInt32, by caller: Caller) throws(Errno) -> Created
    func makeDirectory(_ name: Name, mode: UInt32, by caller: Caller) throws(Errno) -> Found
    func makeNode(_ name: Name, mode: UInt32, device: UInt64, by caller: Caller) throws(Errno) -> Found
    func makeSymbolicLink(_ name: Name, target: [UInt8], by caller: Caller) throws(Errno) -> Found
    func link(_ node: any Node, as name: Name, by caller: Caller) throws(Errno) -> Found
    func remove(_ name: Name, by caller: Caller) throws(Errno)
    func removeDirectory(_ name: Name, by caller: Caller) throws(Errno)
    func rename(
        _ name: Name, to newName: Name, in directory: any DirectoryNode, _ mode: RenameMode, by caller: Caller
    ) throws(Errno) -> RenameOutcome

    /// The mapped directory this is, if it is one; renames between types need to know.
    func mapped() throws(Errno) -> MappedDirectory?
}

/// A node and what it looked like when it was found.
struct Found: Sendable {
    let node: any Node
    let status: FileStatus
}

/// A new file, and how to open it once the kernel knows which node stands for it.
struct Created: Sendable {
    let found: Found
    let open: @Sendable (any Node) -> any FileHandle
    /// Nobody will open it: the caller was answered before it was there.
    var withdraw: @Sendable () -> Void = {}
}

/// How a rename ended.
enum RenameOutcome {
    /// It is done; nodes for the files that have new names now, so that those the kernel knows learn them.
    case done([any Node])
    /// It is under way, an upload perhaps: the request is answered when it ends.
    case later((consuming PendingRequest) -> Void)
}

/// What SETATTR asks for.
struct SetAttributes: Sendable {
    var permissions: UInt32?
    var owner: UInt32?
    var group: UInt32?
    var size: ByteCount?
    var accessed: TimeChange = .keep
    var modified: TimeChange = .keep
}

extension Node {
    func isSameFile(as other: any Node) -> Bool { true }
    func isFound(again status: FileStatus, as name: Name, in directory: MappedDirectory) -> Bool { false }
    func adopt(_ other: any Node) {}
    func lane(for call: NodeCall) -> RequestLane? { nil }
    // Entities and types are changed by other processes, which a mount shows within a second (DESIGN 3).
    var longestTimeout: Double { 1 }
    var asDirectory: (any DirectoryNode)? { nil }

    func setAttributes(_ change: SetAttributes, using handle: (any FileHandle)?, by caller: Caller) throws(Errno)
        -> FileStatus
    {
        throw .notPermitted
    }
    func readLink() throws(Errno) -> [UInt8] { throw .invalidArgument }
    func open(_ flags: OpenFlags, by caller: Caller) throws(Errno) -> any FileHandle {
        throw asDirectory == nil ? .notPermitted : .isDirectory
    }
    func space() throws(Errno) -> FileSystemSpace { throw .noFunction }
    func attribute(_ name: String, by caller: Caller) throws(Errno) -> [UInt8] { throw .noAttribute }
    func attributeNames() throws(Errno) -> [UInt8] { [] }
    func setAttribute(
        _ name: String, to value: [UInt8], _ mode: AttributeMode, by caller: Caller, _ request: consuming PendingRequest
    ) {
        request.fail(.notSupported)
    }
    func removeAttribute(_ name: String, by caller: Caller) throws(Errno) { throw .notSupported }
}

extension DirectoryNode {
    var asDirectory: (any DirectoryNode)? { self }

    func create(_ name: Name, _ flags: OpenFlags, mode: UInt32, by caller: Caller) throws(Errno) -> Created {
        throw .notPermitted
    }
    func makeDirectory(_ name: Name, mode: UInt32, by caller: Caller) throws(Errno) -> Found { throw .notPermitted }
    func makeNode(_ name: Name, mode: UInt32, device: UInt64, by caller: Caller) throws(Errno) -> Found {
        throw .notPermitted
    }
    func makeSymbolicLink(_ name: Name, target: [UInt8], by caller: Caller) throws(Errno) -> Found {
        throw .notPermitted
    }
    func link(_ node: any Node, as name: Name, by caller: Caller) throws(Errno) -> Found { throw .crossDevice }
    func remove(_ name: Name, by caller: Caller) throws(Errno) { throw .notPermitted }
    func removeDirectory(_ name: Name, by caller: Caller) throws(Errno) { throw .notPermitted }
    func rename(
        _ name: Name, to newName: Name, in directory: any DirectoryNode, _ mode: RenameMode, by caller: Caller
    ) throws(Errno) -> RenameOutcome {
        // Between the trees of fxmount a file is copied, as between two file systems (rename(2)).
        throw directory === self ? .notPermitted : .crossDevice
    }
    func mapped() throws(Errno) -> MappedDirectory? { nil }
}
