import FXSystem

extension TusState {
    /// One request of a test, never subject to anything.
    mutating func control(_ call: Call) -> Answer {
        do {
            return Answer(
                200, fields: [("Content-Type", "application/json")], body: .bytes(Array(try perform(call).text.utf8)))
        } catch let error as ControlError {
            return Answer(400, body: .bytes(Array((error.sentence + "\n").utf8)))
        } catch {
            return Answer(500, body: .bytes(Array("\(error)\n".utf8)))
        }
    }

    private mutating func perform(_ call: Call) throws -> JSONValue {
        let body = call.json ?? [:]
        switch (call.method, call.path.dropFirst("/_control/".count)) {
        case ("POST", "reset"):
            try directory?.forget(order)
            self = try TusState(directory)
            return [:]
        case ("GET", "settings"): return settings.json
        case ("POST", "settings"):
            try settings.apply(body)
            try directory?.keep(settings)
            return settings.json
        case ("POST", "expire"):
            for id in order where !(uploads[id]?.isWhole ?? true) {
                uploads[id]?.standing = .expired
                try keep(id)
            }
            return [:]
        case ("GET", "uploads"): return .array(order.compactMap { uploads[$0] }.map(TusState.describe))
        case ("GET", "log"):
            return .array(
                log.map {
                    .object([
                        .init("method", .string($0.method)), .init("target", .string($0.target)),
                        .init("status", .integer(Int64($0.status))),
                    ])
                })
        default: throw ControlError("no such control: \(call.method) \(call.path)")
        }
    }

    private static func describe(_ upload: TusUpload) -> JSONValue {
        .object([
            .init("target", .string(creationPath + upload.id)), .init("state", .string(upload.standing.rawValue)),
            .init("whole", .bool(upload.isWhole)), .init("offset", .integer(Int64(upload.bytes.count))),
            .init("length", upload.length.map { .integer(Int64($0)) } ?? .null),
            .init("metadata", .object(metadata(upload.metadata))), .init("sha256", .string(upload.bytes.sha256)),
        ])
    }

    private static func metadata(_ field: String?) -> [JSONValue.Member] {
        (field ?? "").split(separator: ",").map { pair in
            let words = pair.split(separator: " ")
            let value = words.count > 1 ? URLText.decodeBase64(words[1]) ?? [] : []
            return .init(String(words.first ?? ""), .string(String(decoding: value, as: UTF8.self)))
        }
    }
}
