internal import FXSystem
internal import SystemPackage

/// A listing made when the directory was opened; positions are indices and stay valid.
final class VirtualListing: DirectoryHandle {
    private let entries: [(name: Name, node: any Node, status: FileStatus)]
    private let inode: UInt64
    private let syncing: (@Sendable (Caller, consuming PendingRequest) -> Void)?

    init(
        _ entries: [(name: Name, node: any Node, status: FileStatus)], inode: UInt64,
        syncing: (@Sendable (Caller, consuming PendingRequest) -> Void)? = nil
    ) {
        self.entries = entries
        self.inode = inode
        self.syncing = syncing
    }

    func enumerate(
        from offset: Int64, status: ListingStatus?, by caller: Caller, _ emit: (ListedEntry) -> Bool
    ) throws(Errno) {
        let dots: [EntryName] = [.dot, .dotDot]
        var index = Int(clamping: max(offset, 0))
        while index < dots.count + entries.count {
            let next = Int64(index + 1)
            if index < dots.count {
                let dot = ListedEntry(name: dots[index], inode: inode, type: .directory, nextOffset: next)
                if !emit(dot) { return }
            } else {
                let entry = entries[index - dots.count]
                let found = status != nil ? Found(node: entry.node, status: entry.status) : nil
                let listed = ListedEntry(
                    name: .name(entry.name), inode: entry.status.inode, type: entry.status.type, nextOffset: next,
                    found: found)
                if !emit(listed) { return }
            }
            index += 1
        }
    }

    func sync(by caller: Caller, _ request: consuming PendingRequest) {
        guard let syncing else { return request.succeed() }
        syncing(caller, request)
    }
}
