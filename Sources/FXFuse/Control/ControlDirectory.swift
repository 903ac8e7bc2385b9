internal import FXSystem
internal import SystemPackage

/// `.fxmount`: the live state as files.
final class ControlDirectory: DirectoryNode {
    private let services: TreeServices

    init(_ services: TreeServices) { self.services = services }

    var key: NodeKey { .control }

    func status(using handle: (any FileHandle)?) throws(Errno) -> FileStatus {
        services.directoryStatus(inode: InodeNumbers.control, permissions: 0o555)
    }

    func space() throws(Errno) -> FileSystemSpace { try services.space() }

    func lookup(_ name: Name, by caller: Caller) throws(Errno) -> Found {
        if name == ControlSessions.name {
            let node = ControlSessions(services)
            return Found(node: node, status: try node.status(using: nil))
        }
        guard let index = services.controlFiles.firstIndex(where: { $0.name == name }) else {
            throw .noSuchFileOrDirectory
        }
        let node = ControlFileNode(index, services)
        return Found(node: node, status: try node.status(using: nil))
    }

    func openDirectory(by caller: Caller) throws(Errno) -> any DirectoryHandle {
        var entries: [(name: Name, node: any Node, status: FileStatus)] = []
        for name in services.controlFiles.map(\.name) + [ControlSessions.name] {
            let found = try lookup(name, by: caller)
            entries.append((name, found.node, found.status))
        }
        return VirtualListing(entries, inode: InodeNumbers.control)
    }
}

/// One file of `.fxmount`. Its size is 0, as in /proc: read it to its end.
final class ControlFileNode: Node {
    private let services: TreeServices
    private let index: Int

    init(_ index: Int, _ services: TreeServices) {
        self.index = index
        self.services = services
    }

    var key: NodeKey { .controlFile(index) }

    func status(using handle: (any FileHandle)?) throws(Errno) -> FileStatus {
        .virtual(
            type: .regular, permissions: 0o444, inode: InodeNumbers.controlFile(index), owner: services.owner,
            group: services.group, time: services.mountedAt)
    }

    func space() throws(Errno) -> FileSystemSpace { try services.space() }

    func open(_ flags: OpenFlags, by caller: Caller) throws(Errno) -> any FileHandle {
        if flags.writes { throw .notPermitted }
        return ControlFileHandle(Array(services.controlFiles[index].content().utf8))
    }
}

/// The content as it was at open.
final class ControlFileHandle: FileHandle {
    private let content: [UInt8]

    init(_ content: [UInt8]) { self.content = content }

    /// Not cached: the size the kernel knows is 0.
    var openReply: OpenReply { OpenReply(directIO: true) }

    func read(_ count: Int, at offset: UInt64, _ request: consuming PendingRequest) {
        let start = min(Int(clamping: offset), content.count)
        request.answer(bytes: Array(content[start..<min(content.count, start + count)]))
    }

    func write(
        _ data: borrowing WriteData, at offset: UInt64, appending: Bool, by caller: Caller,
        _ request: consuming PendingRequest
    ) {
        request.fail(.badFileDescriptor)
    }

    func flush(by caller: Caller, _ request: consuming PendingRequest) { request.succeed() }
    func sync(dataOnly: Bool, by caller: Caller, _ request: consuming PendingRequest) { request.succeed() }
    func release() {}
}
