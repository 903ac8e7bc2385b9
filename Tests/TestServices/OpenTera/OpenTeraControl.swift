import FXSystem
import NIOCore

/// The control plane: `POST /_control/…` changes, `GET /_control/…` tells. Documented in Tests/TestServices/README.md.
extension OpenTeraServer {
    func control(_ call: Call, _ channel: any Channel) -> Answer {
        let what = call.path.dropFirst("/_control/".count)
        let body = call.body.count == 0 ? JSONValue.object([]) : call.json
        guard let body else { return .text(400, "the body is not JSON") }
        if call.method == "POST", what == "restart" {
            state.withLock { state in
                state.mint.restart()
                state.pendingLogins = [:]
                state.restartsUntil = .after(.milliseconds(body["down_milliseconds"]?.integer ?? 0))
            }
            if body["drop_connections"]?.boolean ?? true { closeConnections(except: channel) }
            return .json(200, [:])
        }
        do throws(ControlError) {
            return .json(200, try state.withLock { state throws(ControlError) in try state.control(call, what, body) })
        } catch {
            return .text(400, error.sentence)
        }
    }
}

extension OpenTeraState {
    fileprivate mutating func control(
        _ call: Call, _ what: Substring, _ body: JSONValue
    ) throws(ControlError) -> JSONValue {
        switch (call.method, what) {
        case ("POST", "reset"):
            let name = settings.serverName
            self = OpenTeraState()
            settings.serverName = name
            return [:]
        case ("GET", "settings"): return settings.json
        case ("POST", "settings"):
            try settings.apply(body)
            return settings.json
        case ("POST", "faults"):
            var added: [Fault] = []
            for fault in body.elements ?? [body] { added.append(try Fault(fault)) }
            faults += added
            return .integer(Int64(faults.count))
        case ("DELETE", "faults"):
            faults = []
            return [:]
        case ("GET", "faults"): return .integer(Int64(faults.count))
        case ("POST", "seed"): return try seed(body)
        case ("POST", "user"): return try changeUser(body)
        case ("GET", "assets"):
            return .array(assets.rows.map { describe($0, withDigest: call.parameter("sha256") != "false") })
        case ("GET", "sessions"):
            return .array(
                sessions.rows.map { session in
                    .object(
                        sessionMembers(session, isList: false) + [.init("deleted", .bool(session.isDeleted))])
                })
        case ("GET", "log"):
            let after = call.parameter("after").flatMap { Int($0) } ?? 0
            return .array(
                log.filter { $0.number > after }.map {
                    .object([
                        .init("number", .number(of: $0.number)), .init("method", .string($0.method)),
                        .init("target", .string($0.target)), .init("status", .number(of: $0.status)),
                        .init("sent", .number(of: $0.sent)),
                    ])
                })
        case ("GET", "counters"):
            return .object(counters.sorted { $0.key < $1.key }.map { .init($0.key, .number(of: $0.value)) })
        default: throw ControlError("no such control: \(call.method) \(what)")
        }
    }

    private func describe(_ asset: AssetRecord, withDigest: Bool) -> JSONValue {
        var members = assetMembers(asset, isFull: false)
        members.append(.init("deleted", .bool(asset.isDeleted)))
        members.append(.init("reported_size", .number(of: asset.file?.size)))
        members.append(.init("size", .number(of: asset.file?.range.count)))
        members.append(.init("original_filename", .text(asset.file?.originalName)))
        if withDigest, let file = asset.file, let stored = file.stored {
            members.append(.init("sha256", .string(stored.sha256(of: file.range))))
        }
        return .object(members)
    }

    /// `{"username":…, "standing":…, "password":…, "otp":…, "projects":{"1":"admin"}}`; an unknown name makes a user.
    private mutating func changeUser(_ body: JSONValue) throws(ControlError) -> JSONValue {
        guard let name = body["username"]?.string else { throw ControlError("no username") }
        var user =
            users.first { $0.username == name }
            ?? User(uuid: newUUID(), username: name, password: name, firstName: name, lastName: "User")
        if let password = body["password"]?.string { user.password = password }
        if let code = body["otp"]?.string { user.otp = code }
        if let value = body["superadmin"]?.boolean { user.isSuperAdmin = value }
        if let text = body["standing"]?.string {
            guard let standing = User.Standing(rawValue: text) else { throw ControlError("no such standing: \(text)") }
            user.standing = standing
        }
        if let failures = body["failures"]?.integer {
            user.failures = Int(failures)
            user.lastFailure = now
        }
        if let projects = body["projects"]?.members {
            user.projects = [:]
            for member in projects {
                guard let id = Int(member.key), let role = member.value.string else {
                    throw ControlError("projects are numbers with roles")
                }
                user.projects[id] = role
            }
        }
        return .integer(Int64(users.add(user).id))
    }
}
