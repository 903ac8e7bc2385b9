internal import FXSystem
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// A directory held open, path-only.
final class Anchor: Sendable {
    let descriptor: OwnedDescriptor
    init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }
}

/// Bounds how many directories of mapped types are held open at once.
///
/// Files are not held at all: they are reached by an anchor and one name. A directory that has lost its anchor opens it
/// again by name and checks that it is the same inode.
final class AnchorCache: Sendable {
    private struct Queue {
        var holders: [Weak] = []
    }

    private struct Weak: Sendable {
        weak var directory: MappedDirectory?
    }

    private let queue = Mutex(Queue())
    private let limit: Int

    /// A quarter of what the process may open, so that open files always find room; at least 64.
    init() {
        var limits = rlimit()
        let known = unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits) == 0
        limit = known ? max(64, min(Int(clamping: limits.rlim_cur) / 4, 100_000)) : 64
    }

    init(limit: Int) { self.limit = limit }

    /// Remembers that `directory` holds an anchor; at the limit the older half gives theirs up.
    func holds(_ directory: MappedDirectory) {
        let evicted = queue.withLock { queue -> [Weak] in
            queue.holders.append(Weak(directory: directory))
            guard queue.holders.count > limit else { return [] }
            let evicted = Array(queue.holders.prefix(limit / 2))
            queue.holders.removeFirst(limit / 2)
            return evicted
        }
        for holder in evicted { holder.directory?.dropAnchor() }
    }
}
