internal import FXSystem
internal import SystemPackage

/// How far the search for links that a crash left has come.
enum LeftoverSearch: Sendable {
    case due, underWay, done
}

extension VersionStore {
    /// Makes copies of all versions that have another name as well, wherever that is.
    ///
    /// A crash between linking a version and taking the name away leaves one file under both, and the name may have
    /// changed since, so the path of the file does not lead to the version. Call before the bytes of a file with several
    /// names change. Looks once: a store that lives leaves no such link.
    /// - Throws: EINTR when `isGivenUp` says so; what reading and copying met.
    func separateLeftovers(isGivenUp: () -> Bool) throws(Errno) {
        while !takeLeftoverSearch() {
            if leftovers.withLock({ $0 == .done }) { return }
            if isGivenUp() { throw .interrupted }
        }
        var outcome = LeftoverSearch.due
        defer { leftovers.withLock { $0 = outcome } }
        do throws(Errno) {
            let top = try directory.openTop()
            try separateLeftovers(in: top, isGivenUp)
        } catch {
            // No version was ever made here.
            if error != .noSuchFileOrDirectory { throw error }
        }
        outcome = .done
    }

    /// True when the search is the caller's; waits a tenth of a second for somebody else's.
    private func takeLeftoverSearch() -> Bool {
        leftovers.wait(until: .after(.milliseconds(100))) { search -> Bool? in
            switch search {
            case .underWay: return nil
            case .done: return false
            case .due:
                search = .underWay
                return true
            }
        } ?? false
    }

    private func separateLeftovers(in store: borrowing OwnedDescriptor, _ isGivenUp: () -> Bool) throws(Errno) {
        if isGivenUp() { throw .interrupted }
        for name in try store.entryNames() {
            if let stamp = VersionStamp(entry: name.bytes) {
                let status = try store.status(of: name)
                guard status.isRegular, status.linkCount > 1 else { continue }
                try replaceByCopy(stamp, of: try store.open(name, [.readOnly, .nonBlocking]), in: store)
            } else if let next = try directory.openIfOurs(name, in: store) {
                try separateLeftovers(in: next, isGivenUp)
            }
        }
    }
}
