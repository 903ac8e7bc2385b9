public import FXSystem
public import SystemPackage

/// New directories, links and nodes, and changes of attributes.
extension MappedRoot {
    /// Answers `mkdir(2)`; the directory belongs to the caller.
    public func makeDirectory(
        _ place: Place, in directory: borrowing OwnedDescriptor, mode: UInt32, by caller: Caller
    ) throws(Errno) -> FileStatus {
        try makeEntry("mkdir", place, in: directory, by: caller) { directory throws(Errno) in
            try directory.makeDirectory(place.name, mode: mode)
        }
    }

    /// Answers `symlink(2)`. The target is data: nothing here ever follows it.
    public func makeSymbolicLink(
        _ place: Place, in directory: borrowing OwnedDescriptor, target: [UInt8], by caller: Caller
    ) throws(Errno) -> FileStatus {
        try makeEntry("symlink", place, in: directory, by: caller) { directory throws(Errno) in
            try directory.makeSymbolicLink(place.name, target: target)
        }
    }

    /// Answers `mknod(2)`.
    public func makeNode(
        _ place: Place, in directory: borrowing OwnedDescriptor, mode: UInt32, device: UInt64, by caller: Caller
    ) throws(Errno) -> FileStatus {
        try makeEntry("mknod", place, in: directory, by: caller) { directory throws(Errno) in
            try directory.makeNode(place.name, mode: mode, device: device)
        }
    }

    private func makeEntry(
        _ operation: String, _ place: Place, in directory: borrowing OwnedDescriptor, by caller: Caller,
        _ make: (borrowing OwnedDescriptor) throws(Errno) -> Void
    ) throws(Errno) -> FileStatus {
        try checkName(place.name)
        try checkWritable(operation, place, caller)
        try ThreadCredentials.acting(for: caller) { () throws(Errno) in
            try make(directory)
        }
        let status = try directory.status(of: place.name)
        shared.ledger.created(status, at: place.key, temporary: isTemporary(place), by: caller.uid, writers: 0)
        return status
    }

    /// Answers `chmod(2)` and `chown(2)`; the strict policies refuse what takes rights to sealed bytes away.
    public func setAttributes(
        _ change: AttributeChange, of file: borrowing OwnedDescriptor, _ place: Place, by caller: Caller
    ) throws(Errno) {
        try checkWritable("setattr", place, caller)
        let status = try file.status()
        if change.takesRights(from: status) {
            let state = contentOrNameState(of: status, place, caller)
            if case .refuse(let error, let rule) = policy.verdict(on: .hide, of: state) {
                throw refuse(change.permissions != nil ? "chmod" : "chown", place, caller, error, rule: rule)
            }
        }
        if change.owner != nil || change.group != nil { try file.setOwner(change.owner, group: change.group) }
        if let permissions = change.permissions, status.type != .symbolicLink {
            try ThreadCredentials.settingModes { () throws(Errno) in try file.setPermissions(permissions) }
        }
        if change.accessed != .keep || change.modified != .keep {
            try file.setTimes(accessed: change.accessed, modified: change.modified)
        }
    }

    /// Answers `setxattr(2)`; an ACL counts as `chmod`.
    public func setAttribute(
        _ name: String, to value: [UInt8], _ mode: AttributeMode, of file: borrowing OwnedDescriptor, _ place: Place,
        by caller: Caller
    ) throws(Errno) {
        try checkExtendedAttribute("setxattr", name, of: file, place, caller)
        try file.setAttribute(name, to: value, mode)
    }

    /// Answers `removexattr(2)`.
    public func removeAttribute(
        _ name: String, of file: borrowing OwnedDescriptor, _ place: Place, by caller: Caller
    ) throws(Errno) {
        try checkExtendedAttribute("removexattr", name, of: file, place, caller)
        try file.removeAttribute(name)
    }

    private func checkExtendedAttribute(
        _ operation: String, _ name: String, of file: borrowing OwnedDescriptor, _ place: Place, _ caller: Caller
    ) throws(Errno) {
        try checkWritable(operation, place, caller)
        guard name.hasPrefix("system.posix_acl_") else { return }
        let state = contentOrNameState(of: try file.status(), place, caller)
        if case .refuse(let error, let rule) = policy.verdict(on: .hide, of: state) {
            throw refuse(operation, place, caller, error, rule: rule)
        }
    }

    private func contentOrNameState(of status: FileStatus, _ place: Place, _ caller: Caller) -> SealState {
        status.isRegular
            ? shared.ledger.contentState(of: status, for: caller.uid)
            : shared.ledger.nameState(of: status, at: place.key, for: caller.uid)
    }
}

/// What `setattr` is asked to change, but for the size.
public struct AttributeChange: Sendable {
    public var permissions: UInt32?
    public var owner: UInt32?
    public var group: UInt32?
    public var accessed: TimeChange
    public var modified: TimeChange

    public init(
        permissions: UInt32? = nil, owner: UInt32? = nil, group: UInt32? = nil, accessed: TimeChange = .keep,
        modified: TimeChange = .keep
    ) {
        self.permissions = permissions
        self.owner = owner
        self.group = group
        self.accessed = accessed
        self.modified = modified
    }

    /// True when somebody who could read or enter the file could not afterwards, or when it changes hands.
    func takesRights(from status: FileStatus) -> Bool {
        if let owner, owner != status.owner { return true }
        if let group, group != status.group { return true }
        // Read and search bits; taking write permission away is what protects a file.
        let watched: UInt32 = status.isDirectory ? 0o555 : 0o444
        if let permissions { return status.permissions & watched & ~permissions != 0 }
        return false
    }
}
