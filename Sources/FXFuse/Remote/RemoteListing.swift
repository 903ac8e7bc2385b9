internal import FXRemote
internal import FXSystem
internal import SystemPackage

/// An open directory of a remote: the entries there were when it was opened, looked at as they are read. Positions are
/// indices and stay valid; an entry that is gone meanwhile is left out.
final class RemoteListing: DirectoryHandle {
    private let entries: [EntryID]
    private let directory: RemoteDirectory

    init(_ entries: [EntryID], of directory: RemoteDirectory) {
        self.entries = entries
        self.directory = directory
    }

    /// Looked at under one hold of the tree's lock: about what fits into one answer of a page.
    private static let batch = 32

    func enumerate(
        from offset: Int64, status: ListingStatus?, by caller: Caller, _ emit: (ListedEntry) -> Bool
    ) throws(Errno) {
        let place = directory.place
        let dots: [EntryName] = [.dot, .dotDot]
        var position = Int(clamping: max(offset, 0))
        if position < dots.count {
            let inode = place.inode(of: directory.id)
            while position < dots.count {
                let dot = ListedEntry(
                    name: dots[position], inode: inode, type: .directory, nextOffset: Int64(position + 1))
                if !emit(dot) { return }
                position += 1
            }
        }
        while position - dots.count < entries.count {
            let ids = entries[(position - dots.count)...].prefix(RemoteListing.batch)
            for entry in place.tree.look(at: ids) {
                position += 1
                guard let entry else { continue }
                let found = status != nil ? place.found(entry) : nil
                let listed = ListedEntry(
                    name: .name(entry.name), inode: place.inode(of: entry.id),
                    type: entry.isDirectory ? .directory : .regular, nextOffset: Int64(position), found: found)
                if !emit(listed) { return }
            }
        }
    }

    /// fsync on a directory waits for everything below it.
    func sync(by caller: Caller, _ request: consuming PendingRequest) {
        let (place, id) = (directory.place, directory.id)
        place.answer(request, by: caller) { place.tree.waitUntilCommitted(below: id, $0) }
    }
}
