import FXSystem
import ServiceFixtures
import Testing

/// Rules 1 and 10 to 13 of opentera.md section 8: the origin, access tokens, downloads, deletes, odd assets.
@Suite struct OpenTeraDownloadTests {
    private let pair: OpenTeraControl
    private let client: OpenTeraClient
    private let session: Int

    init() throws {
        pair = try OpenTeraControl()
        client = try OpenTeraClient(pair)
        session = try pair.session("Morning")
    }

    /// Uploads ten bytes; the target of their download.
    private func ten(_ name: String = "n") throws -> (target: String, query: String) {
        let made = try client.upload(name, Array(0..<10), to: session)
        let uuid = try #require(made.json?["asset_uuid"]?.string)
        let token = try #require(made.json?["access_token"]?.string)
        return ("/file/api/assets?asset_uuid=\(uuid)&access_token=\(token)", "uuid=\(uuid)&access_token=\(token)")
    }

    /// Makes an asset of any shape; the target of its download, with a token of the listing.
    private func seeded(_ asset: [JSONValue.Member]) throws -> String {
        try pair.seed(["assets": .array([.object([.init("session", .integer(Int64(session)))] + asset)])])
        let list = try client.get("/api/user/assets?id_session=\(session)&with_only_token=1").json?.elements
        let entry = try #require(list?.last)
        return "/file/api/assets?asset_uuid=\(entry["asset_uuid"]?.string ?? "")"
            + "&access_token=\(entry["access_token"]?.string ?? "")"
    }

    @Test(arguments: [
        ("bytes=0-3", 206, 0..<4), ("bytes=4-", 206, 4..<10), ("bytes=-3", 206, 7..<10), ("bytes=8-99", 206, 8..<10),
        ("bytes=-10", 206, 0..<10), ("bytes=10-", 416, 0..<0), ("bytes=0-1,3-4", 416, 0..<0), ("foo=0-1", 416, 0..<0),
        ("bytes=3-2", 416, 0..<0), ("bytes=-0", 416, 0..<0), ("bytes=-11", 416, 0..<0),
    ])
    func `ranges are as the real server has them`(range: String, status: Int, bytes: Range<UInt8>) throws {
        let target = try ten().target
        let answer = try client.get(target, fields: [("Range", range)])
        #expect(answer.status == status)
        if status == 206 {
            #expect(answer.body == Array(bytes))
            #expect(answer["Content-Range"] == "bytes \(bytes.lowerBound)-\(bytes.upperBound - 1)/10")
        } else {
            #expect(answer["Content-Range"] == "bytes */10")
        }
    }

    @Test func `conditions are honoured and an empty file has no ranges`() throws {
        let target = try ten().target
        let whole = try client.get(target)
        let tag = try #require(whole["ETag"])
        #expect(whole["Accept-Ranges"] == "bytes" && whole["Cache-Control"] == "no-cache")
        #expect(try client.get(target, fields: [("If-None-Match", tag)]).status == 304)
        let date = try #require(whole["Last-Modified"])
        #expect(try client.get(target, fields: [("If-Modified-Since", date)]).status == 304)
        let range = ("Range", "bytes=0-1")
        #expect(try client.get(target, fields: [range, ("If-Range", tag)]).status == 206)
        #expect(try client.get(target, fields: [range, ("If-Range", "\"x\"")]).body.count == 10)
        let head = try client.request("HEAD", target)
        #expect(head.status == 200 && head["Content-Length"] == "10" && head.body.isEmpty)
        let empty = try seeded([.init("size", 0)])
        let answer = try client.get(empty, fields: [range])
        #expect(answer.status == 200 && answer.body.isEmpty)
    }

    @Test func `an access token is for one asset, one person and half an hour`() throws {
        let target = try ten().target
        let other = try OpenTeraClient(pair, username: "user", password: "user")
        let foreign = try other.get(target)
        #expect(foreign.status == 403 && foreign.text == "\"Access denied to asset\"\n")
        try pair.set(["clock_offset": 1740])
        #expect(try client.get(target).status == 200)
        try pair.set(["clock_offset": 1801])
        #expect(try client.get(target).status == 403)
    }

