import FXSystem
import ServiceFixtures
import Testing

/// Rules 8 and 9 of opentera.md section 8: uploads, limits and what goes wrong with them.
@Suite struct OpenTeraUploadTests {
    private let pair: OpenTeraControl
    private let client: OpenTeraClient
    private let session: Int

    init() throws {
        pair = try OpenTeraControl()
        client = try OpenTeraClient(pair)
        session = try pair.session("Morning")
    }

    private func description(_ more: String = "") -> OpenTeraClient.Part {
        .field("file_asset", "{\"id_session\":\(session),\"asset_name\":\"n\"\(more)}")
    }
    private let file = OpenTeraClient.Part.file([1, 2, 3], filename: "f.bin")

    @Test func `the parts may come in either order and a second file is ignored`() throws {
        #expect(try client.send([description(), file]).status == 200)
        #expect(try client.send([file, description()]).status == 200)
        let two = try client.send([description(), file, .file([9], filename: "g.bin")])
        #expect(two.json?["asset_file_size"]?.integer == 3)
        #expect(two.json?["asset_original_filename"]?.string == "f.bin")
        // No overwrite: three assets of one name.
        #expect(try pair.assets().count == 3)
    }

    @Test func `what is missing is named`() throws {
        func text(_ parts: [OpenTeraClient.Part]) throws -> String {
            let answer = try client.send(parts)
            #expect(answer.status == 400)
            return answer.text
        }
        #expect(try text([file]) == "\"Missing file asset information\"\n")
        #expect(try text([description()]) == "\"Missing uploaded file\"\n")
        #expect(try text([description(), .file([1], filename: "")]) == "\"Missing filename\"\n")
        #expect(try text([.field("file_asset", "{"), file]) == "\"Invalid file_asset format\"\n")
        let required = "\"Missing required field(s) in asset descriptor\"\n"
        #expect(try text([.field("file_asset", "[1]"), file]) == required)
        let wrapped = "{\"file_asset\":{\"id_session\":\(session),\"asset_name\":\"n\"}}"
        #expect(try text([.field("file_asset", wrapped), file]) == required)
        #expect(try client.post("/file/api/assets", [:]).text == "\"Wrong content type\"\n")
        #expect(try pair.assets().isEmpty)
    }

    @Test func `a number of a session in quotes fails later than a wrong one`() throws {
        let quoted = try client.send([
            .field("file_asset", "{\"id_session\":\"\(session)\",\"asset_name\":\"n\"}"), file,
        ])
        #expect(quoted.status == 403 && quoted.json?.string?.hasPrefix("Unable to create asset") == true)
        for wrong in ["99999", "\"abc\""] {
            let answer = try client.send([.field("file_asset", "{\"id_session\":\(wrong),\"asset_name\":\"n\"}"), file])
            #expect(answer.status == 403 && answer.text == "\"Session access is forbidden\"\n")
        }
    }

    @Test(arguments: [(1, 403), (2, 403), (3, 200), (4, 403), (5, 200)])
    func `only a session of a linked type takes files`(type: Int, status: Int) throws {
        let other = try pair.session("other", type: type)
        #expect(try client.upload("n", [1], to: other).status == status)
        try pair.seed(["types": [["id": .integer(Int64(type)), "linked": "none"]]])
        #expect(try client.upload("n", [1], to: other).status == 403)
        try pair.seed(["types": [["id": .integer(Int64(type)), "linked": "secondary"]]])
        #expect(try client.upload("n", [1], to: other).status == 200)
    }

    @Test func `a user without any role may upload and not list`() throws {
        let stranger = try OpenTeraClient(pair, username: "user4", password: "user4")
        #expect(try stranger.upload("n", [1], to: session).status == 200)
        #expect(try stranger.get("/api/user/assets?id_session=\(session)").status == 403)
    }

    @Test(arguments: [
        ("../é weird/имя.txt", "e_weird_.txt"), (".hidden", "hidden"), ("имя", ""), ("a b.csv", "a_b.csv"),
    ])
    func `file names are secured and asset names are not`(name: String, secured: String) throws {
        let made = try client.upload(name, [1], to: session, filename: name)
        #expect(made.status == 200)
        #expect(made.json?["asset_original_filename"]?.string == secured)
        #expect(made.json?["asset_name"]?.string == name)
    }

    @Test func `a time is kept to the microsecond and a wrong one is an error of the server`() throws {
        let made = try client.upload(
            "n", [1], to: session, more: [.init("asset_datetime", "2020-01-02T03:04:05.678901Z")])
        #expect(made.json?["asset_datetime"]?.string == "2020-01-02T03:04:05.678901+00:00")
        let zone = try client.upload(
            "n", [1], to: session, more: [.init("asset_datetime", "2020-01-02T03:04:05+02:00")])
        #expect(zone.json?["asset_datetime"]?.string == "2020-01-02T01:04:05+00:00")
        #expect(try client.upload("n", [1], to: session, more: [.init("asset_datetime", "soon")]).status == 500)
        #expect(try pair.assets().count == 2)
    }

