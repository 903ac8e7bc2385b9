import FXSystem
import Testing

@testable import FXRemote

/// Times, tokens, forms, names and ranges of OpenTera.
@Suite struct OpenTeraValueTests {
    private let now = Timestamp(seconds: 1_800_000_000)

    // MARK: - Tokens

    @Test func `base 64 goes both ways, with either alphabet and without padding`() {
        let vectors = ["": "", "f": "Zg==", "fo": "Zm8=", "foo": "Zm9v", "foob": "Zm9vYg==", "fooba": "Zm9vYmE="]
        for (plain, coded) in vectors {
            #expect(Base64.encode(Array(plain.utf8)) == coded)
            #expect(Base64.decode(coded) == Array(plain.utf8))
            #expect(Base64.decode(coded.filter { $0 != "=" }) == Array(plain.utf8))
        }
        #expect(Base64.encode([0xfb, 0xff]) == "+/8=")
        #expect(Base64.decode("-_8") == [0xfb, 0xff])
        #expect(Base64.decode("a") == nil)
        #expect(Base64.decode("a b=") == nil)
    }

    private func made(_ payload: String) -> OpenTeraToken? {
        OpenTeraToken("e30." + Base64.encode(Array(payload.utf8)).filter { $0 != "=" } + ".c2ln", received: now)
    }

    @Test func `a token's life is what its payload says, by the server's own clock`() throws {
        let token = try #require(made(#"{"iat": 1795326803, "exp": 1795330403, "id_user": 5, "jti": "ü"}"#))
        #expect(token.life == 3600)
        #expect(token.user == 5)
        #expect(token.received == now)
        #expect(token.remaining(at: Timestamp(seconds: now.seconds + 600)) == 3000)
    }

    @Test(arguments: [
        "", "null", "[]", "{}", #"{"exp": "soon"}"#, #"{"exp": -5}"#, #"{"iat":1,"exp":99999999999}"#, "{",
    ])
    func `a payload that says nothing sensible means an hour`(payload: String) throws {
        #expect(try #require(made(payload)).life == 3600)
    }

    @Test func `a token that is no web token is used all the same, one that breaks a field is not`() {
        #expect(OpenTeraToken("plain", received: now)?.life == 3600)
        for text in ["", "a b", "a\r\nX-Evil: 1", "a\u{0}", "é"] {
            #expect(OpenTeraToken(text, received: now) == nil)
        }
    }

    // MARK: - Times

