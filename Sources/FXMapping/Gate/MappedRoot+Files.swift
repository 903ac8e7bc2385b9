public import FXSystem
internal import Glibc
public import SystemPackage

/// Opening, creating and truncating: where bytes may start to change.
extension MappedRoot {
    /// Answers `open(2)` of an existing regular file.
    ///
    /// A sealed file opened for writing has its version made, durably, before this returns, where the policy keeps
    /// versions.
    /// - Throws: EPERM by policy, ESTALE when the name is another file now, what open(2) and the version say.
    public func open(
        _ place: Place, in directory: borrowing OwnedDescriptor, expecting identity: FileIdentity, flags: OpenFlags,
        by caller: Caller
    ) throws(Errno) -> MappedFile {
        if !flags.writes && !flags.contains(.truncate) {
            let descriptor = try directory.open(place.name, flags.forBacking)
            let status = try descriptor.status()
            guard status.identity == identity else { throw .staleNFSFileHandle }
            return MappedFile(descriptor, status, root: self, flags: flags, access: .reading, uid: caller.uid)
        }
        try checkWritable("open", place, caller)
        let onlyAppends = flags.contains(.append) && !flags.reads && !flags.contains(.truncate)
        let hasStranger =
            policy == .keepVersions && !onlyAppends && hasUncountedWriter(place.name, in: directory)
        let descriptor = try openForWriting(place.name, in: directory, flags, expecting: identity)
        let status = try descriptor.status()
        guard status.identity == identity else { throw .staleNFSFileHandle }
        let wanted = OpenFlagsForWriting(
            reads: flags.reads, appends: flags.contains(.append), truncates: flags.contains(.truncate))
        let access = try admit(status, descriptor, place, caller) { policy.verdict(onOpening: wanted, of: $0) }
        // From here on the handle counts the writer, and its end uncounts it whatever happens.
        let file = MappedFile(descriptor, status, root: self, flags: flags, access: access, uid: caller.uid)
        if hasStranger { file.sharesWithStranger() }
        if flags.contains(.truncate) { try file.truncateAtOpen() }
        return file
    }

    /// Opens the backing file; a lease that `LingeringWriters` holds for a moment is waited for.
    private func openForWriting(
        _ name: Name, in directory: borrowing OwnedDescriptor, _ flags: OpenFlags, expecting identity: FileIdentity
    ) throws(Errno) -> OwnedDescriptor {
        do throws(Errno) {
            return try directory.open(name, flags.forBacking)
        } catch {
            guard error == .resourceTemporarilyUnavailable else { throw error }
            // Not a FIFO put there meanwhile, so it cannot block for long.
            let status = try directory.status(of: name)
            guard status.identity == identity, status.isRegular else { throw .staleNFSFileHandle }
            return try directory.open(name, flags.forBacking.subtracting(.nonBlocking))
        }
    }

    /// With two milliseconds between them: a tenth of a second, and nobody who only is on the way out is left.
    static let closingLooks = 50

    /// True when somebody has the file open for writing whom this mount does not count: a process on the backing directory,
    /// or one whose passthrough handle outlived the daemon that gave it.
    func hasUncountedWriter(
        _ name: Name, in directory: borrowing OwnedDescriptor, looks: Int = MappedRoot.closingLooks
    ) -> Bool {
        guard let probe = try? directory.open(name, [.readOnly, .nonBlocking]), let status = try? probe.status(),
            status.isRegular, !shared.ledger.hasWriters(status.identity)
        else { return false }
        // A writer we have just stopped to count closes its descriptors a moment later, and the kernel its own.
        for _ in 0..<looks {
            if !probe.isOpenForWritingElsewhere { return false }
            pause(milliseconds: 2)
        }
        return probe.isOpenForWritingElsewhere
    }

    /// Answers `open(2)` with O_CREAT: the new file is a draft of its creator.
    ///
    /// When the name exists meanwhile and O_EXCL is not given, it is opened as `open` does.
    public func create(
        _ place: Place, in directory: borrowing OwnedDescriptor, flags: OpenFlags, mode: UInt32, by caller: Caller
    ) throws(Errno) -> MappedFile {
        try checkName(place.name)
        try checkWritable("create", place, caller)
        let exclusive = flags.contains(.exclusive)
        // Three rounds: somebody else may create and remove the name between our two looks at it.
        for _ in 0..<3 {
            do throws(Errno) {
                let creating = flags.forBacking.union([.create, .exclusive])
                let descriptor = try ThreadCredentials.acting(for: caller) { () throws(Errno) -> OwnedDescriptor in
                    try directory.open(place.name, creating, mode: mode)
                }
                let status = try descriptor.status()
                let temporary = isTemporary(place, exclusive: exclusive, mode: mode)
                shared.ledger.created(
                    status, at: place.key, temporary: temporary, placeholder: exclusive && mode & 0o7777 == 0,
                    by: caller.uid, writers: flags.writes ? 1 : 0)
                return MappedFile(
                    descriptor, status, root: self, flags: flags, access: flags.writes ? .free : .reading,
                    uid: caller.uid)
            } catch {
                if error != .fileExists || exclusive { throw error }
            }
            guard let present = try directory.statusIfPresent(of: place.name) else { continue }
            if present.isDirectory { throw .isDirectory }
            if present.type == .symbolicLink { throw .tooManySymbolicLinkLevels }
            return try open(place, in: directory, expecting: present.identity, flags: flags, by: caller)
        }
        throw .resourceBusy
    }

