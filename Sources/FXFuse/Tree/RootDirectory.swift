internal import FXMapping
internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// The root of the mount.
final class RootDirectory: DirectoryNode {
    static let types = Name(constant: "types")
    static let sessions = Name(constant: "sessions")
    static let control = Name(constant: ".fxmount")

    private let services: TreeServices

    init(_ services: TreeServices) { self.services = services }

    var key: NodeKey { .root }

    func status(using handle: (any FileHandle)?) throws(Errno) -> FileStatus {
        services.directoryStatus(inode: InodeNumbers.root)
    }

    func space() throws(Errno) -> FileSystemSpace { try services.space() }

    func lookup(_ name: Name, by caller: Caller) throws(Errno) -> Found {
        let node: any Node
        switch name {
        case RootDirectory.types: node = TypesDirectory(services)
        case RootDirectory.sessions: node = SessionsDirectory(services)
        case RootDirectory.control: node = ControlDirectory(services)
        default: throw .noSuchFileOrDirectory
        }
        return Found(node: node, status: try node.status(using: nil))
    }

    func openDirectory(by caller: Caller) throws(Errno) -> any DirectoryHandle {
        // `.fxmount` is readable by name and not listed, so that backups of the mount do not read it.
        let sessions = try lookup(RootDirectory.sessions, by: caller)
        let types = try lookup(RootDirectory.types, by: caller)
        return VirtualListing(
            [
                (RootDirectory.sessions, sessions.node, sessions.status),
                (RootDirectory.types, types.node, types.status),
            ],
            inode: InodeNumbers.root)
    }

    private static let drainTimeout = "user.fxmount.drain_timeout"

    func attribute(_ name: String, by caller: Caller) throws(Errno) -> [UInt8] {
        guard name == RootDirectory.drainTimeout, let timeout = services.drainTimeout.withLock({ $0 }) else {
            throw .noAttribute
        }
        return Array("\(timeout.components.seconds)s".utf8)
    }

    func setAttribute(
        _ name: String, to value: [UInt8], _ mode: AttributeMode, by caller: Caller, _ request: consuming PendingRequest
    ) {
        guard name == RootDirectory.drainTimeout else { return request.fail(.notSupported) }
        guard caller.uid == services.owner || caller.uid == 0 else { return request.fail(.notPermitted) }
        guard let timeout = parseDuration(String(decoding: value, as: UTF8.self)) else {
            return request.fail(.invalidArgument)
        }
        services.drainTimeout.withLock { $0 = timeout }
        request.succeed()
    }
}
