internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// Whether the spool keeps the bytes of committed files that the service can give back.
public enum SpoolKeeping: String, Sendable, CaseIterable {
    /// As long as there is room.
    case all
    case none
}

/// Committed files whose bytes are still in the spool: reading them asks no service. Each has its row in the journal,
/// so they are there after a restart too.
///
/// What a service can give back goes when room is short, that used longest ago first. What it cannot give back stays
/// until the service itself no longer has it.
///
/// Lock order: `state` is a leaf; files are opened, and names taken away, outside of it.
final class KeptContents: Sendable {
    private struct Content {
        var revision: RevisionID
        var name: Name
        var size: UInt64
        /// The service does not give it back: it is not removed for room.
        var isOnlyCopy: Bool
        var expires: Timestamp?
        /// The journal knows it as committed; until then its spool file is more than a copy.
        var isSettled = false
        /// In the numbers of `State.uses`.
        var used: UInt64

        var isSpare: Bool { isSettled && !isOnlyCopy }
    }

    private struct State {
        var contents: [UploadID: Content] = [:]
        /// Bytes of those that may go for room.
        var spare: UInt64 = 0
        var uses: UInt64 = 0

        mutating func use() -> UInt64 {
            uses += 1
            return uses
        }

        mutating func take(_ upload: UploadID) -> Content? {
            guard let content = contents.removeValue(forKey: upload) else { return nil }
            if content.isSpare { spare -= content.size }
            return content
        }

        /// Takes out what was used longest ago until at least so many bytes went.
        mutating func takeOldest(_ bytes: UInt64) -> [Content] {
            var taken: [Content] = []
            var count: UInt64 = 0
            for (upload, content) in contents.filter({ $0.value.isSpare }).sorted(by: { $0.value.used < $1.value.used })
            {
                if count >= bytes { break }
                _ = take(upload)
                taken.append(content)
                count += content.size
            }
            return taken
        }
    }

    private let spool: Spool
    private let journal: Journal
    private let clock: WallClock
    private let events: EventLog
    private let keeping: SpoolKeeping
    private let state = Mutex(State())

    /// Some 20 MB of memory, and of rows in the journal.
    private static let capacity = 100_000

    init(spool: Spool, journal: Journal, clock: WallClock, events: EventLog, keeping: SpoolKeeping) {
        self.spool = spool
        self.journal = journal
        self.clock = clock
        self.events = events
        self.keeping = keeping
    }

    /// What another content has replaced, or what the spool has given up in parts, is not kept.
    private func wants(_ row: RevisionRow, committed: CommittedRow, facts: BackendFacts) -> Bool {
        if committed.upload != row.upload || !row.freed.isEmpty { return false }
        if let end = KeptContents.end(of: committed, facts), end <= clock.now() { return false }
        // A service on this machine is as fast as the spool.
        return !facts.readsBack || keeping == .all && facts.isRemote
    }

    /// When bytes that only the spool can give back are kept no longer; nil for never.
    private static func end(of committed: CommittedRow, _ facts: BackendFacts) -> Timestamp? {
        if let expires = committed.expires { return expires }
        return facts.readsBack
            ? nil
            : facts.keepsUnreadable.map { life in
                Timestamp(seconds: committed.time.seconds + life.components.seconds)
            }
    }

    /// Keeps the spool file of a content that has just been committed; it can be read at once, and stays at least until
    /// `settle`.
    /// - Returns: false when its bytes are not wanted; nothing is kept then.
    func keep(_ row: RevisionRow, committed: CommittedRow, facts: BackendFacts) -> Bool {
        guard let name = row.spoolName, wants(row, committed: committed, facts: facts) else { return false }
        state.withLock { state in
            state.contents[row.upload] = Content(
                revision: row.id, name: name, size: row.size.rawValue, isOnlyCopy: !facts.readsBack,
                expires: KeptContents.end(of: committed, facts), used: state.use())
        }
        return true
    }

    /// The journal knows a kept content as committed. Makes room for it if need be.
    func settle(_ upload: UploadID) {
        state.withLock { state in
            guard var content = state.contents[upload], !content.isSettled else { return }
            content.isSettled = true
            state.contents[upload] = content
            if content.isSpare { state.spare += content.size }
        }
        shrink()
    }

    /// True when reading an upload asks no service.
    func has(_ upload: UploadID) -> Bool { state.withLock { $0.contents[upload] != nil } }

    /// The bytes of an upload; nil when they are not, or no longer, here. Who has them can read on after they went.
    func content(of upload: UploadID) -> SpoolFile? {
        let found: Content? = state.withLock { state in
            guard state.contents[upload] != nil else { return nil }
            let number = state.use()
            state.contents[upload]?.used = number
            return state.contents[upload]
        }
        guard let found else { return nil }
        if let expires = found.expires, expires <= clock.now() {
            drop(upload)
            return nil
        }
        do throws(RemoteError) { return try spool.open(found.name) } catch {
            // Somebody took it out of the spool: the service is asked, if it can be.
            if error == .local(.noSuchFileOrDirectory, during: .spool) { drop(upload) }
            return nil
        }
    }

    /// Lets the bytes of an upload go, if they are here: something newer has its name.
    func drop(_ upload: UploadID) {
        if let content = state.withLock({ $0.take(upload) }) { remove([content]) }
    }

    /// Bytes that a service has acknowledged may go before the file is there as a whole.
    var passesOn: Bool { keeping != .all }

    /// What may go for room.
    var spareBytes: UInt64 { state.withLock { $0.spare } }

    /// Lets at least so many bytes go.
    /// - Returns: false when there was nothing that may.
    func makeRoom(for count: UInt64) -> Bool {
        let gone = state.withLock { $0.takeOldest(max(count, KeptContents.smallestStep)) }
        remove(gone)
        return !gone.isEmpty
    }

    /// 64 MiB, the largest window a draft reserves ahead: less would be asked for again at once.
    private static let smallestStep: UInt64 = 64 << 20

    /// At least as many bytes stay free as are kept.
    private func shrink() {
        let free: UInt64
        do throws(RemoteError) { free = try spool.space().available.rawValue } catch { return }
        let gone = state.withLock { state in
            // Each byte that goes counts twice: it is kept no more, and is free.
            var gone = state.spare > free ? state.takeOldest((state.spare - free + 1) / 2) : []
            while state.contents.count > KeptContents.capacity {
                let more = state.takeOldest(1)
                if more.isEmpty { break }
                gone += more
            }
            return gone
        }
        remove(gone)
    }

    /// The service has them, and the journal knows that; see `SpoolRemoval`.
    private func remove(_ contents: [Content]) {
        for content in contents {
            do throws(RemoteError) {
                try spool.remove(content.name, because: .committed)
                journal.enqueue([.dropRevision(content.revision)])
            } catch {
                events.record("spool_not_freed", [.init("error", .string(error.message))])
            }
        }
    }
}
