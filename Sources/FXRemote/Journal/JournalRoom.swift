internal import Synchronization

/// How many bytes of sealed files the journal itself may hold.
///
/// A small file is made durable by the commit that seals it, which carries its bytes: one sync instead of three
/// (of the file, of its directory, of the journal). The bytes leave the journal with their revision, or when the next
/// start has put them back into the spool. Bounded, so that a long outage does not fill the journal: past the bound a
/// file is synced by itself.
///
/// Any thread; a leaf in the order of locks.
final class JournalRoom: Sendable {
    /// 64 KiB; of a larger file the bytes cost more than the syncs they save.
    static let largestContent: UInt64 = 64 << 10
    /// 32 MiB in all.
    static let capacity: UInt64 = 32 << 20
    /// 64 MiB stay free on the disk, enough for all that may be sealed at once and for what the database needs besides: the
    /// last files before it is full are sealed with as little as can be.
    static let spareDisk: UInt64 = 2 * capacity

    private struct Taken {
        var sizes: [RevisionID: UInt64] = [:]
        var sum: UInt64 = 0
    }

    private let taken = Mutex(Taken())

    /// Takes room for the bytes of a revision; false when they are too many.
    func take(_ size: UInt64, for revision: RevisionID) -> Bool {
        if size > JournalRoom.largestContent { return false }
        return taken.withLock { taken in
            if taken.sum + size > JournalRoom.capacity { return false }
            taken.sum += size - (taken.sizes.updateValue(size, forKey: revision) ?? 0)
            return true
        }
    }

    /// The journal does not hold the bytes of a revision any more, or never will; nothing when it had none.
    func giveBack(_ revision: RevisionID) {
        taken.withLock { $0.sum -= $0.sizes.removeValue(forKey: revision) ?? 0 }
    }
}
