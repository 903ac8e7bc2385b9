internal import FXSystem
internal import Synchronization

/// The tree: projects, their participants, their sessions, and the assets of those that are files of the file service.
extension OpenTeraService {
    public func list(_ directory: StoredDirectory) throws(RemoteError) -> [ListedEntry] {
        if directory.path.isRoot { return try projects() }
        switch OpenTeraPlace(directory.remoteID) {
        case .project(let id): return try participants(of: id)
        case .participant(let id): return try sessions(of: id).map(OpenTeraService.entry)
        case .session(let id): return try assets(of: id)
        case .asset: throw .notDirectory
        case nil: throw .noSuchEntry
        }
    }

    private func projects() throws(RemoteError) -> [ListedEntry] {
        try client.main(.get, "/api/user/projects", [("list", "true")]).list { OpenTeraFolder($0, "project") }
            .map {
                ListedEntry(name: Array($0.name.utf8), kind: .directory, remoteID: OpenTeraPlace.project($0.id).text)
            }
    }

    private func participants(of project: Int64) throws(RemoteError) -> [ListedEntry] {
        try client.main(.get, "/api/user/participants", [("id_project", "\(project)"), ("list", "true")])
            .list { OpenTeraFolder($0, "participant") }
            .map {
                ListedEntry(
                    name: Array($0.name.utf8), kind: .directory, remoteID: OpenTeraPlace.participant($0.id).text)
            }
    }

    // MARK: - Sessions

    /// Newest first. Pages overlap, since a session that is deleted meanwhile moves the others forward.
    func sessions(of participant: Int64) throws(RemoteError) -> [OpenTeraSession] {
        var found: [OpenTeraSession] = []
        var known: Set<Int64> = []
        var offset = 0
        // The bound is for a server that ignores the offset.
        for _ in 0..<OpenTeraService.pageLimit {
            let query = [
                ("id_participant", "\(participant)"), ("list", "true"), ("limit", "\(OpenTeraService.pageSize)"),
                ("offset", "\(offset)"),
            ]
            let page = try client.main(.get, "/api/user/sessions", query).list(OpenTeraSession.init)
            let new = page.filter { known.insert($0.id).inserted }
            found += new
            if page.count < OpenTeraService.pageSize || new.isEmpty { break }
            offset += OpenTeraService.pageSize - OpenTeraService.pageOverlap
        }
        let sessions = found
        memory.withLock { memory in
            for session in sessions { memory.noteStart(session.start, of: session.id) }
        }
        return sessions
    }

    /// About 300 KB of JSON.
    private static let pageSize = 500
    /// So many sessions may be deleted while a page is read, and none is missed.
    private static let pageOverlap = 10
    /// Half a million sessions of one participant.
    private static let pageLimit = 1000

    static func entry(_ session: OpenTeraSession) -> ListedEntry {
        ListedEntry(
            name: Array(session.name.utf8), kind: .session(session.state),
            remoteID: OpenTeraPlace.session(session.id).text, modified: session.start?.timestamp)
    }

    // MARK: - Assets

    /// Two requests, however many there are: the records with their access tokens, and what the file service knows of
    /// those it was not asked for before. Newest first.
    private func assets(of session: Int64) throws(RemoteError) -> [ListedEntry] {
        let (assets, files) = try assetsAndFiles(of: session)
        let start = memory.withLock { $0.start(of: session) }
        let newestFirst = assets.sorted { ($0.id ?? 0, $0.uuid) > ($1.id ?? 0, $1.uuid) }
        return newestFirst.compactMap { asset in
            // A record without bytes is an upload under way, or one that broke off there; nothing can be read of it.
            guard let size = files[asset.uuid]?.size ?? access.withLock({ $0.size(of: asset.uuid) }) else { return nil }
            return ListedEntry(
                name: Array(OpenTeraAssetFile.name(asset, files[asset.uuid]).utf8), kind: .file(size),
                remoteID: OpenTeraPlace.asset(asset.uuid).text, modified: (asset.time ?? start)?.timestamp)
        }
    }

    private func assetsAndFiles(
        of session: Int64
    ) throws(RemoteError) -> ([OpenTeraAsset], [String: OpenTeraAssetFile]) {
        for attempt in 0..<2 {
            let service = try client.fileService()
            let assets = try records(in: session, withAccess: true).filter { $0.service == service.uuid }
            keepTokens(of: assets)
            // Without a name of its own an asset is called after its file, which can be renamed.
            let unknown = access.withLock { access in
                assets.filter { $0.name.isEmpty || access.size(of: $0.uuid) == nil }
            }
            if let files = try files(of: unknown) {
                keepSizes(of: files)
                return (assets, Dictionary(files.map { ($0.uuid, $0) }) { first, _ in first })
            }
            // Tokens of a moment ago: the server has been started anew, or the account's rights have changed.
            if attempt == 0 { try client.findFileService() }
        }
        throw .forbidden
    }

    func keepSizes(of files: [OpenTeraAssetFile]) {
        let now = client.clock.now()
        access.withLock { access in
            for file in files { access.keep(size: file.size, of: file.uuid, now: now) }
        }
    }
}
