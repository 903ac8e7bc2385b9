public import FXSystem
internal import Synchronization

/// Sessions in a bucket of an S3 service. See `S3Layout` for what is where.
///
/// Several machines may write into one session: a new name is claimed by a conditional request, large files by a claim
/// beforehand (`S3Claims`), and each writer leaves its own manifest. An object has the id of its upload in its metadata,
/// so that after a lost answer `standing(of:)` knows it again.
public final class S3Service: Backend {
    public let facts: BackendFacts
    let client: S3Client
    let conditions: S3Conditions
    let claims: S3Claims
    let checks = S3PartChecks()
    let memory = S3Memory()
    /// Prefixes of sessions completed here, so that nothing more is begun in them; bounded by `completedLimit`.
    let completed = Mutex<Set<S3Key>>([])
    static let completedLimit = 10_000

    var layout: S3Layout { client.layout }
    var plan: S3Parts { S3Parts(facts: facts) }

    /// - Parameter basePath: the path of the configured endpoint; empty, or with a slash at its beginning only.
    public convenience init(
        _ configuration: S3Configuration, transport: any HTTPTransport, basePath: String, clock: WallClock
    ) {
        self.init(
            configuration, transport: transport, basePath: basePath, clock: clock, partSize: S3Parts.preferredSize)
    }

    /// - Parameter partSize: within `S3Parts.sizes`; tests want it small.
    init(
        _ configuration: S3Configuration, transport: any HTTPTransport, basePath: String, clock: WallClock,
        partSize: ByteCount
    ) {
        client = S3Client(configuration, transport: transport, basePath: basePath, clock: clock)
        conditions = S3Conditions(client)
        claims = S3Claims(client: client, conditions: conditions, clock: clock)
        var facts = BackendFacts()
        facts.isRemote = true
        facts.listsEntries = true
        facts.deletesCommitted = configuration.allowsDelete
        facts.completesGroups = true
        facts.needsSizeFirst = false
        facts.chunkSizes = S3Parts.sizes
        facts.preferredChunk = partSize
        facts.chunksBeforeDoubling = S3Parts.partsBeforeDoubling
        facts.parallelChunks = 4
        facts.uploadsWhileWriting = true
        facts.maximumFileSize = S3Client.largestFile
        facts.names.mustBeUTF8 = true
        // SeaweedFS stores `a\b` as `a/b`; AWS lists it among the characters to avoid.
        facts.names.excludedBytes = [UInt8(ascii: "\\")]
        let own = Name(constant: ".fxmount")
        facts.names.reservedForSessions = [own]
        facts.names.reservedInSessions = [own]
        self.facts = facts
    }

    public func prepare() throws(RemoteError) {}

    public func reconsider() { client.forgetKey() }

    /// S3 tells of no limit on the whole.
    public func space() throws(RemoteError) -> FileSystemSpace { throw .notSupported }

    // MARK: - Directories

    public func makeDirectory(_ path: RelativePath, in parent: StoredDirectory) throws(RemoteError) -> String {
        guard let name = path.name else { return layout.root.encoded }
        let key = try layout.directory(parent) + name.bytes + "/"
        try layout.check(key)
        return try perform { () throws(S3Failure) in
            // SeaweedFS makes a missing bucket of the first object; a mistyped name is to be an error.
            if path.components.count == 1 { _ = try client.page(of: key, delimited: true, after: nil, limit: 1) }
            do throws(S3Failure) {
                try client.put(key, [], if: try conditions.work() ? .absent : nil)
            } catch {
                // It exists; or, where a directory and a file cannot have one name, a file does.
                guard error.isPreconditionFailed else { throw error }
                let page = try client.page(of: key, delimited: true, after: nil, limit: 1)
                if page.items.isEmpty && page.prefixes.isEmpty { throw .failed(.exists) }
            }
            return key.encoded
        }
    }

    public func list(_ directory: StoredDirectory) throws(RemoteError) -> [ListedEntry] {
        let prefix = try layout.directory(directory)
        return try perform { () throws(S3Failure) in
            var complete: Set<[UInt8]> = []
            if prefix == layout.root {
                let above = layout.complete
                try client.pages(of: above, delimited: false) { page in
                    for item in page.items { complete.insert(Array(item.id.key.bytes.dropFirst(above.bytes.count))) }
                }
            }
            var entries: [ListedEntry] = []
            try client.pages(of: prefix, delimited: true) { page in
                for item in page.items {
                    if let entry = self.entry(item, below: prefix) { entries.append(entry) }
                }
                for child in page.prefixes {
                    if let entry = self.entry(child, below: prefix, complete) { entries.append(entry) }
                }
            }
            return entries
        }
    }

    /// nil for the object that stands for the directory itself.
    private func entry(_ item: S3Page.Item, below prefix: S3Key) -> ListedEntry? {
        guard item.id.key.starts(with: prefix), item.id.key != prefix else { return nil }
        let name = Array(item.id.key.bytes.dropFirst(prefix.bytes.count))
        return ListedEntry(name: name, kind: .file(item.size), remoteID: item.id.text, modified: item.modified)
    }

    /// nil for what is ours.
    private func entry(_ child: S3Key, below prefix: S3Key, _ complete: Set<[UInt8]>) -> ListedEntry? {
        guard child.starts(with: prefix), child.bytes.last == UInt8(ascii: "/"), child != prefix else { return nil }
        let name = Array(child.bytes.dropFirst(prefix.bytes.count).dropLast())
        let isInSession = layout.session(of: child + "x")?.prefix == prefix
        if prefix == layout.root {
            if name.elementsEqual(S3Layout.own.utf8) { return nil }
            let state: SessionState = complete.contains(name) ? .complete : .open
            return ListedEntry(name: name, kind: .session(state), remoteID: child.encoded)
        }
        if isInSession, name.elementsEqual(S3Layout.own.utf8) { return nil }
        return ListedEntry(name: name, kind: .directory, remoteID: child.encoded)
    }

    // MARK: - Committed files

    public func open(_ file: StoredFile) throws(RemoteError) -> any CommittedContent {
        let id = try layout.file(file)
        if id.tag != nil { return S3Content(client: client, id: id, size: file.size) }
        guard let object = try perform({ () throws(S3Failure) in try client.head(id.key) }) else {
            throw .noSuchEntry
        }
        return S3Content(client: client, id: object.id, size: object.size)
    }

    public func links(to file: StoredFile) -> FileLinks? {
        S3ObjectID(text: file.remoteID).map { FileLinks(url: client.url(of: $0.key)) }
    }

    /// Key and entity tag.
    public func contentMark(_ remoteID: String) -> String? {
        S3ObjectID(text: remoteID)?.tag == nil ? nil : remoteID
    }

    public func delete(_ file: StoredFile) throws(RemoteError) {
        if !facts.deletesCommitted { throw .notSupported }
        let id = try layout.file(file)
        try perform { () throws(S3Failure) in
            guard let object = try client.head(id.key) else { return }
            // Somebody put another content there: that is not what is to go.
            if let tag = id.tag, object.id.tag != tag { throw .failed(.changed) }
            try client.delete(id.key, if: try conditions.work() ? object.id.tag.map { .holds($0) } : nil)
        }
    }

    /// Runs requests and makes of their failure what everybody else understands.
    func perform<Result>(_ body: () throws(S3Failure) -> Result) throws(RemoteError) -> Result {
        do throws(S3Failure) { return try body() } catch { throw client.remoteError(error) }
    }
}
