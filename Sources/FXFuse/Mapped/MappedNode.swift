internal import FXMapping
internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// What the nodes of mapped types share.
final class MappedServices: Sendable {
    let anchors: AnchorCache
    let backing: BackingRegistry

    init(anchors: AnchorCache = AnchorCache(), backing: BackingRegistry) {
        self.anchors = anchors
        self.backing = backing
    }
}

/// A file below a mapped type, reached by its directory and one name, and known by its inode.
///
/// Every access checks that the name still is that inode: a name that was changed behind the mount's back is ESTALE,
/// upon which the kernel looks the path up again.
///
/// `@unchecked Sendable` because it has a subclass: every stored property, here and there, is a constant of a Sendable
/// type.
class MappedNode: Node, @unchecked Sendable {
    var longestTimeout: Double { .infinity }
    let identity: FileIdentity
    let type: FXSystem.FileType
    private let born: Timestamp?
    let services: MappedServices
    let mode = InodeMode()
    private let typeID: Int64
    private let position: Mutex<Position>
    private let handles = Mutex<[MappedFileHandle]>([])

    /// Where the node was found last.
    struct Position {
        var parent: MappedDirectory?
        /// nil for the root of the type.
        var name: Name?
    }

    init(_ status: FileStatus, typeID: Int64, services: MappedServices, parent: MappedDirectory?, name: Name?) {
        self.identity = status.identity
        self.type = status.type
        self.born = status.born
        self.typeID = typeID
        self.services = services
        self.position = Mutex(Position(parent: parent, name: name))
    }

    var key: NodeKey { .mapped(type: typeID, device: identity.device, inode: identity.inode) }
    var asDirectory: (any DirectoryNode)? { nil }

    func isSameFile(as other: any Node) -> Bool {
        guard let other = other as? MappedNode else { return false }
        return other.type == type && other.born == born
    }

    func isFound(again status: FileStatus, as name: Name, in directory: MappedDirectory) -> Bool {
        if status.type != type || status.born != born { return false }
        position.withLock { position in
            if position.parent !== directory || position.name != name {
                position = Position(parent: directory, name: name)
            }
        }
        return true
    }

    func adopt(_ other: any Node) {
        guard let other = other as? MappedNode else { return }
        let newer = other.position.withLock { $0 }
        position.withLock { $0 = newer }
    }

    /// The gate of the type this is in now; follows the parents, so that it is right after a move between types.
    var root: MappedRoot? { position.withLock { $0 }.parent?.root }

    /// From the mapped root.
    var path: RelativePath {
        let here = position.withLock { $0 }
        guard let parent = here.parent, let name = here.name else { return RelativePath() }
        return parent.path.appending(name)
    }

    var name: Name? { position.withLock { $0 }.name }

    // MARK: Reaching the file

    /// Runs `body`, for which a missing name means a stale one: the kernel then looks the path up again, and finds
    /// another name of the inode, or ENOENT.
    private func byName<Result>(_ body: () throws(Errno) -> Result) throws(Errno) -> Result {
        do throws(Errno) {
            return try body()
        } catch {
            throw error == .noSuchFileOrDirectory ? .staleNFSFileHandle : error
        }
    }

    /// The directory and name it is reached by.
    func location() throws(Errno) -> (parent: MappedDirectory, name: Name) {
        let here = position.withLock { $0 }
        guard let parent = here.parent, let name = here.name else { throw .staleNFSFileHandle }
        return (parent, name)
    }

    func gate() throws(Errno) -> MappedRoot {
        guard let root else { throw .staleNFSFileHandle }
        return root
    }

    /// The backing status.
    func backingStatus(using handle: (any FileHandle)? = nil) throws(Errno) -> FileStatus {
        if let open = handle as? MappedFileHandle { return try open.file.descriptor.status() }
        do throws(Errno) {
            return try byName { () throws(Errno) in
                let (parent, name) = try location()
                let status = try parent.anchor().descriptor.status(of: name)
                guard status.identity == identity else { throw .staleNFSFileHandle }
                return status
            }
        } catch {
            // A draft removed while it is open has no name any more.
            if let open = handles.withLock({ $0.last }) { return try open.file.descriptor.status() }
            throw error
        }
    }

