public import FXSystem
internal import Glibc
internal import Logging
internal import Synchronization
public import SystemPackage

/// An open regular file of a mapped type. Any thread may call.
public final class MappedFile: Sendable {
    /// What the handle may do to sealed bytes.
    enum Access: Sendable {
        case reading
        /// Each write is looked at.
        case guarded
        /// The bytes are unsealed while this handle is open.
        case free
    }

    /// How the kernel may treat the handle.
    public enum KernelAccess: Sendable {
        /// It may read and write the backing file by itself.
        case direct
        /// Every write must come to us, uncached, so that it can be judged (no shared mmap).
        case judged(besidePassthrough: Bool)
        /// Ordinary page cache, no passthrough.
        case cached
    }

    public let descriptor: OwnedDescriptor
    public let identity: FileIdentity
    public let root: MappedRoot
    public let flags: OpenFlags
    private let uid: UInt32
    private let state: Mutex<State>

    private struct State {
        var access: Access
        var isReleased = false
        var sharesWithStranger = false
        /// Without O_APPEND, for writes whose caller has cleared that flag (fcntl(2), F_SETFL).
        var positioned: Positioned?
    }

    private final class Positioned: Sendable {
        let descriptor: OwnedDescriptor
        init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }
    }

    init(
        _ descriptor: consuming OwnedDescriptor, _ status: FileStatus, root: MappedRoot, flags: OpenFlags,
        access: Access, uid: UInt32
    ) {
        self.descriptor = descriptor
        self.identity = status.identity
        self.root = root
        self.flags = flags
        self.uid = uid
        self.state = Mutex(State(access: access))
    }

    /// What passthrough may do without us.
    ///
    /// In append-only and write-once types nothing: a mapping made through passthrough outlives close(2), and there a
    /// sealed byte must never change. In keep-versions `LingeringWriters` watches for such mappings.
    public var kernelAccess: KernelAccess {
        let access = state.withLock { $0.access }
        if access == .guarded { return .judged(besidePassthrough: root.policy == .keepVersions && !flags.reads) }
        switch root.policy {
        case .appendOnly, .writeOnce: return .cached
        case .keepVersions, .keepNames, .readOnly: return .direct
        }
    }

    /// Lends the descriptor a write of `range` has to go to, when it may.
    ///
    /// - Parameters:
    ///   - appending: the handle has O_APPEND now; the bytes then go to the end, whatever the offset says.
    ///   - place: for a version that becomes necessary.
    /// - Throws: EBADF on a handle that is not for writing, EPERM by policy, what the version met.
    public func withWriteTarget<Result>(
        at offset: UInt64, appending: Bool, place: () -> Place, by caller: Caller,
        _ body: (borrowing OwnedDescriptor) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        guard flags.writes else { throw .badFileDescriptor }
        if !appending && state.withLock({ $0.access == .guarded }) {
            let size = try descriptor.status().size.rawValue
            if offset < size { try admit(.overwrite, "write", place(), caller) }
        }
        if appending || !flags.contains(.append) { return try body(descriptor) }
        return try body(try positioned().descriptor)
    }

    /// Answers `ftruncate(2)`.
    public func truncate(to size: ByteCount, place: Place, by caller: Caller) throws(Errno) {
        try judge(.truncate, "ftruncate", place, caller)
        try descriptor.truncate(to: size)
    }

    /// Answers `fallocate(2)`: plain preallocation is harmless, every other mode changes bytes that are there.
    public func allocate(mode: Int32, offset: UInt64, length: UInt64, place: Place, by caller: Caller) throws(Errno) {
        guard flags.writes else { throw .badFileDescriptor }
        // FALLOC_FL_KEEP_SIZE and FALLOC_FL_UNSHARE_RANGE leave all bytes as they are.
        let harmless: Int32 = 0x01 | 0x40
        if mode & ~harmless != 0 { try judge(.overwrite, "fallocate", place, caller) }
        try descriptor.allocate(mode: mode, offset: offset, length: length)
    }

    /// Answers `close(2)`: reports what the backing file system says of delayed writes, and marks the bytes as
    /// promised.
    public func flush(path: () -> RelativePath) throws(Errno) {
        guard flags.writes else { return }
        let (access, sharesWithStranger) = state.withLock { ($0.access, $0.sharesWithStranger) }
        if access == .free {
            noteContent()
            root.shared.ledger.flushed(identity)
        }
        try descriptor.duplicate().close()
        // Somebody outside of this mount can write to it at any time: what was closed now is kept now.
        if access == .free && sharesWithStranger { keepVersionOfClosedBytes(path: path()) }
    }

    /// Keeps the bytes as they are, although somebody may go on changing them.
    func keepVersionOfClosedBytes(path: RelativePath) {
        do throws(Errno) {
            let status = try descriptor.status()
            if root.policy == .keepVersions {
                try root.versions.keepCopy(of: try descriptor.reopen(.readOnly), status: status, path: path)
                root.shared.ledger.madeUncertainVersion(of: identity)
            }
        } catch {
            root.shared.events.record(
                "version_failed", level: .error,
                [.init("path", .string("\(path)")), .init("errno", .string(error.symbol))])
        }
    }

    /// The file was open for writing by somebody we do not count when this handle was opened.
    func sharesWithStranger() { state.withLock { $0.sharesWithStranger = true } }

    /// A placeholder that holds something is a file like any other.
    private func noteContent() {
        let ledger = root.shared.ledger
        guard ledger.isPlaceholder(identity), let status = try? descriptor.status(), status.size > .zero else { return }
        ledger.holdsSomething(identity)
    }

    /// Answers O_TRUNC, once the version is kept. A handle that only reads is no writer afterwards.
    func truncateAtOpen() throws(Errno) {
        if flags.writes { return try descriptor.truncate(to: .zero) }
        // open(2): O_RDONLY | O_TRUNC truncates on Linux.
        try descriptor.reopen(.writeOnly).truncate(to: .zero)
        endWriting()
        state.withLock { $0.access = .reading }
    }

    /// Ends the handle; its last writer seals the file. Call once.
    ///
    /// - Parameter mayBeMapped: the kernel had passthrough, so a shared mapping of the backing file may outlive the
    ///   handle.
    public func release(mayBeMapped: Bool, path: @escaping @Sendable () -> RelativePath) {
        let wasFree = state.withLock { state in
            let wasFree = state.access == .free && !state.isReleased
            state.isReleased = true
            state.positioned = nil
            return wasFree
        }
        guard wasFree else { return }
        noteContent()
        if mayBeMapped && flags.reads && root.policy == .keepVersions {
            // Whoever is last is watched.
            if !root.shared.ledger.stopWritingUnlessLast(identity) { root.shared.lingering.watch(self, path: path) }
        } else {
            endWriting()
        }
    }

    /// A handle that never reached the kernel, or was lost with the connection, is released too.
    deinit {
        if state.withLock({ $0.access == .free && !$0.isReleased }) { root.shared.ledger.stopWriting(identity) }
    }

    // MARK: Private

    private func endWriting() {
        root.shared.ledger.distrustVersions(of: descriptor, identity)
        root.shared.ledger.stopWriting(identity)
    }

    private func judge(_ change: Change, _ operation: String, _ place: Place, _ caller: Caller) throws(Errno) {
        guard flags.writes else { throw .invalidArgument }
        guard state.withLock({ $0.access == .guarded }) else { return }
        try admit(change, operation, place, caller)
    }

    /// Turns a guarded handle into a free one, once the version is kept.
    private func admit(_ change: Change, _ operation: String, _ place: Place, _ caller: Caller) throws(Errno) {
        let status = try descriptor.status()
        let root = root
        let access = try root.admit(status, descriptor, place, caller) { root.policy.verdict(on: change, of: $0) }
        guard access == .free else { return }
        let isCountedTwice = state.withLock { state in
            let isCountedTwice = state.access == .free || state.isReleased
            state.access = .free
            return isCountedTwice
        }
        if isCountedTwice { root.shared.ledger.stopWriting(identity) }
    }

    private func positioned() throws(Errno) -> Positioned {
        if let present = state.withLock({ $0.positioned }) { return present }
        var plain = flags
        plain.remove([.append, .create, .exclusive, .truncate])
        let made = Positioned(try descriptor.reopen(plain))
        return state.withLock { state in
            if let present = state.positioned { return present }
            state.positioned = made
            return made
        }
    }
}
