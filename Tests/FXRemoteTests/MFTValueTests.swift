import FXSystem
import Testing

@testable import FXRemote

/// The values of the mft backend: ids, spans of time, states, listings and the login, without a service.
@Suite struct MFTValueTests {
    @Test func `an id is a version 4 UUID that depends on all it stands for`() {
        let id = MFTIdentity("group", ["writer", "monday"], number: 0)
        #expect(id == MFTIdentity("group", ["writer", "monday"], number: 0))
        let others = [
            MFTIdentity("group", ["writer", "monday"], number: 1),
            MFTIdentity("file", ["writer", "monday"], number: 0),
            MFTIdentity("group", ["writermonday", ""], number: 0),
            MFTIdentity("group", ["writer", "tuesday"], number: 0),
        ]
        #expect(Set(others + [id]).count == 5)
        for id in others + [id] {
            let parts = id.dashed.split(separator: "-").map(String.init)
            #expect(parts.map(\.count) == [8, 4, 4, 4, 12])
            #expect(parts[2].hasPrefix("4"))
            #expect("89ab".contains(parts[3].prefix(1)))
            #expect(id.digits == parts.joined())
        }
    }

    @Test func `places are read back, and ids have one spelling`() {
        let places: [MFTPlace] = [.group("0a"), .directory("0a"), .files, .folder("f"), .file("1")]
        for place in places { #expect(MFTPlace(place.text) == place) }
        #expect(MFTPlace.id("6F1C9D0E-8a57-4c9b-9d0e-2f6f0a1b2c3d") == "6f1c9d0e8a574c9b9d0e2f6f0a1b2c3d")
        for text in ["", "a/b", "..", "a b", "é", "a?b", String(repeating: "a", count: 65)] {
            #expect(MFTPlace.id(text) == nil)
        }
        for text in [nil, "file", "asset/1", "file/", "file/a/b", "session/7"] { #expect(MFTPlace(text) == nil) }
    }

    @Test func `spans of time are read in both forms and written in one`() {
        let good = [
            ("30d", "30:00:00:00"), ("12h", "00:12:00:00"), ("90m", "00:01:30:00"), ("30:00:00", "30:00:00:00"),
            ("1:2:3:4", "01:02:03:04"), ("10675199:23:59:59", "10675199:23:59:59"),
        ]
        for (text, written) in good { #expect(Lifetime(text)?.text == written, "\(text)") }
        for text in [
            "", "0s", "0:0:0", "1:24:00", "1:00:60", "1:00:00:60", "10675200:00:00", "1:2", "1:2:3:4:5", "-1:00:00",
            "1:+2:3",
            "soon", "500ms", "1::2",
        ] {
            #expect(Lifetime(text) == nil, "\(text)")
        }
        for life in [SessionLife.until(Timestamp(seconds: 1_700_000_000))]
            + ["30d"].compactMap(Lifetime.init).map(SessionLife.init(lasting:))
        {
            #expect(SessionLife(text: life.text) == life)
        }
    }

    private func processing(_ text: String) throws -> FileProcessing {
        try MFTService.processing(in: try #require(JSONValue(parsing: text)))
    }

    @Test func `both vintages of a status are read`() throws {
        let new = try processing(
            #"{"availability_state":"Blocked","size":12,"is_sanitized":false,"scan_result":{"blocked_reason":"Infected"}}"#
        )
        #expect(new.stage == .withheld && new.words == "Blocked: Infected" && new.size == ByteCount(12))
        #expect(FileProcessing(text: new.text)?.words == new.words)
        let old = try processing(
            #"{"availability":3,"availability_state":"Available","displayed_name":"a","message":null}"#)
        #expect(old.stage == .available && old.size == nil && old.readError == nil)
        let states: [(String, FileProcessing.Stage)] = [
            ("Composing", .pending), ("QueuedForProcessing", .pending), ("BeingProcessed", .pending),
            ("BlockedNoSanitization", .withheld), ("ProcessingFailed", .failed), ("Expired", .gone), ("Deleted", .gone),
            ("SomethingNew", .pending),
        ]
        for (word, stage) in states {
            #expect(try processing(#"{"availability_state":"\#(word)"}"#).stage == stage, "\(word)")
        }
        for nonsense in [
            "{}", #"{"availability_state":7}"#, #"{"availability_state":"two words"}"#, #"{"availability_state":""}"#,
        ] {
            #expect(throws: RemoteError.protocolViolation) { try processing(nonsense) }
        }
    }

    @Test func `both shapes of a listing are read, and entries without an id are not`() throws {
        let vault =
            #"{"files":[{"file_id":"f1","name":"a","size":3,"creation_date":"2026-01-02T03:04:05.1234567"},{"name":"x"}],"folders":[{"folder_id":"d1","name":"b"}]}"#
        let items = try MFTItem.items(in: try #require(JSONValue(parsing: vault)))
        #expect(items.map(\.place) == [.folder("d1"), .file("f1")])
        #expect(items.last?.size == ByteCount(3))
        #expect(items.last?.modified?.rfc3339 == "2026-01-02T03:04:05.123456Z")
        let reference =
            #"{"totalCount":2,"items":[{"id":"d1","name":"b","type":"folder"},{"id":"f1","name":"a","type":"file"},{"id":"../x","type":"file"}]}"#
        #expect(
            try MFTItem.items(in: try #require(JSONValue(parsing: reference))).map(\.place) == [
                .folder("d1"), .file("f1"),
            ])
        #expect(throws: RemoteError.protocolViolation) { try MFTItem.items(in: ["message": nil]) }
    }

    // MARK: - Login

    private let start = Timestamp(seconds: 1000)
    private func at(_ seconds: Int64) -> Timestamp { Timestamp(seconds: 1000 + seconds) }
    private func token(_ text: String, until end: Int64?) -> MFTToken {
        MFTToken(text: Secret(text), expires: end.map { at($0) }, received: start)
    }

    @Test func `a token is used, extended late in its life, and got anew at its end`() {
        var login = MFTLogin()
        #expect(login.next(now: start, since: 0) == .logIn)
        #expect(login.next(now: start, since: 0) == .wait)
        let first = token("one", until: 100)
        login.end(.loggedIn(first), now: start)
        #expect(login.next(now: at(59), since: 1) == .use(first))
        #expect(login.next(now: at(60), since: 1) == .extend(first))
        login.end(.notExtended, now: at(60))
        #expect(login.next(now: at(61), since: 1) == .logIn)
        login.end(.loggedIn(token("two", until: 100)), now: at(61))
        #expect(login.next(now: at(100), since: 2) == .logIn)
    }

    @Test func `a refused secret is not sent again until it changes or somebody asks`() {
        var login = MFTLogin()
        _ = login.next(now: start, since: 0)
        login.end(.refused(.credentials, Secret("wrong")), now: start)
        #expect(login.next(now: at(1), since: 0) == .fail(.credentials))
        #expect(login.next(now: at(6), since: 1) == .readSecret)
        login.secretIs(Secret("wrong"), now: at(6))
        #expect(login.next(now: at(7), since: 1) == .fail(.credentials))
        #expect(login.next(now: at(12), since: 1) == .readSecret)
        login.secretIs(Secret("right"), now: at(12))
        #expect(login.next(now: at(12), since: 1) == .logIn)
    }

    @Test func `a key that died is refused, a token that died is got anew`() {
        var login = MFTLogin()
        _ = login.next(now: start, since: 0)
        let key = token("key", until: nil)
        login.end(.loggedIn(key), now: start)
        #expect(login.next(now: at(1_000_000), since: 1) == .use(key))
        login.reject(key, now: at(1_000_000))
        #expect(login.next(now: at(1_000_001), since: 1) == .fail(.credentials))
        var other = MFTLogin()
        _ = other.next(now: start, since: 0)
        other.end(.loggedIn(token("one", until: 100)), now: start)
        other.reject(token("another", until: 100), now: at(1))
        #expect(other.next(now: at(1), since: 1) == .use(token("one", until: 100)))
        other.reject(token("one", until: 100), now: at(1))
        #expect(other.next(now: at(1), since: 1) == .logIn)
    }

    @Test func `a clock that is wrong by days does not end a token before its time`() {
        // A login whose token were over at once would be followed by another, and so on.
        let answer = MFTAnswer(
            response: HTTPResponse(
                status: 200, fields: ["Date": "Thu, 01 Jan 2026 00:00:00 GMT"],
                body: Array(#"{"token":"T","expires":"2026-01-01T01:00:00.0000000","user_id":7}"#.utf8)),
            now: Timestamp(seconds: 1_800_000_000))
        let token = MFTToken(
            text: Secret("T"), expires: Timestamp(seconds: 1_800_003_600), received: Timestamp(seconds: 1_800_000_000))
        #expect(MFTClient.outcome(of: answer, Secret("p")) == .loggedIn(token))
        var past = answer
        past.response.fields.set("Date", "Fri, 02 Jan 2026 00:00:00 GMT")
        guard case .loggedIn(let short) = MFTClient.outcome(of: past, Secret("p")) else {
            Issue.record("no token")
            return
        }
        #expect(short.age(at: past.now) == 0)
    }

    @Test func `an upload is in the folder of its session, in the spelling of the service`() throws {
        var upload = Upload(
            id: UploadID("u"), path: try RelativePath("monday/a b/c/d.txt"), size: .zero, sha256: .empty,
            modified: start)
        #expect(MFTService.folder(of: upload) == #"monday\a b\c"#)
        upload.path = try RelativePath("monday/d.txt")
        #expect(MFTService.folder(of: upload) == "monday")
    }
}
