internal import CFuse3
internal import CLinux
internal import FXSystem
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// A mounted tree and the threads that serve it.
///
/// `@unchecked Sendable`: `session` is set once in `mount` and destroyed in `finish`, after every worker has ended;
/// libfuse allows calls on a session from any thread in between. Everything else is immutable or behind a Mutex.
@safe
public final class FuseMount: @unchecked Sendable {
    private let session: OpaquePointer
    private let context: FuseContext
    private let options: MountOptions
    private let workers: WorkerPool
    private let arguments: CArguments
    private let isFinished = Atomic<Bool>(false)

    /// Mounts `tree` and starts to serve it.
    ///
    /// Call before the process has other threads only if it must not share signal masks: the workers inherit the
    /// caller's.
    /// - Throws: `MountError`; libfuse explains itself on stderr.
    public static func mount(_ tree: RootTree, _ options: MountOptions) throws(MountError) -> FuseMount {
        let wanted = options.passthrough && geteuid() == 0
        let negotiation = PassthroughWire.Negotiation(wanted: wanted)
        let context = FuseContext(root: tree.root, options: options, negotiation: negotiation)
        let mount = try FuseMount(context, options)
        unsafe tree.services.backing.connect(device: fuse_session_fd(mount.session), negotiation: negotiation)
        try mount.startWorkers()
        return mount
    }

    private init(_ context: FuseContext, _ options: MountOptions) throws(MountError) {
        self.context = context
        self.options = options
        self.arguments = CArguments(options.arguments)
        var operations = fuse_lowlevel_ops()
        operations.installSessionOperations()
        operations.installEntryOperations()
        operations.installAttributeOperations()
        operations.installFileOperations()
        operations.installDirectoryOperations()
        var list = unsafe arguments.fuseArguments
        let userdata = unsafe Unmanaged.passUnretained(context).toOpaque()
        guard let session = unsafe fx_session_new(&list, &operations, userdata) else { throw .options }
        if unsafe fuse_session_mount(session, options.mountpoint) != 0 {
            unsafe fuse_session_destroy(session)
            throw .mount
        }
        _ = unsafe PassthroughWire.install(on: session)
        unsafe self.session = session
        self.workers = unsafe WorkerPool(session, keeping: options.workers)
    }

    /// Waits until the kernel has greeted us; false when that takes longer than `duration`.
    public func waitUntilReady(_ duration: Duration) -> Bool {
        context.ready.wait(until: .after(duration)) { $0 ? () : nil } != nil
    }

    /// True when files may be read and written by the kernel itself.
    public var hasPassthrough: Bool { context.negotiation.isOn }

    /// How many inodes the kernel knows.
    public var inodeCount: Int { context.table.count }

    /// Waits until the file system has been unmounted, by us or by anybody, and all workers have ended.
    public func wait() { _ = workers.wait() }

    /// The same with a limit; false when it is still mounted then.
    public func wait(_ duration: Duration) -> Bool { workers.wait(until: .after(duration)) }

    /// Takes the tree out of the namespace. Any thread but a worker may call.
    ///
    /// - Parameter lazy: detach although files are open; those go on until they are closed.
    /// - Throws: `.busy` when it is in use and not `lazy`.
    public func unmount(lazy: Bool) throws(MountError) {
        if geteuid() == 0 {
            // MNT_DETACH 2, UMOUNT_NOFOLLOW 8.
            let result = unsafe options.mountpoint.withCString { unsafe fx_umount2($0, lazy ? 10 : 8) }
            if result == 0 { return }
            switch errno {
            case EBUSY: throw .busy
            // Not mounted any more: somebody else did it.
            case EINVAL, ENOENT: return
            default: throw .unmount(errno: errno)
            }
        }
        let arguments = ["fusermount3", "-u"] + (lazy ? ["-z"] : []) + ["--", options.mountpoint]
        if ChildProcess.run(arguments) != 0 { throw .busy }
    }

    /// Frees what libfuse holds. Call once, after `wait`.
    public func finish() {
        guard workers.wait(until: .now()), !isFinished.exchange(true, ordering: .relaxed) else { return }
        InterruptWatch.shared.stop()
        // Unmounted already, so this only closes the descriptor.
        unsafe fuse_session_unmount(session)
        unsafe fuse_session_destroy(session)
    }

    private func startWorkers() throws(MountError) {
        InterruptWatch.shared.start()
        do throws(Errno) {
            _ = try ServiceThread(name: "fx-interrupt") { InterruptWatch.shared.run() }
            try workers.start()
        } catch {
            // Those that did start end with the mount.
            do throws(MountError) { try unmount(lazy: true) } catch { context.ready.withLock { $0 = false } }
            throw .resources(errno: error.rawValue)
        }
    }
}

/// An argument vector in C memory that lives as long as its owner; libfuse keeps pointers into it.
@safe
private final class CArguments {
    private let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    init(_ arguments: [String]) {
        count = arguments.count
        unsafe pointers = .allocate(capacity: arguments.count + 1)
        for (index, argument) in arguments.enumerated() { unsafe pointers[index] = strdup(argument) }
        unsafe pointers[count] = nil
    }

    var fuseArguments: fuse_args { unsafe fuse_args(argc: Int32(count), argv: pointers, allocated: 0) }

    deinit {
        for index in 0..<count { unsafe free(pointers[index]) }
        unsafe pointers.deallocate()
    }
}

extension fuse_lowlevel_ops {
    mutating func installSessionOperations() {
        unsafe self.`init` = { userdata, connection in
            guard let userdata = unsafe userdata, let connection = unsafe connection else { return }
            let context = unsafe Unmanaged<FuseContext>.fromOpaque(userdata).takeUnretainedValue()
            unsafe Capabilities.choose(&connection.pointee, context.options)
            context.ready.withLock { $0 = true }
        }
    }
}

/// What we ask of the kernel, each with its reason.
enum Capabilities {
    static func choose(_ connection: inout fuse_conn_info, _ options: MountOptions) {
        // Listings with attributes where the reader asks for them; lookups in one directory side by side.
        want(FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_PARALLEL_DIROPS, &connection)
        // O_TRUNC comes with OPEN, so that the policy sees it before anything is cut.
        want(FUSE_CAP_ATOMIC_O_TRUNC, &connection)
        // The umask comes with the request: a default ACL overrides it (acl(5)), which only the backing directory
        // knows.
        want(FUSE_CAP_DONT_MASK, &connection)
        // Pages of a file that somebody changed in the backing directory are dropped when its mtime says so.
        want(FUSE_CAP_AUTO_INVAL_DATA, &connection)
        want(FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO, &connection)
        // File data goes to the kernel by pipe, not through our memory.
        want(FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE, &connection)
        // Requests are small but for WRITE, whose bytes we hash or hand on in one call: a plain read is one call less.
        connection.want &= ~UInt32(FUSE_CAP_SPLICE_READ)
        // With several users the kernel checks ACLs as well as modes.
        if options.allowOther { want(FUSE_CAP_POSIX_ACL, &connection) }
        // Write errors must reach write(2) (DESIGN: refuse early), so no write-back cache. Locks are the kernel's own
        // business.
        connection.want &= ~UInt32(FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS)
        connection.time_gran = 1
    }

    private static func want(_ flags: Int32, _ connection: inout fuse_conn_info) {
        connection.want |= UInt32(flags) & connection.capable
    }
}
