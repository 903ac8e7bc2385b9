import FXSystem
import Synchronization
import Testing

@testable import FXRemote

/// Sessions of more files than an answer in memory could have.
@Suite struct OpenTeraListingTests {
    private func service(_ transport: LongSession) -> OpenTeraService {
        let configuration = OpenTeraConfiguration(username: "u") { Secret("p") }
        return OpenTeraService(configuration, transport: transport, basePath: "", clock: .system)
    }

    private func session() throws -> StoredDirectory {
        StoredDirectory(path: try RelativePath("p/q/s"), remoteID: "session/7")
    }

    @Test func `a session of 100,000 files is listed whole, and by one request when nothing is new`() throws {
        let transport = LongSession(count: 100_000)
        let service = service(transport)
        let files = try service.list(session())
        #expect(files.count == 100_000)
        #expect(files.first?.remoteID == "asset/a99999")
        #expect(files.last?.name == Array("f0".utf8))
        #expect(files.allSatisfy { $0.kind == .file(ByteCount(3)) })
        let groups = (OpenTeraService.tokensHeld + 1999) / OpenTeraService.descriptionGroup
        var asked = ["login", "services", "assets with_urls"] + Array(repeating: "infos", count: groups)
        for _ in 1..<100_000 / OpenTeraService.tokensHeld {
            asked += ["assets with_only_token"] + Array(repeating: "infos", count: groups)
        }
        #expect(transport.taken() == asked)
        #expect(try service.list(session()).count == 100_000)
        // Tokens nobody needs are not asked for.
        #expect(transport.taken() == ["assets"])
    }

    @Test func `an upload whose answer was lost is found among 100,000 files`() throws {
        let transport = LongSession(count: 100_000)
        let key = OpenTeraTime(modified: Timestamp(seconds: 1_700_000_000), upload: UploadID("u"))
        transport.more.withLock {
            $0 = #",{"asset_uuid":"found","asset_name":"x","asset_service_uuid":"files","#
            $0 += #""asset_datetime":"\#(key.text)"}"#
        }
        let upload = Upload(
            id: UploadID("u"), path: try RelativePath("p/q/s/x"), directoryID: "session/7", size: ByteCount(3),
            sha256: nil, modified: Timestamp(seconds: 1_700_000_000))
        guard case .committed(let file) = try service(transport).standing(of: upload) else {
            Issue.record("not found")
            return
        }
        #expect(file == CommittedFile(remoteID: "asset/found", size: ByteCount(3)))
        // Its own token is asked for, and not those of all others.
        #expect(transport.taken() == ["login", "services", "assets", "asset with_only_token", "infos"])
    }

    @Test func `tokens that died under a listing are renewed once`() throws {
        let transport = LongSession(count: 2500)
        transport.denials.withLock { $0 = 1 }
        #expect(try service(transport).list(session()).count == 2500)
        #expect(
            transport.taken() == [
                "login", "services", "assets with_urls", "infos", "services", "assets with_only_token", "infos",
                "infos",
            ])
        transport.denials.withLock { $0 = 2 }
        let denied = service(transport)
        #expect(throws: RemoteError.forbidden) { try denied.list(session()) }
    }
}

/// A server with one long session: answers at once, in pieces of the size a transport has.
private final class LongSession: HTTPTransport {
    private let count: Int
    private let asked = Mutex<[String]>([])
    /// Questions to the file service that are denied.
    let denials = Mutex(0)
    /// A record at the end of the list.
    let more = Mutex("")

    init(count: Int) { self.count = count }

    /// What was asked since the last time.
    func taken() -> [String] {
        asked.withLock { asked in
            defer { asked = [] }
            return asked
        }
    }

    func start(
        _ request: HTTPRequest, _ completion: @escaping @Sendable (Result<HTTPResponse, HTTPFailure>) -> Void
    ) -> HTTPCall {
        let (question, answer) = answer(request)
        asked.withLock { $0.append(question) }
        completion(answer.map { deliver($0, to: request.sink) } ?? .success(HTTPResponse(status: 403)))
        return HTTPCall {}
    }

    private func deliver(_ body: [UInt8], to sink: (any HTTPSink)?) -> Result<HTTPResponse, HTTPFailure> {
        guard let sink else { return .success(HTTPResponse(status: 200, body: body)) }
        if !sink.begin(status: 200, fields: [:]) { return .failure(.refusedBody) }
        for start in stride(from: 0, to: body.count, by: 16 << 10) {
            let piece = body[start..<min(start + 16 << 10, body.count)]
            if !piece.withUnsafeBytes({ sink.receive($0) }) { return .failure(.refusedBody) }
        }
        return .success(HTTPResponse(status: 200))
    }

    /// nil is a denial.
    private func answer(_ request: HTTPRequest) -> (String, [UInt8]?) {
        let parts = request.target.split(separator: "?")
        let query = parts.count > 1 ? String(parts[1]) : ""
        let form = ["with_urls", "with_only_token"].first { query.contains($0) }
        let words = form.map { " " + $0 } ?? ""
        switch parts[0] {
        case "/api/user/login": return ("login", Array(#"{"user_token":"t"}"#.utf8))
        case "/api/user/services":
            let service = #"[{"id_service":1,"service_uuid":"files","service_clientendpoint":"/file"}]"#
            return ("services", Array(service.utf8))
        case "/api/user/assets" where query.contains("asset_uuid="):
            return ("asset" + words, Array(#"[{"asset_uuid":"found","access_token":"t"}]"#.utf8))
        case "/api/user/assets": return ("assets" + words, list(form))
        case "/file/api/assets/infos": return ("infos", infos(request.body))
        default: return (request.target, nil)
        }
    }

    private func list(_ form: String?) -> [UInt8] {
        var text = "["
        for number in 0..<count {
            text += number > 0 ? "," : ""
            text += #"{"asset_uuid":"a\#(number)""#
            if form != "with_only_token" {
                text += #","asset_name":"f\#(number)","id_asset":\#(number),"asset_service_uuid":"files""#
            }
            text += form == nil ? "}" : #","access_token":"t"}"#
        }
        return Array((text + more.withLock { $0 } + "]").utf8)
    }

    private func infos(_ body: HTTPBody) -> [UInt8]? {
        let isDenied = denials.withLock { denials in
            defer { denials = max(0, denials - 1) }
            return denials > 0
        }
        guard !isDenied, case .bytes(let bytes) = body else { return nil }
        let asked = JSONValue(parsing: String(decoding: bytes, as: UTF8.self))?["assets"]?.elements ?? []
        let files = asked.map { #"{"asset_uuid":"\#($0["asset_uuid"]?.string ?? "")","asset_file_size":3}"# }
        return Array("[\(files.joined(separator: ","))]".utf8)
    }
}
