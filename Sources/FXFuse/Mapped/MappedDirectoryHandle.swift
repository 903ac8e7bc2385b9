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
        from offset: Int64, status: ListingStatus?, by caller: Caller, _ emit: (ListedEntry) -> Bool
    ) throws(Errno) {
        // Two threads on one directory stream take turns (readdir(3) orders nothing between them).
        var entries = take(at: offset)
        var position = offset
        let view = ListingView(of: directory, by: try directory.gate())
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
            if let listed = view.listed(entry, in: descriptor, status), !emit(listed) { return }
            entries?.removeFirst()
            position = entry.nextOffset
        }
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
