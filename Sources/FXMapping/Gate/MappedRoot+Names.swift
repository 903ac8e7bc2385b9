public import FXSystem
public import SystemPackage

/// Changes of names: each looks, decides and acts inside the turn of its directories.
extension MappedRoot {
    /// Answers `unlink(2)` and `rmdir(2)`.
    /// - Throws: EPERM when the policy says no, EROFS in a read-only type, ENOENT, ENOTEMPTY.
    public func remove(_ place: Place, in directory: borrowing OwnedDescriptor, by caller: Caller) throws(Errno) {
        try checkName(place.name)
        let file = try directory.status(of: place.name)
        // The file has its turn too: two types can show two of its names at once.
        try shared.turns.take([place.directory, file.identity]) { () throws(Errno) in
            try removeInTurn(place, expecting: file.identity, in: directory, by: caller)
        }
    }

    private func removeInTurn(
        _ place: Place, expecting identity: FileIdentity, in directory: borrowing OwnedDescriptor, by caller: Caller
    ) throws(Errno) {
        let file = try directory.status(of: place.name)
        guard file.identity == identity else { throw .staleNFSFileHandle }
        let operation = file.isDirectory ? "rmdir" : "unlink"
        let state = shared.ledger.nameState(of: file, at: place.key, for: caller.uid)
        switch policy.verdict(on: .removeName, of: state) {
        case .refuse(let error, let rule): throw refuse(operation, place, caller, error, rule: rule)
        case .moveToVersions:
            let path = shared.ledger.backupPath(of: file) ?? place.path()
            try keepingName(place.name, of: file, in: directory, path: path) { () throws(Errno) in
                try DraftRemoval.remove(place.name, of: file, bytes: .sealed, in: directory)
            }
        case .allow, .keepVersionFirst, .guardWrites:
            try DraftRemoval.remove(place.name, of: file, bytes: bytes(of: file, caller), in: directory)
        }
        shared.ledger.removed(file, from: place.key)
    }

    /// Answers `renameat2(2)`; `target` is the type of the new name.
    /// - Throws: EPERM by policy, EEXIST with NOREPLACE, EXDEV between types on different file systems.
    public func rename(
        _ old: Place, in directory: borrowing OwnedDescriptor, to new: Place,
        in newDirectory: borrowing OwnedDescriptor,
        of target: MappedRoot, _ mode: RenameMode, by caller: Caller
    ) throws(Errno) {
        try checkName(old.name)
        try target.checkName(new.name)
        try checkWritable("rename", old, caller)
        try target.checkWritable("rename", new, caller)
        let move = NameMove(old: old, new: new, target: target, mode: mode, caller: caller)
        var turn: Set = [old.directory, new.directory, try directory.status(of: old.name).identity]
        let target = try newDirectory.statusIfPresent(of: new.name)?.identity
        if let target { turn.insert(target) }
        try shared.turns.take(turn) { () throws(Errno) in
            guard try newDirectory.statusIfPresent(of: new.name)?.identity == target else { throw .staleNFSFileHandle }
            try renameInTurn(move, in: directory, to: newDirectory)
        }
    }

    private struct NameMove {
        let old: Place
        let new: Place
        let target: MappedRoot
        let mode: RenameMode
        let caller: Caller
    }

    private func renameInTurn(
        _ move: NameMove, in directory: borrowing OwnedDescriptor, to newDirectory: borrowing OwnedDescriptor
    ) throws(Errno) {
        let file = try directory.status(of: move.old.name)
        let present = try newDirectory.statusIfPresent(of: move.new.name)
        if move.mode == .noReplace && present != nil { throw .fileExists }
        if move.mode == .exchange && present == nil { throw .noSuchFileOrDirectory }
        // Two names of one file: rename(2) does nothing then, and so no name goes.
        if let present, present.identity == file.identity, move.mode == .replace { return }
        try checkMove(of: file, from: move.old, in: directory, to: move.target, move.caller)

        if let present, move.mode == .exchange {
            try move.target.checkMove(of: present, from: move.new, in: newDirectory, to: self, move.caller)
            try directory.rename(move.old.name, to: move.new.name, in: newDirectory, .exchange)
        } else if let present {
            try move.target.replace(
                present, at: move.new, in: newDirectory, by: move.old.name, in: directory, move.caller)
            shared.ledger.removed(present, from: move.new.key)
        } else {
            try directory.rename(move.old.name, to: move.new.name, in: newDirectory, .noReplace)
        }
        let temporary = move.target.isTemporary(move.new)
        shared.ledger.renamed(
            file, from: move.old.key, to: move.new.key, temporary: temporary, path: move.old.path(), by: move.caller.uid
        )
        if let present, move.mode == .exchange {
            shared.ledger.renamed(
                present, from: move.new.key, to: move.old.key, temporary: isTemporary(move.old), path: move.new.path(),
                by: move.caller.uid)
        }
    }

