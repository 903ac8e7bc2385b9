internal import Crypto
public import FXSystem
internal import Synchronization

/// A service that keeps everything in memory: the double of every other, under the same conformance suite.
public final class InMemoryService: Backend {
    private struct Store {
        var tree: InMemoryTree
        var replaced: [(path: RelativePath, bytes: [UInt8])] = []
        var unfinished: InMemoryUploads
    }

    public let facts: BackendFacts
    private let expires: Timestamp?
    private let store: Mutex<Store>

    /// - Parameters:
    ///   - parallelChunks: 1 takes them in order only.
    ///   - whileWriting: takes chunks of files that are not sealed.
    ///   - expires: when it says that committed files go.
    ///   - adjust: gives the service other abilities and limits.
    public init(
        chunk: ByteCount = .mebibytes(1), maximumFileSize: ByteCount? = nil, parallelChunks: Int = 1,
        whileWriting: Bool = false, expires: Timestamp? = nil,
        adjust: (inout BackendFacts) -> Void = { _ in }
    ) {
        var facts = BackendFacts()
        facts.completesGroups = true
        facts.needsSizeFirst = false
        facts.preferredChunk = chunk
        facts.parallelChunks = parallelChunks
        facts.uploadsWhileWriting = whileWriting
        facts.renamesCommitted = true
        facts.keepsModificationTimes = true
        facts.maximumFileSize = maximumFileSize
        adjust(&facts)
        store = Mutex(
            Store(
                tree: InMemoryTree(sessionDepth: facts.sessionDepth),
                unfinished: InMemoryUploads(isInOrder: facts.parallelChunks == 1)))
        self.facts = facts
        self.expires = expires
    }

    /// What is visible under a path.
    public func bytes(at path: RelativePath) -> [UInt8]? { store.withLock { $0.tree.files[path]?.bytes } }
    /// Every visible path.
    public var paths: [RelativePath] { store.withLock { $0.tree.files.keys.sorted() } }
    /// What newer content took the place of, in order.
    public var replaced: [[UInt8]] { store.withLock { $0.replaced.map(\.bytes) } }

    // MARK: - What others do

    /// Puts an entry into the service that this program did not make.
    /// - Parameters:
    ///   - name: any bytes.
    ///   - parent: the id of a directory; empty for the root.
    /// - Returns: its id.
    @discardableResult
    public func place(
        _ name: [UInt8], _ content: ForeignContent, in parent: String = "", id: String? = nil,
        modified: Timestamp? = nil
    ) -> String {
        let own: InMemoryTree.Content =
            switch content {
            case .directory: .directory
            case .session(let state): .session(state)
            case .file(let bytes): .file(InMemoryTree.File(upload: .unknown, bytes: bytes))
            }
        return store.withLock {
            $0.tree.insert(InMemoryTree.Entry(parent: parent, name: name, content: own, modified: modified), id: id)
        }
    }

    public enum ForeignContent: Sendable {
        case directory
        case session(SessionState)
        case file([UInt8])
    }

    /// Removes an entry behind this program's back.
    public func withdraw(_ id: String) { store.withLock { _ = $0.tree.remove(id) } }

    /// Gives a file of the service another content, under the same id.
    public func overwrite(_ id: String, _ bytes: [UInt8], modified: Timestamp? = nil) {
        store.withLock {
            $0.tree.update(id) { entry in
                entry.content = .file(InMemoryTree.File(upload: .unknown, bytes: bytes))
                entry.modified = modified
            }
        }
    }

    public func setState(_ state: SessionState, of session: String) {
        store.withLock { $0.tree.update(session) { $0.content = .session(state) } }
    }

    /// The id of what has a path; nil when there is nothing.
    public func id(of path: RelativePath) -> String? { store.withLock { $0.tree.id(of: path) } }

    // MARK: - The service

    public func prepare() throws(RemoteError) {}

    public func makeDirectory(_ path: RelativePath, in parent: StoredDirectory) throws(RemoteError) -> String {
        guard let name = path.name else { throw .invalidArgument }
        return try store.withLock { store throws(RemoteError) in
            let directory =
                parent.path == path.parent && parent.remoteID != nil
                ? store.tree.id(of: parent) ?? "" : store.tree.directory(at: path.parent)
            if store.tree[directory] == nil { throw .noSuchEntry }
            return store.tree.directory(name, in: directory)
        }
    }

    public func standing(of upload: Upload) throws(RemoteError) -> UploadStanding {
        store.withLock { store in
            if let file = InMemoryService.held(upload, store),
                file.upload == upload.id || SHA256Digest(hashing: file.bytes) == upload.sha256
            {
                return .committed(CommittedFile(remoteID: upload.id.text, size: upload.size, expires: expires))
            }
            return store.unfinished.ranges(of: upload).map { .partial($0) } ?? .nothing
        }
    }

