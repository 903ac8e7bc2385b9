import FXSystem

/// `/api/user/…` of MAIN.
extension OpenTeraState {
    mutating func userAPI(_ call: Call, _ path: Substring) throws(Refusal) -> Answer {
        switch (call.method, path) {
        case ("GET", "login"): return try login(call)
        case ("GET", "login/2fa"), ("POST", "login/2fa"): return try secondFactor(call)
        case ("POST", "login/change_password"): return try changePassword(call)
        case ("GET", "refresh_token"): return try refreshToken(call)
        case ("GET", "logout"): return try logout(call)
        default: break
        }
        let known = [
            "versions", "sites", "projects", "participants", "services", "services/sites", "services/projects",
            "sessiontypes", "sessiontypes/services", "sessions", "assets", "devices",
        ]
        guard known.contains(String(path)) else { return .notFoundPage }
        let user = try authenticate(call)
        var answer = try authenticated(call, path, user)
        answer.fields.append(
            ("Set-Cookie", "OpenTera=\(user.uuid)|0f286a75; Secure; HttpOnly; Path=/; SameSite=Strict"))
        answer.fields.append(
            ("Set-Cookie", "session=.\(user.uuid.prefix(8)); Secure; HttpOnly; Path=/; SameSite=Strict"))
        return answer
    }

    private mutating func authenticated(_ call: Call, _ path: Substring, _ user: User) throws(Refusal) -> Answer {
        switch (call.method, path) {
        case ("GET", "versions"): return .json(200, versions)
        case ("GET", "sites"): return listSites(user)
        case ("GET", "projects"): return try listProjects(call, user)
        case ("POST", "projects"): return try createProject(call, user)
        case ("GET", "participants"): return try listParticipants(call, user)
        case ("POST", "participants"): return try createParticipant(call, user)
        case ("GET", "services"): return try listServices(call, user)
        case ("POST", "services/sites"): return try associate(call, user, "service_site", "id_site", \.sites)
        case ("POST", "services/projects"):
            return try associate(call, user, "service_project", "id_project", \.projects)
        case ("GET", "sessiontypes"): return try listTypes(call, user)
        case ("POST", "sessiontypes"): return try changeType(call, user)
        case ("GET", "sessiontypes/services"): return try listTypeServices(call)
        case ("GET", "sessions"): return try listSessions(call, user)
        case ("POST", "sessions"): return try saveSession(call, user)
        case ("DELETE", "sessions"): return try deleteSession(call, user)
        case ("GET", "assets"): return try listAssets(call, user)
        case ("POST", "assets"):
            return .text(
                501,
                "Asset information update and creation must be done directly into a service (such as Filetransfer service)"
            )
        case ("DELETE", "assets"):
            return .text(
                501,
                "Asset information deletion must be done directly into a service (such as Filetransfer service)")
        case ("GET", "devices"): return try listDevices(call, user)
        default: return .message(405, "The method is not allowed for the requested URL.")
        }
    }

    // MARK: - Sites, projects, participants

    private func listSites(_ user: User) -> Answer {
        let visible = sites.rows.filter { site in
            user.isSuperAdmin || user.sites[site.id] != nil
                || user.projects.keys.contains { projects[$0]?.site == site.id }
        }
        return .json(
            200,
            .array(
                visible.map { site in
                    .object([
                        .init("id_site", .number(of: site.id)), .init("site_2fa_required", false),
                        .init("site_name", .string(site.name)),
                        .init("site_role", .string(user.isSuperAdmin ? "admin" : user.sites[site.id] ?? "user")),
                    ])
                }))
    }

    private func listProjects(_ call: Call, _ user: User) throws(Refusal) -> Answer {
        let arguments = Arguments(call)
        let isList = try arguments.flag("list")
        let wanted = (try arguments.id("id_project"), try arguments.id("id_site"), arguments["name"])
        let visible = projects.rows.filter { project in
            role(of: user, in: project.id) != nil && (wanted.0 == nil || wanted.0 == project.id)
                && (wanted.1 == nil || wanted.1 == project.site) && (wanted.2 == nil || wanted.2 == project.name)
        }
        return .json(
            200,
            .array(
                visible.map { project in
                    var members = projectMembers(project)
                    if isList {
                        let count = participants.rows.filter { $0.project == project.id }.count
                        members.append(.init("project_participant_group_count", 0))
                        members.append(.init("project_participant_count", .number(of: count)))
                    } else {
                        members.append(.init("project_role", .text(role(of: user, in: project.id))))
                    }
                    return .object(members)
                }))
    }

    private func projectMembers(_ project: Project) -> [JSONValue.Member] {
        [
            .init("id_project", .number(of: project.id)), .init("id_site", .number(of: project.site)),
            .init("project_description", .text(project.description)), .init("project_enabled", true),
            .init("project_name", .string(project.name)),
            .init("site_name", .text(sites[project.site]?.name)),
        ]
    }

