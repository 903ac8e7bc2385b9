internal import Crypto
public import FXSystem
internal import Synchronization

/// A service that keeps everything in memory: the double of every other, under the same conformance suite.
public final class InMemoryService: Backend {
    private struct HeldFile {
        var upload: UploadID
        var bytes: [UInt8]
        var modified: Timestamp
    }

    private struct Store {
        var directories: Set<RelativePath> = []
        var files: [RelativePath: HeldFile] = [:]
        var replaced: [(path: RelativePath, bytes: [UInt8])] = []
        var unfinished: InMemoryUploads
        var complete: Set<Name> = []
    }

    public let facts: BackendFacts
    private let store: Mutex<Store>

    /// - Parameters:
    ///   - parallelChunks: 1 takes them in order only.
    ///   - whileWriting: takes chunks of files that are not sealed.
    public init(
        chunk: ByteCount = .mebibytes(1), maximumFileSize: ByteCount? = nil, parallelChunks: Int = 1,
        whileWriting: Bool = false
    ) {
        store = Mutex(Store(unfinished: InMemoryUploads(isInOrder: parallelChunks == 1)))
        var facts = BackendFacts()
        facts.completesGroups = true
        facts.needsSizeFirst = false
        facts.preferredChunk = chunk
        facts.parallelChunks = parallelChunks
        facts.uploadsWhileWriting = whileWriting
        facts.renamesCommitted = true
        facts.keepsModificationTimes = true
        facts.maximumFileSize = maximumFileSize
        self.facts = facts
    }

    /// What is visible under a path.
    public func bytes(at path: RelativePath) -> [UInt8]? { store.withLock { $0.files[path]?.bytes } }
    /// Every visible path.
    public var paths: [RelativePath] { store.withLock { $0.files.keys.sorted() } }
    /// What newer content took the place of, in order.
    public var replaced: [[UInt8]] { store.withLock { $0.replaced.map(\.bytes) } }

    public func prepare() throws(RemoteError) {}

    public func makeDirectory(_ path: RelativePath, in parent: StoredDirectory) throws(RemoteError) -> String {
        store.withLock { _ = $0.directories.insert(path) }
        return path.description
    }

    public func standing(of upload: Upload) throws(RemoteError) -> UploadStanding {
        store.withLock { store in
            if let file = store.files[upload.path],
                file.upload == upload.id || SHA256Digest(hashing: file.bytes) == upload.sha256
            {
                return .committed(CommittedFile(remoteID: upload.id.text, size: upload.size))
            }
            return store.unfinished.ranges(of: upload).map { .partial($0) } ?? .nothing
        }
    }

    public func begin(_ upload: Upload) throws(RemoteError) -> String? {
        try store.withLock { store throws(RemoteError) in
            try InMemoryService.checkOpen(upload.path, store)
            return try store.unfinished.begin(upload)
        }
    }

    public func send(_ range: Range<UInt64>, of upload: Upload, from content: any UploadContent) throws(RemoteError) {
        var bytes = [UInt8](repeating: 0, count: Int(range.upperBound - range.lowerBound))
        try unsafe bytes.withUnsafeMutableBufferPointer { buffer throws(RemoteError) in
            _ = try unsafe content.read(into: UnsafeMutableRawBufferPointer(buffer), at: range.lowerBound)
        }
        let chunk = bytes
        try store.withLock { store throws(RemoteError) in
            try store.unfinished.put(chunk, at: range.lowerBound, of: upload)
        }
    }

    public func commit(_ upload: Upload) throws(RemoteError) -> CommittedFile {
        try store.withLock { store throws(RemoteError) in
            try InMemoryService.checkOpen(upload.path, store)
            guard let bytes = try store.unfinished.take(upload), SHA256Digest(hashing: bytes) == upload.sha256 else {
                throw .verificationMismatch
            }
            if let old = store.files[upload.path] { store.replaced.append((upload.path, old.bytes)) }
            store.files[upload.path] = HeldFile(upload: upload.id, bytes: bytes, modified: upload.modified)
            return CommittedFile(remoteID: upload.id.text, size: upload.size)
        }
    }

    public func open(_ file: StoredFile) throws(RemoteError) -> any CommittedContent {
        guard let bytes = bytes(at: file.path) else { throw .noSuchEntry }
        return BytesInMemory(bytes: bytes)
    }

    public func complete(_ manifest: SessionManifest) throws(RemoteError) {
        store.withLock { _ = $0.complete.insert(manifest.session) }
    }

    public func abort(_ session: StoredDirectory) throws(RemoteError) {}

    public func space() throws(RemoteError) -> FileSystemSpace {
        // 1 TiB: more than any test writes.
        FileSystemSpace(
            blockSize: 4096, fragmentSize: 4096, blocks: 1 << 28, freeBlocks: 1 << 28, availableBlocks: 1 << 28,
            files: 1 << 20,
            freeFiles: 1 << 20, id: 0, kind: 0)
    }

    public func rename(_ path: RelativePath, to newPath: RelativePath, aside: UploadID) throws(RemoteError) {
        try store.withLock { store throws(RemoteError) in
            let moved = store.files.filter { $0.key.isWithin(path) }
            if moved.isEmpty, !store.directories.contains(path), store.files[newPath] == nil,
                !store.directories.contains(newPath)
            {
                throw .noSuchEntry
            }
            for (old, file) in moved {
                let new = RelativePath(newPath.components + old.components.dropFirst(path.components.count))
                if let replaced = store.files[new] { store.replaced.append((new, replaced.bytes)) }
                store.files[old] = nil
                store.files[new] = file
            }
            for old in store.directories where old.isWithin(path) {
                store.directories.remove(old)
                store.directories.insert(
                    RelativePath(newPath.components + old.components.dropFirst(path.components.count)))
            }
        }
    }

    public func setModified(_ path: RelativePath, _ time: Timestamp) throws(RemoteError) {
        store.withLock { $0.files[path]?.modified = time }
    }

    public func unfinishedUploads() throws(RemoteError) -> [UploadID] { store.withLock { $0.unfinished.ids } }

    public func discard(_ upload: Upload) throws(RemoteError) { store.withLock { $0.unfinished.discard(upload) } }

    /// Loses every unfinished upload, as a sweep of old ones does.
    public func forgetUploads() { store.withLock { $0.unfinished.forgetAll() } }

    private static func checkOpen(_ path: RelativePath, _ store: Store) throws(RemoteError) {
        guard let session = path.components.first else { throw .invalidArgument }
        if store.complete.contains(session) { throw .sessionClosed(.complete) }
    }
}

private struct BytesInMemory: CommittedContent {
    let bytes: [UInt8]

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        if offset >= UInt64(bytes.count) { return 0 }
        let piece = bytes[Int(offset)...].prefix(buffer.count)
        unsafe buffer.copyBytes(from: piece)
        return piece.count
    }
}
