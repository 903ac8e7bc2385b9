import FXSystem

/// Services and session types of MAIN: how the file service is found, and which sessions it may use.
extension OpenTeraState {
    func listServices(_ call: Call, _ user: User) throws(Refusal) -> Answer {
        let arguments = Arguments(call)
        let isList = try arguments.flag("list")
        let key = arguments["key"] ?? arguments["service_key"]
        let project = try arguments.id("id_project")
        let visible = services.rows.filter { service in
            // MAIN itself is no service to a user.
            if service.key == "OpenTeraServer" { return false }
            if let key, service.key != key { return false }
            if let project, !service.projects.contains(project) { return false }
            return user.isSuperAdmin || service.projects.contains { role(of: user, in: $0) != nil }
        }
        return .json(
            200, .array(visible.map { .object(serviceMembers($0, isList: isList)) }), sorted: true)
    }

    private func serviceMembers(_ service: ServiceRecord, isList: Bool) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = [
            .init("id_service", .number(of: service.id)),
            .init("service_clientendpoint", .string(service.clientEndpoint)),
            .init("service_editable_config", .bool(!service.isSystem)), .init("service_enabled", true),
            .init("service_endpoint", "/"), .init("service_has_assets", .bool(service.hasAssets)),
            .init("service_has_tests", false),
            // The address inside, which no client can use.
            .init("service_hostname", "127.0.0.1"), .init("service_key", .string(service.key)),
            .init("service_name", .string(service.name)), .init("service_port", .number(of: service.port)),
            .init("service_system", .bool(service.isSystem)), .init("service_uuid", .string(service.uuid)),
        ]
        if isList { return members }
        members.append(.init("service_default_config", "{}"))
        members.append(
            .init(
                "service_projects",
                .array(
                    service.projects.map {
                        .object([
                            .init("id_project", .number(of: $0)), .init("id_service", .number(of: service.id)),
                            .init("id_service_project", .number(of: $0)),
                        ])
                    })))
        members.append(.init("service_roles", []))
        return members
    }

    /// Associates a service with a site or a project.
    mutating func associate(
        _ call: Call, _ user: User, _ key: String, _ name: String, _ path: WritableKeyPath<ServiceRecord, [Int]>
    ) throws(Refusal) -> Answer {
        guard user.isSuperAdmin else { throw Refusal(.text(403, "Forbidden")) }
        let given = try jsonObject(call, key)
        var made: [JSONValue] = []
        for entry in given.elements ?? [given] {
            guard let service = entry["id_service"]?.integer.map(Int.init),
                let other = entry[name]?.integer.map(Int.init), services[service] != nil
            else { throw Refusal(.text(400, "Missing id_service or \(name)")) }
            _ = services.update(service) { if !$0[keyPath: path].contains(other) { $0[keyPath: path].append(other) } }
            made.append(
                .object([
                    .init("id_service", .number(of: service)), .init(name, .number(of: other)),
                    .init("id_\(key)", .number(of: other)),
                ]))
        }
        return .json(200, .array(made))
    }

    func listTypes(_ call: Call, _ user: User) throws(Refusal) -> Answer {
        let arguments = Arguments(call)
        let project = try arguments.id("id_project")
        let number = try arguments.id("id_session_type")
        _ = try arguments.flag("list")
        // The mere presence of "list" shortens, whatever it says.
        let isShort = arguments.has("list")
        let visible = types.rows.filter { type in
            (number == nil || type.id == number) && (project == nil || type.projects.contains(project ?? 0))
                && (user.isSuperAdmin || type.projects.contains { role(of: user, in: $0) != nil })
        }
        return .json(
            200,
            .array(visible.sorted { $0.name < $1.name }.map { .object(typeMembers($0, isShort: isShort)) }),
            sorted: true)
    }

    func typeMembers(_ type: SessionType, isShort: Bool) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = [
            .init("id_service", .number(of: type.service)), .init("id_session_type", .number(of: type.id)),
            .init("session_type_category", .number(of: type.category)),
            .init("session_type_color", .string(type.color)), .init("session_type_name", .string(type.name)),
        ]
        if isShort { return members }
        members.append(.init("session_type_config", .null))
        members.append(.init("session_type_online", false))
        if let service = type.service.flatMap({ services[$0] }) {
            members.append(.init("session_type_service_key", .string(service.key)))
            members.append(.init("session_type_service_uuid", .string(service.uuid)))
        }
        return members
    }

    /// Makes a type, or changes one: above all the services that may use it.
    mutating func changeType(_ call: Call, _ user: User) throws(Refusal) -> Answer {
        guard user.isSuperAdmin else { throw Refusal(.text(403, "Forbidden")) }
        let given = try jsonObject(call, "session_type")
        var type = SessionType(name: given["session_type_name"]?.string ?? "")
        if let id = given["id_session_type"]?.integer, id > 0 {
            guard let existing = types[Int(id)] else { throw Refusal(.databaseError) }
            type = existing
        }
        if let name = given["session_type_name"]?.string { type.name = name }
        if let category = given["session_type_category"]?.integer { type.category = Int(category) }
        if let color = given["session_type_color"]?.string { type.color = color }
        if let service = given["id_service"]?.integer { type.service = Int(service) }
        if let linked = given["session_type_services"]?.elements {
            type.secondaryServices = linked.compactMap { $0["id_service"]?.integer.map(Int.init) }
        }
        if let projects = given["session_type_projects"]?.elements {
            type.projects = projects.compactMap { $0["id_project"]?.integer.map(Int.init) }
        }
        return .json(200, .array([.object(typeMembers(types.add(type), isShort: false))]), sorted: true)
    }

    func listTypeServices(_ call: Call) throws(Refusal) -> Answer {
        guard let id = try Arguments(call).id("id_session_type") else {
            throw Refusal(.text(400, "Missing arguments"))
        }
        let linked = (types[id]?.secondaryServices ?? []).compactMap { services[$0] }
        return .json(
            200,
            .array(
                linked.enumerated().map { index, service in
                    .object([
                        .init("id_service", .number(of: service.id)), .init("id_session_type", .number(of: id)),
                        .init("id_session_type_service", .number(of: index + 1)),
                        .init("session_type_name", .text(types[id]?.name)),
                        .init("service_name", .string(service.name)),
                    ])
                }))
    }
}