    @Test func `a length stated by the part is believed`() throws {
        let lie = OpenTeraClient.Part.file([1, 2, 3], filename: "lie.bin", more: "Content-Length: 7\r\n")
        let made = try client.send([description(), lie])
        #expect(made.json?["asset_file_size"]?.integer == 7)
        let target = try asset(made)
        #expect(try client.get(target).body == [1, 2, 3])
    }

    private func asset(_ made: LoopbackAnswer) throws -> String {
        let uuid = try #require(made.json?["asset_uuid"]?.string)
        let token = try #require(made.json?["access_token"]?.string)
        return "/file/api/assets?asset_uuid=\(uuid)&access_token=\(token)"
    }

    @Test func `a field over half a megabyte is refused`() throws {
        let long = String(repeating: "x", count: 500_001)
        let answer = try client.send([.field("file_asset", long), file])
        #expect(answer.status == 413 && answer.json?["message"] != nil)
    }

    @Test func `a form without its end is no form`() throws {
        var body = OpenTeraClient.form([description(), file])
        body.removeLast(4)
        let answer = try pair.http.request(
            "POST", "/file/api/assets", fields: [client.authorization, OpenTeraClient.formType], body: body)
        #expect(answer.status == 400)
    }

    @Test func `a body over the limit is refused before it is sent`() throws {
        try pair.set(["body_limit": 10_000])
        let connection = try LoopbackConnection(port: pair.port, seconds: 5)
        try connection.send(
            "POST /file/api/assets HTTP/1.1\r\nHost: x\r\nAuthorization: OpenTera \(client.token)\r\n"
                + "Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 10001\r\n\r\n")
        let answer = try connection.answer()
        #expect(answer.status == 413)
        #expect(answer["Content-Type"] == "text/html" && answer["Connection"] == "close")
        #expect(answer.text.contains("413 Request Entity Too Large"))
        #expect(try client.upload("n", [UInt8](repeating: 0, count: 9000), to: session).status == 200)
    }

    @Test func `chunks are taken by the front and not by the service itself`() throws {
        let body = OpenTeraClient.form([description(), file])
        func send() throws -> LoopbackAnswer {
            let head =
                "POST /file/api/assets HTTP/1.1\r\nHost: x\r\nAuthorization: OpenTera \(client.token)\r\n"
                + "Content-Type: multipart/form-data; boundary=BOUNDARY\r\nTransfer-Encoding: chunked\r\n\r\n"
            return try pair.http.exchange(
                Array(head.utf8) + Array("\(String(body.count, radix: 16))\r\n".utf8) + body
                    + Array("\r\n0\r\n\r\n".utf8))
        }
        #expect(try send().status == 200)
        try pair.set(["direct": true])
        #expect(try send().text == "\"Missing file asset information\"\n")
    }

    @Test(arguments: [502, 504], [false, true]) func `a gateway may fail with the asset made or not`(
        status: Int, isMade: Bool
    ) throws {
        try pair.fail([
            "method": "POST", "path": "/file/", "status": .integer(Int64(status)), "performed": .bool(isMade),
        ])
        let answer = try client.upload("n", [1], to: session)
        #expect(answer.status == status && answer["Content-Type"] == "text/html")
        #expect(try pair.assets().count == (isMade ? 1 : 0))
        #expect(try pair.pendingFaults() == 0)
    }

    @Test func `a connection may be reset with the asset made`() throws {
        try pair.fail(["method": "POST", "path": "/file/", "reset": true, "performed": true])
        #expect(throws: NoAnswer.self) { try client.upload("n", [1], to: session) }
        #expect(try pair.assets().count == 1)
    }

    @Test func `everything at the file service waits while it parses`() throws {
        try pair.set(["parse_milliseconds_per_mebibyte": 400])
        let bytes = [UInt8](repeating: 7, count: 1 << 20)
        let start = ContinuousClock.now
        #expect(try client.upload("n", bytes, to: session).status == 200)
        let duration = ContinuousClock.now - start
        #expect(duration >= .milliseconds(400))
    }

    @Test func `a service that is down is 502 and one that is stopped 504 after its time`() throws {
        try pair.set(["file_service": "down"])
        #expect(try client.get("/file/api/assets/infos?asset_uuid=x&access_token=y").status == 502)
        try pair.set(["file_service": "stopped", "gateway_timeout_milliseconds": 150])
        let start = ContinuousClock.now
        #expect(try client.get("/file/api/assets/infos?asset_uuid=x&access_token=y").status == 504)
        let duration = ContinuousClock.now - start
        #expect(duration >= .milliseconds(150))
        #expect(try client.get("/api/user/versions").status == 200)
    }
}
