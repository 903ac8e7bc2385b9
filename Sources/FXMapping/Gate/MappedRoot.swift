public import FXSystem
internal import Logging
public import SystemPackage

/// A mapped type while it is mounted: its root directory and the only way to change anything below it.
///
/// Every change a mount makes to a mapped directory is a method of this type or of the `MappedFile` it hands out; each
/// asks `Policy.verdict` first and carries out what it says. Any thread may call; calls are ordered by the kernel,
/// by `DirectoryTurns` for names and by `SealLedger` for bytes.
public final class MappedRoot: Sendable {
    public let type: MappedType
    /// The mapped directory, path-only.
    public let descriptor: OwnedDescriptor
    public let status: FileStatus
    /// `f_fsid` of its file system, for inode numbers.
    public let fileSystemID: UInt64

    let shared: SharedGate
    let versions: VersionStore

    /// Opens the mapped directory.
    /// - Throws: what stands in the way: ENOENT, ENOTDIR, EACCES; ENXIO for a type that is not mapped.
    public init(_ type: MappedType, shared: SharedGate) throws(Errno) {
        guard let path = type.path else { throw .noSuchAddressOrDevice }
        // The registry has the real path; a link that has come into it since leads somewhere nobody agreed to.
        let descriptor = try OwnedDescriptor.open(absoluteWithoutLinks: path, [.pathOnly, .directory])
        self.status = try descriptor.status()
        self.fileSystemID = try descriptor.space().id
        self.versions = try VersionStore(root: descriptor)
        self.descriptor = descriptor
        self.type = type
        self.shared = shared
    }

    public var policy: Policy { type.policy }

    /// True while the bytes of a file are nobody's promise.
    public func isDraft(_ status: FileStatus) -> Bool {
        shared.ledger.contentState(of: status, for: 0) != .sealed
    }

    /// The directory of the versions; refused as a name everywhere below a type.
    public static func isReserved(_ name: Name) -> Bool { VersionStore.isReserved(name) }

    /// Throws when the name is ours, not the user's.
    func checkName(_ name: Name) throws(Errno) {
        if MappedRoot.isReserved(name) { throw .notPermitted }
    }

    /// Throws EROFS for a read-only type.
    func checkWritable(_ operation: String, _ place: Place, _ caller: Caller) throws(Errno) {
        if policy == .readOnly {
            throw refuse(operation, place, caller, .readOnlyFileSystem, rule: "the type is read-only")
        }
    }

    /// Tells log and events of a refusal, and returns its errno to be thrown.
    func refuse(_ operation: String, _ place: Place, _ caller: Caller, _ error: Errno, rule: String) -> Errno {
        shared.events.record(
            "refused", level: .notice,
            [
                .init("operation", .string(operation)),
                .init("path", .string("types/\(type.entity)/\(type.name)/\(place.path())")),
                .init("errno", .string(error.symbol)),
                .init("rule", .string(rule)),
                .init("policy", .string(policy.rawValue)),
                .init("uid", .integer(Int64(caller.uid))),
                .init("pid", .integer(Int64(caller.thread))),
            ])
        return error
    }
}

/// What the gates of all mapped types of one mount have in common.
public final class SharedGate: Sendable {
    let ledger: SealLedger
    let turns = DirectoryTurns()
    let patterns: StagingPatterns
    let events: EventLog
    let lingering: LingeringWriters
    /// Versions made before are not taken for the present content: what wrote to a file then may have outlived us.
    let startedAt = WallClock.system.now()

    public init(patterns: StagingPatterns, events: EventLog) throws(Errno) {
        self.patterns = patterns
        self.events = events
        self.ledger = SealLedger()
        self.lingering = try LingeringWriters(ledger: ledger, events: events)
    }

    /// Files being drafts or written to.
    public var activeFiles: Int { ledger.count }

    /// Waits for nothing; ends the helper thread. Call once, after the last request was answered.
    public func stop() { lingering.stop() }
}

/// Where a change happens: a directory by its inode, a name in it, and the path for versions and log lines.
public struct Place {
    public var directory: FileIdentity
    public var name: Name
    /// Parent directory's own name, for patterns such as `.git/t??????`.
    public var parentName: Name?
    /// From the mapped root; computed only when it is needed.
    public var path: () -> RelativePath

    public init(directory: FileIdentity, name: Name, parentName: Name?, path: @escaping () -> RelativePath) {
        self.directory = directory
        self.name = name
        self.parentName = parentName
        self.path = path
    }

    var key: DirectoryName { DirectoryName(directory: directory, name: name) }
}
