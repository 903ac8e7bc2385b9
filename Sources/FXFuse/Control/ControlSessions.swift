internal import FXRemote
internal import FXSystem
internal import SystemPackage

/// `.fxmount/sessions`: the sessions again, with what is to be told of each as files. Known entries only; nothing here
/// asks a service.
///
/// ```
/// .fxmount/sessions/<remote>/[…/]<session>/receipt.json
/// .fxmount/sessions/<remote>/[…/]<session>/verification.json     once it was verified
/// ```
///
/// Here a call may wait for a session, by fsync or by setting its state, without standing in anybody's way: the kernel
/// locks a directory for as long as such a call lasts (fuse_dir_fsync, vfs_setxattr), and who looks up a new name in it
/// waits for that lock, deaf to every signal.
final class ControlSessions: DirectoryNode {
    static let name = Name(constant: "sessions")

    private let services: TreeServices

    init(_ services: TreeServices) { self.services = services }

    var key: NodeKey { .controlSessions }

    func status(using handle: (any FileHandle)?) throws(Errno) -> FileStatus {
        services.directoryStatus(inode: InodeNumbers.controlSessions, permissions: 0o555)
    }

    func space() throws(Errno) -> FileSystemSpace { try services.space() }

    func lookup(_ name: Name, by caller: Caller) throws(Errno) -> Found {
        guard let index = services.transfers.trees.firstIndex(where: { $0.name == name }) else {
            throw .noSuchFileOrDirectory
        }
        let place = RemotePlace(tree: services.transfers.trees[index], index: index, services: services)
        let node = ControlEntry(place, .root)
        return Found(node: node, status: try node.status(using: nil))
    }

    func openDirectory(by caller: Caller) throws(Errno) -> any DirectoryHandle {
        var entries: [(name: Name, node: any Node, status: FileStatus)] = []
        for tree in services.transfers.trees {
            let found = try lookup(tree.name, by: caller)
            entries.append((tree.name, found.node, found.status))
        }
        return VirtualListing(entries, inode: InodeNumbers.controlSessions, syncing: services.waitForAll)
    }
}

/// What can be read of a session.
enum ControlDocument: UInt64, CaseIterable {
    case receipt = 1, verification = 2

    var name: Name {
        switch self {
        case .receipt: Name(constant: "receipt.json")
        case .verification: Name(constant: "verification.json")
        }
    }

    /// nil when there is none now.
    func text(of id: EntryID, in tree: RemoteTree) -> String? {
        switch self {
        case .receipt: tree.receipt(of: id)
        case .verification: tree.verification(of: id)
        }
    }
}

/// A remote, a session, or a directory above or in one, in `.fxmount/sessions`.
final class ControlEntry: DirectoryNode {
    private let place: RemotePlace
    private let id: EntryID

    init(_ place: RemotePlace, _ id: EntryID) {
        self.place = place
        self.id = id
    }

    var key: NodeKey { .controlEntry(remote: place.index, id: id.rawValue) }

    private var inode: UInt64 { InodeNumbers.controlEntry(remote: place.index, id: id.rawValue, document: 0) }

    /// Whose the session is: the kernel looks at it before somebody sets its state.
    func status(using handle: (any FileHandle)?) throws(Errno) -> FileStatus {
        var status = place.status(of: try remote { () throws(RemoteError) in try place.tree.entry(id) })
        status.inode = inode
        return status
    }

    func space() throws(Errno) -> FileSystemSpace { try place.services.space() }

    func setAttribute(
        _ name: String, to value: [UInt8], _ mode: AttributeMode, by caller: Caller, _ request: consuming PendingRequest
    ) {
        RemoteDirectory(place, id).setAttribute(name, to: value, mode, by: caller, request)
    }

    private var isSession: Bool {
        if case .session? = (try? place.tree.entry(id))?.kind { true } else { false }
    }

    func lookup(_ name: Name, by caller: Caller) throws(Errno) -> Found {
        if isSession, let document = ControlDocument.allCases.first(where: { $0.name == name }) {
            if document == .verification, document.text(of: id, in: place.tree) == nil { throw .noSuchFileOrDirectory }
            let node = ControlDocumentNode(place, id, document)
            return Found(node: node, status: try node.status(using: nil))
        }
        guard let entry = place.tree.knownEntry(name, in: id), entry.isDirectory else { throw .noSuchFileOrDirectory }
        let node = ControlEntry(place, entry.id)
        return Found(node: node, status: try node.status(using: nil))
    }

    func openDirectory(by caller: Caller) throws(Errno) -> any DirectoryHandle {
        let names =
            isSession
            ? ControlDocument.allCases.map(\.name) : place.tree.knownEntries(in: id).filter(\.isDirectory).map(\.name)
        var entries: [(name: Name, node: any Node, status: FileStatus)] = []
        for name in names {
            // Gone meanwhile, or not there yet.
            guard let found = try? lookup(name, by: caller) else { continue }
            entries.append((name, found.node, found.status))
        }
        return VirtualListing(entries, inode: inode) { [place, id] caller, request in
            place.answer(request, by: caller) { place.tree.waitUntilCommitted(below: id, $0) }
        }
    }
}

/// One document of a session, made when it is opened.
final class ControlDocumentNode: Node {
    private let place: RemotePlace
    private let id: EntryID
    private let document: ControlDocument

    init(_ place: RemotePlace, _ id: EntryID, _ document: ControlDocument) {
        self.place = place
        self.id = id
        self.document = document
    }

    var key: NodeKey { .controlDocument(remote: place.index, id: id.rawValue, document: document.rawValue) }

    func status(using handle: (any FileHandle)?) throws(Errno) -> FileStatus {
        .virtual(
            type: .regular, permissions: 0o444,
            inode: InodeNumbers.controlEntry(remote: place.index, id: id.rawValue, document: document.rawValue),
            owner: place.services.owner, group: place.services.group, time: place.services.mountedAt)
    }

    func space() throws(Errno) -> FileSystemSpace { try place.services.space() }

    func open(_ flags: OpenFlags, by caller: Caller) throws(Errno) -> any FileHandle {
        if flags.writes { throw .notPermitted }
        guard let text = document.text(of: id, in: place.tree) else { throw .noSuchFileOrDirectory }
        return ControlFileHandle(Array(text.utf8))
    }
}