    public func begin(_ upload: Upload) throws(RemoteError) -> String? {
        try store.withLock { store throws(RemoteError) in
            try InMemoryService.checkOpen(upload, store)
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
            try InMemoryService.checkOpen(upload, store)
            guard let bytes = try store.unfinished.take(upload), SHA256Digest(hashing: bytes) == upload.sha256 else {
                throw .verificationMismatch
            }
            InMemoryService.put(
                InMemoryTree.File(upload: upload.id, bytes: bytes), upload.path, upload.directoryID, upload.modified,
                &store)
            return CommittedFile(remoteID: upload.id.text, size: upload.size, expires: expires)
        }
    }

    public func open(_ file: StoredFile) throws(RemoteError) -> any CommittedContent {
        if !facts.readsBack { throw .notSupported }
        guard let held = store.withLock({ $0.tree.file(file) }) else { throw .noSuchEntry }
        return BytesInMemory(bytes: held.bytes)
    }

    public func complete(_ manifest: SessionManifest) throws(RemoteError) {
        store.withLock { store in
            let id = store.tree.id(of: manifest.directory) ?? store.tree.directory(at: manifest.directory.path)
            store.tree.update(id) { $0.content = .session(.complete) }
        }
    }

    public func abort(_ session: StoredDirectory) throws(RemoteError) {
        store.withLock { store in
            if let id = store.tree.id(of: session) { store.tree.update(id) { $0.content = .session(.aborted) } }
        }
    }

    public func list(_ directory: StoredDirectory) throws(RemoteError) -> [ListedEntry] {
        try store.withLock { store throws(RemoteError) in
            guard let id = store.tree.id(of: directory), store.tree[id] != nil else { throw .noSuchEntry }
            return store.tree.listed(in: id)
        }
    }

    public func delete(_ file: StoredFile) throws(RemoteError) {
        store.withLock { store in
            if let gone = store.tree.remove(file.remoteID)?.file { store.replaced.append((file.path, gone.bytes)) }
        }
    }

    public func space() throws(RemoteError) -> FileSystemSpace {
        // 1 TiB: more than any test writes.
        FileSystemSpace(
            blockSize: 4096, fragmentSize: 4096, blocks: 1 << 28, freeBlocks: 1 << 28, availableBlocks: 1 << 28,
            files: 1 << 20,
            freeFiles: 1 << 20, id: 0, kind: 0)
    }

    public func rename(_ path: RelativePath, to newPath: RelativePath, aside: UploadID) throws(RemoteError) {
        try store.withLock { store throws(RemoteError) in
            guard let name = newPath.name else { throw .invalidArgument }
            guard let id = store.tree.id(of: path) else {
                if store.tree.id(of: newPath) == nil { throw .noSuchEntry }
                return
            }
            if let target = store.tree.id(of: newPath), let old = store.tree.remove(target)?.file {
                store.replaced.append((newPath, old.bytes))
            }
            store.tree.move(id, to: store.tree.directory(at: newPath.parent), as: name)
        }
    }

    public func setModified(_ path: RelativePath, _ time: Timestamp) throws(RemoteError) {
        store.withLock { store in
            if let id = store.tree.id(of: path) { store.tree.update(id) { $0.modified = time } }
        }
    }

    public func unfinishedUploads() throws(RemoteError) -> [UploadID] { store.withLock { $0.unfinished.ids } }

    public func discard(_ upload: Upload) throws(RemoteError) { store.withLock { $0.unfinished.discard(upload) } }

    /// Loses every unfinished upload, as a sweep of old ones does.
    public func forgetUploads() { store.withLock { $0.unfinished.forgetAll() } }

    /// What is under the name of an upload now.
    private static func held(_ upload: Upload, _ store: Store) -> InMemoryTree.File? {
        if let directory = upload.directoryID, let name = upload.path.name {
            return store.tree.child(Array(name.bytes), of: directory).flatMap { store.tree[$0]?.file }
        }
        return store.tree.id(of: upload.path).flatMap { store.tree[$0]?.file }
    }

    private static func put(
        _ file: InMemoryTree.File, _ path: RelativePath, _ directoryID: String?, _ modified: Timestamp,
        _ store: inout Store
    ) {
        guard let name = path.name else { return }
        let parent = directoryID ?? store.tree.directory(at: path.parent)
        if let known = store.tree.child(Array(name.bytes), of: parent), let old = store.tree.remove(known)?.file {
            store.replaced.append((path, old.bytes))
        }
        store.tree.insert(
            InMemoryTree.Entry(parent: parent, name: Array(name.bytes), content: .file(file), modified: modified),
            id: file.upload.text)
    }

    private static func checkOpen(_ upload: Upload, _ store: Store) throws(RemoteError) {
        let id = upload.directoryID ?? store.tree.id(of: RelativePath(Array(upload.path.components.prefix(1))))
        if let id, store.tree.session(of: id) == .complete { throw .sessionClosed(.complete) }
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
