internal import FXMapping
internal import FXSystem
internal import SystemPackage

/// What each line of a listing needs of its directory, looked up once for all of them: a listing of a large directory is
/// the one request in which our own work, and not the way to the kernel and back, takes the time.
struct ListingView {
    private let directory: MappedDirectory
    private let gate: MappedRoot

    init(of directory: MappedDirectory, by gate: MappedRoot) {
        self.directory = directory
        self.gate = gate
    }

    /// - Parameter open: the directory, which may have another name by now.
    /// - Returns: nil for the names that are ours.
    func listed(
        _ entry: DirectoryEntry, in open: borrowing OwnedDescriptor, _ status: ListingStatus?
    ) -> ListedEntry? {
        var listed = ListedEntry(
            name: entry.name, inode: InodeNumbers.mapped(entry.inode, fileSystem: gate.fileSystemID),
            type: entry.type ?? .regular, nextOffset: entry.nextOffset)
        guard case .name(let name) = entry.name else { return listed }
        if MappedRoot.isReserved(name) { return nil }
        // What vanished meanwhile, or cannot be looked at, is listed by name; a lookup then says why.
        if let status, let seen = try? open.status(of: name) { listed.found = found(name, seen, status) }
        return listed
    }

    /// nil for a mount point below the directory, which is somebody else's tree.
    private func found(_ name: Name, _ seen: FileStatus, _ status: ListingStatus) -> Found? {
        // First of all: the same directory bound a second time has the key of one that is known, which stays where it is.
        if seen.mountID != gate.status.mountID { return nil }
        let key = NodeKey.mapped(type: gate.type.id, device: seen.device, inode: seen.inode)
        guard let known = status.known(key), known.isFound(again: seen, as: name, in: directory) else {
            return try? directory.found(name, seen)
        }
        return Found(node: known, status: directory.shown(seen, by: gate))
    }
}
