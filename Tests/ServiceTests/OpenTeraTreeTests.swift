import FXSystem
import ServiceFixtures
import Testing

/// Rules 6 and 7 of opentera.md section 8: the tree and sessions.
@Suite struct OpenTeraTreeTests {
    private let pair: OpenTeraControl
    private let client: OpenTeraClient

    init() throws {
        pair = try OpenTeraControl()
        client = try OpenTeraClient(pair)
    }

    private func create(_ fields: JSONValue) throws -> LoopbackAnswer {
        let defaults: [JSONValue.Member] = [.init("id_session", 0), .init("id_session_type", 5)]
        return try client.post("/api/user/sessions", ["session": .object(defaults + (fields.members ?? []))])
    }

    @Test func `nothing found has the shape of its endpoint`() throws {
        #expect(try client.get("/api/user/participants?id_project=2").text == "null\n")
        #expect(try client.get("/api/user/participants?id_project=3").text == "null\n")
        #expect(try client.get("/api/user/sessions?id_session=99999").text == "[]\n")
        #expect(try client.get("/api/user/services?key=Nope").text == "[]\n")
        let assets = try client.get("/api/user/assets?id_session=99999")
        #expect(assets.status == 403 && assets.text == "\"Session access denied\"\n")
        let uuid = try client.get("/api/user/assets?asset_uuid=nope")
        #expect(uuid.status == 500 && uuid.json?["message"]?.string == "Internal Server Error")
    }

    @Test func `missing and wrong arguments are 400`() throws {
        for target in ["participants", "sessions", "sessions?id_session=0"] {
            let answer = try client.get("/api/user/\(target)")
            #expect(answer.status == 400 && answer.text == "\"Missing arguments\"\n")
        }
        #expect(try client.get("/api/user/assets").text == "\"No arguments specified\"\n")
        let number = try client.get("/api/user/assets?id_session=abc")
        #expect(number.status == 400 && number.json?["errors"]?["id_session"] != nil)
        #expect(try client.get("/api/user/sessions?id_participant=1&list=yes").status == 400)
    }

    @Test func `a session is made as the real server makes it`() throws {
        let people: JSONValue = [1]
        let made = try create(["session_name": "s", "session_participants_ids": people])
        let session = try #require(made.json?.elements?.first)
        #expect(session["session_status"]?.integer == 1)
        #expect(session["id_creator_user"] == .null)
        let zero = try create(["session_name": "s", "session_status": 0, "session_participants_ids": people])
        #expect(zero.json?.elements?.first?["session_status"]?.integer == 1)
        #expect(zero.json?.elements?.first?["id_session"] != session["id_session"])
        let nameless = try create(["session_participants_ids": people])
        #expect(nameless.status == 500 && nameless.text == "\"Database error\"\n")
        #expect(try create(["session_name": "s"]).status == 400)
        #expect(try create(["session_name": "s", "session_participants_ids": [4]]).status == 403)
        #expect(try create(["session_name": "s", "odd": 1, "session_participants_ids": people]).status == 200)
        let update: JSONValue = ["session": ["id_session": 1, "odd": 1]]
        #expect(try client.post("/api/user/sessions", update).status == 500)
    }

    @Test func `a session in progress is not deleted, and none twice`() throws {
        _ = try create(["session_name": "s", "session_participants_ids": [1]])
        #expect(try client.request("DELETE", "/api/user/sessions?id=1").status == 403)
        let update: JSONValue = ["session": ["id_session": 1, "session_status": 2]]
        #expect(try client.post("/api/user/sessions", update).status == 200)
        #expect(try client.request("DELETE", "/api/user/sessions?id=1").text == "\"\"\n")
        #expect(try client.request("DELETE", "/api/user/sessions?id=1").status == 500)
        #expect(try client.get("/api/user/assets?id_session=1").status == 403)
    }

    @Test func `sessions come newest first, in pages`() throws {
        try pair.seed(["sessions": [["name": "s", "count": 25]]])
        var names: [String] = []
        for offset in [0, 10, 20, 30] {
            let answer = try client.get("/api/user/sessions?id_participant=1&list=1&limit=10&offset=\(offset)")
            names += (answer.json?.elements ?? []).compactMap { $0["session_name"]?.string }
        }
        #expect(names.count == 25 && Set(names).count == 25)
        #expect(names.first == "s 24" && names.last == "s")
    }

    @Test func `a participant makes a session once and cannot ask for one`() throws {
        let basic = OpenTeraClient.basic("participant1", "opentera")
        let login = try pair.http.get("/api/participant/login", fields: [basic])
        let token = try #require(login.json?["participant_token"]?.string)
        let uuid = try #require(login.json?["participant_uuid"])
        let fields = [("Authorization", "OpenTera \(token)"), ("Content-Type", "application/json")]
        let session: JSONValue = [
            "session": [
                "id_session": 0, "id_session_type": 3, "session_name": "own",
                "session_start_datetime": "2026-11-22T06:00:00", "session_participants": .array([uuid]),
            ]
        ]
        let body = Array(session.text.utf8)
        let first = try pair.http.request("POST", "/api/participant/sessions", fields: fields, body: body)
        let second = try pair.http.request("POST", "/api/participant/sessions", fields: fields, body: body)
        #expect(first.json?["id_session"] != nil)
        #expect(first.json?["id_session"] == second.json?["id_session"])
        #expect(try pair.http.get("/api/participant/sessions?id_session=1", fields: fields).status == 500)
        #expect(try pair.http.get("/api/participant/services", fields: fields).status == 404)
    }

    @Test func `assets of other services are listed with odd addresses`() throws {
        let session = try pair.session("s")
        try pair.seed([
            "assets": [
                [
                    "session": .integer(Int64(session)), "name": "alien", "datetime": nil,
                    "service": "00000000-0000-0000-0000-000000000001",
                ]
            ]
        ])
        let answer = try client.get("/api/user/assets?id_session=\(session)&with_urls=1")
        let asset = try #require(answer.json?.elements?.first)
        #expect(asset["asset_datetime"] == .null)
        #expect(asset["asset_url"]?.string?.hasSuffix("//api/assets") == true)
        let uuid = try #require(asset["asset_uuid"]?.string)
        let token = try #require(asset["access_token"]?.string)
        #expect(try client.get("/file/api/assets?asset_uuid=\(uuid)&access_token=\(token)").status == 404)
        let delete = try client.request("DELETE", "/file/api/assets?uuid=\(uuid)&access_token=\(token)")
        #expect(delete.status == 403)
    }
}
