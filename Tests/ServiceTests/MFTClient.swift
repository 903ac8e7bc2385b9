import Crypto
import FXSystem
import ServiceFixtures

/// The requests of a client, made by hand, so that the service is tested without the backend.
struct MFTHandClient {
    let service: MFTControl
    var token: String

    init(_ service: MFTControl, _ username: String = MFTControl.username, _ password: String = MFTControl.password)
        throws
    {
        self.service = service
        let answer = try MFTHandClient.login(service, "\(username)\r\n\(password)")
        guard let token = answer.json?["token"]?.string else { throw UnexpectedAnswer(answer) }
        self.token = token
    }

    static func login(_ service: MFTControl, _ words: String) throws -> LoopbackAnswer {
        try service.http.get("/vault_rest/authenticate", fields: [("Authorization", "Basic \(base64(words))")])
    }

    func ask(
        _ method: String, _ path: String, _ fields: [(String, String)] = [], body: [UInt8]? = nil
    ) throws -> LoopbackAnswer {
        try service.http.request(
            method, "/vault_rest\(path)", fields: [("Authorization", "Bearer \(token)")] + fields, body: body)
    }

    static let group = "6f1c9d0e-8a57-4c9b-9d0e-2f6f0a1b2c3d"

    /// Opens a group and answers its id.
    func openGroup(_ id: String = MFTHandClient.group) throws -> String {
        let answer = try ask("GET", "/transfer", [("group_id", id)])
        guard let id = answer.json?["group_id"]?.string else { throw UnexpectedAnswer(answer) }
        return id
    }

    func openFile(_ name: String, size: Int, in group: String, _ more: [(String, String)] = []) throws -> LoopbackAnswer
    {
        try ask(
            "GET", "/transfer_file",
            [
                ("group_id", group), ("file_name", name), ("file_size", "\(size)"), ("transfer_method", "Chunk"),
            ].filter { field in !more.contains { $0.0 == field.0 } } + more)
    }

    func fileID(_ name: String, size: Int, in group: String, _ more: [(String, String)] = []) throws -> String {
        let answer = try openFile(name, size: size, in: group, more)
        guard let id = answer.json?["file_id"]?.string else { throw UnexpectedAnswer(answer) }
        return id
    }

    func chunk(_ bytes: [UInt8], at offset: Int?, of file: String, in group: String, md5: String? = nil) throws
        -> LoopbackAnswer
    {
        var fields = [("group_id", group), ("file_id", file)]
        if let offset { fields.append(("chunk_offset", "\(offset)")) }
        if let md5 { fields.append(("chunk_checksum", md5)) }
        return try ask("PATCH", "/transfer_file", fields, body: bytes)
    }

    func completeFile(_ file: String, in group: String) throws -> LoopbackAnswer {
        try ask("POST", "/transfer_file", [("group_id", group), ("file_id", file)])
    }

    func completeGroup(_ group: String, _ more: [(String, String)] = []) throws -> LoopbackAnswer {
        try ask("POST", "/transfer", [("group_id", group)] + more)
    }

    static func md5(_ bytes: [UInt8]) -> String {
        Insecure.MD5.hash(data: bytes).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
