internal import FXSystem
internal import Synchronization

/// Which version was made last of an inode, as far as this process knows: where to look first, never what to believe.
final class VersionHints: Sendable {
    struct Hint: Sendable {
        var path: RelativePath
        var stamp: VersionStamp
    }

    private let hints = Mutex<[FileIdentity: Hint]>([:])

    /// About 300 bytes each; a forgotten one costs one listing.
    private static let capacity = 4096

    func hint(for file: FileIdentity) -> Hint? { hints.withLock { $0[file] } }

    func remember(_ stamp: VersionStamp, of file: FileIdentity, at path: RelativePath) {
        hints.withLock { hints in
            if hints.count >= Self.capacity, hints[file] == nil { hints.removeAll(keepingCapacity: true) }
            hints[file] = Hint(path: path, stamp: stamp)
        }
    }
}
