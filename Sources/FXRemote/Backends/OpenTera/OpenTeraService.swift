public import FXSystem
internal import Synchronization

/// Sessions of an OpenTera server (1.3) and the files its file transfer service keeps for them.
///
/// Two servers behind one origin: the main one knows projects, participants, sessions and records of assets; the file
/// service knows bytes and sizes. What exists is judged by the main server alone, since the file service goes on serving
/// what was deleted.
///
/// Locks: `access`, `memory` and `turn` are leaves, and so is the client's own; nothing is asked under one of them.
public final class OpenTeraService: Backend {
    public let facts: BackendFacts
    let client: OpenTeraClient
    let configuration: OpenTeraConfiguration
    let access = Mutex(OpenTeraAccess())
    let memory = Mutex(OpenTeraMemory())
    /// True while an upload is under way: the service parses one at a time and stands still meanwhile.
    let turn = Monitor(false)

    /// - Parameters:
    ///   - transport: reaches the origin of the configured url.
    ///   - basePath: the path of that url, without a slash at its end.
    public init(
        _ configuration: OpenTeraConfiguration, transport: any HTTPTransport, basePath: String, clock: WallClock
    ) {
        self.configuration = configuration
        client = OpenTeraClient(configuration, transport: transport, basePath: basePath, clock: clock)
        facts = OpenTeraService.facts(configuration)
    }

    private static func facts(_ configuration: OpenTeraConfiguration) -> BackendFacts {
        var facts = BackendFacts()
        facts.isRemote = true
        facts.listsEntries = true
        facts.sessionDepth = 2
        facts.makesSessions = configuration.sessionType != nil
        facts.makesDirectories = false
        facts.deletesCommitted = configuration.allowsDelete
        let largest = configuration.maximumBody - OpenTeraForm.largestOverhead
        facts.maximumFileSize = largest
        // One request, so one chunk: there is no partial upload.
        facts.chunkSizes = 1...max(1, largest.rawValue)
        facts.preferredChunk = max(ByteCount(1), largest)
        facts.names.mustBeUTF8 = true
        return facts
    }

    /// Nothing of this service is on this machine.
    public func prepare() throws(RemoteError) {}

    /// The service tells of no quota and of no free space.
    public func space() throws(RemoteError) -> FileSystemSpace { throw .notSupported }

    public func reconsider() { client.reconsider() }

    // MARK: - Access to one asset

    /// Sends a request about one asset. After a 403, which can mean a dead user token, a dead access token or a real
    /// denial, both tokens are renewed and it is sent once more.
    /// - Returns: any status but 403.
    func askFile(
        _ uuid: String, in session: Int64?, _ request: (Secret) throws(RemoteError) -> HTTPRequest
    ) throws(RemoteError) -> OpenTeraAnswer {
        let first = try client.file(request(accessToken(for: uuid, in: session)))
        if first.status != 403 { return first }
        try client.findFileService()
        access.withLock { $0.dropToken(of: uuid) }
        let second = try client.file(request(accessToken(for: uuid, in: session)))
        if second.status == 403 { throw .forbidden }
        return second
    }

    private func accessToken(for uuid: String, in session: Int64?) throws(RemoteError) -> Secret {
        let now = client.clock.now()
        let known = access.withLock { access -> (Secret?, OpenTeraAccess.Question) in
            if let token = access.token(of: uuid, now: now) { return (token, .asset) }
            return (nil, access.question(in: session))
        }
        if let token = known.0 { return token }
        let assets: [OpenTeraAsset]
        switch known.1 {
        case .asset: assets = try record(of: uuid, in: session, ("with_only_token", "1")).map { [$0] } ?? []
        case .session(let session):
            // The one that is wanted may be behind all that are kept.
            assets = try records(in: session, ("with_only_token", "1")) { asset, kept in
                kept < OpenTeraAccess.limit || asset.uuid == uuid ? asset : nil
            }.assets
        }
        // Of more than can be kept the others would drive each other out.
        keepTokens(of: assets.count > OpenTeraAccess.limit ? assets.filter { $0.uuid == uuid } : assets)
        guard let token = assets.first(where: { $0.uuid == uuid })?.accessToken else { throw .noSuchEntry }
        return token
    }

    func keepTokens(of assets: [OpenTeraAsset]) {
        let now = client.clock.now()
        access.withLock { access in
            for asset in assets {
                if let token = asset.accessToken { access.keep(token, of: asset.uuid, now: now) }
            }
        }
    }

    // MARK: - Records of the main server

    /// One record; nil when there is none, which the server says with a 500.
    func record(
        of uuid: String, in session: Int64?, _ more: (String, String)
    ) throws(RemoteError) -> OpenTeraAsset? {
        let answer = try client.main(.get, "/api/user/assets", [("asset_uuid", uuid), more])
        if answer.status != 500 { return try answer.list(OpenTeraAsset.init).first { $0.uuid == uuid } }
        // Or it is ill: then the next question fails as well.
        guard let session else {
            try client.findFileService()
            return nil
        }
        let others = try records(in: session) { asset, _ in asset.uuid == uuid ? asset : nil }
        if !others.assets.isEmpty { throw answer.error }
        return nil
    }

    /// Records of a session, of all services. The server can look for one uuid and for nothing else, and has no pages:
    /// whatever is looked for among them, all of them come.
    /// - Parameter choose: what to keep of each; runs on the transport's thread. The number is that of the records kept
    ///   before it.
    /// - Throws: `.noSuchEntry` for a session that is gone.
    func records(
        in session: Int64, _ more: (String, String)? = nil,
        choose: @escaping @Sendable (OpenTeraAsset, Int) -> OpenTeraAsset?
    ) throws(RemoteError) -> OpenTeraAssetList {
        let query = [("id_session", "\(session)")] + [more].compactMap { $0 }
        let sink = OpenTeraAssetSink(choose)
        let answer = try client.main(.get, "/api/user/assets", query, into: sink)
        if answer.status == 403, try self.session(session) == nil { throw .noSuchEntry }
        try answer.check()
        let list = try sink.list()
        access.withLock { $0.note(list.total, in: session) }
        return list
    }

    /// nil when it does not exist or may not be seen.
    func session(_ id: Int64) throws(RemoteError) -> OpenTeraSession? {
        try client.main(.get, "/api/user/sessions", [("id_session", "\(id)"), ("list", "true")])
            .list(OpenTeraSession.init).first { $0.id == id }
    }

    /// Sizes and original names of assets whose access tokens are at hand; those without bytes are missing.
    /// - Returns: nil when the service denied it.
    func files(of assets: [OpenTeraAsset]) throws(RemoteError) -> [OpenTeraAssetFile]? {
        let asked = assets.compactMap { asset -> JSONValue? in
            asset.accessToken.map { ["asset_uuid": .string(asset.uuid), "access_token": .string($0.reveal())] }
        }
        if asked.isEmpty { return [] }
        let answer = try client.file(
            client.fileRequest(.post, "/api/assets/infos", body: ["assets": .array(asked)]))
        return answer.status == 403 ? nil : try answer.list(OpenTeraAssetFile.init)
    }
}
