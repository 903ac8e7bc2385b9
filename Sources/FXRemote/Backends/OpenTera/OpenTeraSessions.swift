public import FXSystem
internal import Synchronization

/// Making, completing and giving up sessions, and whether the file service may use them.
extension OpenTeraService {
    /// Opens a session below a participant. One of the same name, type and maker is taken for the answer that got lost.
    public func makeDirectory(_ path: RelativePath, in parent: StoredDirectory) throws(RemoteError) -> String {
        let depth = path.components.count - 1
        if depth < facts.sessionDepth { throw .madeByService }
        if depth > facts.sessionDepth { throw .needsFlatNames }
        guard let typeName = configuration.sessionType else { throw .madeByService }
        guard case .participant(let participant) = OpenTeraPlace(parent.remoteID), let name = path.name else {
            throw .noSuchEntry
        }
        let text = try OpenTeraService.text(of: name)
        let type = try linkedType(named: typeName)
        if let made = try session(named: text, type, of: participant) { return OpenTeraPlace.session(made).text }
        do throws(RemoteError) {
            return OpenTeraPlace.session(try makeSession(named: text, type, of: participant)).text
        } catch {
            // The answer may be what was lost; a second session of the same name is what nobody wants.
            guard error.isTemporary, let made = try session(named: text, type, of: participant) else { throw error }
            return OpenTeraPlace.session(made).text
        }
    }

    private func session(
        named name: String, _ type: OpenTeraSessionType, of participant: Int64
    ) throws(RemoteError) -> Int64? {
        guard let user = try client.user() else { return nil }
        return try sessions(of: participant).first { session in
            session.name.utf8.elementsEqual(name.utf8) && session.type == type.id && session.creatingUser == user
                && session.state == .open
        }?.id
    }

    private func makeSession(
        named name: String, _ type: OpenTeraSessionType, of participant: Int64
    ) throws(RemoteError) -> Int64 {
        // The server does not note who made it, and without that a maker may lose sight of it.
        var members: [JSONValue.Member] = [
            .init("id_session", 0), .init("id_session_type", .integer(type.id)), .init("session_name", .string(name)),
            .init("session_status", .integer(OpenTeraSession.completed)),
            .init("session_participants_ids", [.integer(participant)]),
        ]
        if let user = try client.user() { members.append(.init("id_creator_user", .integer(user))) }
        let made = try client.main(.post, "/api/user/sessions", body: ["session": .object(members)])
            .list(OpenTeraSession.init)
        guard let session = made.first else { throw .protocolViolation }
        memory.withLock { $0.noteLinked(session.id) }
        return session.id
    }

    /// What no longer takes files here is `completed` there; the service has no call that makes a session final.
    public func complete(_ manifest: SessionManifest) throws(RemoteError) {
        guard let id = OpenTeraPlace(manifest.directory.remoteID)?.session else { throw .noSuchEntry }
        guard let session = try session(id) else { throw .noSuchEntry }
        if session.status ?? 0 <= OpenTeraSession.inProgress { try setStatus(OpenTeraSession.completed, of: id) }
    }

    /// The session is `cancelled` there.
    public func abort(_ session: StoredDirectory) throws(RemoteError) {
        guard let id = OpenTeraPlace(session.remoteID)?.session else { throw .noSuchEntry }
        try setStatus(OpenTeraSession.cancelled, of: id)
    }

    private func setStatus(_ status: Int64, of session: Int64) throws(RemoteError) {
        let change: JSONValue = ["id_session": .integer(session), "session_status": .integer(status)]
        try client.main(.post, "/api/user/sessions", body: ["session": change]).check()
    }

    // MARK: - Session types

    /// Whether files of a session type have a place at the file service.
    enum Link: Sendable, Equatable {
        case linked
        case notLinked
        /// This account may not see it.
        case unknown
    }

    /// The type the configuration names; of several of that name one that works.
    func linkedType(named name: String) throws(RemoteError) -> OpenTeraSessionType {
        let types = try sessionTypes().filter { $0.name.utf8.elementsEqual(name.utf8) }
        if types.isEmpty { throw .sessionTypeUnknown(name) }
        for type in types {
            if try link(of: type) == .linked { return type }
        }
        throw .sessionTypeNotLinked(name)
    }

    private func sessionTypes() throws(RemoteError) -> [OpenTeraSessionType] {
        try client.main(.get, "/api/user/sessiontypes", [("list", "true")]).list(OpenTeraSessionType.init)
    }

    /// The file service is the type's own service or one of its secondary ones; nothing else counts.
    private func link(of type: OpenTeraSessionType) throws(RemoteError) -> Link {
        let service = try client.fileService()
        if type.service == service.id { return .linked }
        let answer = try client.main(.get, "/api/user/sessiontypes/services", [("id_session_type", "\(type.id)")])
        if answer.status == 403 || answer.status == 400 { return .unknown }
        let secondary = try answer.list { $0["id_service"]?.integer }
        return secondary.contains(service.id) ? .linked : .notLinked
    }

    /// Refuses an upload the file service would refuse, before its bytes are sent. What this account may not see is not
    /// held against it.
    func checkLinked(_ id: Int64) throws(RemoteError) {
        if memory.withLock({ $0.isLinked(id) }) { return }
        guard let session = try session(id) else { throw .noSuchEntry }
        let service = try client.fileService()
        if session.creatingService != service.id, let type = try sessionTypes().first(where: { $0.id == session.type })
        {
            if try link(of: type) == .notLinked { throw .sessionTypeNotLinked(type.name) }
        }
        memory.withLock { $0.noteLinked(id) }
    }

    /// The service carries text.
    static func text(of name: Name) throws(RemoteError) -> String {
        let text = String(decoding: name.bytes, as: UTF8.self)
        guard text.utf8.elementsEqual(name.bytes) else { throw .unrepresentableName }
        return text
    }
}
