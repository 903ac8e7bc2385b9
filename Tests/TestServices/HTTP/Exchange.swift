import FXSystem

/// A request as the services see it.
struct Call: Sendable {
    var method: String
    /// As it was sent.
    var target: String
    /// Percent-decoded.
    var path: String
    var query: [(name: String, value: String)]
    var fields: [(name: String, value: String)]
    var body: StoredBytes = .empty
    var isChunked = false

    init(method: String, target: String, fields: [(name: String, value: String)]) {
        self.method = method
        self.target = target
        self.fields = fields
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = URLText.decode(parts.first ?? "", plusIsSpace: false)
        query = (parts.count > 1 ? parts[1] : "").split(separator: "&").map { pair in
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (
                URLText.decode(sides[0], plusIsSpace: true),
                sides.count > 1 ? URLText.decode(sides[1], plusIsSpace: true) : ""
            )
        }
    }

    func field(_ name: String) -> String? { fields.first { $0.name.lowercased() == name.lowercased() }?.value }
    func parameter(_ name: String) -> String? { query.first { $0.name == name }?.value }

    /// nil unless the body is JSON.
    var json: JSONValue? { JSONValue(parsing: String(decoding: body.bytes, as: UTF8.self)) }
    var saysJSON: Bool { field("Content-Type")?.lowercased().hasPrefix("application/json") ?? false }

    func cookie(_ name: String) -> String? {
        for pair in (field("Cookie") ?? "").split(separator: ";") {
            let sides = pair.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
            if sides.count == 2, sides[0] == name { return String(sides[1]) }
        }
        return nil
    }
}

/// What is answered.
struct Answer: Sendable {
    enum Body: Sendable {
        case bytes([UInt8])
        case stored(StoredBytes, Range<Int>)
        case pieces(PiecedBytes, Range<Int>)
        /// No length and no bytes, as a server that failed in the middle of it.
        case chunkedNothing
    }

    var status: Int
    var reason: String
    var fields: [(name: String, value: String)]
    var body: Body
    /// The connection ends after it, the rest of the request unread.
    var closes = false

    init(
        _ status: Int, reason: String? = nil, fields: [(name: String, value: String)] = [], body: Body = .bytes([])
    ) {
        self.status = status
        self.reason = reason ?? Answer.reasons[status] ?? "UNKNOWN"
        self.fields = fields
        self.body = body
    }

    /// As Flask words them.
    private static let reasons = [
        200: "OK", 201: "CREATED", 204: "NO CONTENT", 206: "PARTIAL CONTENT", 304: "NOT MODIFIED", 400: "BAD REQUEST",
        401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT FOUND", 405: "METHOD NOT ALLOWED",
        413: "REQUEST ENTITY TOO LARGE", 415: "UNSUPPORTED MEDIA TYPE", 416: "REQUESTED RANGE NOT SATISFIABLE",
        426: "UPGRADE REQUIRED", 429: "TOO MANY REQUESTS", 500: "INTERNAL SERVER ERROR", 501: "NOT IMPLEMENTED",
        503: "SERVICE UNAVAILABLE",
    ]

    var length: Int? {
        switch body {
        case .bytes(let bytes): bytes.count
        case .stored(_, let range), .pieces(_, let range): range.count
        case .chunkedNothing: nil
        }
    }
}

/// Percent-encoding (RFC 3986 section 2.1) and base64 (RFC 4648).
enum URLText {
    static func decode(_ text: Substring, plusIsSpace: Bool) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else if byte == UInt8(ascii: "+"), plusIsSpace {
                bytes.append(UInt8(ascii: " "))
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func encode(_ text: String) -> String {
        var out: [UInt8] = []
        let digits = Array("0123456789ABCDEF".utf8)
        for byte in text.utf8 {
            switch byte {
            case 48...57, 65...90, 97...122, 45, 46, 95, 126: out.append(byte)
            default: out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// The URL alphabet, without padding.
    static func base64(_ bytes: [UInt8]) -> String {
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count * 4 / 3 + 4)
        var held: UInt32 = 0
        var bits = 0
        for byte in bytes {
            held = held << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                out.append(alphabet[Int(held >> UInt32(bits) & 63)])
            }
        }
        if bits > 0 { out.append(alphabet[Int(held << UInt32(6 - bits) & 63)]) }
        return String(decoding: out, as: UTF8.self)
    }

    /// Either alphabet; nil for anything else.
    static func decodeBase64(_ text: some StringProtocol) -> [UInt8]? {
        var out: [UInt8] = []
        var held: UInt32 = 0
        var bits = 0
        for sign in text.utf8 where sign != UInt8(ascii: "=") {
            let value: UInt32
            switch sign {
            case 65...90: value = UInt32(sign) - 65
            case 97...122: value = UInt32(sign) - 71
            case 48...57: value = UInt32(sign) + 4
            case UInt8(ascii: "+"), UInt8(ascii: "-"): value = 62
            case UInt8(ascii: "/"), UInt8(ascii: "_"): value = 63
            default: return nil
            }
            held = held << 6 | value
            bits += 6
            if bits >= 8 {
                bits -= 8
                out.append(UInt8(truncatingIfNeeded: held >> UInt32(bits)))
            }
        }
        return out
    }
}
