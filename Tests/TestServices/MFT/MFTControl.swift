import FXSystem

/// The control plane: `POST /_control/…` changes, `GET /_control/…` tells. Documented in Tests/TestServices/README.md.
extension MFTState {
    mutating func control(_ call: Call) -> Answer {
        let what = call.path.dropFirst("/_control/".count)
        let body = call.body.count == 0 ? JSONValue.object([]) : call.json
        guard let body else { return .text(400, "the body is not JSON") }
        do throws(ControlError) {
            return Answer(
                200, fields: [("Content-Type", "application/json")],
                body: .bytes(Array(try control(call, what, body).text.utf8)))
        } catch {
            return .text(400, error.sentence)
        }
    }

    private mutating func control(
        _ call: Call, _ what: Substring, _ body: JSONValue
    ) throws(ControlError) -> JSONValue {
        switch (call.method, what) {
        case ("POST", "reset"):
            let ports = (port, otherPort)
            self = MFTState()
            (port, otherPort) = ports
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
        case ("POST", "expire"):
            for text in tokens.keys { tokens[text]?.isDead = true }
            return [:]
        case ("POST", "user"): return try changeUser(body)
        case ("POST", "key"):
            guard let user = users.first(where: { $0.username == body["username"]?.string }) else {
                throw ControlError("no such user")
            }
            // A hundred years: a key of an administrator.
            return .string(issue(to: user.id, expires: now + 3_155_760_000_000_000).text)
        case ("POST", "seed"): return try seed(body)
        case ("POST", "outcome"): return try setOutcome(body)
        case ("POST", "lose"): return try lose(body)
        case ("GET", "groups"): return .array(groups.values.sorted { $0.id < $1.id }.map { describe($0, call) })
        case ("GET", "files"):
            return .array(committed.compactMap { files[$0] }.map { describe($0, call) })
        case ("GET", "log"):
            let after = call.parameter("after").flatMap { Int($0) } ?? 0
            return .array(
                log.filter { $0.number > after }.map {
                    [
                        "number": .number(of: $0.number), "method": .string($0.method), "target": .string($0.target),
                        "status": .number(of: $0.status), "sent": .number(of: $0.sent),
                    ]
                })
        case ("GET", "counters"):
            return .object(counters.sorted { $0.key < $1.key }.map { .init($0.key, .number(of: $0.value)) })
        default: throw ControlError("no such control: \(call.method) \(what)")
        }
    }

    private func describe(_ group: MFTGroup, _ call: Call) -> JSONValue {
        [
            "group_id": .string(group.id), "user": .text(user(group.user)?.username),
            "state": .string(group.standing.rawValue), "expires_after": .text(group.expiresAfter),
            "files": .array(group.files.compactMap { files[$0] }.map { describe($0, call) }),
        ]
    }

    private func describe(_ file: MFTFile, _ call: Call) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("file_id", .string(file.id)), .init("group_id", .string(file.group)),
            .init("user", .text(user(file.user)?.username)), .init("name", .string(file.name)),
            .init("path", .string(file.path)), .init("size", .number(of: file.size)),
            .init("held", .number(of: file.content.held)), .init("complete", .bool(file.isComplete)),
            .init("committed", .bool(file.committed != nil)), .init("deleted", .bool(file.deleted != nil)),
            .init("state", .string(availability(file))),
        ]
        if call.parameter("sha256") != "false", !file.content.hasHoles(upTo: file.size) {
            members.append(.init("sha256", .string(file.content.sha256)))
        }
        return .object(members)
    }

    private mutating func changeUser(_ body: JSONValue) throws(ControlError) -> JSONValue {
        guard let name = body["username"]?.string else { throw ControlError("no username") }
        let id = (users.map(\.id).max() ?? 0) + 1
        var user = users.first { $0.username == name } ?? MFTUser(id: id, username: name, password: name)
        if let password = body["password"]?.string { user.password = password }
        if let pin = body["pin"]?.string { user.pin = pin }
        if let text = body["standing"]?.string {
            guard let standing = MFTUser.Standing(rawValue: text) else {
                throw ControlError("no such standing: \(text)")
            }
            user.standing = standing
        }
        users.removeAll { $0.id == user.id }
        users.append(user)
        return .number(of: user.id)
    }

    /// `{"files":[{"name","path","text"|"size","user","outcome","count"}],"folders":["a\\b"]}`: what is there already.
    private mutating func seed(_ body: JSONValue) throws(ControlError) -> JSONValue {
        var ids: [JSONValue] = []
        let first = users.first?.id ?? 0
        for folder in body["folders"]?.elements ?? [] { _ = self.folder(at: folder.string ?? "", of: first) }
        for entry in body["files"]?.elements ?? [] {
            guard let name = entry["name"]?.string else { throw ControlError("a file has no name") }
            let owner = users.first { $0.username == entry["user"]?.string }?.id ?? first
            let bytes =
                entry["text"]?.string.map { Array($0.utf8) }
                ?? [UInt8](repeating: 0x2e, count: Int(entry["size"]?.integer ?? 0))
            for number in 0..<Int(entry["count"]?.integer ?? 1) {
                var file = MFTFile(
                    id: MFTState.newID(), group: MFTState.newID(), user: owner,
                    name: number == 0 ? name : "\(name)-\(number)", path: entry["path"]?.string ?? "",
                    size: bytes.count, isChunked: true)
                file.content.put(StoredBytes(bytes), at: 0)
                file.isComplete = true
                file.outcome = entry["outcome"]?.string
                files[file.id] = file
                commit(file.id)
                ids.append(.string(file.id))
            }
        }
        return .array(ids)
    }

    /// `{"name": "x", "outcome": "Blocked"}`: what a file becomes, now or when its group is completed.
    private mutating func setOutcome(_ body: JSONValue) throws(ControlError) -> JSONValue {
        guard let outcome = body["outcome"]?.string, MFTSettings.outcomes.contains(outcome) else {
            throw ControlError("no such outcome")
        }
        let ids = files.values.filter { $0.name == body["name"]?.string }.map(\.id)
        for id in ids { files[id]?.outcome = outcome }
        return .number(of: ids.count)
    }

    /// `{"name": "x", "from": 0, "to": 10}`: bytes of an uncommitted file are lost; `{"name": "x"}` loses the file.
    private mutating func lose(_ body: JSONValue) throws(ControlError) -> JSONValue {
        let ids = files.values.filter { $0.name == body["name"]?.string && $0.committed == nil }.map(\.id)
        for id in ids {
            if let from = body["from"]?.integer, let to = body["to"]?.integer {
                files[id]?.content.cut(Int(from)..<Int(to))
                files[id]?.isComplete = false
            } else {
                if let group = files[id]?.group { groups[group]?.files.removeAll { $0 == id } }
                files[id] = nil
            }
        }
        return .number(of: ids.count)
    }
}