    private mutating func createProject(_ call: Call, _ user: User) throws(Refusal) -> Answer {
        let given = try jsonObject(call, "project")
        let site = Int(given["id_site"]?.integer ?? 1)
        guard user.isSuperAdmin || user.sites[site] == "admin" else { throw Refusal(.text(403, "Forbidden")) }
        let project = projects.add(
            Project(
                site: site, name: given["project_name"]?.string ?? "",
                description: given["project_description"]?.string))
        return .json(200, .array([.object(projectMembers(project))]))
    }

    private func listParticipants(_ call: Call, _ user: User) throws(Refusal) -> Answer {
        let arguments = Arguments(call)
        let keys = [
            "id_project", "id_site", "id_participant", "participant_uuid", "id_group", "id_device", "id_session",
            "name", "username",
        ]
        guard keys.contains(where: { arguments.has($0) }) else { throw Refusal(.text(400, "Missing arguments")) }
        let isList = try arguments.flag("list")
        let project = try arguments.id("id_project")
        let site = try arguments.id("id_site")
        let number = try arguments.id("id_participant")
        let session = try arguments.id("id_session")
        let enabled = arguments.has("enabled") ? try arguments.flag("enabled") : nil
        let limit = try arguments.id("limit") ?? .max
        let visible = participants.rows.filter { one in
            guard role(of: user, in: one.project) != nil else { return false }
            return (project == nil || one.project == project)
                && (site == nil || projects[one.project]?.site == site) && (number == nil || one.id == number)
                && (session.map { sessions[$0]?.participants.contains(one.id) ?? false } ?? true)
                && (arguments["participant_uuid"].map { one.uuid == $0 } ?? true)
                && (arguments["name"].map { one.name == $0 } ?? true)
                && (enabled == nil || one.isEnabled == enabled)
        }
        if visible.isEmpty { return .json(200, .null) }
        return .json(
            200, .array(visible.prefix(limit).map { .object(participantMembers($0, isList: isList)) }), sorted: true)
    }

    func participantMembers(_ one: Participant, isList: Bool) -> [JSONValue.Member] {
        let short: [JSONValue.Member] = [
            .init("id_participant", .number(of: one.id)), .init("id_participant_group", .number(of: one.group)),
            .init("id_project", .number(of: one.project)), .init("participant_busy", false),
            .init("participant_email", .text(one.email)), .init("participant_enabled", .bool(one.isEnabled)),
            .init("participant_name", .string(one.name)), .init("participant_online", false),
            .init("participant_token_enabled", .bool(one.staticToken != nil)),
            .init("participant_uuid", .string(one.uuid)),
        ]
        if isList { return short }
        return short + [
            .init("participant_lastonline", .null), .init("participant_login_enabled", .bool(one.username != nil)),
            .init("participant_project_enabled", true), .init("participant_token", .text(one.staticToken)),
            .init("participant_username", .text(one.username)),
        ]
    }

    private mutating func createParticipant(_ call: Call, _ user: User) throws(Refusal) -> Answer {
        let given = try jsonObject(call, "participant")
        guard let project = given["id_project"]?.integer.map(Int.init), role(of: user, in: project) != nil else {
            throw Refusal(.text(403, "No admin access to project"))
        }
        let made = participants.add(
            Participant(uuid: newUUID(), project: project, name: given["participant_name"]?.string ?? ""))
        return .json(200, .array([.object(participantMembers(made, isList: false))]), sorted: true)
    }

    /// The object under a key of a JSON body, with the errors of a body that is none.
    func jsonObject(_ call: Call, _ key: String) throws(Refusal) -> JSONValue {
        guard call.saysJSON else {
            throw Refusal(
                .message(
                    415,
                    "Did not attempt to load JSON data because the request Content-Type was not 'application/json'."))
        }
        guard let body = call.json else {
            throw Refusal(
                .message(400, "The browser (or proxy) sent a request that this server could not understand."))
        }
        guard let object = body[key] else { throw Refusal(.text(400, "Missing \(key)")) }
        return object
    }

    private func listDevices(_ call: Call, _ user: User) throws(Refusal) -> Answer {
        let arguments = Arguments(call)
        guard let id = try arguments.id("id_device") else { throw Refusal(.text(400, "Missing arguments")) }
        guard let device = devices[id] else { return .json(200, []) }
        return .json(200, .array([.object(deviceMembers(device, showsToken: user.isSuperAdmin))]), sorted: true)
    }

    func deviceMembers(_ device: Device, showsToken: Bool) -> [JSONValue.Member] {
        [
            .init("device_config", .null), .init("device_enabled", true), .init("device_infos", .null),
            .init("device_lastonline", .null), .init("device_name", .string(device.name)),
            .init("device_notes", .null), .init("device_onlineable", true),
            .init("device_token", showsToken ? .string(device.token) : .null),
            .init("device_uuid", .string(device.uuid)), .init("id_device", .number(of: device.id)),
            .init("id_device_subtype", .null), .init("id_device_type", 2),
        ]
    }
}
