internal import FXMapping
internal import FXSystem
internal import SystemPackage

/// An open directory of a mapped type.
final class MappedDirectoryHandle: DirectoryHandle {
    private let descriptor: OwnedDescriptor
    private let directory: MappedDirectory
    private let stream = Monitor(Stream())

    /// Entries read from the kernel and not yet handed on, and where the descriptor stands.
    private struct Stream {
        var isBusy = false
        /// The offset the first of `buffered` was asked for with; -1 before the first read.
        var offset: Int64 = -1
        var buffered: ArraySlice<DirectoryEntry> = []
    }

    init(_ descriptor: consuming OwnedDescriptor, directory: MappedDirectory) {
        self.descriptor = descriptor
        self.directory = directory
    }

    func enumerate(
        from offset: Int64, withStatus: Bool, by caller: Caller, _ emit: (ListedEntry) -> Bool
    ) throws(Errno) {
        // Two threads on one directory stream take turns (readdir(3) orders nothing between them).
        var entries = take(at: offset)
        var position = offset
        defer { give(entries, at: position) }
        if entries == nil {
            _ = try descriptor.seek(offset, whence: 0)
            entries = []
        }
        while true {
            if entries?.isEmpty ?? true {
                let next = try descriptor.readEntries()
                if next.isEmpty { return }
                entries = next[...]
            }
            guard let entry = entries?.first else { return }
            if let listed = listed(entry, withStatus: withStatus), !emit(listed) { return }
            entries?.removeFirst()
            position = entry.nextOffset
        }
    }

    private func listed(_ entry: DirectoryEntry, withStatus: Bool) -> ListedEntry? {
        var listed = ListedEntry(
            name: entry.bytes, inode: entry.inode, type: entry.type ?? .regular, nextOffset: entry.nextOffset)
        // `.` and `..` are not names.
        guard let name = try? Name(validating: entry.bytes) else { return listed }
        if MappedRoot.isReserved(name) { return nil }
        if let gate = directory.root { listed.inode = InodeNumbers.mapped(entry.inode, fileSystem: gate.fileSystemID) }
        if withStatus {
            // What vanished meanwhile, or cannot be looked at, is listed by name; a lookup then says why.
            if let status = try? directory.anchor().descriptor.status(of: name) {
                listed.found = try? directory.found(name, status)
            }
        }
        return listed
    }

    func sync(by caller: Caller, _ request: consuming PendingRequest) {
        do throws(Errno) {
            try descriptor.sync()
            request.succeed()
        } catch {
            request.fail(error)
        }
    }

    /// The buffered entries if they start at `offset`, else nil: the descriptor has to be moved there.
    private func take(at offset: Int64) -> ArraySlice<DirectoryEntry>? {
        let taken: ArraySlice<DirectoryEntry>?? = stream.wait { stream in
            if stream.isBusy { return nil }
            stream.isBusy = true
            defer { stream.buffered = [] }
            return .some(stream.offset == offset ? stream.buffered : nil)
        }
        return taken ?? nil
    }

    private func give(_ entries: ArraySlice<DirectoryEntry>?, at offset: Int64) {
        stream.withLock { stream in
            stream.isBusy = false
            stream.buffered = entries ?? []
            stream.offset = entries == nil ? -1 : offset
        }
    }
}
