internal import FXSystem

/// What becomes of a directory that a service has listed. Pure: takes what is known and what was listed, and says what
/// to change.
///
/// Entries are the same when their ids at the service are, else when their names are. What is being worked on here keeps
/// its own view, and names do not move under it.
struct ListingMerge {
    /// An entry of the directory as it is known here.
    struct Known: Sendable {
        var id: EntryID
        var name: Name
        var isFile: Bool
        /// Of what the service holds; nil when it holds nothing, or was never asked.
        var remoteID: String?
        var upload = UploadID.unknown
        /// It changed here after the listing began: the listing cannot tell what is true of it.
        var isRecent = false
        /// There is local work in it or below it; it stays, whatever is listed.
        var isPinned = false
        /// It has this name for good, whatever the service calls it.
        var keepsName = false
        /// An upload to it is under way: what is listed under its name may be that.
        var isSending = false
    }

    enum Change: Sendable, Equatable {
        case insert(ListedEntry, Name)
        /// The name is nil when it stays.
        case update(EntryID, ListedEntry, newName: Name?)
    }

    private(set) var changes: [Change] = []
    /// Known entries that are listed no more.
    private(set) var vanished: [EntryID] = []
    /// Those that stay although the service had them once and has them no more: there is local work in them.
    private(set) var absent: [EntryID] = []

    /// - Parameters:
    ///   - departed: ids that were moved or removed here after the listing began.
    ///   - reserved: names nothing listed may have.
    init(known: [Known], listed: [ListedEntry], departed: Set<String> = [], reserved: Set<Name> = []) {
        var matching = Matching(known)
        var entries: [(listed: ListedEntry, known: Int?)] = []
        entries.reserveCapacity(listed.count)
        var seen = Set<String>(minimumCapacity: listed.count)
        for entry in listed where !departed.contains(entry.remoteID) && seen.insert(entry.remoteID).inserted {
            entries.append((entry, matching.byIdentity(entry)))
        }
        entries = matching.bindByName(entries)

        var taken = reserved
        for (index, known) in known.enumerated() where !matching.isListed[index] {
            if !known.isPinned, !known.isRecent {
                vanished.append(known.id)
                continue
            }
            taken.insert(known.name)
            if known.isPinned, !known.isRecent, known.remoteID != nil { absent.append(known.id) }
        }
        let names = ServerNames.names(
            of: entries.map { entry in
                let kept = entry.known.flatMap { known[$0].keepsName || known[$0].isRecent ? known[$0].name : nil }
                return ServerNames.Entry(
                    name: entry.listed.name, remoteID: entry.listed.remoteID, modified: entry.listed.modified,
                    kept: kept)
            }, taken: taken)
        changes.reserveCapacity(entries.count)
        for (entry, name) in zip(entries, names) {
            guard let index = entry.known else {
                changes.append(.insert(entry.listed, name))
                continue
            }
            if known[index].isRecent { continue }
            changes.append(
                .update(known[index].id, entry.listed, newName: known[index].name == name ? nil : name))
        }
    }

    /// Finds out which listed entry is which known one; each is at most one other.
    private struct Matching {
        let known: [Known]
        private(set) var isListed: [Bool]
        private var identities: [String: Int] = [:]
        private var uploads: [UploadID: Int] = [:]

        init(_ known: [Known]) {
            self.known = known
            isListed = Array(repeating: false, count: known.count)
            identities.reserveCapacity(known.count)
            for (index, entry) in known.enumerated() {
                if let remoteID = entry.remoteID { identities[remoteID] = index }
                if entry.upload != .unknown { uploads[entry.upload] = index }
            }
        }

        mutating func byIdentity(_ entry: ListedEntry) -> Int? {
            let index = identities[entry.remoteID] ?? entry.upload.flatMap { uploads[$0] }
            guard let index, !isListed[index], known[index].isFile == entry.isFile else { return nil }
            isListed[index] = true
            return index
        }

        /// Gives the rest to known entries of the same name and kind: somebody has replaced them, or what is here was
        /// never on the service. Leaves out what may be an upload of this program on its way.
        mutating func bindByName(_ entries: [(listed: ListedEntry, known: Int?)]) -> [(
            listed: ListedEntry, known: Int?
        )] {
            if entries.allSatisfy({ $0.known != nil }) { return entries }
            var unlisted: [Name: Int] = [:]
            for (index, entry) in known.enumerated() where !isListed[index] { unlisted[entry.name] = index }
            if unlisted.isEmpty { return entries }
            var best: [Int: Int] = [:]
            var leftOut = Set<Int>()
            for (position, entry) in entries.enumerated() where entry.known == nil {
                guard let name = ServerNames.shown(entry.listed.name).name, let index = unlisted[name],
                    known[index].isFile == entry.listed.isFile
                else { continue }
                if known[index].isRecent || known[index].isSending {
                    leftOut.insert(position)
                } else if let other = best[index], !entry.listed.isNewer(than: entries[other].listed) {
                    continue
                } else {
                    best[index] = position
                }
            }
            var bound = entries
            for (index, position) in best {
                bound[position].known = index
                isListed[index] = true
            }
            return leftOut.isEmpty ? bound : bound.enumerated().filter { !leftOut.contains($0.offset) }.map(\.element)
        }
    }
}

extension ListedEntry {
    var isFile: Bool { if case .file = kind { true } else { false } }

    fileprivate func isNewer(than other: ListedEntry) -> Bool {
        ServerNames.Entry(name: other.name, remoteID: other.remoteID, modified: other.modified)
            .isOlder(than: ServerNames.Entry(name: name, remoteID: remoteID, modified: modified))
    }
}
