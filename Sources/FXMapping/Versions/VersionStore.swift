public import FXSystem
public import SystemPackage

/// The versions of all files below one mapped root, in its `.fxversions`.
///
/// Every call that keeps something returns when it is on disk: the bytes, the name, and the names of all directories
/// above it; or it throws what the system said, and then no version is listed that is not whole. Any thread and any
/// number of processes may call at once. Call with the daemon's own credentials, not inside `ThreadCredentials.acting`.
public final class VersionStore: Sendable {
    let directory: VersionDirectory
    let clock: WallClock
    let leftovers = Monitor(LeftoverSearch.due)
    private let hints = VersionHints()

    /// Touches nothing yet; `.fxversions` is made with the first version.
    /// - Parameter root: the mapped directory; a path-only descriptor is enough.
    public init(root: borrowing OwnedDescriptor, clock: WallClock = .system) throws(Errno) {
        directory = try VersionDirectory(root: root)
        self.clock = clock
    }

    /// True for the name that is kept for versions at the root of a type.
    public static func isReserved(_ name: Name) -> Bool { name == VersionPath.directoryName }

    // MARK: Keeping

    /// Keeps the file `name` of an open directory as a version of `path`, before something takes its name away.
    ///
    /// In constant time by a second name for the file, when `name` is its only one; a file with more names lives on
    /// under
    /// them, so it is copied. The caller takes `name` away next; if that fails, `separate` is due.
    /// - Throws: EISDIR for a directory; whatever linking, copying and syncing met.
    public func keepLinked(
        _ name: Name, in parent: borrowing OwnedDescriptor, path: RelativePath
    ) throws(Errno) {
        // By descriptor, so that what was looked at is what gets linked.
        let file = try parent.open(name, [.pathOnly])
        let status = try file.status()
        if status.isDirectory { throw .isDirectory }
        if status.isRegular, status.linkCount != 1 {
            try keepCopy(of: try file.reopen([.readOnly, .nonBlocking]), status: status, path: path)
            return
        }
        let store = try directory.make(for: path)
        try syncContent(of: file, status, store: store)
        guard let stamp = try link(file, status, in: store) else {
            try keepCopy(of: try file.reopen([.readOnly, .nonBlocking]), status: status, path: path)
            return
        }
        try store.sync()
        // Somebody gave it another name since we looked.
        if status.isRegular, try file.status().linkCount > 2 {
            try replaceByCopy(stamp, of: try file.reopen([.readOnly, .nonBlocking]), in: store)
        }
    }

    /// Keeps a copy of an open regular file as a version of `path`.
    ///
    /// Bytes, mode, times and `user.*` attributes, and the owner as far as this process may set it.
    /// - Parameters:
    ///   - source: open for reading.
    ///   - status: of `source`, read before the call.
    /// - Throws: EINVAL when it is no regular file; whatever copying and syncing met, ENOSPC and EIO above all.
    public func keepCopy(
        of source: borrowing OwnedDescriptor, status: FileStatus, path: RelativePath, isGivenUp: () -> Bool = { false }
    ) throws(Errno) {
        guard status.isRegular else { throw .invalidArgument }
        // Before the first byte is read: what changes from now on has a later change time (see `isCurrent`).
        let stamp = VersionStamp(madeAt: clock.now(), source: status)
        let store = try directory.make(for: path)
        if status.linkCount > 1 { try separate(source, status, in: store) }
        let copy = try NewVersion.begin(in: store, top: directory.makeTop)
        try copy.fill(from: source, status, isGivenUp: isGivenUp)
        hints.remember(try copy.publish(stamp, in: store), of: status.identity, at: path)
    }

    /// As `keepCopy`, unless the version made last holds the same bytes: opening a busy file for writing again and again
    /// without changing it makes one version, not thousands.
    /// - Throws: EINTR when `isGivenUp` says so.
    public func keepCopyUnlessSame(
        of source: borrowing OwnedDescriptor, status: FileStatus, path: RelativePath, isGivenUp: () -> Bool
    ) throws(Errno) {
        if status.linkCount == 1, let hint = hints.hint(for: status.identity), hint.path == path,
            let store = try? directory.open(for: path), isWholeCopy(hint.stamp, of: status, in: store),
            let version = try? store.open(try hint.stamp.name(), .readOnly),
            try source.hasSameContent(as: version, isGivenUp: isGivenUp)
        {
            return
        }
        try keepCopy(of: source, status: status, path: path, isGivenUp: isGivenUp)
    }

    /// Makes copies of those versions of `path` that are second names of `source`; nothing to do for most files.
    ///
    /// Due when a rename failed after `keepLinked`. `keepCopy` does it by itself, for what a crash left.
    public func separate(_ source: borrowing OwnedDescriptor, path: RelativePath) throws(Errno) {
        let status = try source.status()
        guard status.isRegular, status.linkCount > 1 else { return }
        do throws(Errno) {
            try separate(source, status, in: try directory.open(for: path))
        } catch {
            if error != .noSuchFileOrDirectory { throw error }
        }
    }

