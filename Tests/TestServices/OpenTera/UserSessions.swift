import FXSystem

/// Sessions of MAIN: `opentera.md`, 5.4 to 5.6.
extension OpenTeraState {
    func listSessions(_ call: Call, _ user: User) throws(Refusal) -> Answer {
        let arguments = Arguments(call)
        let isList = try arguments.flag("list")
        let withType = try arguments.flag("with_session_type")
        let participant = try arguments.id("id_participant")
        let member = try arguments.id("id_user")
        let device = try arguments.id("id_device")
        let number = try arguments.id("id_session")
        let uuid = arguments["session_uuid"].flatMap { $0.isEmpty ? nil : $0 }
        guard participant != nil || member != nil || device != nil || number != nil || uuid != nil else {
            throw Refusal(.text(400, "Missing arguments"))
        }
        let found = sessions.rows.filter { session in
            guard mayRead(session, user) else { return false }
            if let number { return session.id == number }
            if let uuid { return session.uuid == uuid }
            if let participant {
                return session.participants.contains(participant)
                    || (session.creatorParticipant == participant && !session.participants.isEmpty)
            }
            if let member { return session.users.contains(member) || session.creatorUser == member }
            return session.devices.contains(device ?? 0) || session.creatorDevice == device
        }
        return .json(
            200,
            .array(
                try page(found, arguments).map { session in
                    var members = sessionMembers(session, isList: isList)
                    if withType, let type = types[session.type] {
                        members.append(.init("session_type_color", .string(type.color)))
                        members.append(.init("session_type_name", .string(type.name)))
                    }
                    return .object(members)
                }), sorted: true)
    }

    /// Newest start first, then highest number; cut by status, days, offset and limit.
    func page(_ sessions: [SessionRecord], _ arguments: Arguments) throws(Refusal) -> [SessionRecord] {
        let status = try arguments.number("status")
        let first = try arguments.day("start_date")
        let last = try arguments.day("end_date")
        let limit = try arguments.id("limit") ?? .max
        let offset = try arguments.id("offset") ?? 0
        let kept = sessions.filter { session in
            (status == nil || session.status == status) && (first == nil || session.start >= first ?? 0)
                && (last == nil || session.start < (last ?? 0) + 86_400_000_000)
        }
        return Array(kept.sorted { ($0.start, $0.id) > ($1.start, $1.id) }.dropFirst(offset).prefix(limit))
    }

