import FXSystem

/// `/api/participant/…` and `/api/device/…` of MAIN.
extension OpenTeraState {
    mutating func participantAPI(_ call: Call, _ path: Substring) throws(Refusal) -> Answer {
        let known = ["login", "refresh_token", "logout", "sessions", "assets"]
        guard known.contains(String(path)) else { return .notFoundPage }
        let (scheme, value) = credentials(of: call)
        var found: (id: Int, isRestricted: Bool)?
        if scheme == "opentera" {
            switch requester(of: value) {
            case .participant(let id)?: found = (id, false)
            case .restrictedParticipant(let id)?: found = (id, true)
            default: break
            }
        } else if scheme == "basic", let bytes = URLText.decodeBase64(value) {
            let text = String(decoding: bytes, as: UTF8.self)
            found = participants.first { one in
                one.username.flatMap { name in one.password.map { "\(name):\($0)" } } == text
            }.map { ($0.id, false) }
        }
        guard let found, let one = participants[found.id] else { throw Refusal(.unauthorized(call)) }
        let requester = found.isRestricted ? Requester.restrictedParticipant(one.id) : .participant(one.id)
        switch (call.method, path) {
        case ("GET", "login"):
            var members: [JSONValue.Member] = [
                .init("participant_name", .string(one.name)), .init("participant_uuid", .string(one.uuid)),
                .init("websocket_url", .string("wss://\(settings.serverName)/wss/participant?id=0")),
                .init("session_types_info", typeInfos(of: one.project)),
            ]
            if scheme == "basic" {
                let token = mint.participantToken(one, now: now, seconds: settings.loginTokenSeconds)
                members.append(.init("participant_token", .string(token)))
            }
            members.append(.init("base_token", .text(one.staticToken)))
            return .json(200, .object(members))
        case ("GET", "refresh_token") where !found.isRestricted && scheme == "opentera":
            mint.disable(value)
            let token = mint.participantToken(one, now: now, seconds: settings.refreshedTokenSeconds)
            return .json(200, .object([.init("refresh_token", .string(token))]))
        case ("GET", "logout"):
            mint.disable(value)
            return .text(200, "Participant logged out.")
        case ("GET", "sessions"):
            if found.isRestricted { throw Refusal(.unauthorized(call, status: 403)) }
            return try participantSessions(call, one)
        case ("POST", "sessions"): return try ownSession(call, requester)
        case ("GET", "assets"): return try ownAssets(call, requester, isRestricted: found.isRestricted)
        default: throw Refusal(.unauthorized(call))
        }
    }

    mutating func deviceAPI(_ call: Call, _ path: Substring) throws(Refusal) -> Answer {
        let (scheme, value) = credentials(of: call)
        let token = scheme == "opentera" ? value : call.parameter("token") ?? ""
        guard let device = devices.first({ $0.token == token }) else { throw Refusal(.text(401, "Unauthorized")) }
        switch (call.method, path) {
        case ("GET", "login"):
            return .json(
                200,
                .object([
                    .init("device_info", .object(deviceMembers(device, showsToken: true))),
                    .init(
                        "participants_info",
                        .array(
                            device.participants.compactMap { participants[$0] }.map {
                                .object([
                                    .init("participant_name", .string($0.name)),
                                    .init("participant_uuid", .string($0.uuid)),
                                ])
                            })),
                    .init("session_types_info", typeInfos(of: 1)),
                ]))
        case ("GET", "sessions"): return .text(403, "Forbidden for security reasons")
        case ("POST", "sessions"): return try ownSession(call, .device(device.id))
        case ("GET", "assets"): return try ownAssets(call, .device(device.id), isRestricted: false)
        default: return .notFoundPage
        }
    }

    private func credentials(of call: Call) -> (scheme: String, value: String) {
        let parts = (call.field("Authorization") ?? "").split(separator: " ", maxSplits: 1)
        return (parts.first?.lowercased() ?? "", parts.count > 1 ? String(parts[1]) : "")
    }

