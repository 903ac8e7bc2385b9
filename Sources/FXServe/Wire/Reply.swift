internal import FXMapping
internal import FXSystem

/// What is answered to a request.
struct Reply: Sendable {
    enum Body: Sendable {
        case bytes([UInt8])
        case file(Upload)
    }

    var status: Int
    var contentType: String
    var body: Body
    var fields: [(name: String, value: String)] = []
    /// The error code that was answered, for the log.
    var code: String?

    static let json = "application/json"

    /// `{"success":true,"data":…}`
    static func success(_ data: JSONValue) -> Reply {
        Reply(status: 200, contentType: json, body: .bytes(JSONBytes.of(["success": true, "data": data])))
    }

    /// The document as it is, without the envelope.
    static func document(_ value: JSONValue) -> Reply {
        Reply(status: 200, contentType: json, body: .bytes(JSONBytes.of(value)))
    }

    /// `{"success":false,"code":"…","description":"…"}`
    static func failure(_ refusal: Refusal, _ vintage: Vintage) -> Reply {
        let code = refusal.condition.code(vintage)
        let body: JSONValue = [
            "success": false, "code": .string(code), "description": .string(refusal.sentence),
        ]
        var reply = Reply(status: refusal.condition.status, contentType: json, body: .bytes(JSONBytes.of(body)))
        reply.code = code
        if let seconds = refusal.retryAfter { reply.fields.append(("Retry-After", String(seconds))) }
        if !refusal.allowedMethods.isEmpty {
            reply.fields.append(("Allow", refusal.allowedMethods.joined(separator: ", ")))
        }
        if refusal.condition == .unauthorized { reply.fields.append(("WWW-Authenticate", "Bearer")) }
        return reply
    }

    var length: UInt64 {
        switch body {
        case .bytes(let bytes): UInt64(bytes.count)
        case .file(let file): file.size.rawValue
        }
    }
}