    /// May the name of `file` go from here to a name in `target`?
    private func checkMove(
        of file: FileStatus, from place: Place, in directory: borrowing OwnedDescriptor, to target: MappedRoot,
        _ caller: Caller
    ) throws(Errno) {
        var state = shared.ledger.nameState(of: file, at: place.key, for: caller.uid)
        // What is in a directory has its name too: a directory is a draft only as long as it is empty.
        if file.isDirectory, case .draft = state, try !directory.open(place.name, [.directory]).entryNames().isEmpty {
            state = .sealed
        }
        if case .refuse(let error, let rule) = policy.verdict(on: .moveName, of: state) {
            throw refuse("rename", place, caller, error, rule: rule)
        }
        // A draft's bytes are nobody's promise; a draft name can stand for sealed ones, and a directory for what is in
        // it.
        if bytes(of: file, caller) == .unsealed && !file.isDirectory { return }
        if target !== self && !target.policy.isAtLeastAsStrict(as: policy) {
            throw refuse(
                "rename", place, caller, .notPermitted,
                rule: "\(target.policy.rawValue) protects less than \(policy.rawValue); copy the file instead")
        }
    }

    /// Puts the file at `name` in the place of `present`, which is kept as a version unless it is a draft of the
    /// caller.
    private func replace(
        _ present: FileStatus, at place: Place, in newDirectory: borrowing OwnedDescriptor, by name: Name,
        in directory: borrowing OwnedDescriptor, _ caller: Caller
    ) throws(Errno) {
        let state = shared.ledger.nameState(of: present, at: place.key, for: caller.uid)
        // An empty directory has no version; taking its name away is what rmdir would be.
        let verdict = policy.verdict(on: present.isDirectory ? .removeName : .replaceName, of: state)
        if case .refuse(let error, let rule) = verdict { throw refuse("rename", place, caller, error, rule: rule) }
        let bytes = bytes(of: present, caller)
        // A draft name can be the last name of sealed bytes.
        let isLastName = bytes == .sealed && present.linkCount < 2
        guard verdict != .allow || isLastName else {
            return try DraftRemoval.replace(
                present, bytes: bytes, at: place.name, in: newDirectory, by: name, in: directory)
        }
        let path = shared.ledger.backupPath(of: present) ?? place.path()
        try keepingName(place.name, of: present, in: newDirectory, path: path) { () throws(Errno) in
            try DraftRemoval.replace(present, bytes: .sealed, at: place.name, in: newDirectory, by: name, in: directory)
        }
    }

    /// Answers `link(2)` within one type: the file keeps its seal under every name.
    /// - Parameter file: path-only is enough.
    public func link(
        _ file: borrowing OwnedDescriptor, as place: Place, in directory: borrowing OwnedDescriptor, by caller: Caller
    ) throws(Errno) {
        try checkName(place.name)
        try checkWritable("link", place, caller)
        let status = try file.status()
        try shared.turns.take([status.identity]) { () throws(Errno) in
            try file.linkOpenFile(as: place.name, in: directory)
            shared.ledger.linked(status, at: place.key, temporary: isTemporary(place))
        }
    }

    // MARK: Private

    /// Keeps the file behind a name as a version (by a second name, in constant time, when it has only this one), then
    /// runs `change`, which takes the name away.
    private func keepingName(
        _ name: Name, of file: FileStatus, in directory: borrowing OwnedDescriptor, path: RelativePath,
        _ change: () throws(Errno) -> Void
    ) throws(Errno) {
        try versions.keepLinked(name, in: directory, path: path)
        do throws(Errno) {
            try change()
        } catch {
            // The file lives on under its name: its version must not be the same inode.
            if file.isRegular { try versions.separate(try directory.open(name, .readOnly), path: path) }
            throw error
        }
        shared.events.record(
            "version_kept",
            [.init("path", .string("types/\(type.entity)/\(type.name)/\(path)")), .init("reason", "replaced")])
    }

    private func bytes(of file: FileStatus, _ caller: Caller) -> DraftRemoval.Bytes {
        if case .draft = shared.ledger.contentState(of: file, for: caller.uid) { return .unsealed }
        // Links, FIFOs and directories have no bytes; the ledger knows whether their name is a draft.
        return file.isRegular ? .sealed : .unsealed
    }

    func isTemporary(_ place: Place, exclusive: Bool = false, mode: UInt32 = 0o666) -> Bool {
        shared.patterns.matches(place.name, parent: place.parentName, exclusive: exclusive, mode: mode)
    }
}

extension OwnedDescriptor {
    /// The status of a name, or nil when there is none.
    borrowing func statusIfPresent(of name: Name) throws(Errno) -> FileStatus? {
        do throws(Errno) {
            return try status(of: name)
        } catch {
            if error == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }
}
