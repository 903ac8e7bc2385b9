internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// How many `SpoolFile`s of one content are open. A use begins before the name is opened: whoever takes the name away,
/// and finds none after that, knows that nobody has the file and nobody will get it.
final class SpoolUses: Sendable {
    private let count: Atomic<Int>

    init(_ count: Int = 0) { self.count = Atomic(count) }

    func begin() { count.wrappingAdd(1, ordering: .sequentiallyConsistent) }
    func end() { count.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
    var number: Int { count.load(ordering: .sequentiallyConsistent) }
}

/// Spool files of small committed contents, emptied, for the next drafts.
///
/// For a small file most of the work of a file system is to make the file and to remove it: each new one is looked for in
/// the maps of free inodes, on ext4 without a journal past all that were freed in the last minutes (0.4 ms), and a
/// rename takes 0.01 ms. They have a directory of their own, so that nobody takes one for the content of a draft; it is
/// emptied at the start and at the end.
///
/// Any thread; `state` is a leaf, and no system call runs under it.
final class SpareFiles: Sendable {
    /// Enough for the files under way of all remotes at once.
    static let capacity = 64

    private struct State {
        /// Numbers without a file, and those with one.
        var free = (0..<SpareFiles.capacity).compactMap { try? Name(String($0)) }
        var filled: [Name] = []
        var isClosed = false
    }

    private let directory: OwnedDescriptor
    private let state = Mutex(State())

    /// - Parameters:
    ///   - directory: of them alone; what the last run left in it goes.
    ///   - spool: a power cut may have left a file both names; then it is the spool's, and stays.
    init(_ directory: consuming OwnedDescriptor, beside spool: borrowing OwnedDescriptor) throws(Errno) {
        self.directory = directory
        var left = try self.directory.entryNames()
        if left.isEmpty { return }
        var spooled = Set<FileIdentity>()
        for name in try spool.entryNames() { spooled.insert(try spool.status(of: name).identity) }
        for name in left where !spooled.contains(try self.directory.status(of: name).identity) {
            try SpoolRemoval.remove(name, from: self.directory, because: .spare)
        }
        left = try self.directory.entryNames()
        state.withLock { state in state.free.removeAll { left.contains($0) } }
    }

    /// Takes a committed content's file out of the spool.
    /// - Parameters:
    ///   - file: the one open file that the caller has of it, if any.
    ///   - uses: of the content; all its files are opened with it.
    /// - Returns: false when it is to be removed where it is; nothing happened then.
    func keep(
        _ name: Name, file: SpoolFile?, from spool: borrowing OwnedDescriptor, uses: SpoolUses
    ) throws(Errno) -> Bool {
        guard let spare = state.withLock({ $0.isClosed ? nil : $0.free.popLast() }) else { return false }
        do throws(Errno) { try spool.rename(name, to: spare, in: directory, .noReplace) } catch {
            // Gone already, or two file systems, or one without such a rename.
            state.withLock { $0.free.append(spare) }
            return false
        }
        if uses.number == (file == nil ? 0 : 1), empty(spare, file) {
            let isClosed = state.withLock { state in
                if !state.isClosed { state.filled.append(spare) }
                return state.isClosed
            }
            if !isClosed { return true }
        }
        try SpoolRemoval.remove(spare, from: directory, because: .spare)
        state.withLock { $0.free.append(spare) }
        return true
    }

    /// Through the open file, before it is closed: ext4 writes what is new in a file that was once emptied as soon as it is
    /// closed.
    private func empty(_ name: Name, _ file: SpoolFile?) -> Bool {
        do throws(Errno) {
            if let file {
                try file.descriptor.truncate(to: .zero)
            } else {
                try directory.open(name, .readWrite).truncate(to: .zero)
            }
            return true
        } catch { return false }
    }

    /// Puts an empty file under a new name into the spool.
    /// - Parameter prepare: marks it as what it will be, before it has the name.
    /// - Returns: nil when there is none: it has to be made.
    func take(
        as name: Name, in spool: borrowing OwnedDescriptor, _ prepare: (borrowing OwnedDescriptor) throws(Errno) -> Void
    ) throws(Errno) -> OwnedDescriptor? {
        guard let spare = state.withLock({ $0.filled.popLast() }) else { return nil }
        defer { state.withLock { $0.free.append(spare) } }
        do throws(Errno) {
            let file = try directory.open(spare, .readWrite)
            try prepare(file)
            try directory.rename(spare, to: name, in: spool, .noReplace)
            return file
        } catch {
            // Without attributes none can be marked: making them costs less.
            if error == .notSupported || error == .notSupportedOnSocket { state.withLock { $0.isClosed = true } }
            try SpoolRemoval.remove(spare, from: directory, because: .spare)
            return nil
        }
    }

    /// Removes them and keeps no more.
    func close() throws(Errno) {
        let left = state.withLock { state in
            state.isClosed = true
            defer { state.filled = [] }
            return state.filled
        }
        for name in left { try SpoolRemoval.remove(name, from: directory, because: .spare) }
    }
}
