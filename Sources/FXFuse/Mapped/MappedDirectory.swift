internal import FXMapping
internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// A directory below a mapped type, or its root.
final class MappedDirectory: MappedNode, DirectoryNode, @unchecked Sendable {
    /// Set for the root of a type only; another one when the type has another policy.
    private let ownRoot: Mutex<MappedRoot?>
    private let held = Mutex<Anchor?>(nil)

    /// The root of a type.
    init(root: MappedRoot, services: MappedServices) {
        self.ownRoot = Mutex(root)
        super.init(root.status, typeID: root.type.id, services: services, parent: nil, name: nil)
    }

    init(_ status: FileStatus, typeID: Int64, services: MappedServices, parent: MappedDirectory, name: Name) {
        self.ownRoot = Mutex(nil)
        super.init(status, typeID: typeID, services: services, parent: parent, name: name)
    }

    override var root: MappedRoot? { ownRoot.withLock { $0 } ?? super.root }

    /// The same directory under another rule, for everything below it and at once.
    func govern(by root: MappedRoot) { ownRoot.withLock { $0 = root } }
    override var asDirectory: (any DirectoryNode)? { self }

    // MARK: Anchor

    /// The directory, open; reopened by name from the parent's if it was given up.
    func anchor() throws(Errno) -> Anchor {
        if let present = held.withLock({ $0 }) { return present }
        let made = try Anchor(openAnchor())
        let (anchor, isNew) = held.withLock { held -> (Anchor, Bool) in
            if let present = held { return (present, false) }
            held = made
            return (made, true)
        }
        if isNew && name != nil { services.anchors.holds(self) }
        return anchor
    }

    private func openAnchor() throws(Errno) -> OwnedDescriptor {
        if let own = ownRoot.withLock({ $0 }) { return try own.descriptor.duplicate() }
        let (parent, name) = try location()
        let descriptor = try parent.anchor().descriptor.open(name, [.pathOnly, .directory])
        let status = try descriptor.status()
        guard status.identity == identity, status.mountID == (try gate()).status.mountID else {
            throw .staleNFSFileHandle
        }
        return descriptor
    }

    func dropAnchor() { held.withLock { $0 = nil } }

    override func backingStatus(using handle: (any FileHandle)? = nil) throws(Errno) -> FileStatus {
        // An open directory is the directory, whatever its name is now.
        if let present = held.withLock({ $0 }) { return try present.descriptor.status() }
        return try name != nil ? super.backingStatus(using: handle) : anchor().descriptor.status()
    }

    override func pinned<Result>(_ body: (borrowing OwnedDescriptor) throws(Errno) -> Result) throws(Errno) -> Result {
        try body(try anchor().descriptor)
    }

    /// For the gate: a name in this directory.
    func place(of name: Name) -> Place {
        Place(directory: identity, name: name, parentName: self.name, path: { self.path.appending(name) })
    }

    // MARK: Names

    func lookup(_ name: Name, by caller: Caller) throws(Errno) -> Found {
        if MappedRoot.isReserved(name) { throw .noSuchFileOrDirectory }
        return try found(name, try anchor().descriptor.status(of: name))
    }

    /// The node for a name with this status. A mount point below a mapped directory is somebody else's tree: EXDEV.
    func found(_ name: Name, _ status: FileStatus) throws(Errno) -> Found {
        let gate = try gate()
        if status.mountID != gate.status.mountID { throw .crossDevice }
        let node =
            status.isDirectory
            ? MappedDirectory(status, typeID: gate.type.id, services: services, parent: self, name: name)
            : MappedNode(status, typeID: gate.type.id, services: services, parent: self, name: name)
        return Found(node: node, status: try node.shown(status))
    }

    func openDirectory(by caller: Caller) throws(Errno) -> any DirectoryHandle {
        MappedDirectoryHandle(try anchor().descriptor.reopenDirectory(), directory: self)
    }

    func create(_ name: Name, _ flags: OpenFlags, mode: UInt32, by caller: Caller) throws(Errno) -> Created {
        let anchor = try anchor()
        let gate = try gate()
        let file = try gate.create(place(of: name), in: anchor.descriptor, flags: flags, mode: mode, by: caller)
        let status = try file.descriptor.status()
        let candidate = MappedNode(status, typeID: gate.type.id, services: services, parent: self, name: name)
        let made = Found(node: candidate, status: try candidate.shown(status))
        // The node the kernel knows may be an older one of the same inode; the mode of the I/O is its.
        return Created(found: made) { node in MappedFileHandle(file, node: (node as? MappedNode) ?? candidate) }
    }

    func makeDirectory(_ name: Name, mode: UInt32, by caller: Caller) throws(Errno) -> Found {
        let anchor = try anchor()
        return try found(
            name, try gate().makeDirectory(place(of: name), in: anchor.descriptor, mode: mode, by: caller))
    }

    func makeNode(_ name: Name, mode: UInt32, device: UInt64, by caller: Caller) throws(Errno) -> Found {
        let anchor = try anchor()
        return try found(
            name, try gate().makeNode(place(of: name), in: anchor.descriptor, mode: mode, device: device, by: caller))
    }

    func makeSymbolicLink(_ name: Name, target: [UInt8], by caller: Caller) throws(Errno) -> Found {
        let anchor = try anchor()
        return try found(
            name, try gate().makeSymbolicLink(place(of: name), in: anchor.descriptor, target: target, by: caller))
    }

    func link(_ node: any Node, as name: Name, by caller: Caller) throws(Errno) -> Found {
        // A hard link into another type would put the bytes under another policy.
        guard let file = node as? MappedNode, let gate = file.root, gate === root else { throw .crossDevice }
        let anchor = try anchor()
        try file.pinned { descriptor throws(Errno) in
            try gate.link(descriptor, as: place(of: name), in: anchor.descriptor, by: caller)
        }
        return try found(name, try anchor.descriptor.status(of: name))
    }

    func remove(_ name: Name, by caller: Caller) throws(Errno) {
        let anchor = try anchor()
        try gate().remove(place(of: name), in: anchor.descriptor, by: caller)
    }

    func removeDirectory(_ name: Name, by caller: Caller) throws(Errno) {
        try remove(name, by: caller)
    }

    func rename(
        _ name: Name, to newName: Name, in directory: any DirectoryNode, _ mode: RenameMode, by caller: Caller
    ) throws(Errno) -> RenameOutcome {
        guard let target = try directory.mapped() else { throw .crossDevice }
        let (from, to) = (try anchor(), try target.anchor())
        try gate().rename(
            place(of: name), in: from.descriptor, to: target.place(of: newName), in: to.descriptor,
            of: try target.gate(), mode, by: caller)
        // What cannot be found at its new name will be looked up again (ESTALE).
        var moved = [try? target.lookup(newName, by: caller)]
        if mode == .exchange { moved.append(try? lookup(name, by: caller)) }
        return .done(moved.compactMap { $0?.node })
    }

    func mapped() throws(Errno) -> MappedDirectory? { self }
}
