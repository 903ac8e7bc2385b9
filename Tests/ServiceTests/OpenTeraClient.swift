import FXSystem
import ServiceFixtures

/// The requests of a client, made by hand, so that the pair is tested without the backend.
struct OpenTeraClient {
    let pair: OpenTeraControl
    var token: String
    var http: LoopbackClient { pair.http }

    init(_ pair: OpenTeraControl, username: String = "user3", password: String = "user3") throws {
        self.pair = pair
        let answer = try OpenTeraClient.login(pair, username, password)
        guard let token = answer.json?["user_token"]?.string else { throw UnexpectedAnswer(answer) }
        self.token = token
    }

    static func login(
        _ pair: OpenTeraControl, _ username: String, _ password: String, fields: [(String, String)] = [],
        query: String = ""
    ) throws -> LoopbackAnswer {
        try pair.http.get("/api/user/login\(query)", fields: [basic(username, password)] + fields)
    }

    static func basic(_ username: String, _ password: String) -> (String, String) {
        ("Authorization", "Basic \(base64("\(username):\(password)"))")
    }

    var authorization: (String, String) { ("Authorization", "OpenTera \(token)") }

    func get(_ target: String, fields: [(String, String)] = []) throws -> LoopbackAnswer {
        try http.get(target, fields: [authorization] + fields)
    }

    func request(_ method: String, _ target: String, fields: [(String, String)] = []) throws -> LoopbackAnswer {
        try http.request(method, target, fields: [authorization] + fields)
    }

    func post(_ target: String, _ body: JSONValue) throws -> LoopbackAnswer {
        try http.request(
            "POST", target, fields: [authorization, ("Content-Type", "application/json")], body: Array(body.text.utf8))
    }

    /// An upload as a client makes it: the description, then the file.
    func upload(
        _ name: String, _ bytes: [UInt8], to session: Int, filename: String = "f.bin",
        more: [JSONValue.Member] = []
    ) throws -> LoopbackAnswer {
        let description = JSONValue.object(
            [.init("id_session", .integer(Int64(session))), .init("asset_name", .string(name))] + more)
        return try send([.field("file_asset", description.text), .file(bytes, filename: filename)])
    }

    enum Part {
        case field(String, String)
        case file([UInt8], filename: String?, more: String = "")

        var bytes: [UInt8] {
            switch self {
            case .field(let name, let value):
                return Array("Content-Disposition: form-data; name=\"\(name)\"\r\n\r\n\(value)".utf8)
            case .file(let bytes, let filename, let more):
                let name = filename.map { "; filename=\"\($0)\"" } ?? ""
                let head = "Content-Disposition: form-data; name=\"file\"\(name)\r\n\(more)\r\n"
                return Array(head.utf8) + bytes
            }
        }
    }

    static let formType = ("Content-Type", "multipart/form-data; boundary=BOUNDARY")

    static func form(_ parts: [Part]) -> [UInt8] {
        parts.flatMap { Array("--BOUNDARY\r\n".utf8) + $0.bytes + Array("\r\n".utf8) } + Array("--BOUNDARY--\r\n".utf8)
    }

    func send(_ parts: [Part]) throws -> LoopbackAnswer {
        try http.request(
            "POST", "/file/api/assets", fields: [authorization, OpenTeraClient.formType],
            body: OpenTeraClient.form(parts))
    }
}

/// An answer a test cannot go on with.
struct UnexpectedAnswer: Error, CustomStringConvertible {
    let answer: LoopbackAnswer
    init(_ answer: LoopbackAnswer) { self.answer = answer }
    var description: String { "\(answer.status) \(answer.text.prefix(500))" }
}

func base64(_ text: String) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    var out = ""
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let piece = rest.prefix(3)
        rest = rest.dropFirst(3)
        let word = piece.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - piece.count))
        for index in 0..<4 {
            out.append(index <= piece.count ? alphabet[Int(word >> UInt32(18 - 6 * index) & 63)] : "=")
        }
    }
    return out
}
