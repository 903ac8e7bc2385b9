/// The files that were committed last. A value; guarded by the tree.
struct RecentCommits: Sendable {
    /// Entries: enough to watch a backup, and listed in a few hundred KiB.
    static let limit = 1_000

    /// Oldest first; up to twice the limit, so that a note seldom moves anything.
    private var entries: [EntryID] = []

    mutating func note(_ id: EntryID) {
        entries.append(id)
        if entries.count >= RecentCommits.limit * 2 { entries.removeFirst(RecentCommits.limit) }
    }

    /// Each once, at most `limit`.
    var newestFirst: [EntryID] {
        var seen = Set<EntryID>()
        var found: [EntryID] = []
        for id in entries.reversed() where found.count < RecentCommits.limit && seen.insert(id).inserted {
            found.append(id)
        }
        return found
    }
}
