import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// The network services the shared suites run over.
enum NetworkKind: String, CaseIterable, Sendable {
    case s3, opentera, mft, itslearning
    /// A service of ours with every extension, and SeaweedFS, which forgets an upload when it is whole.
    case tus, weedtus

    /// Those that give back what they hold.
    static let reading = allCases.filter { $0 != .itslearning }
}

extension NetworkKind {
    /// Of the requests that carry bytes, and where they go.
    var uploadMethod: String {
        switch self {
        case .s3: "PUT"
        // The small ones, at SeaweedFS.
        case .opentera, .itslearning, .weedtus: "POST"
        case .mft, .tus: "PATCH"
        }
    }
    var uploadPath: String {
        switch self {
        case .s3, .tus, .weedtus: "/"
        case .opentera: "/file/api/assets"
        case .mft: "/vault_rest/transfer_file"
        case .itslearning: "/FileStreamService.svc"
        }
    }
    /// Its chunks are smaller than some of the tests' files.
    var takesChunks: Bool { self != .opentera && self != .itslearning }
    /// The service tells what is in a session.
    var lists: Bool { self == .s3 || self == .opentera || self == .mft }
}

/// One service of a kind with the fault proxy in front of it, and a look behind both.
///
/// A backend is made anew for every run, so that nothing it remembers helps it. What is asserted comes from the
/// service's own account of itself, never from the backend.
final class NetworkBench: Sendable {
    let kind: NetworkKind
    let proxy: ProxyControl
    private let pair: OpenTeraControl?
    private let weed: SeaweedFS?
    private let vault: MFTControl?
    private let tus: TusControl?
    private let streams: ItslearningControl?