    @Test(arguments: [
        ("2026-11-22T05:39:43.361704+00:00", "2026-11-22T05:39:43.361704+00:00"),
        ("2020-01-02T03:04:05.678+02:00", "2020-01-02T01:04:05.678000+00:00"),
        ("2026-11-22T10:30:00+00:00", "2026-11-22T10:30:00.000000+00:00"),
        ("2024-02-29 23:59:59-0500", "2024-03-01T04:59:59.000000+00:00"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999+00:00"),
        ("2026-11-22T10:30:00.1234567", "2026-11-22T10:30:00.123456+00:00"),
    ]) func `times are read as the server writes them, in any zone`(text: String, utc: String) throws {
        #expect(try #require(OpenTeraTime(text)).text == utc)
    }

    @Test(arguments: [
        "", "2026", "2026-13-01T00:00:00", "yesterday", "2026-11-22T10:30:00+00:00x", "2026-11-22", "2026-11-22T1:2:3",
    ])
    func `what is no time is none`(text: String) { #expect(OpenTeraTime(text) == nil) }

    @Test func `an upload has the same key whenever it is asked for, and another upload another`() {
        let modified = Timestamp(seconds: 1_700_000_000, nanoseconds: 123_456_789)
        let keys = (0..<200).map { OpenTeraTime(modified: modified, upload: UploadID("upload-\($0)")) }
        #expect(Set(keys).count > 190)
        #expect(keys.allSatisfy { $0.timestamp.seconds == 1_700_000_000 })
        #expect(OpenTeraTime(modified: modified, upload: UploadID("upload-7")) == keys[7])
        #expect(OpenTeraTime(keys[7].text) == keys[7])
    }

    @Test func `a key keeps the second the file was modified in, within the years the server knows`() {
        for seconds in [Int64.min, -1, 0, 1, 4_102_444_800, Int64.max] {
            let key = OpenTeraTime(modified: Timestamp(seconds: seconds), upload: UploadID("u"))
            #expect(key.text.utf8.count == 32)
            #expect(OpenTeraTime(key.text) == key)
        }
        #expect(OpenTeraTime(modified: Timestamp(seconds: -1), upload: UploadID("u")).timestamp.seconds == -1)
    }

    // MARK: - Forms

    private func form(_ name: String, session: Int64 = 29) -> OpenTeraForm {
        OpenTeraForm(
            session: session, name: name, key: OpenTeraTime(microseconds: 1_600_000_000_123_456),
            upload: UploadID("u1"), digest: .empty)
    }

    @Test func `a form has the two parts the service wants, and neither has a length`() throws {
        let form = form("Résumé.txt")
        let text = String(decoding: form.prefix, as: UTF8.self)
        #expect(form.prefix.allSatisfy { $0 < 0x80 })
        let expected = """
            --\(form.boundary)\r
            Content-Disposition: form-data; name="file_asset"\r
            \r
            {"id_session":29,"asset_name":"R\\u00e9sum\\u00e9.txt","asset_datetime":"2020-09-13T12:26:40.123456+00:00"}\r
            --\(form.boundary)\r
            Content-Disposition: form-data; name="file"; filename="R_sum_.txt"\r
            Content-Type: application/octet-stream\r
            \r

            """
        #expect(text == expected)
        #expect(String(decoding: form.suffix, as: UTF8.self) == "\r\n--\(form.boundary)--\r\n")
        #expect(form.contentType == "multipart/form-data; boundary=\(form.boundary)")
        // RFC 2046 section 5.1.1.
        #expect(form.boundary.utf8.count <= 70)
    }

    @Test func `a form is never larger than what is set aside for it`() {
        let names = [
            String(repeating: "\u{1}", count: 255), String(repeating: "é", count: 127),
            String(repeating: "😀", count: 63),
            String(repeating: "\"", count: 255), String(repeating: "a", count: 255),
        ]
        for name in names { #expect(form(name, session: .max).overhead <= OpenTeraForm.largestOverhead) }
        #expect(OpenTeraForm.largestOverhead < ByteCount.kibibytes(4))
    }

    @Test func `boundaries differ by upload and by bytes`() {
        let key = OpenTeraTime(microseconds: 0)
        func boundary(_ id: String, _ bytes: [UInt8]) -> String {
            OpenTeraForm(session: 1, name: "n", key: key, upload: UploadID(id), digest: SHA256Digest(hashing: bytes))
                .boundary
        }
        #expect(Set([boundary("a", [1]), boundary("a", [2]), boundary("b", [1])]).count == 3)
    }

    @Test(arguments: [
        ("a.txt", "a.txt"), (".hidden", "hidden"), ("имя", "file"), ("../é weird/имя.txt", "weird____.txt"),
        ("...", "file"), ("-", "file"), ("\"; filename=\"x", "filename__x"), ("a\r\nb", "a__b"),
        (String(repeating: "x", count: 300) + ".jpg", String(repeating: "x", count: 124) + ".jpg"),
    ]) func `the file name in a form is plain and not empty`(name: String, plain: String) {
        #expect(OpenTeraForm.fileName(for: name) == plain)
    }

    // MARK: - Names and ids

    private func asset(_ name: JSONValue) throws -> OpenTeraAsset {
        try #require(OpenTeraAsset(["asset_uuid": "u-1", "asset_name": name]))
    }

    @Test func `a file is called by its name, else by its original name, else by its uuid`() throws {
        let file = OpenTeraAssetFile(["asset_uuid": "u-1", "asset_file_size": 3, "asset_original_filename": "o.bin"])
        let nameless = OpenTeraAssetFile(["asset_uuid": "u-1", "asset_file_size": 3, "asset_original_filename": ""])
        #expect(OpenTeraAssetFile.name(try asset("a/b\n"), file) == "a/b\n")
        #expect(OpenTeraAssetFile.name(try asset(""), file) == "o.bin")
        #expect(OpenTeraAssetFile.name(try asset(.null), nameless) == "u-1")
        #expect(OpenTeraAssetFile.name(try asset(""), nil) == "u-1")
    }

    @Test(arguments: [
        OpenTeraPlace.project(3), .participant(7), .session(29), .asset("be258216-b30a-4766-a775-56555c997946"),
    ]) func `remote ids go both ways`(place: OpenTeraPlace) { #expect(OpenTeraPlace(place.text) == place) }

    @Test(arguments: ["", "session", "session/", "session/x", "bucket/3", "session/99999999999999999999"])
    func `what is no remote id of OpenTera is none`(text: String) { #expect(OpenTeraPlace(text) == nil) }

    @Test(arguments: ["/file", "file", "/file/", "/a/b"]) func `of the service's address only the path is taken`(
        path: String
    ) {
        let service = OpenTeraFileService([
            "id_service": 3, "service_uuid": "u", "service_clientendpoint": .string(path),
        ])
        #expect(service?.endpoint == (path == "/a/b" ? "/a/b" : "/file"))
    }

    @Test(arguments: ["https://evil/file", "/..", "/a/../b", "/a?b", "/a#b", "/a b", "/a%2f", "//evil@host"])
    func `an address that leaves the path is refused`(path: String) {
        let json: JSONValue = ["id_service": 3, "service_uuid": "u", "service_clientendpoint": .string(path)]
        #expect(OpenTeraFileService(json) == nil)
    }

    @Test func `session states`() {
        let expected: [(JSONValue, SessionState)] = [
            (0, .open), (1, .open), (2, .open), (3, .aborted), (4, .complete), (.null, .open), (9, .complete),
        ]
        for (status, state) in expected {
            #expect(OpenTeraSession(["id_session": 1, "session_status": status])?.state == state)
        }
    }

    // MARK: - Answers

    private func answer(_ status: Int, _ body: String, _ fields: HTTPFields = [:]) -> OpenTeraAnswer {
        OpenTeraAnswer(response: HTTPResponse(status: status, fields: fields, body: Array(body.utf8)), now: now)
    }

    @Test func `the words of an error are found in all four shapes of a body`() {
        #expect(answer(400, "\"Wrong content type\"\n").saying == "Wrong content type")
        #expect(answer(405, #"{"message": "Not allowed"}"#).saying == "Not allowed")
        #expect(answer(401, "Unauthorized").saying == "Unauthorized")
        #expect(answer(413, "<html>\n<head>").saying == "")
        #expect(answer(500, "").saying == "")
        #expect(answer(400, "\"a\\nb\\u0007\"").saying == "a b ")
        #expect(answer(400, "\"" + String(repeating: "x", count: 1000) + "\"").saying.count == 160)
    }

    @Test func `an error is judged by its status`() {
        let expected: [(Int, RemoteError)] = [
            (401, .credentials), (403, .forbidden), (404, .noSuchEntry), (416, .changed),
            (426, .accountNeeds(.newerClient)), (500, .unavailable(retryAfter: nil)),
            (502, .unavailable(retryAfter: nil)),
            (504, .unavailable(retryAfter: nil)), (501, .notSupported), (301, .rejected(status: 301, saying: "x")),
            (400, .rejected(status: 400, saying: "x")),
        ]
        for (status, error) in expected { #expect(answer(status, "\"x\"").error == error) }
        #expect(answer(503, "", ["Retry-After": "7"]).error == .unavailable(retryAfter: .seconds(7)))
    }

    @Test func `an empty list may be null`() throws {
        #expect(try answer(200, "null\n").list { $0.integer }.isEmpty)
        #expect(try answer(200, "[1,\"x\",2]").list { $0.integer } == [1, 2])
        #expect(throws: RemoteError.protocolViolation) { try answer(200, "{}").list { $0.integer } }
        #expect(throws: RemoteError.protocolViolation) { try answer(200, "<html>").list { $0.integer } }
    }

    @Test func `content ranges`() {
        #expect(ContentRange("bytes 0-9/100")?.range == 0..<10)
        #expect(ContentRange("bytes 0-9/100")?.total == 100)
        #expect(ContentRange("bytes */3")?.total == 3)
        #expect(ContentRange("bytes 5-5/*")?.range == 5..<6)
        for text in [
            "", "bytes", "bytes 9-0/10", "items 0-9/10", "bytes 0-9", "bytes 0-18446744073709551615/1", "bytes a-b/c",
        ] {
            #expect(ContentRange(text) == nil)
        }
        #expect(ContentRange(nil) == nil)
    }

    // MARK: - Access

    @Test func `access tokens are kept for 25 minutes, sizes for good`() {
        var access = OpenTeraAccess()
        access.keep(Secret("t"), of: "u", now: now)
        access.keep(size: ByteCount(5), of: "u")
        let later = Timestamp(seconds: now.seconds + 1499)
        #expect(access.token(of: "u", now: later) == Secret("t"))
        #expect(access.token(of: "u", now: Timestamp(seconds: now.seconds + 1500)) == nil)
        #expect(access.size(of: "u") == ByteCount(5))
        access.drop("u")
        #expect(access.size(of: "u") == nil)
    }

    @Test func `the fourth missing token of a session asks for all of them`() {
        var access = OpenTeraAccess()
        let asked = (0..<8).map { _ in access.question(in: 1) }
        #expect(asked.filter { $0 == .session(1) }.count == 2)
        #expect(asked[3] == .session(1))
        #expect(access.question(in: nil) == .asset)
        #expect(access.question(in: 2) == .asset)
    }

    @Test func `what is known of assets has a bound`() {
        var access = OpenTeraAccess()
        for number in 0...OpenTeraAccess.limit { access.keep(Secret("t"), of: "u\(number)", now: now) }
        #expect(access.token(of: "u\(OpenTeraAccess.limit)", now: now) != nil)
        #expect(access.token(of: "u0", now: now) == nil)
    }

    @Test func `sizes of a session of 100,000 files are all kept, whatever becomes of tokens`() {
        var access = OpenTeraAccess()
        for number in 0..<100_000 { access.keep(size: ByteCount(UInt64(number)), of: "u\(number)") }
        for number in 0...OpenTeraAccess.limit { access.keep(Secret("t"), of: "u\(number)", now: now) }
        #expect((0..<100_000).allSatisfy { access.size(of: "u\($0)") == ByteCount(UInt64($0)) })
    }

    @Test func `tokens of a session with more files than tokens are kept for are asked for one by one`() {
        var access = OpenTeraAccess()
        access.note(OpenTeraAccess.limit + 1, in: 1)
        #expect(access.isLarge(1))
        #expect((0..<8).allSatisfy { _ in access.question(in: 1) == .asset })
        access.note(OpenTeraAccess.limit, in: 1)
        #expect(!access.isLarge(1))
        #expect((0..<4).map { _ in access.question(in: 1) }.last == .session(1))
    }
}