    private func typeInfos(of project: Int) -> JSONValue {
        .array(
            types.rows.filter { $0.projects.contains(project) }.map { .object(typeMembers($0, isShort: true)) })
    }

    private func participantSessions(_ call: Call, _ one: Participant) throws(Refusal) -> Answer {
        let allowed = ["list", "status", "limit", "offset", "start_date", "end_date"]
        if let unknown = call.query.first(where: { !allowed.contains($0.name) }) {
            // The real server fails on the one argument everybody tries.
            throw Refusal(
                unknown.name == "id_session"
                    ? .internalError : .message(400, "Unknown arguments: \(unknown.name)"))
        }
        let arguments = Arguments(call)
        let isList = try arguments.flag("list")
        let own = sessions.rows.filter { session in
            !session.isDeleted
                && (session.participants.contains(one.id) || session.creatorParticipant == one.id)
        }
        return .json(
            200,
            .array(
                try page(own, arguments).map { .object(sessionMembers($0, isList: isList)) }))
    }

    /// The same creator, name, type, day and participants is the same session; the answer is one object.
    private mutating func ownSession(_ call: Call, _ requester: Requester) throws(Refusal) -> Answer {
        let given = try jsonObject(call, "session")
        guard given["id_session"]?.integer != nil, let type = given["id_session_type"]?.integer.map(Int.init),
            types[type] != nil, let name = given["session_name"]?.string,
            let start = given["session_start_datetime"]?.string, let uuids = given["session_participants"]?.elements
        else { throw Refusal(.text(400, "Missing arguments")) }
        guard let moment = Moment.parse(start) else { throw Refusal(.databaseError) }
        let people = uuids.compactMap { uuid in participants.first { $0.uuid == uuid.string }?.id }
        var session = SessionRecord(uuid: "", type: type, name: name, start: moment, participants: people)
        switch requester {
        case .participant(let id), .restrictedParticipant(let id): session.creatorParticipant = id
        case .device(let id): session.creatorDevice = id
        case .user: break
        }
        if let status = given["session_status"]?.integer, status != 0 { session.status = Int(status) }
        let day: Int64 = 86_400_000_000
        let same = sessions.first {
            !$0.isDeleted && $0.creatorParticipant == session.creatorParticipant
                && $0.creatorDevice == session.creatorDevice && $0.name == name && $0.type == type
                && $0.start / day == moment / day && Set($0.participants) == Set(people)
        }
        if same == nil { session.uuid = newUUID() }
        return .json(200, .object(sessionMembers(same ?? sessions.add(session), isList: false)))
    }

    private func ownAssets(_ call: Call, _ requester: Requester, isRestricted: Bool) throws(Refusal) -> Answer {
        let arguments = Arguments(call)
        func isOwn(_ asset: AssetRecord) -> Bool {
            switch requester {
            case .participant(let id), .restrictedParticipant(let id): asset.participant == id
            case .device(let id): asset.device == id
            case .user: false
            }
        }
        if let session = try arguments.id("id_session") {
            // Only of sessions they made, not of those they are in.
            guard let record = sessions[session], !record.isDeleted, isCreator(requester, of: record) else {
                throw Refusal(.text(403, "No access to session"))
            }
            return try assetList(assets(of: session), arguments, requester, isFull: true)
        }
        if let uuid = arguments["asset_uuid"] {
            guard let asset = asset(uuid: uuid), !asset.isDeleted else { throw Refusal(.internalError) }
            return try assetList(isOwn(asset) ? [asset] : [], arguments, requester, isFull: true)
        }
        let number = try arguments.id("id_asset")
        if number == nil, isRestricted { throw Refusal(.text(403, "Forbidden")) }
        let found = assets.rows.filter { !$0.isDeleted && isOwn($0) && (number == nil || $0.id == number) }
        return try assetList(found, arguments, requester, isFull: true)
    }

    func isCreator(_ requester: Requester, of session: SessionRecord) -> Bool {
        switch requester {
        case .participant(let id), .restrictedParticipant(let id): session.creatorParticipant == id
        case .device(let id): session.creatorDevice == id
        case .user(let id): session.creatorUser == id
        }
    }
}
