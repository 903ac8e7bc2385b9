internal import FXRemote
internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// What entries of remotes have in common: attributes and status.
protocol RemoteNode: Node {
    var place: RemotePlace { get }
    var id: EntryID { get }
}

extension RemoteNode {
    var key: NodeKey { place.key(id) }
    /// What others do at a service shows within a second.
    var longestTimeout: Double { place.tree.lane == nil ? .infinity : 1 }

    func status(using handle: (any FileHandle)?) throws(Errno) -> FileStatus {
        try own { () throws(RemoteError) in place.status(of: try place.tree.entry(id)) }
    }

    /// Runs a call on the entry itself. When that is gone its name may be another's, of which the kernel has not heard,
    /// for a rename that failed has moved nothing for it: upon ESTALE it looks the path up again.
    func own<Value>(_ body: () throws(RemoteError) -> Value) throws(Errno) -> Value {
        do throws(RemoteError) { return try body() } catch {
            throw error == .noSuchEntry && !place.tree.has(id) ? .staleNFSFileHandle : error.errno
        }
    }

    /// Mode and times are kept, and an owner that root gives; asking for another as somebody else has no effect.
    func setAttributes(
        _ change: SetAttributes, using handle: (any FileHandle)?, by caller: Caller
    ) throws(Errno) -> FileStatus {
        try own { () throws(RemoteError) in
            if let size = change.size {
                if let open = handle as? RemoteFileHandle {
                    try open.file.truncate(to: size, by: caller)
                } else {
                    try place.tree.truncate(id, to: size, caller: caller)
                }
            }
            if change.owner != nil || change.group != nil {
                try place.tree.setOwner(id, to: change.owner, group: change.group, caller: caller)
            }
            if let permissions = change.permissions { try place.tree.setMode(id, permissions) }
            if change.modified != .keep { try place.tree.setModified(id, change.modified) }
        }
        return try status(using: handle)
    }

    func lane(for call: NodeCall) -> RequestLane? {
        switch call {
        case .lookup(let name): place.lane(for: .lookup(name, in: id))
        case .openDirectory: place.lane(for: .list(id))
        case .create(let name): place.lane(for: .create(name, in: id))
        case .makeDirectory: place.lane(for: .makeDirectory)
        case .remove(let name): place.lane(for: .remove(name, in: id))
        case .open(let flags): place.lane(for: .open(id, flags))
        case .setAttributes(let change):
            if change.size != nil {
                place.lane(for: .change(id))
            } else {
                change.modified == .keep ? nil : place.lane(for: .setModified(id))
            }
        }
    }

    func space() throws(Errno) -> FileSystemSpace {
        try remote { () throws(RemoteError) in try place.tree.space() }
    }

    func attribute(_ name: String, by caller: Caller) throws(Errno) -> [UInt8] {
        guard name.hasPrefix(MappedNode.reservedPrefix) else { throw .noAttribute }
        let own = String(name.dropFirst(MappedNode.reservedPrefix.count))
        return try self.own { () throws(RemoteError) in Array(try place.tree.attribute(own, of: id).utf8) }
    }

    func setAttribute(
        _ name: String, to value: [UInt8], _ mode: AttributeMode, by caller: Caller, _ request: consuming PendingRequest
    ) {
        guard name.hasPrefix(MappedNode.reservedPrefix) else { return request.fail(.notSupported) }
        let own = String(name.dropFirst(MappedNode.reservedPrefix.count))
        let text = String(decoding: value, as: UTF8.self)
        place.answer(request, by: caller, on: place.lane(for: .setState)) { [place, id] in
            place.tree.setAttribute(own, to: text, of: id, completion: $0)
        }
    }
}

/// A file of a session.
final class RemoteFileNode: RemoteNode {
    let place: RemotePlace
    let id: EntryID
    /// Of which content the kernel may have pages.
    private let cached = Mutex<ContentIdentity?>(nil)

    init(_ place: RemotePlace, _ id: EntryID) {
        self.place = place
        self.id = id
    }

    func open(_ flags: OpenFlags, by caller: Caller) throws(Errno) -> any FileHandle {
        let file = try own { () throws(RemoteError) in try place.tree.open(id, flags: flags, caller: caller) }
        // A handle is pinned to the content it opened, so it never adds pages of another one to these.
        let content = place.tree.contentLane == nil ? nil : file.openedContent
        let keepsCache = cached.withLock { cached in
            defer { cached = content }
            guard let content, let cached else { return false }
            return cached.isSame(as: content)
        }
        return RemoteFileHandle(file, place, flags, keepsCache: keepsCache)
    }
}

/// A remote, a session or a directory in one.
final class RemoteDirectory: RemoteNode, DirectoryNode {
    let place: RemotePlace
    let id: EntryID

    init(_ place: RemotePlace, _ id: EntryID) {
        self.place = place
        self.id = id
    }

    func lookup(_ name: Name, by caller: Caller) throws(Errno) -> Found {
        place.found(try remote { () throws(RemoteError) in try place.tree.lookup(name, in: id) })
    }

    func openDirectory(by caller: Caller) throws(Errno) -> any DirectoryHandle {
        let entries = try remote { () throws(RemoteError) in try self.place.tree.entryIDs(in: self.id) }
        return RemoteListing(entries, of: self)
    }

    func create(_ name: Name, _ flags: OpenFlags, mode: UInt32, by caller: Caller) throws(Errno) -> Created {
        let made = try remote { () throws(RemoteError) in
            try self.place.tree.create(
                name, in: id, mode: mode & ~caller.umask, flags: flags, caller: caller)
        }
        return Created(
            found: place.found(made.0), open: { [place] _ in RemoteFileHandle(made.1, place, flags) },
            withdraw: { made.1.withdraw() })
    }

    func makeDirectory(_ name: Name, mode: UInt32, by caller: Caller) throws(Errno) -> Found {
        place.found(
            try remote { () throws(RemoteError) in
                try place.tree.makeDirectory(name, in: id, mode: mode & ~caller.umask, caller: caller)
            })
    }

    func remove(_ name: Name, by caller: Caller) throws(Errno) {
        try remote { () throws(RemoteError) in try place.tree.remove(name, in: id, caller: caller) }
    }

    func removeDirectory(_ name: Name, by caller: Caller) throws(Errno) {
        try remote { () throws(RemoteError) in try place.tree.removeDirectory(name, in: id, caller: caller) }
    }

    func rename(
        _ name: Name, to newName: Name, in directory: any DirectoryNode, _ mode: RenameMode, by caller: Caller
    ) throws(Errno) -> RenameOutcome {
        guard let target = directory as? RemoteDirectory, target.place.index == place.index else { throw .crossDevice }
        // Entries are known by their id, whatever their name is: there is nothing to tell the kernel's nodes.
        return .later { [place, id] request in
            place.answer(request, by: caller, on: place.lane(for: .rename)) {
                place.tree.rename(name, in: id, to: newName, in: target.id, mode, caller: caller, completion: $0)
            }
        }
    }
}
