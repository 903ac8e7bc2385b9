internal import FXMapping
internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// `types/<entity>/<type>`: the alias. What is below it belongs to the mapped directory.
///
/// The alias stays whatever happens to the directory; entering it then answers with the real errno.
final class TypeDirectory: DirectoryNode {
    /// How long a directory that was there is believed to be there still.
    private static let recheck: Duration = .seconds(1)

    private let services: TreeServices
    private let id: Int64
    private let entity: EntityName
    private let name: TypeName
    private let state: Mutex<State>

    private struct State {
        var top: MappedDirectory?
        var checkAgain: ContinuousDeadline
    }

    init(_ type: MappedType, _ services: TreeServices) {
        self.services = services
        self.id = type.id
        self.entity = type.entity
        self.name = type.name
        self.state = Mutex(State(top: nil, checkAgain: .now()))
    }

    var key: NodeKey { .type(id) }

    /// The type as it is registered now.
    private func type() throws(Errno) -> MappedType {
        guard let type = services.snapshot.type(entity, name), type.id == id else { throw .noSuchFileOrDirectory }
        return type
    }

    /// The root of the mapped directory.
    /// - Throws: ENXIO when the type is not mapped, otherwise what stands between us and the directory.
    private func top() throws(Errno) -> MappedDirectory {
        let type = try type()
        let present = state.withLock { state in
            state.top.flatMap { $0.root?.type == type && !state.checkAgain.hasPassed ? $0 : nil }
        }
        if let present { return present }
        let root = try MappedRoot(type, shared: services.gate)
        services.typesInUse.withLock { $0[id] = TypeInUse(directory: self) }
        return state.withLock { state in
            state.checkAgain = .after(TypeDirectory.recheck)
            // The same directory: keep the nodes below it, and those who sit in them, under the rule of now.
            if let top = state.top, let old = top.root, old.status.identity == root.status.identity,
                old.status.mountID == root.status.mountID
            {
                if old.type != type { top.govern(by: root) }
                return top
            }
            let made = MappedDirectory(root: root, services: services.mapped)
            state.top = made
            return made
        }
    }

    /// The registry has changed: a stricter policy must reach those who never look the type up again.
    func refresh() { _ = try? top() }

    /// The status of the alias; when the directory cannot be reached, that of an empty, closed one.
    func statusOfAlias() -> FileStatus {
        let inode = InodeNumbers.type(id)
        if let top = try? top(), var status = try? top.backingStatus() {
            status.inode = inode
            return status
        }
        return services.directoryStatus(inode: inode, permissions: 0o555)
    }

    // MARK: Node

    func status(using handle: (any FileHandle)?) throws(Errno) -> FileStatus {
        _ = try type()
        return statusOfAlias()
    }

    func setAttributes(
        _ change: SetAttributes, using handle: (any FileHandle)?, by caller: Caller
    ) throws(Errno) -> FileStatus {
        _ = try top().setAttributes(change, using: nil, by: caller)
        return statusOfAlias()
    }

    func space() throws(Errno) -> FileSystemSpace {
        do throws(Errno) {
            return try top().space()
        } catch {
            return try services.space()
        }
    }

    // MARK: Attributes

    func attribute(_ name: String, by caller: Caller) throws(Errno) -> [UInt8] {
        let type = try type()
        switch name {
        case "user.fxmount.path":
            guard let path = type.path else { throw .noAttribute }
            return Array(path.utf8)
        case "user.fxmount.status": return Array(type.status.rawValue.utf8)
        case "user.fxmount.policy": return Array(type.policy.rawValue.utf8)
        default:
            guard let top = try? top() else { throw .noAttribute }
            return try top.attribute(name, by: caller)
        }
    }

    func attributeNames() throws(Errno) -> [UInt8] {
        guard let top = try? top() else { return [] }
        return try top.attributeNames()
    }

    /// Setting `user.fxmount.path` maps the type, `user.fxmount.policy` makes it stricter.
    func setAttribute(
        _ name: String, to value: [UInt8], _ mode: AttributeMode, by caller: Caller, _ request: consuming PendingRequest
    ) {
        do throws(Errno) {
            guard name.hasPrefix(MappedNode.reservedPrefix) else {
                return try top().setAttribute(name, to: value, mode, by: caller, request)
            }
            // The alias is the mounting user's: what it shows is read with that user's rights.
            guard caller.uid == services.owner || caller.uid == 0 else { throw .notPermitted }
            try configure(name, String(validating: value, as: UTF8.self))
            request.succeed()
        } catch {
            request.fail(error)
        }
    }

    private func configure(_ attribute: String, _ value: String?) throws(Errno) {
        guard let value else { throw .invalidArgument }
        do throws(MappingError) {
            switch attribute {
            case "user.fxmount.path":
                try services.registry.setPath(
                    value, ofType: name, of: entity, in: services.application, clearOf: services.reserved)
            case "user.fxmount.policy":
                guard let policy = Policy(rawValue: value) else { throw MappingError.system(.invalidArgument) }
                try services.registry.setPolicy(policy, ofType: name, of: entity, in: services.application)
            default: throw MappingError.system(.notPermitted)
            }
        } catch {
            throw error.errno
        }
    }

    func removeAttribute(_ name: String, by caller: Caller) throws(Errno) {
        if name.hasPrefix(MappedNode.reservedPrefix) { throw .notPermitted }
        try top().removeAttribute(name, by: caller)
    }

    // MARK: What is below

    func openDirectory(by caller: Caller) throws(Errno) -> any DirectoryHandle {
        // An unmapped type is listed, and empty.
        if try type().path == nil { return VirtualListing([], inode: InodeNumbers.type(id)) }
        return try top().openDirectory(by: caller)
    }

    func lookup(_ name: Name, by caller: Caller) throws(Errno) -> Found { try top().lookup(name, by: caller) }
    func create(_ name: Name, _ flags: OpenFlags, mode: UInt32, by caller: Caller) throws(Errno) -> Created {
        try top().create(name, flags, mode: mode, by: caller)
    }
    func makeDirectory(_ name: Name, mode: UInt32, by caller: Caller) throws(Errno) -> Found {
        try top().makeDirectory(name, mode: mode, by: caller)
    }
    func makeNode(_ name: Name, mode: UInt32, device: UInt64, by caller: Caller) throws(Errno) -> Found {
        try top().makeNode(name, mode: mode, device: device, by: caller)
    }
    func makeSymbolicLink(_ name: Name, target: [UInt8], by caller: Caller) throws(Errno) -> Found {
        try top().makeSymbolicLink(name, target: target, by: caller)
    }
    func link(_ node: any Node, as name: Name, by caller: Caller) throws(Errno) -> Found {
        try top().link(node, as: name, by: caller)
    }
    func remove(_ name: Name, by caller: Caller) throws(Errno) { try top().remove(name, by: caller) }
    func removeDirectory(_ name: Name, by caller: Caller) throws(Errno) { try top().removeDirectory(name, by: caller) }
    func rename(
        _ name: Name, to newName: Name, in directory: any DirectoryNode, _ mode: RenameMode, by caller: Caller
    ) throws(Errno) -> RenameOutcome {
        try top().rename(name, to: newName, in: directory, mode, by: caller)
    }
    func mapped() throws(Errno) -> MappedDirectory? { try top() }
}
