internal import FXSystem

/// Files and bytes below a directory.
struct TreeTotals: Sendable, Equatable {
    var files: [FileState: Int] = [:]
    /// What the remote has acknowledged.
    var done = ByteCount.zero
    var size = ByteCount.zero
    /// When the service drops the first of what it holds.
    var expires: Timestamp?

    /// `committed=3 failed=1`, in the order of a file's life, without those that are 0.
    var text: String {
        FileState.allCases.compactMap { state in files[state].map { "\(state.rawValue)=\($0)" } }.joined(separator: " ")
    }

    mutating func add(_ file: Node) {
        files[file.fileState, default: 0] += 1
        size = size + file.size
        if let end = file.committed?.expires { expires = min(expires ?? end, end) }
        done = done + (file.revisions.last.map { $0.standing.acknowledged } ?? file.size)
    }
}

extension TreeState {
    /// Costs what lies below the entry, whatever else the remote holds.
    func totals(below id: EntryID) -> TreeTotals {
        var totals = TreeTotals()
        index.forEachFile(below: id) { totals.add($0) }
        return totals
    }
}