    @Test func `after a restart a new login does not revive an access token`() throws {
        let target = try ten().target
        try pair.restart()
        let again = try OpenTeraClient(pair)
        #expect(try again.get(target).text == "\"Access denied to asset\"\n")
        #expect(try pair.assets().count == 1)
    }

    @Test func `a delete hides, and old tokens still open what is hidden`() throws {
        let (target, query) = try ten()
        let wrong = try client.request("DELETE", target)
        #expect(wrong.status == 400 && wrong.json?["errors"]?["uuid"] != nil)
        #expect(try client.request("DELETE", "/file/api/assets?\(query)").text == "\"\"\n")
        #expect(try client.get("/api/user/assets?id_session=\(session)").text == "[]\n")
        #expect(try client.get(target).body.count == 10)
        #expect(try client.request("DELETE", "/file/api/assets?\(query)").status == 400)
        #expect(try pair.allAssets().first?.isDeleted == true)
    }

    @Test func `a delete takes its arguments from a JSON body too`() throws {
        let query = try ten().query.split(separator: "&").map { $0.split(separator: "=")[1] }
        let body: JSONValue = ["uuid": .string(String(query[0])), "access_token": .string(String(query[1]))]
        let answer = try pair.http.request(
            "DELETE", "/file/api/assets", fields: [client.authorization, ("Content-Type", "application/json")],
            body: Array(body.text.utf8))
        #expect(answer.status == 200)
        #expect(try pair.assets().isEmpty)
    }

    @Test func `a directory is described by two requests, and one bad token spoils the second`() throws {
        for name in ["a", "b", "c"] { _ = try ten(name) }
        let list = try #require(
            try client.get("/api/user/assets?id_session=\(session)&with_only_token=1").json)
        let infos = try client.post("/file/api/assets/infos", ["assets": list])
        #expect(infos.json?.elements?.count == 3)
        let bad: JSONValue = ["asset_uuid": "x", "access_token": "y"]
        let spoiled = try client.post("/file/api/assets/infos", ["assets": .array((list.elements ?? []) + [bad])])
        #expect(spoiled.status == 403)
        #expect(try client.post("/file/api/assets/infos", ["assets": []]).text == "[]\n")
    }

    @Test func `assets may have lost their bytes, lie about their size or have no name`() throws {
        let lost = try client.get(try seeded([.init("name", "lost"), .init("size", 5), .init("missing", true)]))
        #expect(lost.status == 500 && lost.body.isEmpty && lost["Content-Length"] == nil)
        let lie = try seeded([.init("name", "lie"), .init("size", 5), .init("reported_size", 50)])
        #expect(try client.get(lie)["Content-Length"] == "5")
        let infos = try client.get(lie.replacingPrefix("/file/api/assets?", with: "/file/api/assets/infos?"))
        #expect(infos.json?["asset_file_size"]?.integer == 50)
        let nameless = try seeded([.init("size", 1), .init("original_filename", "")])
        #expect(try client.get(nameless)["Content-Disposition"] == "attachment; filename=\"\"")
        let newline = try seeded([.init("size", 1), .init("original_filename", "a\nb")])
        #expect(try client.get(newline).status == 500)
    }

    @Test func `addresses in answers are of the configured name`() throws {
        try pair.set(["server_name": "files.example.org:40075"])
        _ = try ten()
        let list = try client.get("/api/user/assets?id_session=\(session)&with_urls=1").json?.elements
        #expect(list?.first?["asset_url"]?.string == "https://files.example.org:40075/file/api/assets")
    }

    @Test func `methods and paths that are not there are said so`() throws {
        #expect(try client.request("OPTIONS", "/file/api/assets")["Allow"]?.contains("DELETE") == true)
        #expect(try client.request("PUT", "/file/api/assets").status == 405)
        #expect(try client.get("/file/api/nothing")["Content-Type"]?.hasPrefix("text/html") == true)
        #expect(try client.request("DELETE", "/api/user/assets?id=1").status == 501)
    }
}

extension String {
    fileprivate func replacingPrefix(_ prefix: String, with other: String) -> String {
        hasPrefix(prefix) ? other + dropFirst(prefix.count) : self
    }
}