    func sessionMembers(_ session: SessionRecord, isList: Bool) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = [
            .init("id_creator_device", .number(of: session.creatorDevice)),
            .init("id_creator_participant", .number(of: session.creatorParticipant)),
            .init("id_creator_service", .number(of: session.creatorService)),
            .init("id_creator_user", .number(of: session.creatorUser)), .init("id_session", .number(of: session.id)),
            .init("id_session_type", .number(of: session.type)),
            .init("session_duration", .number(of: session.duration)), .init("session_name", .string(session.name)),
            .init("session_start_datetime", .moment(session.start)),
            .init("session_status", .number(of: session.status)), .init("session_uuid", .string(session.uuid)),
        ]
        if let user = session.creatorUser.flatMap({ users[$0] }) {
            members.append(.init("session_creator_user", .string(user.name)))
            members.append(.init("session_creator_user_uuid", .string(user.uuid)))
        }
        if let one = session.creatorParticipant.flatMap({ participants[$0] }) {
            members.append(.init("session_creator_participant", .string(one.name)))
            members.append(.init("session_creator_participant_uuid", .string(one.uuid)))
        }
        if let device = session.creatorDevice.flatMap({ devices[$0] }) {
            members.append(.init("session_creator_device", .string(device.name)))
            members.append(.init("session_creator_device_uuid", .string(device.uuid)))
        }
        members.append(.init("session_assets_count", .number(of: assetCount(of: session.id))))
        members.append(.init("session_tests_count", 0))
        if isList { return members }
        return members + [
            .init("session_comments", .text(session.comments)), .init("session_parameters", .null),
            .init("session_participants", .array(session.participants.compactMap { participants[$0] }.map(member))),
            .init(
                "session_users",
                .array(
                    session.users.compactMap { users[$0] }.map {
                        .object([
                            .init("id_user", .number(of: $0.id)), .init("user_uuid", .string($0.uuid)),
                            .init("user_name", .string($0.name)),
                        ])
                    })),
            .init(
                "session_devices",
                .array(
                    session.devices.compactMap { devices[$0] }.map {
                        .object([
                            .init("id_device", .number(of: $0.id)), .init("device_uuid", .string($0.uuid)),
                            .init("device_name", .string($0.name)),
                        ])
                    })),
        ]
    }

    private func member(_ one: Participant) -> JSONValue {
        .object([
            .init("id_participant", .number(of: one.id)), .init("participant_uuid", .string(one.uuid)),
            .init("participant_name", .string(one.name)), .init("id_project", .number(of: one.project)),
            .init("project_name", .text(projects[one.project]?.name)),
        ])
    }

    private static let knownFields: Set<String> = [
        "id_session", "id_session_type", "session_name", "session_status", "session_participants_ids",
        "session_users_ids", "session_devices_ids", "session_start_datetime", "session_duration", "session_comments",
        "session_parameters", "id_creator_user", "id_creator_device", "id_creator_participant", "id_creator_service",
    ]

    mutating func saveSession(_ call: Call, _ user: User) throws(Refusal) -> Answer {
        let given = try jsonObject(call, "session")
        guard let id = given["id_session"]?.integer else { throw Refusal(.text(400, "Missing id_session")) }
        func ids(_ key: String) -> [Int]? {
            given[key]?.elements.map { $0.compactMap { $0.integer.map(Int.init) } }.flatMap { $0.isEmpty ? nil : $0 }
        }
        let people = ids("session_participants_ids")
        let members = ids("session_users_ids")
        let machines = ids("session_devices_ids")
        if id == 0, people == nil, members == nil {
            throw Refusal(.text(400, "Missing session participants and users"))
        }
        let mayUse = people?.allSatisfy { one in
            participants[one].map { role(of: user, in: $0.project) != nil } ?? false
        }
        if mayUse == false {
            throw Refusal(.text(403, "User doesn't have access to at least one participant of that session."))
        }
        var session = SessionRecord(uuid: "", type: 0, name: "", start: now)
        if id > 0 {
            guard let existing = sessions[Int(id)], mayRead(existing, user) else {
                throw Refusal(.text(403, "Forbidden"))
            }
            // An unknown field is passed over in a new session and breaks the change of an old one.
            let keys = given.members?.map(\.key) ?? []
            guard keys.allSatisfy({ OpenTeraState.knownFields.contains($0) }) else { throw Refusal(.databaseError) }
            session = existing
        } else {
            guard given["session_name"]?.string != nil, let type = given["id_session_type"]?.integer,
                types[Int(type)] != nil
            else { throw Refusal(.databaseError) }
            session.uuid = newUUID()
        }
        if let name = given["session_name"]?.string { session.name = name }
        if let type = given["id_session_type"]?.integer { session.type = Int(type) }
        if let start = given["session_start_datetime"]?.string {
            guard let moment = Moment.parse(start) else { throw Refusal(.databaseError) }
            session.start = moment
        }
        // 0 is taken as absent, and absent is 1.
        if let status = given["session_status"]?.integer, status != 0 || id > 0 { session.status = Int(status) }
        if let seconds = given["session_duration"]?.integer { session.duration = Int(seconds) }
        if let comments = given["session_comments"]?.string { session.comments = comments }
        // Not set by the server, and not checked.
        if let creator = given["id_creator_user"]?.integer { session.creatorUser = Int(creator) }
        if let people { session.participants = people }
        if let members { session.users = members }
        if let machines { session.devices = machines }
        return .json(200, .array([.object(sessionMembers(sessions.add(session), isList: false))]))
    }

    mutating func deleteSession(_ call: Call, _ user: User) throws(Refusal) -> Answer {
        let arguments = Arguments(call)
        _ = try arguments.required("id", "Session ID to delete")
        guard let id = try arguments.number("id"), let session = sessions[id], !session.isDeleted else {
            throw Refusal(.internalError)
        }
        guard mayRead(session, user) else {
            throw Refusal(.text(403, "User doesn't have access to at least one participant of that session."))
        }
        if session.status == 1 {
            throw Refusal(.text(403, "Session is in progress: can't delete that session."))
        }
        _ = sessions.update(id) { $0.isDeleted = true }
        for asset in assets(of: id) { _ = assets.update(asset.id) { $0.isDeleted = true } }
        return .text(200, "")
    }
}