    /// Answers `truncate(2)` by name.
    public func truncate(
        _ place: Place, in directory: borrowing OwnedDescriptor, expecting identity: FileIdentity, to size: ByteCount,
        by caller: Caller
    ) throws(Errno) {
        try checkWritable("truncate", place, caller)
        let descriptor = try openForWriting(place.name, in: directory, .writeOnly, expecting: identity)
        let status = try descriptor.status()
        guard status.identity == identity else { throw .staleNFSFileHandle }
        let access = try admit(status, descriptor, place, caller) { policy.verdict(on: .truncate, of: $0) }
        defer { if access == .free { shared.ledger.stopWriting(identity) } }
        try descriptor.truncate(to: size)
        if size > .zero && shared.ledger.isPlaceholder(identity) { shared.ledger.holdsSomething(identity) }
    }

    /// Asks the policy, makes the version if it wants one, and counts the writer.
    func admit(
        _ status: FileStatus, _ descriptor: borrowing OwnedDescriptor, _ place: Place, _ caller: Caller,
        _ decide: (SealState) -> Verdict
    ) throws(Errno) -> MappedFile.Access {
        shared.ledger.found(status, at: place.key)
        switch decide(shared.ledger.contentState(of: status, for: caller.uid)) {
        case .refuse(let error, let rule): throw refuse("write", place, caller, error, rule: rule)
        case .guardWrites:
            try separateLeftovers(of: status, caller)
            return .guarded
        case .allow, .keepVersionFirst, .moveToVersions: try separateLeftovers(of: status, caller)
        }
        // The state may have changed since: the ledger decides again and counts in one step.
        let admission = try shared.ledger.startWriting(status, uid: caller.uid) {
            WaitingProcess.isDying(thread: caller.thread)
        }
        guard admission == .versionFirst else { return .free }
        switch decide(.sealed) {
        case .keepVersionFirst: try keepVersion(of: status, descriptor, place, caller)
        case .refuse(let error, let rule):
            shared.ledger.finishVersion(of: status, kept: false)
            throw refuse("write", place, caller, error, rule: rule)
        case .guardWrites:
            // Sealed since we looked: not a writer of whatever it likes, but one that is looked at.
            shared.ledger.finishVersion(of: status, kept: false)
            return .guarded
        case .allow, .moveToVersions: shared.ledger.finishVersion(of: status, kept: true)
        }
        return .free
    }

    /// One of several names of a file can be a version that a crash left half made: appending changes it too.
    private func separateLeftovers(of status: FileStatus, _ caller: Caller) throws(Errno) {
        guard status.linkCount > 1 else { return }
        try versions.separateLeftovers { WaitingProcess.isDying(thread: caller.thread) }
    }

    private func keepVersion(
        of status: FileStatus, _ descriptor: borrowing OwnedDescriptor, _ place: Place, _ caller: Caller
    ) throws(Errno) {
        do throws(Errno) {
            let path = place.path()
            // Its content may have changed between the look and the count: what is kept must be what is there now.
            let present = try descriptor.status()
            let isCurrent =
                !shared.ledger.hasUncertainVersion(status.identity)
                && versions.hasCurrentCopy(status: present, path: path, madeSince: shared.startedAt)
            if !isCurrent {
                let source = try descriptor.reopen(.readOnly)
                try versions.keepCopyUnlessSame(of: source, status: present, path: path) {
                    WaitingProcess.isDying(thread: caller.thread)
                }
            }
        } catch {
            shared.ledger.finishVersion(of: status, kept: false)
            throw error
        }
        shared.ledger.finishVersion(of: status, kept: true)
    }
}

extension OpenFlags {
    /// The flags for the backing file: creating and truncating are ours to do, direct I/O and access times the
    /// kernel's,
    /// and a FIFO put at the name meanwhile must not block us.
    var forBacking: OpenFlags {
        let ours = O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY | OpenFlags.direct.rawValue
        // O_NOATIME needs ownership; the kernel has already applied it to the caller's view.
        let noAccessTime: Int32 = 0o1000000
        return OpenFlags(rawValue: rawValue & ~(ours | noAccessTime)).union(.nonBlocking)
    }
}
