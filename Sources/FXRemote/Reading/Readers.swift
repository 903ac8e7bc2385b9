internal import Synchronization

/// All handles that are read from services: what they share, and what each may have of it.
///
/// Lock order: `known` is a leaf; readers are called outside of it.
final class Readers: Sendable {
    private struct Known {
        weak var reader: ContentReader?
    }

    let pool: BlockPool
    private let known = Mutex<[ObjectIdentifier: Known]>([:])

    init(pool: BlockPool) { self.pool = pool }

    func add(_ reader: ContentReader) { known.withLock { $0[ObjectIdentifier(reader)] = Known(reader: reader) } }
    func remove(_ reader: ContentReader) { known.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(reader)) } }

    private var all: [ContentReader] { known.withLock { $0.values.compactMap { $0.reader } } }

    var count: Int { known.withLock { $0.count } }

    /// The most that each may bring ahead, in bytes: three quarters of the memory in equal parts, the rest is for what
    /// somebody waits for.
    var share: UInt64 {
        UInt64(pool.capacity * BlockPool.blockSize) * 3 / 4 / UInt64(max(1, count))
    }

    /// Has all let go of what nobody waits for.
    func giveBack() { for reader in all { reader.giveBack() } }

    /// Every read ends.
    func stop() { for reader in all { reader.fail(.interrupted) } }
}