    init(_ kind: NetworkKind) throws {
        self.kind = kind
        pair = kind == .opentera ? try OpenTeraControl() : nil
        weed = kind == .s3 || kind == .weedtus ? try SeaweedFS.shared : nil
        vault = kind == .mft ? try MFTControl() : nil
        tus = kind == .tus ? try TusControl() : nil
        streams = kind == .itslearning ? try ItslearningControl() : nil
        let port = pair?.port ?? vault?.port ?? tus?.port ?? streams?.port
        let weedPort = kind == .s3 ? weed?.s3.port : weed?.filer.port
        proxy = try ProxyControl(before: try #require(port ?? weedPort))
    }

    /// One session-to-be at the service and a backend that reaches it through the proxy.
    final class Run: Sendable {
        let bench: NetworkBench
        let backend: any Backend
        let transport: CurlTransport
        /// Of this run alone, at S3.
        let prefix: String
        let sessionName = "Morning"
        let parent: StoredDirectory

        fileprivate init(
            _ bench: NetworkBench, _ backend: any Backend, _ transport: CurlTransport, prefix: String,
            parent: StoredDirectory
        ) {
            self.bench = bench
            self.backend = backend
            self.transport = transport
            self.prefix = prefix
            self.parent = parent
        }

        deinit { transport.stop() }
    }

    /// A clean place at the service, a proxy without rules that counts from 1, and a new backend.
    func run(
        allowsDelete: Bool = false, maximumBody: ByteCount? = nil, options: HTTPOptions = HTTPOptions()
    ) throws -> Run {
        try pair?.reset()
        try vault?.reset()
        try tus?.reset()
        try streams?.reset()
        try proxy.reset()
        let transport = try CurlTransport(try HTTPOrigin("http://127.0.0.1:\(proxy.port)"), options: options)
        let prefix = "net-\(UInt64.random(in: 0...(.max)))/"
        switch kind {
        case .mft: return Run(self, mftService(transport), transport, prefix: "", parent: .root)
        case .itslearning: return itslearning(transport, maximumBody)
        case .opentera:
            var configuration = OpenTeraConfiguration(
                username: OpenTeraControl.username, password: { Secret(OpenTeraControl.password) })
            configuration.sessionType = OpenTeraControl.sessionType
            configuration.allowsDelete = allowsDelete
            // The pair is done with an upload as soon as it has read it.
            configuration.settleTime = .milliseconds(30)
            if let maximumBody { configuration.maximumBody = maximumBody }
            let backend = OpenTeraService(configuration, transport: transport, basePath: "", clock: .system)
            let participant = StoredDirectory(
                path: try RelativePath("Default Project #1/Participant #1"), remoteID: "participant/1")
            return Run(self, backend, transport, prefix: "", parent: participant)
        case .tus, .weedtus: return try tusRun(prefix, allowsDelete: allowsDelete, transport)
        case .s3:
            let weed = try #require(self.weed)
            let secret = Secret(weed.secretAccessKey)
            let configuration = S3Configuration(
                region: "us-east-1", bucket: weed.bucket, prefix: prefix, accessKeyID: weed.accessKeyID,
                secretAccessKey: { secret }, pathStyle: true, authority: "127.0.0.1:\(proxy.port)", isEncrypted: false,
                allowsDelete: allowsDelete, writer: "bench")
            let backend = S3Service(
                configuration, transport: transport, basePath: "", clock: .system, partSize: ByteCount(5 << 20))
            return Run(self, backend, transport, prefix: prefix, parent: .root)
        }
    }

    private func mftService(_ transport: CurlTransport) -> MFTService {
        var configuration = MFTConfiguration(
            .password(username: MFTControl.username) { Secret(MFTControl.password) },
            url: "http://127.0.0.1:\(proxy.port)\(MFTControl.base)", writer: "bench/net")
        // The service is done with a completion as soon as it has read it.
        configuration.settleTime = .milliseconds(30)
        // The smallest chunks, so that a file of some MiB has several.
        return MFTService(
            configuration, transport: transport, basePath: MFTControl.base, clock: .system, chunk: .mebibytes(5))
    }

    /// A second backend on the same place, as a program has it after a crash.
    func again(_ run: Run) throws -> Run {
        let transport = try CurlTransport(try HTTPOrigin("http://127.0.0.1:\(proxy.port)"))
        if kind == .mft { return Run(self, mftService(transport), transport, prefix: run.prefix, parent: run.parent) }
        if kind == .tus || kind == .weedtus {
            return try tusRun(run.prefix, allowsDelete: run.backend.facts.deletesCommitted, transport)
        }
        if kind == .itslearning { return itslearning(transport, nil) }
        guard let weed else {
            var configuration = OpenTeraConfiguration(
                username: OpenTeraControl.username, password: { Secret(OpenTeraControl.password) })
            configuration.sessionType = OpenTeraControl.sessionType
            configuration.settleTime = .milliseconds(30)
            let backend = OpenTeraService(configuration, transport: transport, basePath: "", clock: .system)
            return Run(self, backend, transport, prefix: run.prefix, parent: run.parent)
        }
        let secret = Secret(weed.secretAccessKey)
        let configuration = S3Configuration(
            region: "us-east-1", bucket: weed.bucket, prefix: run.prefix, accessKeyID: weed.accessKeyID,
            secretAccessKey: { secret }, pathStyle: true, authority: "127.0.0.1:\(proxy.port)", isEncrypted: false,
            writer: "bench")
        let backend = S3Service(
            configuration, transport: transport, basePath: "", clock: .system, partSize: ByteCount(5 << 20))
        return Run(self, backend, transport, prefix: run.prefix, parent: run.parent)
    }

    /// Small chunks, so that a file of some MiB takes several requests.
    static let tusChunk = ByteCount.mebibytes(1)

    private func tusRun(_ prefix: String, allowsDelete: Bool, _ transport: CurlTransport) throws -> Run {
        let place = prefix.dropLast()
        var configuration = TusConfiguration(creationPath: kind == .tus ? "/files/" : "/.tus/\(place)")
        if kind == .weedtus { configuration.filesPath = "/\(place)" }
        configuration.allowsDelete = allowsDelete
        configuration.chunkSize = NetworkBench.tusChunk
        let backend = TusService(
            configuration, transport: transport, origin: try HTTPOrigin("http://127.0.0.1:\(proxy.port)"),
            clock: .system)
        return Run(self, backend, transport, prefix: prefix, parent: .root)
    }

    /// The tus service, for what only it can do.
    var tusControl: TusControl { get throws { try #require(tus) } }

    /// Every file is published: what is made content is what counts, exactly once.
    private func itslearning(_ transport: CurlTransport, _ limit: ByteCount?) -> Run {
        var configuration = ItslearningConfiguration(
            username: ItslearningControl.username, password: { Secret(ItslearningControl.password) })
        configuration.publication = ItslearningPublication(
            location: .course, courseID: ItslearningControl.course, userID: ItslearningControl.user)
        configuration.firstPoll = .milliseconds(1)
        if let limit { configuration.maximumFileSize = limit }
        let backend = ItslearningService(configuration, transport: transport, basePath: "", clock: .system)
        return Run(self, backend, transport, prefix: "", parent: .root)
    }

    /// The stream service, for what only it can do.
    var itslearning: ItslearningControl { get throws { try #require(streams) } }

    /// The pair, for what only it can do.
    var openTera: OpenTeraControl { get throws { try #require(pair) } }

    /// The vault, for what only it can do.
    var mft: MFTControl { get throws { try #require(vault) } }

    /// The digests of every file the service shows, by name: a name with two entries is there twice.
    func held(_ run: Run) throws -> [String: [String]] {
        if let pair {
            return Dictionary(grouping: try pair.assets(), by: \.name).mapValues { $0.map { $0.sha256 ?? "no bytes" } }
        }
        if let vault {
            // Also what cannot be seen before its group is complete.
            let files = try vault.groups().flatMap(\.files).filter(\.isComplete)
            return Dictionary(grouping: files, by: \.name).mapValues { $0.map { $0.sha256 ?? "bytes are missing" } }
        }
        if let tus {
            return Dictionary(grouping: try tus.uploads().filter { $0.isWhole && $0.isOpen }, by: \.filename)
                .mapValues { $0.map(\.sha256) }
        }
        if let streams {
            let files = Dictionary(try streams.files().map { ($0.id, $0.sha256) }, uniquingKeysWith: { $1 })
            return Dictionary(grouping: try streams.contents(), by: \.fileName)
                .mapValues { $0.map { files[$0.file] ?? "no bytes" } }
        }
        let weed = try #require(self.weed)
        if kind == .weedtus { return try weed.files(below: run.prefix + run.sessionName).mapValues { [$0] } }
        var found: [String: [String]] = [:]
        for object in try weed.objects(below: run.prefix) {
            let key = String(object.key.dropFirst(run.prefix.count))
            // Markers of directories and what is the program's own are no files.
            if key.hasSuffix("/") || key.contains(".fxmount/") { continue }
            let name = String(key.drop { $0 != "/" }.dropFirst())
            found[name, default: []].append(try weed.sha256(of: object.key))
        }
        return found
    }

    /// What a finished upload must not leave: unfinished uploads, second sessions.
    func leftovers(_ run: Run) throws -> [String] {
        if let pair {
            let sessions = try pair.sessions().filter { !$0.isDeleted }
            return sessions.count <= 1 ? [] : sessions.map { "session \($0.id) \($0.name)" }
        }
        if let vault {
            let groups = try vault.groups().filter { $0.state != "deleted" }
            return (groups.count <= 1 ? [] : groups.map { "group \($0.id)" })
                + groups.flatMap(\.files).filter { !$0.isComplete }.map { "unfinished \($0.name)" }
        }
        if let tus {
            let unfinished = try tus.uploads().filter { !$0.isWhole && $0.isOpen }
            return try beyondLost(unfinished.map { "\($0.target) of \($0.filename) at \($0.offset)" })
        }
        // What nobody used goes by itself; that it is accounted for is ItslearningOrphanTests' matter.
        if streams != nil { return [] }
        let weed = try #require(self.weed)
        if kind == .weedtus { return try beyondLost(try weed.unfinishedTus(below: "/" + run.prefix.dropLast())) }
        return try weed.unfinishedUploads(below: run.prefix)
    }

    /// Uploads nobody knows the url of, because the answer to their creation, or the end of one that was not needed, never
    /// came. The protocol has no way to find them again; there must not be more than answers that were lost.
    private func beyondLost(_ unfinished: [String]) throws -> [String] {
        let lost = try proxy.log().filter {
            ["POST", "DELETE"].contains($0.method) && !(200..<300).contains($0.status)
        }
        return unfinished.count <= lost.count ? [] : unfinished
    }

    /// Claims on names at S3 that nobody needs any more.
    func claims(_ run: Run) throws -> [String] {
        try weed.map { try $0.objects(below: run.prefix + ".fxmount/claims/").map(\.key) } ?? []
    }
}

extension NetworkBench.Run {
    /// Opens the session, again as long as the error is temporary.
    func session() throws -> StoredDirectory {
        let path = parent.path.appending(try Name(sessionName))
        let deadline = ContinuousDeadline.after(.seconds(20))
        while true {
            do throws(RemoteError) {
                return StoredDirectory(path: path, remoteID: try backend.makeDirectory(path, in: parent))
            } catch {
                if !error.isTemporary || deadline.hasPassed { throw error }
            }
        }
    }

    func upload(_ name: String, _ bytes: [UInt8], in session: StoredDirectory, replaces: StoredFile? = nil) throws
        -> Upload
    {
        var upload = try newUpload("x", bytes, replaces: replaces)
        upload.path = session.path.appending(try Name(name))
        upload.directoryID = session.remoteID
        return upload
    }

    /// Sends these files one after the other; returns what the service called them.
    @discardableResult
    func send(_ files: [(name: String, bytes: [UInt8])]) throws -> [StoredFile] {
        let session = try session()
        var driver = UploadDriver(backend)
        return try files.map { file in
            let upload = try upload(file.name, file.bytes, in: session)
            let committed = try driver.send(file.bytes, as: upload)
            return StoredFile(
                path: upload.path, remoteID: committed.remoteID, size: committed.size, directoryID: session.remoteID)
        }
    }

    /// Makes what was sent readable, where that takes the end of the session.
    func publish(_ files: [StoredFile]) throws {
        if backend.facts.readsOpenSessions { return }
        let session = try session()
        let now = Timestamp(seconds: 0)
        let entries = files.map { file in
            SessionManifest.File(
                path: RelativePath([file.path.name].compactMap { $0 }), size: file.size, sha256: nil, modified: now,
                committed: now, remoteID: file.remoteID)
        }
        try backend.complete(
            SessionManifest(session: try Name(sessionName), directory: session, files: entries))
    }

    /// The session in a listing of the service.
    func listed(_ files: [StoredFile]) throws -> [ListedEntry] {
        if backend.facts.listsSessions { return try backend.list(try session()) }
        try publish(files)
        var directory = StoredDirectory.root
        for name in ["files", sessionName] {
            let entry = try #require(try backend.list(directory).first { $0.name == Array(name.utf8) })
            directory = StoredDirectory(path: directory.path.appending(try Name(name)), remoteID: entry.remoteID)
        }
        return try backend.list(directory)
    }

    /// Everything of a committed file, in ranges of this size.
    func read(_ file: StoredFile, by step: UInt64 = 1 << 20) throws -> [UInt8] {
        let content = try backend.open(file)
        var bytes: [UInt8] = []
        var position: UInt64 = 0
        while position < file.size.rawValue {
            let piece = try content.bytes(position..<min(position + step, file.size.rawValue))
            if piece.isEmpty { break }
            bytes += piece
            position += UInt64(piece.count)
        }
        return bytes
    }
}

/// Expects that the service holds exactly these files, each once, equal by SHA-256, and nothing else.
func expectExactly(
    _ files: [(name: String, bytes: [UInt8])], at run: NetworkBench.Run, _ circumstances: String,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let wanted = Dictionary(uniqueKeysWithValues: files.map { ($0.name, [sha256Text($0.bytes)]) })
    let held = try run.bench.held(run)
    #expect(held == wanted, "\(run.bench.kind), \(circumstances)", sourceLocation: sourceLocation)
    let left = try run.bench.leftovers(run)
    #expect(left.isEmpty, "\(run.bench.kind), \(circumstances): \(left)", sourceLocation: sourceLocation)
    // The engine gives back in the background what could not be given back at once.
    let deadline = ContinuousDeadline.after(.seconds(20))
    var claims = try run.bench.claims(run)
    while !claims.isEmpty, !deadline.hasPassed { claims = try run.bench.claims(run) }
    #expect(claims.isEmpty, "\(run.bench.kind), \(circumstances)", sourceLocation: sourceLocation)
}
