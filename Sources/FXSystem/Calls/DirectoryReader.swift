internal import CLinux
internal import Glibc
public import SystemPackage

/// One entry as `getdents64(2)` returns it.
public struct DirectoryEntry: Sendable {
    public var name: EntryName
    public var inode: UInt64
    public var type: FileType?
    /// Where the next entry starts; only this directory's file system knows what the number means.
    public var nextOffset: Int64
}

extension OwnedDescriptor {
    /// The next entries from the descriptor's position, as many as fit 32 KiB; empty at the end.
    public borrowing func readEntries() throws(Errno) -> [DirectoryEntry] {
        let number = rawValue
        // What glibc's readdir reads at once.
        let capacity = 32 << 10
        return try unsafe withUnsafeTemporaryAllocation(byteCount: capacity, alignment: 8) { buffer throws(Errno) in
            let count = try retryingOnInterrupt { unsafe fx_getdents64(number, buffer.baseAddress, capacity) }
            return unsafe decode(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    /// All names of this directory but `.` and `..`, in the order of the file system.
    public borrowing func entryNames() throws(Errno) -> [Name] {
        let directory = try reopenDirectory()
        var names: [Name] = []
        while true {
            let entries = try directory.readEntries()
            if entries.isEmpty { return names }
            for entry in entries {
                if case .name(let name) = entry.name { names.append(name) }
            }
        }
    }
}

private func decode(_ buffer: UnsafeRawBufferPointer) -> [DirectoryEntry] {
    var entries: [DirectoryEntry] = []
    // struct linux_dirent64: ino 8, off 8, reclen 2, type 1, name.
    let nameOffset = 19
    var position = 0
    while position + nameOffset < buffer.count {
        let length = unsafe Int(buffer.loadUnaligned(fromByteOffset: position + 16, as: UInt16.self))
        if length <= nameOffset { break }
        let kind = unsafe buffer[position + 18]
        // What is no name, which only a damaged file system has, could not be reached (readdir of the kernel refuses it).
        if let name = unsafe EntryName(padded: buffer[(position + nameOffset)..<(position + length)]) {
            entries.append(
                unsafe DirectoryEntry(
                    name: name, inode: buffer.loadUnaligned(fromByteOffset: position, as: UInt64.self),
                    type: FileType(rawValue: UInt32(kind) << 12),
                    nextOffset: buffer.loadUnaligned(fromByteOffset: position + 8, as: Int64.self)))
        }
        position += length
    }
    return entries
}
