internal import CFuse3
internal import FXSystem
internal import Glibc

/// The reply of READDIR and READDIRPLUS while it is being packed.
///
/// Holds the request pointer only as libfuse wants it for the format; the request is answered by its owner.
@safe
struct ListingBuffer {
    private let request: fuse_req_t
    private let memory: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(_ request: fuse_req_t, _ memory: UnsafeMutableRawBufferPointer) {
        unsafe self.request = request
        unsafe self.memory = memory
    }

    /// Adds a name; false when it does not fit any more.
    mutating func add(_ entry: ListedEntry) -> Bool {
        var attributes = stat()
        attributes.st_ino = ino_t(entry.inode)
        attributes.st_mode = entry.type.rawValue
        let rest = unsafe memory.count - count
        let needed = unsafe entry.name.withCString {
            unsafe fuse_add_direntry(request, position, rest, $0, &attributes, off_t(entry.nextOffset))
        }
        return take(needed, of: rest)
    }

    /// Adds a name with its attributes; false when it does not fit: the lookup is then not counted by the kernel.
    mutating func add(_ entry: ListedEntry, _ reply: EntryReply) -> Bool {
        var parameter = reply.parameter
        let rest = unsafe memory.count - count
        let needed = unsafe entry.name.withCString {
            unsafe fuse_add_direntry_plus(request, position, rest, $0, &parameter, off_t(entry.nextOffset))
        }
        return take(needed, of: rest)
    }

    private var position: UnsafeMutablePointer<CChar>? {
        unsafe memory.baseAddress?.advanced(by: count).assumingMemoryBound(to: CChar.self)
    }

    private mutating func take(_ needed: Int, of rest: Int) -> Bool {
        if needed > rest { return false }
        count += needed
        return true
    }
}
