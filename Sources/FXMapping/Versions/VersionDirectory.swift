internal import FXSystem
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// Walks from the mapped root into `.fxversions`, one name at a time and never through a link or onto another mount.
final class VersionDirectory: Sendable {
    /// The mapped root.
    let root: OwnedDescriptor
    private let rootStatus: FileStatus
    private let user: UInt32
    /// Directories whose entry in their parent is known to be on disk.
    private let durable = Mutex<Set<Existence>>([])

    /// A directory that cannot be mistaken for a later one with the same inode number.
    private struct Existence: Hashable {
        var identity: FileIdentity
        var born: Timestamp
    }

    /// About 100 bytes each; past it everything is synced once more.
    private static let knownDirectories = 4096

    init(root: borrowing OwnedDescriptor) throws(Errno) {
        let opened = try root.reopenDirectory()
        rootStatus = try opened.status()
        user = geteuid()
        self.root = opened
    }

    /// The directory that holds the versions of `path`.
    /// - Throws: ENOENT when there is none; ELOOP, ENOTDIR, EXDEV or EACCES when something else is in its place.
    func open(for path: RelativePath) throws(Errno) -> OwnedDescriptor {
        try walk(try VersionPath.components(of: path), creating: false)
    }

    /// The same, made if missing; its name and those of all directories above it are on disk when this returns.
    func make(for path: RelativePath) throws(Errno) -> OwnedDescriptor {
        try walk(try VersionPath.components(of: path), creating: true)
    }

    /// `.fxversions` itself, made if missing.
    func makeTop() throws(Errno) -> OwnedDescriptor {
        try walk([try makeName(VersionPath.directory)], creating: true)
    }

    /// `.fxversions` itself.
    /// - Throws: as `open`.
    func openTop() throws(Errno) -> OwnedDescriptor {
        try walk([try makeName(VersionPath.directory)], creating: false)
    }

    /// A directory in one of ours; nil for what is no directory, and for what somebody else put there.
    func openIfOurs(_ name: Name, in parent: borrowing OwnedDescriptor) throws(Errno) -> OwnedDescriptor? {
        do throws(Errno) {
            return try openExisting(name, in: parent)
        } catch {
            switch error {
            case .notDirectory, .tooManySymbolicLinkLevels, .crossDevice, .permissionDenied, .noSuchFileOrDirectory:
                return nil
            default: throw error
            }
        }
    }

    /// A directory of the tree, below the mapped root and on the same mount.
    func openLive(_ path: RelativePath) throws(Errno) -> OwnedDescriptor {
        var current = try root.reopenDirectory()
        for name in path.components {
            let next = try current.open(name, [.readOnly, .directory])
            if try next.status().mountID != rootStatus.mountID { throw .crossDevice }
            current = next
        }
        return current
    }

    private func walk(_ components: [Name], creating: Bool) throws(Errno) -> OwnedDescriptor {
        var current = try root.reopenDirectory()
        for name in components {
            let next = creating ? try openOrMake(name, in: current) : try openExisting(name, in: current)
            if creating { try syncEntry(of: next, in: current) }
            current = next
        }
        return current
    }

    private func openExisting(_ name: Name, in parent: borrowing OwnedDescriptor) throws(Errno) -> OwnedDescriptor {
        let directory = try parent.open(name, [.readOnly, .directory])
        let status = try directory.status()
        // Something mounted here would hide the versions and refuse links.
        if status.mountID != rootStatus.mountID { throw .crossDevice }
        // Whoever owns the mapped root can do everything here anyway; anybody else planted it.
        if status.owner != user, status.owner != rootStatus.owner { throw .permissionDenied }
        if status.permissions & 0o077 != 0 { try directory.setPermissions(0o700) }
        return directory
    }

    private func openOrMake(_ name: Name, in parent: borrowing OwnedDescriptor) throws(Errno) -> OwnedDescriptor {
        do throws(Errno) {
            return try openExisting(name, in: parent)
        } catch {
            if error != .noSuchFileOrDirectory { throw error }
        }
        do throws(Errno) {
            try parent.makeDirectory(name, mode: 0o700)
        } catch {
            // Another thread or process made it first.
            if error != .fileExists { throw error }
        }
        return try openExisting(name, in: parent)
    }

    /// Once for each directory and process: it may have been made by a process that died before it synced.
    private func syncEntry(
        of directory: borrowing OwnedDescriptor, in parent: borrowing OwnedDescriptor
    ) throws(Errno) {
        let status = try directory.status()
        let existence = status.born.map { Existence(identity: status.identity, born: $0) }
        if let existence, durable.withLock({ $0.contains(existence) }) { return }
        try parent.sync()
        guard let existence else { return }
        durable.withLock { known in
            if known.count >= Self.knownDirectories { known.removeAll() }
            known.insert(existence)
        }
    }
}
