internal import FXSystem
internal import SystemPackage

/// How the kernel should treat an open file (FOPEN_ flags of fuse.h).
struct OpenReply: Sendable {
    /// Every read and write comes to us; no page cache, no shared mmap.
    var directIO = false
    /// What the kernel has of the file from earlier handles is still its content (FOPEN_KEEP_CACHE).
    var keepsCache = false
    /// Closing tells us nothing new: no FLUSH, one round trip less (FOPEN_NOFLUSH). For handles that cannot write.
    var needsNoFlush = false
    /// The kernel reads and writes this backing file by itself.
    var backing: BackingID?
}

/// A backing file registered with the kernel (FUSE_DEV_IOC_BACKING_OPEN).
struct BackingID: Sendable, Hashable {
    var rawValue: Int32
}

/// An open file. Requests that may take long are handed over to be answered later, from any thread.
protocol FileHandle: AnyObject, Sendable {
    var openReply: OpenReply { get }
    func read(_ count: Int, at offset: UInt64, _ request: consuming PendingRequest)
    /// - Parameter appending: the caller's descriptor has O_APPEND at this moment.
    func write(
        _ data: borrowing WriteData, at offset: UInt64, appending: Bool, by caller: Caller,
        _ request: consuming PendingRequest)
    func flush(by caller: Caller, _ request: consuming PendingRequest)
    func sync(dataOnly: Bool, by caller: Caller, _ request: consuming PendingRequest)
    func allocate(mode: Int32, offset: UInt64, length: UInt64, by caller: Caller) throws(Errno)
    func seek(_ offset: Int64, whence: Int32) throws(Errno) -> Int64
    func copyRange(
        at offset: UInt64, to target: any FileHandle, at targetOffset: UInt64, count: Int, by caller: Caller
    ) throws(Errno) -> Int
    func release()
    /// Takes back what opening did: the caller was answered before the handle was there.
    func withdraw()
    /// Where to change the size or the bytes when that may wait for a network; nil for the worker.
    var laneForChanges: RequestLane? { get }
}

extension FileHandle {
    func withdraw() { release() }
    var laneForChanges: RequestLane? { nil }
    func allocate(mode: Int32, offset: UInt64, length: UInt64, by caller: Caller) throws(Errno) { throw .notSupported }
    /// ENOSYS makes the kernel do it by size alone, for good.
    func seek(_ offset: Int64, whence: Int32) throws(Errno) -> Int64 { throw .invalidArgument }
    /// The kernel then copies through read and write (generic copy).
    func copyRange(
        at offset: UInt64, to target: any FileHandle, at targetOffset: UInt64, count: Int, by caller: Caller
    ) throws(Errno) -> Int { throw .notSupported }
}

/// An open directory: a stream of entries with positions that stay valid.
protocol DirectoryHandle: AnyObject, Sendable {
    /// Calls `emit` with the entries from `offset` on until it returns false or there are no more.
    /// - Parameter status: nil for names only.
    func enumerate(
        from offset: Int64, status: ListingStatus?, by caller: Caller, _ emit: (ListedEntry) -> Bool
    ) throws(Errno)
    func sync(by caller: Caller, _ request: consuming PendingRequest)
    func release()
}

extension DirectoryHandle {
    func sync(by caller: Caller, _ request: consuming PendingRequest) { request.succeed() }
    func release() {}
}

/// For a listing with the status of each entry (READDIRPLUS).
struct ListingStatus {
    /// The node that stands for a key already, if the kernel knows one: most entries of a listing were listed before, and
    /// nothing has to be made for them.
    let known: (NodeKey) -> (any Node)?
}

/// One line of a listing.
struct ListedEntry {
    var name: EntryName
    var inode: UInt64
    var type: FXSystem.FileType
    /// Where the next one starts.
    var nextOffset: Int64
    /// For READDIRPLUS; nil where the kernel shall look it up itself.
    var found: Found?
}
