public import FXMapping
public import FXRemote
public import FXSystem
internal import Glibc
internal import Synchronization
public import SystemPackage

/// A file of `.fxmount`: made anew at each open.
public struct ControlFile: Sendable {
    public var name: Name
    public var content: @Sendable () -> String

    public init(name: Name, content: @escaping @Sendable () -> String) {
        self.name = name
        self.content = content
    }
}

/// Everything a mount shows: `types`, `sessions` and the hidden `.fxmount`.
public final class RootTree: Sendable {
    let root: RootDirectory
    let services: TreeServices

    /// - Parameters:
    ///   - defaultRoot: where `mkdir types/E/T` maps new types; nil leaves them unmapped.
    ///   - remoteAccess: `.everyone` needs the kernel to check modes (`MountOptions.allowOther`).
    ///   - space: what `statfs` answers where no mapped directory does: the file system of the state directory.
    /// - Throws: EAGAIN when there is no thread for sealing.
    public init(
        registry: TypeRegistry, application: ApplicationID, transfers: TransferService, patterns: StagingPatterns,
        events: EventLog, defaultRoot: String?, reserved: [ReservedDirectory], controlFiles: [ControlFile],
        remoteAccess: RemoteAccess, space: @escaping @Sendable () throws(Errno) -> FileSystemSpace
    ) throws(Errno) {
        let services = TreeServices(
            registry: registry, application: application, transfers: transfers,
            gate: try SharedGate(patterns: patterns, events: events), defaultRoot: defaultRoot, reserved: reserved,
            controlFiles: controlFiles, remoteAccess: remoteAccess, space: space)
        self.services = services
        self.root = RootDirectory(services)
    }

    /// What `setfattr -n user.fxmount.drain_timeout` has asked for; nil when nobody has.
    public var drainTimeout: Duration? { services.drainTimeout.withLock { $0 } }

    /// Tells the types in use that the registry has changed. Any thread.
    public func registryChanged(_ snapshot: RegistrySnapshot) {
        guard snapshot.application == services.application else { return }
        for type in services.typesInUse.withLock({ Array($0.values) }) { type.directory?.refresh() }
    }

    /// Files of mapped types that are drafts or being written.
    public var activeFiles: Int { services.gate.activeFiles }

    /// Ends the helper threads. Call once, after the mount has ended.
    public func stop() { services.gate.stop() }
}

/// A type somebody has entered, as long as the kernel knows it.
struct TypeInUse: Sendable {
    weak var directory: TypeDirectory?
}

/// What the nodes of one tree share.
final class TreeServices: Sendable {
    let registry: TypeRegistry
    let application: ApplicationID
    let transfers: TransferService
    let gate: SharedGate
    let defaultRoot: String?
    let reserved: [ReservedDirectory]
    let controlFiles: [ControlFile]
    let remoteAccess: RemoteAccess
    let space: @Sendable () throws(Errno) -> FileSystemSpace
    let mapped: MappedServices
    let backing: BackingRegistry
    let drainTimeout = Mutex<Duration?>(nil)
    /// By row id: the types somebody has entered.
    let typesInUse = Mutex<[Int64: TypeInUse]>([:])
    let owner = geteuid()
    let group = getegid()
    let mountedAt: Timestamp

    init(
        registry: TypeRegistry, application: ApplicationID, transfers: TransferService, gate: SharedGate,
        defaultRoot: String?, reserved: [ReservedDirectory], controlFiles: [ControlFile],
        remoteAccess: RemoteAccess, space: @escaping @Sendable () throws(Errno) -> FileSystemSpace
    ) {
        self.registry = registry
        self.application = application
        self.transfers = transfers
        self.gate = gate
        self.defaultRoot = defaultRoot
        self.reserved = reserved
        self.controlFiles = controlFiles
        self.remoteAccess = remoteAccess
        self.space = space
        self.backing = BackingRegistry()
        self.mapped = MappedServices(backing: backing)
        self.mountedAt = WallClock.system.now()
    }

    var snapshot: RegistrySnapshot { registry.snapshot(of: application) }

    func entity(_ name: EntityName) throws(Errno) -> Entity? {
        if let known = snapshot.entity(name) { return known }
        return try newestSnapshot().entity(name)
    }

    func type(_ entity: EntityName, _ name: TypeName) throws(Errno) -> MappedType? {
        if let known = snapshot.type(entity, name) { return known }
        return try newestSnapshot().type(entity, name)
    }

    /// What the database holds now. Somebody who has just made a type wants to see it; see docs/SEMANTICS.md, T8.
    func newestSnapshot() throws(Errno) -> RegistrySnapshot {
        do throws(MappingError) { return try registry.newestSnapshot(of: application) } catch { throw error.errno }
    }

    /// The status of a directory of ours: `drwxr-xr-x`, the mounting user's.
    func directoryStatus(inode: UInt64, permissions: UInt32 = 0o755, time: Timestamp? = nil) -> FileStatus {
        .virtual(
            type: .directory, permissions: permissions, inode: inode, owner: owner, group: group,
            time: time ?? mountedAt)
    }
}