    /// Runs `body` with a path-only descriptor of this very inode.
    func pinned<Result>(_ body: (borrowing OwnedDescriptor) throws(Errno) -> Result) throws(Errno) -> Result {
        guard let descriptor = try pin() else {
            // A draft removed while it is open has no name any more. A sealed file without one was replaced: it is a
            // version
            // now, and what is done to it would be done to the version.
            guard let open = handles.withLock({ $0.last }), try gate().isDraft(try open.file.descriptor.status()) else {
                throw .staleNFSFileHandle
            }
            return try body(open.file.descriptor)
        }
        return try body(descriptor)
    }

    /// nil when the name is gone or another file's.
    private func pin() throws(Errno) -> OwnedDescriptor? {
        do throws(Errno) {
            let (parent, name) = try location()
            let descriptor = try parent.anchor().descriptor.open(name, .pathOnly)
            if try descriptor.status().identity != identity { return nil }
            return descriptor
        } catch {
            if error == .noSuchFileOrDirectory || error == .staleNFSFileHandle { return nil }
            throw error
        }
    }

    /// For the gate: the node's own place.
    func place() -> Place {
        let here = position.withLock { $0 }
        guard let parent = here.parent, let name = here.name else { return rootPlace }
        return parent.place(of: name)
    }

    /// The root of a type has no name below itself.
    private var rootPlace: Place {
        Place(directory: identity, name: MappedNode.rootName, parentName: nil, path: { RelativePath() })
    }

    private static let rootName = Name(constant: "(root)")

    /// The status as users see it.
    func shown(_ status: FileStatus) throws(Errno) -> FileStatus { shown(status, by: try gate()) }

    func shown(_ status: FileStatus, by gate: MappedRoot) -> FileStatus {
        var shown = status
        shown.inode = InodeNumbers.mapped(status.inode, fileSystem: gate.fileSystemID)
        return shown
    }

    // MARK: Node

    func status(using handle: (any FileHandle)?) throws(Errno) -> FileStatus {
        try shown(try backingStatus(using: handle))
    }

    func setAttributes(
        _ change: SetAttributes, using handle: (any FileHandle)?, by caller: Caller
    ) throws(Errno) -> FileStatus {
        let gate = try gate()
        let place = place()
        if let size = change.size {
            if let open = handle as? MappedFileHandle {
                try open.file.truncate(to: size, place: place, by: caller)
            } else {
                let (parent, _) = try location()
                try gate.truncate(place, in: try parent.anchor().descriptor, expecting: identity, to: size, by: caller)
            }
        }
        let rest = AttributeChange(
            permissions: change.permissions, owner: change.owner, group: change.group, accessed: change.accessed,
            modified: change.modified)
        if !rest.isEmpty {
            try pinned { descriptor throws(Errno) in
                try gate.setAttributes(rest, of: descriptor, place, by: caller)
            }
        }
        return try status(using: handle)
    }

    func readLink() throws(Errno) -> [UInt8] {
        try byName { () throws(Errno) in
            let (parent, name) = try location()
            return try parent.anchor().descriptor.target(of: name)
        }
    }

    func open(_ flags: OpenFlags, by caller: Caller) throws(Errno) -> any FileHandle {
        // FIFOs, sockets and devices are opened by the kernel; only regular files come here.
        guard type == .regular else { throw .noSuchAddressOrDevice }
        let file = try byName { () throws(Errno) in
            let (parent, _) = try location()
            return try gate().open(
                place(), in: try parent.anchor().descriptor, expecting: identity, flags: flags, by: caller)
        }
        return MappedFileHandle(file, node: self)
    }

    func opened(_ handle: MappedFileHandle) { handles.withLock { $0.append(handle) } }

    func released(_ handle: MappedFileHandle) {
        handles.withLock { handles in
            if let index = handles.firstIndex(where: { $0 === handle }) { handles.remove(at: index) }
        }
    }

    func space() throws(Errno) -> FileSystemSpace { try gate().descriptor.space() }
}

extension AttributeChange {
    var isEmpty: Bool {
        permissions == nil && owner == nil && group == nil && accessed == .keep && modified == .keep
    }
}
