import FXSystem

/// The control plane: `POST /_control/…` changes, `GET /_control/…` tells. Documented in Tests/TestServices/README.md.
extension ItslearningServer {
    func control(_ call: Call) -> Answer {
        let what = call.path.dropFirst("/_control/".count)
        if call.method == "GET", what == "bytes" {
            let file = state.withLock { state in call.parameter("id").flatMap { state.files[$0] } }
            guard let file else { return .text(404, "no such file") }
            return Answer(200, body: .stored(file.bytes, 0..<file.bytes.count))
        }
        guard let body = call.body.count == 0 ? JSONValue.object([]) : call.json else {
            return .text(400, "the body is not JSON")
        }
        if call.method == "GET", what == "files" {
            // Digests are computed outside of the lock: uploads go on.
            let files = state.withLock { state in
                state.purge()
                return state.order.compactMap { state.files[$0] }
            }
            return .json(200, .array(files.map(ItslearningServer.describe)))
        }
        do throws(ControlError) {
            return .json(200, try state.withLock { state throws(ControlError) in try state.control(call, what, body) })
        } catch {
            return .text(400, error.sentence)
        }
    }

    private static func describe(_ file: ItslearningState.StreamedFile) -> JSONValue {
        .object([
            .init("id", .string(file.id)), .init("extension_id", .integer(Int64(file.extensionID))),
            .init("site_id", .integer(Int64(file.site))), .init("name", .string(file.name)),
            .init("size", .integer(Int64(file.bytes.count))),
            .init("sha256", .string(file.bytes.sha256(of: 0..<file.bytes.count))),
            .init("content_id", .string(file.contentID)), .init("uploaded_at", .string(SOAPReply.text(file.uploaded))),
            .init("consumed", .bool(file.isConsumed)), .init("chunked", .bool(file.isChunked)),
        ])
    }
}

extension ItslearningState {
    fileprivate mutating func control(
        _ call: Call, _ what: Substring, _ body: JSONValue
    ) throws(ControlError) -> JSONValue {
        switch (call.method, what) {
        case ("POST", "reset"):
            self = ItslearningState()
            return [:]
        case ("GET", "settings"): return settings.json
        case ("POST", "settings"):
            try settings.apply(body)
            return settings.json
        case ("POST", "faults"):
            var added: [ItslearningTrouble] = []
            for trouble in body.elements ?? [body] { added.append(try ItslearningTrouble(trouble)) }
            troubles += added
            return .integer(Int64(troubles.count))
        case ("DELETE", "faults"):
            troubles = []
            return [:]
        case ("GET", "faults"): return .integer(Int64(troubles.count))
        case ("POST", "account"): return try changeAccount(body)
        case ("POST", "extension"): return try changeExtension(body)
        case ("GET", "contents"): return .array(contents.map(describe))
        case ("GET", "log"):
            let after = call.parameter("after").flatMap { Int($0) } ?? 0
            return .array(
                log.filter { $0.number > after }.map {
                    .object([
                        .init("number", .integer(Int64($0.number))), .init("operation", .string($0.operation)),
                        .init("target", .string($0.target)), .init("status", .integer(Int64($0.status))),
                        .init("sent", .integer(Int64($0.sent))),
                    ])
                })
        case ("GET", "counters"):
            return .object(counters.sorted { $0.key < $1.key }.map { .init($0.key, .integer(Int64($0.value))) })
        default: throw ControlError("no such control: \(call.method) \(what)")
        }
    }

    private func describe(_ content: Content) -> JSONValue {
        .object([
            .init("sync_key", .string(content.syncKey)), .init("location", .string(content.location)),
            .init("course_id", content.course.map { .integer(Int64($0)) } ?? .null),
            .init("user_id", .integer(Int64(content.user))), .init("parent_id", .text(content.parent)),
            .init("title", .string(content.title)), .init("file_name", .string(content.fileName)),
            .init("file_id", .string(content.file)),
        ])
    }

    /// `{"username":…, "password":…, "sites":[123]}`.
    private mutating func changeAccount(_ body: JSONValue) throws(ControlError) -> JSONValue {
        guard let name = body["username"]?.string else { throw ControlError("no username") }
        var account = accounts[name] ?? Account(password: "", sites: [])
        if let password = body["password"]?.string { account.password = password }
        if let sites = body["sites"]?.elements { account.sites = Set(sites.compactMap { $0.integer.map(Int.init) }) }
        accounts[name] = account
        return [:]
    }

    /// `{"id":5002, "name":…, "streams":false}`.
    private mutating func changeExtension(_ body: JSONValue) throws(ControlError) -> JSONValue {
        guard let id = body["id"]?.integer.map(Int.init) else { throw ControlError("no id") }
        if body["removed"]?.boolean == true {
            extensions[id] = nil
            return [:]
        }
        var known = extensions[id] ?? Extension(name: "Extension \(id)", streams: true)
        if let name = body["name"]?.string { known.name = name }
        if let streams = body["streams"]?.boolean { known.streams = streams }
        extensions[id] = known
        return [:]
    }
}
