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

    /// Newest first.
    private func assets(of session: Int64) throws(RemoteError) -> [ListedEntry] {
        var assets = try describedAssets(of: session)
        let start = memory.withLock { $0.start(of: session) }
        assets.sort { ($0.id ?? 0, $0.uuid) < ($1.id ?? 0, $1.uuid) }
        var entries: [ListedEntry] = []
        entries.reserveCapacity(assets.count)
        // From the end, so that the records go while the entries come.
        while let asset = assets.popLast() {
            // A record without bytes is an upload under way, or one that broke off there; nothing can be read of it.
            guard let size = asset.size else { continue }
            entries.append(
                ListedEntry(
                    name: Array(OpenTeraAssetFile.name(asset, nil).utf8), kind: .file(size),
                    remoteID: OpenTeraPlace.asset(asset.uuid).text, modified: (asset.time ?? start)?.timestamp))
        }
        return entries
    }
}
