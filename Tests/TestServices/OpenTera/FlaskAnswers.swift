import FXSystem

/// An answer that ends a request early.
struct Refusal: Error {
    let answer: Answer
    init(_ answer: Answer) { self.answer = answer }
}

/// The shapes of answers of OpenTera 1.3: see `protocols/opentera.md`, section 2.
extension Answer {
    /// JSON on one line and a line feed, ASCII only. The real server sorts and spaces differently from endpoint to
    /// endpoint; so does this one.
    static func json(_ status: Int = 200, _ value: JSONValue, sorted: Bool = false) -> Answer {
        var bytes: [UInt8] = []
        FlaskText.write(value, sorted: sorted, spaced: !sorted, to: &bytes)
        bytes.append(10)
        return Answer(status, fields: [("Content-Type", "application/json")], body: .bytes(bytes))
    }

    /// A JSON string: most errors.
    static func text(_ status: Int, _ text: String) -> Answer { json(status, .string(text)) }

    /// `{"message": …}`.
    static func message(_ status: Int, _ text: String) -> Answer {
        json(status, .object([.init("message", .string(text))]))
    }

    static func argumentError(_ name: String, _ text: String) -> Answer {
        json(
            400,
            .object([
                .init("errors", .object([.init(name, .string(text))])),
                .init("message", "Input payload validation failed"),
            ]))
    }

    /// Bare text, as MAIN's authentication answers.
    static func unauthorized(_ call: Call, status: Int = 401) -> Answer {
        Answer(
            status, fields: [("Content-Type", "text/html; charset=utf-8")],
            body: .bytes(Array(Words.unauthorized(call).utf8)))
    }

    static func html(_ status: Int, reason: String? = nil, _ page: String) -> Answer {
        Answer(
            status, reason: reason, fields: [("Content-Type", "text/html; charset=utf-8")],
            body: .bytes(Array(page.utf8)))
    }

    static let notFoundPage = html(
        404,
        """
        <!doctype html>
        <html lang=en>
        <title>404 Not Found</title>
        <h1>Not Found</h1>
        <p>The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.</p>

        """)

    /// A page of NGINX itself.
    static func nginx(_ status: Int) -> Answer {
        let words = [
            301: "Moved Permanently", 413: "Request Entity Too Large", 500: "Internal Server Error", 502: "Bad Gateway",
            503: "Service Temporarily Unavailable", 504: "Gateway Time-out",
        ]
        let reason = words[status] ?? "Error"
        return Answer(
            status, reason: reason, fields: [("Content-Type", "text/html")],
            body: .bytes(Array(nginxPage("\(status) \(reason)").utf8)))
    }

    static let internalError = message(500, "Internal Server Error")
    static let databaseError = text(500, "Database error")
    /// What Twisted makes of a file that cannot be opened.
    static let brokenDownload = Answer(500, reason: "Internal Server Error", body: .chunkedNothing)
}

/// The few texts the tests look at, in the two languages the server has.
enum Words {
    static func isFrench(_ call: Call) -> Bool {
        (call.field("Accept-Language") ?? "").drop { $0 == " " }.lowercased().hasPrefix("fr")
    }

    static func unauthorized(_ call: Call) -> String { isFrench(call) ? "Non autorisé" : "Unauthorized" }
    static func forbidden(_ call: Call) -> String { isFrench(call) ? "Accès refusé" : "Forbidden" }
    static func assetDenied(_ call: Call) -> String {
        isFrench(call) ? "Accès refusé à la ressource" : "Access denied to asset"
    }
}

/// JSON as Python's json.dumps writes it.
enum FlaskText {
    static func write(_ value: JSONValue, sorted: Bool, spaced: Bool, to out: inout [UInt8]) {
        switch value {
        case .string(let text): quote(text, to: &out)
        case .array(let values):
            out.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { out.append(contentsOf: spaced ? [44, 32] : [44]) }
                write(value, sorted: sorted, spaced: spaced, to: &out)
            }
            out.append(UInt8(ascii: "]"))
        case .object(let members):
            out.append(UInt8(ascii: "{"))
            for (index, member) in (sorted ? members.sorted { $0.key < $1.key } : members).enumerated() {
                if index > 0 { out.append(contentsOf: spaced ? [44, 32] : [44]) }
                quote(member.key, to: &out)
                out.append(contentsOf: spaced ? [58, 32] : [58])
                write(member.value, sorted: sorted, spaced: spaced, to: &out)
            }
            out.append(UInt8(ascii: "}"))
        default: out.append(contentsOf: value.text.utf8)
        }
    }

    private static func quote(_ text: String, to out: inout [UInt8]) {
        out.append(34)
        for unit in text.utf16 {
            switch unit {
            case 34: out.append(contentsOf: [92, 34])
            case 92: out.append(contentsOf: [92, 92])
            case 10: out.append(contentsOf: [92, 110])
            case 13: out.append(contentsOf: [92, 114])
            case 9: out.append(contentsOf: [92, 116])
            case 32..<127: out.append(UInt8(unit))
            default:
                let digits = String(unit, radix: 16)
                out.append(contentsOf: "\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8)
            }
        }
        out.append(34)
    }
}

/// The arguments of a GET or DELETE: from the query, or from a JSON body.
struct Arguments {
    private let values: [String: String]

    init(_ call: Call) {
        var values: [String: String] = [:]
        for (name, value) in call.query where values[name] == nil { values[name] = value }
        if call.saysJSON, call.body.count > 0 {
            for member in call.json?.members ?? [] where values[member.key] == nil {
                switch member.value {
                case .string(let text): values[member.key] = text
                case .integer, .bool, .number: values[member.key] = member.value.text
                default: break
                }
            }
        }
        self.values = values
    }

    subscript(name: String) -> String? { values[name] }
    func has(_ name: String) -> Bool { values[name] != nil }

    func number(_ name: String) throws(Refusal) -> Int? {
        guard let text = values[name] else { return nil }
        if let number = Int(text.trimmingBlanks) { return number }
        throw Refusal(.argumentError(name, "ID or count invalid literal for int() with base 10: '\(text)'"))
    }

    /// As `number`, but 0 is as good as absent, because the server tests for truth.
    func id(_ name: String) throws(Refusal) -> Int? {
        let number = try number(name)
        return number == 0 ? nil : number
    }

    func flag(_ name: String) throws(Refusal) -> Bool {
        guard let text = values[name] else { return false }
        switch text.lowercased() {
        case "true", "1": return true
        case "false", "0": return false
        default: throw Refusal(.argumentError(name, "Flag Invalid literal for boolean(): \(text)"))
        }
    }

    /// A day, as the moment it begins.
    func day(_ name: String) throws(Refusal) -> Int64? {
        guard let text = values[name] else { return nil }
        if text.count == 10, let moment = Moment.parse(text) { return moment }
        throw Refusal(.argumentError(name, "Date time data '\(text)' does not match format '%Y-%m-%d'"))
    }

    func required(_ name: String, _ help: String) throws(Refusal) -> String {
        if let value = values[name] { return value }
        throw Refusal(
            .argumentError(
                name, "\(help) Missing required parameter in the JSON body or the post body or the query string"))
    }
}

extension String {
    /// Python's int() ignores blanks around a number.
    var trimmingBlanks: String {
        var text = Substring(self)
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}

extension JSONValue {
    static func number(of value: Int?) -> JSONValue { value.map { .integer(Int64($0)) } ?? .null }
    static func moment(_ value: Int64?) -> JSONValue { value.map { .string(Moment.text($0)) } ?? .null }
}
