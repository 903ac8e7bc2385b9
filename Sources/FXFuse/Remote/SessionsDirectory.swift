internal import FXRemote
internal import FXSystem
internal import SystemPackage

/// `sessions`: the configured remotes.
final class SessionsDirectory: DirectoryNode {
    private let services: TreeServices

    init(_ services: TreeServices) { self.services = services }

    var key: NodeKey { .sessions }

    func status(using handle: (any FileHandle)?) throws(Errno) -> FileStatus {
        services.directoryStatus(inode: InodeNumbers.sessions)
    }

    func space() throws(Errno) -> FileSystemSpace { try services.space() }

    func lookup(_ name: Name, by caller: Caller) throws(Errno) -> Found {
        guard let index = services.transfers.trees.firstIndex(where: { $0.name == name }) else {
            throw .noSuchFileOrDirectory
        }
        let tree = services.transfers.trees[index]
        let entry = tree.root()
        let node = RemoteDirectory(RemotePlace(tree: tree, index: index, services: services), entry.id)
        return Found(node: node, status: node.place.status(of: entry))
    }

    func openDirectory(by caller: Caller) throws(Errno) -> any DirectoryHandle {
        var entries: [(name: Name, node: any Node, status: FileStatus)] = []
        for tree in services.transfers.trees {
            let found = try lookup(tree.name, by: caller)
            entries.append((tree.name, found.node, found.status))
        }
        return VirtualListing(entries, inode: InodeNumbers.sessions, syncing: services.waitForAll)
    }

    /// `user.fxmount.state` = `retry`: every failed file of every remote is sent again.
    func setAttribute(
        _ name: String, to value: [UInt8], _ mode: AttributeMode, by caller: Caller, _ request: consuming PendingRequest
    ) {
        guard name == MappedNode.reservedPrefix + "state" else { return request.fail(.notSupported) }
        guard caller.uid == services.owner || caller.uid == 0 else { return request.fail(.notPermitted) }
        guard value == Array("retry".utf8) else { return request.fail(.invalidArgument) }
        services.transfers.retry()
        request.succeed()
    }
}

extension TreeServices {
    /// fsync on `sessions` waits for all of them.
    var waitForAll: @Sendable (Caller, consuming PendingRequest) -> Void {
        { [transfers] caller, request in
            let waiting = WaitingRequest(request)
            waiting.watch(thread: caller.thread, until: nil)
            let wait = transfers.waitUntilCommitted { result in
                switch result {
                case .success: waiting.finish(nil)
                case .failure(let error): waiting.finish(error.errno)
                }
            }
            waiting.began { wait.cancel() }
        }
    }
}

/// Who may open sessions below a remote.
public enum RemoteAccess: Sendable {
    case mountingUser
    /// As in /tmp: everybody makes sessions of their own and cannot touch those of others.
    case everyone

    var permissions: UInt32 {
        switch self {
        case .mountingUser: 0o755
        case .everyone: 0o1777
        }
    }
}

/// One remote, and its number among the remotes of the mount.
struct RemotePlace: Sendable {
    let tree: RemoteTree
    let index: Int
    let services: TreeServices

    func key(_ id: EntryID) -> NodeKey {
        id == .root ? .remote(index: index) : .entry(remote: index, id: id.rawValue)
    }

    func inode(of id: EntryID) -> UInt64 {
        id == .root ? InodeNumbers.remote(index) : InodeNumbers.entry(remote: index, id: id.rawValue)
    }

    /// The status to show of an entry.
    func status(of entry: RemoteEntry) -> FileStatus {
        let isRoot = entry.id == .root
        var status = FileStatus.virtual(
            type: entry.isDirectory ? .directory : .regular,
            permissions: isRoot ? services.remoteAccess.permissions : entry.mode & 0o7777, inode: inode(of: entry.id),
            size: entry.size,
            owner: isRoot ? services.owner : entry.owner, group: isRoot ? services.group : entry.group,
            time: entry.modified)
        if entry.isDirectory { status.linkCount = 2 + entry.subdirectories }
        // 128 KiB: what cp and cat read at once.
        status.blockSize = 128 << 10
        return status
    }

    func node(of entry: RemoteEntry) -> any Node {
        entry.isDirectory ? RemoteDirectory(self, entry.id) : RemoteFileNode(self, entry.id)
    }

    func found(_ entry: RemoteEntry) -> Found { Found(node: node(of: entry), status: status(of: entry)) }

    /// Where a call of the tree is carried out; nil for the worker.
    func lane(for call: RemoteTree.Call) -> RequestLane? {
        tree.place(for: call).map { RequestLane(lane: $0.lane, key: $0.key, limit: $0.limit) }
    }

    /// Answers a request when a wait of the tree ends, or when its caller dies.
    /// - Parameter lane: where to begin it; the time until then has a limit, what is waited for has none.
    func answer(
        _ request: consuming PendingRequest, by caller: Caller, on lane: RequestLane? = nil,
        _ begin: @escaping @Sendable (@escaping @Sendable (Result<Void, RemoteError>) -> Void) -> WaitToken
    ) {
        let waiting = WaitingRequest(request)
        // Listened for before it begins: sealing itself can take as long as the disk does.
        waiting.watch(thread: caller.thread, until: lane?.limit.map { .after($0) })
        let run: @Sendable () -> Void = { [tree] in
            let token = begin { result in
                switch result {
                case .success: waiting.finish(nil)
                case .failure(let error): waiting.finish(error.errno)
                }
            }
            waiting.began { tree.cancel(token) }
        }
        if let lane { lane.submit(waiting, run) } else { run() }
    }
}

/// Runs a call of a remote tree; its error becomes the errno of the one table.
func remote<Value>(_ body: () throws(RemoteError) -> Value) throws(Errno) -> Value {
    do throws(RemoteError) {
        return try body()
    } catch {
        throw error.errno
    }
}