    /// True when the content the file has now is a version of `path` already, so that no second copy is needed.
    ///
    /// False in doubt, and for two seconds after each change: a copy too many loses nothing.
    /// - Parameters:
    ///   - status: of the file, read after its last writer is known to be gone.
    ///   - start: versions made before do not count.
    public func hasCurrentCopy(
        status: FileStatus, path: RelativePath, madeSince start: Timestamp = Timestamp(seconds: 0)
    ) -> Bool {
        guard status.isRegular, let store = try? directory.open(for: path) else { return false }
        // Most often the last one made here; then there is nothing to list.
        if status.linkCount == 1, let hint = hints.hint(for: status.identity), hint.path == path {
            return hint.stamp.madeAt >= start && hint.stamp.isCurrent(for: status)
                && isWholeCopy(hint.stamp, of: status, in: store)
        }
        guard let stamps = try? stamps(in: store) else { return false }
        if status.linkCount > 1, let linked = try? self.linked(status.identity, among: stamps, in: store),
            !linked.isEmpty
        {
            return false
        }
        guard let stamp = stamps.filter({ $0.madeAt >= start && $0.isCurrent(for: status) }).max(),
            isWholeCopy(stamp, of: status, in: store)
        else { return false }
        hints.remember(stamp, of: status.identity, at: path)
        return true
    }

    // MARK: Looking

    /// All versions of a path, newest first; empty when there are none.
    public func list(_ path: RelativePath) throws(Errno) -> [Version] {
        do throws(Errno) {
            let store = try directory.open(for: path)
            var versions: [Version] = []
            for stamp in try stamps(in: store).sorted(by: >) {
                versions.append(Version(path: path, stamp: stamp, status: try store.status(of: try stamp.name())))
            }
            return versions
        } catch {
            // Versions are never taken away, so what is missing is the directory.
            if error == .noSuchFileOrDirectory { return [] }
            throw error
        }
    }

    /// The content of a version, for reading.
    /// - Throws: ENOENT when it is not there; ELOOP for a kept symbolic link; EINVAL for what has no content.
    public func open(_ version: Version) throws(Errno) -> OwnedDescriptor {
        let store = try directory.open(for: version.path)
        let file = try store.open(try version.stamp.name(), [.readOnly, .nonBlocking])
        guard try file.status().isRegular else { throw .invalidArgument }
        return file
    }
}

extension VersionStore {
    /// The versions in a version directory; what is not one of ours by its name is passed over.
    func stamps(in store: borrowing OwnedDescriptor) throws(Errno) -> [VersionStamp] {
        try store.entryNames().compactMap { VersionStamp(entry: $0.bytes) }
    }

    /// Those among `stamps` that are names of the file itself.
    private func linked(
        _ file: FileIdentity, among stamps: [VersionStamp], in store: borrowing OwnedDescriptor
    ) throws(Errno) -> [VersionStamp] {
        var found: [VersionStamp] = []
        // A link was made from the inode it names; a restored one carries 0.
        for stamp in stamps where stamp.sourceInode == file.inode || stamp.sourceInode == 0 {
            if try store.status(of: try stamp.name()).identity == file { found.append(stamp) }
        }
        return found
    }

    private func separate(
        _ source: borrowing OwnedDescriptor, _ status: FileStatus, in store: borrowing OwnedDescriptor
    ) throws(Errno) {
        for stamp in try linked(status.identity, among: try stamps(in: store), in: store) {
            try replaceByCopy(stamp, of: source, in: store)
        }
    }

    /// Puts a copy in the place of a version that is a second name of `source`, in one step.
    func replaceByCopy(
        _ stamp: VersionStamp, of source: borrowing OwnedDescriptor, in store: borrowing OwnedDescriptor
    ) throws(Errno) {
        let copy = try NewVersion.named(in: try directory.makeTop())
        try copy.fill(from: source, try source.status())
        try copy.replace(try stamp.name(), in: store)
    }

    private func isWholeCopy(
        _ stamp: VersionStamp, of status: FileStatus, in store: borrowing OwnedDescriptor
    ) -> Bool {
        guard let name = try? stamp.name(), let version = try? store.status(of: name) else { return false }
        return version.isRegular && version.size == status.size && version.identity != status.identity
    }

    /// Links under the first free name; nil when the file system or the kernel's rules allow no link (link(2)).
    private func link(
        _ file: borrowing OwnedDescriptor, _ status: FileStatus, in store: borrowing OwnedDescriptor
    ) throws(Errno) -> VersionStamp? {
        var stamp = VersionStamp(madeAt: clock.now(), source: status)
        while true {
            do throws(Errno) {
                try file.linkOpenFile(as: try stamp.name(), in: store)
                return stamp
            } catch {
                switch error {
                case .fileExists: stamp = stamp.next
                // EXDEV: the file is mounted over its directory, or lies in another project quota. Only content can be
                // copied.
                case .notPermitted, .tooManyLinks, .notSupported, .notSupportedOnSocket, .noFunction, .crossDevice:
                    if !status.isRegular { throw error }
                    return nil
                default: throw error
                }
            }
        }
    }

    /// A version is durable with its bytes, whether or not the program that wrote them synced.
    func syncContent(
        of file: borrowing OwnedDescriptor, _ status: FileStatus, store: borrowing OwnedDescriptor
    ) throws(Errno) {
        guard status.isRegular else { return }
        do throws(Errno) {
            try file.reopen([.readOnly, .nonBlocking]).sync()
        } catch {
            // May be linked and not read: everything on the file system then.
            if error != .permissionDenied { throw error }
            try store.syncFileSystem()
        }
    }
}
