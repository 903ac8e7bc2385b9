internal import FXFuse
internal import FXMapping
internal import FXRemote
internal import FXSystem
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// Puts the parts together: registry, transfers, tree and the kernel's side.
enum MountAssembly {
    /// Mounts and begins to serve. The caller holds the lock of the state directory and has blocked its signals.
    static func make(
        _ plan: MountPlan, _ remotes: RemoteAssembly, registry: TypeRegistry, printer: Printer
    ) throws -> any ServedMount {
        let events = EventLog()
        let transfers = try TransferAssembly.make(plan.configuration, remotes, events: events)
        do {
            return try serve(plan, registry, transfers, events, printer)
        } catch {
            transfers.stop()
            throw error
        }
    }

    private static func serve(
        _ plan: MountPlan, _ registry: TypeRegistry, _ transfers: TransferService, _ events: EventLog,
        _ printer: Printer
    ) throws -> any ServedMount {
        let state = StateSpace(
            descriptor: try OwnedDescriptor.open(absolute: plan.stateDirectory, [.pathOnly, .directory]))
        let live = LiveState(plan: plan, transfers: transfers, registry: registry, events: events)
        let tree = try RootTree(
            registry: registry, application: plan.application, transfers: transfers,
            patterns: try TransferAssembly.patterns(plan.configuration.list("types.staging_patterns")), events: events,
            defaultRoot: plan.configuration.text("types.default_root"),
            reserved: [.mountPoint(plan.mountpoint), .state(plan.stateDirectory)], controlFiles: try live.files(),
            // Below a mount by an ordinary user, files would be theirs whoever writes them.
            remoteAccess: plan.configuration.bool("mount.allow_other") && geteuid() == 0 ? .everyone : .mountingUser,
            space: { () throws(Errno) in try state.descriptor.space() })
        do {
            // New entities and types show within a second.
            try registry.startWatching { [weak tree] in tree?.registryChanged($0) }
            try transfers.start()
            let mount = try FuseMount.mount(tree, options(plan))
            live.attach(mount, tree)
            if plan.configuration.bool("mount.passthrough"), !mount.hasPassthrough {
                printer.detail("no kernel passthrough")
            }
            return AssembledMount(mount: mount, tree: tree, transfers: transfers, registry: registry)
        } catch {
            registry.stopWatching()
            tree.stop()
            throw error
        }
    }

    private static func options(_ plan: MountPlan) -> MountOptions {
        var options = MountOptions(mountpoint: plan.mountpoint)
        options.allowOther = plan.configuration.bool("mount.allow_other")
        options.readOnly = plan.kernel.isReadOnly
        options.passthrough = plan.configuration.bool("mount.passthrough")
        options.workers = plan.configuration.integer("mount.workers") ?? options.workers
        options.attributeTimeout = plan.configuration.duration("mount.attribute_timeout") ?? options.attributeTimeout
        for option in plan.kernel.passedOn {
            if option.hasPrefix("fsname=") {
                options.fsName = String(option.dropFirst("fsname=".count))
            } else if !option.hasPrefix("subtype=") {
                // The subtype is how mounts of ours are found.
                options.kernelOptions.append(option)
            }
        }
        return options
    }
}

/// Keeps the state directory at hand for `statfs`.
private final class StateSpace: Sendable {
    let descriptor: OwnedDescriptor
    init(descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }
}

/// The parts of a mount, taken down in the right order.
final class AssembledMount: ServedMount {
    /// After a lazy unmount, how long open files may keep the daemon; then they get ENOTCONN.
    private static let grace = Duration.seconds(5)

    private let mount: FuseMount
    private let tree: RootTree
    private let transfers: TransferService
    private let registry: TypeRegistry
    private let detached = Mutex<ContinuousDeadline?>(nil)

    init(mount: FuseMount, tree: RootTree, transfers: TransferService, registry: TypeRegistry) {
        self.mount = mount
        self.tree = tree
        self.transfers = transfers
        self.registry = registry
    }

    var drainTimeout: Duration? { tree.drainTimeout }

    var activity: String {
        let pending = transfers.transfers().filter { $0.state == .queued || $0.state == .uploading }
        if pending.isEmpty { return "serving" }
        let left = pending.reduce(ByteCount.zero) { $0 + ($1.size - $1.acknowledged) }
        return "\(pending.count) files under way, \(left) left"
    }

    func waitUntilReady(_ limit: Duration) -> Bool { mount.waitUntilReady(limit) }

    func waitUntilUnmounted() {
        // The deadline may appear while we wait.
        while !mount.wait(.milliseconds(500)) {
            if detached.withLock({ $0?.hasPassed ?? false }) { return }
        }
    }

    func drain(timeout: Duration) -> [UnmountReport.Left] {
        transfers.drain(timeout: timeout).left.map {
            UnmountReport.Left(path: $0.path.description, state: $0.state.rawValue, size: $0.size)
        }
    }

    /// Detaches a busy tree: the daemon was told to end, and open files must not keep it. Nor does a copy of the mount in
    /// another mount namespace, such as that of a container that was started meanwhile; the kernel ends the connection
    /// only with the last copy (mount_namespaces(7)).
    func unmount() throws {
        do throws(MountError) { try mount.unmount(lazy: false) } catch {
            guard error == .busy else { throw error }
            detached.withLock { $0 = .after(AssembledMount.grace) }
            try mount.unmount(lazy: true)
        }
        detached.withLock { $0 = $0 ?? .after(AssembledMount.grace) }
    }

    func stop() {
        registry.stopWatching()
        transfers.stop()
        // Not while a worker may be in a call of the tree; the end of the process ends them.
        guard mount.wait(.zero) else { return }
        tree.stop()
        mount.finish()
    }
}
