import FXSystem
import ServiceFixtures
import Testing

/// A web page of one origin, as its browser speaks to the server; no origin for a program.
struct RESTPage: Sendable {
    var client: LoopbackClient
    var origin: String?
    var extra: [(String, String)] = []

    static let base = "/v3/modules/fileexchange/apps/file/"

    var fields: [(String, String)] {
        (origin.map { [("Origin", $0)] } ?? []) + [("X-CSRF-Token", "t1c-js"), ("Accept-Language", "en-US")] + extra
    }

    func call(_ operation: String, _ body: JSONValue, query: String = "") throws -> LoopbackAnswer {
        try client.request(
            "POST", RESTPage.base + operation + query, fields: fields + [("Content-Type", "application/json")],
            body: Array(body.text.utf8))
    }

    /// `data` of a success.
    @discardableResult
    func data(_ operation: String, _ body: JSONValue, query: String = "") throws -> JSONValue {
        let answer = try call(operation, body, query: query)
        let json = try #require(answer.json, "\(operation): \(answer.status) \(answer.text.prefix(300))")
        try #require(answer.status == 200 && json["success"] == true, "\(operation): \(answer.status) \(json.text)")
        return try #require(json["data"])
    }

    /// The code of a refusal.
    func code(_ operation: String, _ body: JSONValue, query: String = "") throws -> String {
        try RESTPage.code(try call(operation, body, query: query))
    }

    static func code(_ answer: LoopbackAnswer) throws -> String {
        let json = try #require(answer.json, "\(answer.status) \(answer.text.prefix(300))")
        #expect(json["success"] == false && answer.status >= 400)
        #expect(json["description"]?.string?.isEmpty == false)
        return try #require(json["code"]?.string)
    }

    static let boundary = "fxmount-test-boundary"

    /// The parts in the order of published clients: `file` before `fileName` and `relPath`.
    static func parts(
        _ entity: String, _ type: String, _ name: String, _ bytes: [UInt8], relPath: [String] = [],
        implicit: Bool? = nil
    ) -> [(String, [UInt8])] {
        var parts: [(String, [UInt8])] = [
            ("entity", Array(entity.utf8)), ("type", Array(type.utf8)), ("file", bytes), ("fileName", Array(name.utf8)),
        ]
        parts += relPath.map { ("relPath", Array($0.utf8)) }
        if let implicit { parts.append(("implicitCreationType", Array(String(implicit).utf8))) }
        return parts
    }

    static func form(_ parts: [(String, [UInt8])]) -> [UInt8] {
        var body: [UInt8] = []
        for (name, content) in parts {
            let file = name == "file" ? "; filename=\"blob\"\r\nContent-Type: application/octet-stream" : ""
            body += Array("--\(boundary)\r\nContent-Disposition: form-data; name=\"\(name)\"\(file)\r\n\r\n".utf8)
            body += content
            body += [13, 10]
        }
        return body + Array("--\(boundary)--\r\n".utf8)
    }

    static let formType = "multipart/form-data; boundary=\(boundary)"

    func download(_ parts: [(String, [UInt8])]) throws -> LoopbackAnswer {
        try client.request(
            "POST", RESTPage.base + "download", fields: fields + [("Content-Type", RESTPage.formType)],
            body: RESTPage.form(parts))
    }

    func download(
        _ entity: String, _ type: String, _ name: String, _ bytes: [UInt8], relPath: [String] = [],
        implicit: Bool? = nil
    ) throws -> LoopbackAnswer {
        try download(RESTPage.parts(entity, type, name, bytes, relPath: relPath, implicit: implicit))
    }

    /// The bytes of a file.
    func upload(_ entity: String, _ type: String, _ name: String, relPath: [String] = []) throws -> [UInt8] {
        let answer = try call(
            "upload",
            [
                "entity": .string(entity), "type": .string(type), "fileName": .string(name),
                "relPath": .array(relPath.map { .string($0) }),
            ])
        try #require(answer.status == 200, "\(answer.text.prefix(300))")
        return answer.body
    }
}
