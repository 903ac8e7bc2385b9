import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// Projects, participants, sessions and files as listings show them.
@Suite struct OpenTeraBackendTreeTests {
    @Test func `the tree is projects, participants, sessions and files`() throws {
        let bench = try OpenTeraBench()
        let session = try bench.pair.session("Morning")
        try bench.pair.seed(["assets": [["session": .integer(Int64(session)), "name": "a", "size": 5]]])
        let service = try bench.service()
        let projects = try service.list(.root)
        #expect(projects.map(\.remoteID) == ["project/1", "project/2"])
        let participants = try service.list(bench.place("p", "project/1"))
        #expect(participants.contains { $0.remoteID == "participant/1" && $0.kind == .directory })
        // The service says null.
        #expect(try service.list(bench.place("p", "project/2")).isEmpty)
        let sessions = try service.list(bench.place("p/q", "participant/1"))
        #expect(sessions.map(\.kind) == [.session(.open)])
        let files = try service.list(bench.place("p/q/s", sessions[0].remoteID))
        #expect(files.map(\.kind) == [.file(ByteCount(5))])
        #expect(refusal { _ = try service.list(bench.session(9999)) } == .noSuchEntry)
    }

    @Test func `mkdir makes a session once, also when the answer was lost`() throws {
        let bench = try OpenTeraBench()
        let service = try bench.service()
        let parent = try bench.place("p/q", "participant/1")
        let first = try service.makeDirectory(try RelativePath("p/q/é 1"), in: parent)
        #expect(try service.makeDirectory(try RelativePath("p/q/é 1"), in: parent) == first)
        for fault: JSONValue in [
            ["method": "POST", "path": "/api/user/sessions", "status": 504, "performed": true],
            ["method": "POST", "path": "/api/user/sessions", "reset": true, "performed": true],
        ] {
            try bench.pair.fail(fault)
            let name = "lost \(fault["status"]?.text ?? "")"
            let made = try service.makeDirectory(try RelativePath("p/q/" + name), in: parent)
            #expect(try bench.pair.sessions().filter { $0.name == name }.map { "session/\($0.id)" } == [made])
        }
        let made = try #require(try bench.pair.sessions().first { $0.name == "é 1" })
        #expect(made.status == 2)
        #expect(made.participants == [1])
    }

    @Test func `mkdir elsewhere, and of a type without the file service, is refused`() throws {
        let bench = try OpenTeraBench()
        let service = try bench.service()
        let parent = try bench.place("p/q", "participant/1")
        #expect(refusal { _ = try service.makeDirectory(try RelativePath("p"), in: .root) } == .madeByService)
        let project = try bench.place("p", "project/1")
        #expect(refusal { _ = try service.makeDirectory(try RelativePath("p/q"), in: project) } == .madeByService)
        let session = try bench.session(1)
        #expect(refusal { _ = try service.makeDirectory(try RelativePath("p/q/s/d"), in: session) } == .needsFlatNames)
        let path = try RelativePath("p/q/new")
        let unlinked = try bench.service(sessionType: "Suivi vidéo")
        #expect(refusal { _ = try unlinked.makeDirectory(path, in: parent) } == .sessionTypeNotLinked("Suivi vidéo"))
        let secondary = try bench.service(sessionType: "Collecte données")
        #expect(try secondary.makeDirectory(path, in: parent).hasPrefix("session/"))
        #expect(refusal { _ = try bench.service(sessionType: nil).makeDirectory(path, in: parent) } == .madeByService)
    }

    @Test func `long listings of sessions are paged and whole`() throws {
        let bench = try OpenTeraBench()
        try bench.pair.seed(["sessions": [["name": "s", "count": 1203, "creator_user": 5]]])
        let service = try bench.service()
        let sessions = try service.list(bench.place("p/q", "participant/1"))
        #expect(sessions.count == 1203)
        #expect(Set(sessions.map(\.remoteID)).count == 1203)
    }

    @Test func `a thousand files are two requests, and none more than one when nothing is new`() throws {
        let bench = try OpenTeraBench()
        let session = try bench.pair.session("s")
        try bench.pair.seed(["assets": [["session": .integer(Int64(session)), "name": "f", "size": 3, "count": 1000]]])
        let service = try bench.service()
        _ = try service.list(.root)
        _ = try service.client.fileService()
        var files: [ListedEntry] = []
        let first = try bench.requests { files = try service.list(bench.session(session)) }
        #expect(files.count == 1000)
        #expect(first == ["GET /api/user/assets", "POST /file/api/assets/infos"])
        let second = try bench.requests { files = try service.list(bench.session(session)) }
        #expect(files.count == 1000)
        #expect(second == ["GET /api/user/assets"])
        // Tokens came with the listing.
        let reading = try bench.requests {
            let file = try service.stored("f 7", in: bench.session(session))
            #expect(try service.open(file).bytes(0..<3).count == 3)
        }
        #expect(reading == ["GET /api/user/assets", "GET /file/api/assets"])
    }

    @Test func `odd names and duplicates are listed as they are`() throws {
        let bench = try OpenTeraBench()
        let session = try bench.pair.session("s")
        let names = [
            "a/b", "..", ".", "/", "\n", String(repeating: "x", count: 300), "a\u{202e}txt.exe", "two", "two",
            "../../etc/passwd",
        ]
        let number = JSONValue.integer(Int64(session))
        let assets = names.map { name -> JSONValue in ["session": number, "name": .string(name), "size": 1] }
        try bench.pair.seed(["assets": .array(assets)])
        try bench.pair.seed([
            "assets": [
                ["session": number, "name": "", "size": 1, "original_filename": "original"],
                ["session": number, "name": "not ours", "service": "00000000-0000-0000-0000-000000000001"],
                ["session": number, "name": "undated", "size": 1, "datetime": nil],
            ]
        ])
        let service = try bench.service()
        let listed = try service.names(in: bench.session(session))
        #expect(listed.sorted() == (names + ["original", "undated"]).sorted())
        #expect(Set(try service.list(bench.session(session)).map(\.remoteID)).count == listed.count)
    }

    @Test func `completing and giving up are states of the service`() throws {
        let bench = try OpenTeraBench()
        let ids = try bench.pair.seed(["sessions": [["name": "running", "status": 1, "creator_user": 5]]])
        let id = Int(try #require(ids["sessions"]?.elements?.first?.integer))
        let service = try bench.service()
        let directory = try bench.session(id)
        try service.complete(SessionManifest(session: try Name("s"), directory: directory, files: []))
        #expect(try bench.pair.sessions().first { $0.id == id }?.status == 2)
        try service.abort(directory)
        #expect(try bench.pair.sessions().first { $0.id == id }?.status == 3)
        #expect(try service.list(bench.place("p/q", "participant/1")).map(\.kind) == [.session(.aborted)])
    }
}
