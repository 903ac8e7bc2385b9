import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// Files on their way in and out, against the pair.
@Suite struct OpenTeraBackendTransferTests {
    private func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) } }

    @Test(arguments: [0, 1, 100_000, 2 << 20]) func `a file goes in whole, with its name and time, and comes out`(
        count: Int
    ) throws {
        let bench = try OpenTeraBench()
        let service = try bench.service()
        let session = try bench.pair.session("s")
        let bytes = bytes(count)
        var upload = try bench.upload("é \"имя\"\n.txt", bytes, to: session)
        let committed = try service.deliver(&upload, bytes, attempts: 1)
        let stored = try #require(try bench.pair.assets(of: session).first)
        #expect(stored.name == "é \"имя\"\n.txt")
        #expect(stored.sha256 == SHA256Digest(hashing: bytes).text)
        #expect(committed == CommittedFile(remoteID: "asset/" + stored.uuid, size: ByteCount(UInt64(count))))
        let listed = try #require(try service.list(bench.session(session)).first)
        #expect(listed.remoteID == committed.remoteID)
        #expect(listed.modified?.seconds == upload.modified.seconds)
        let file = StoredFile(
            path: upload.path, remoteID: committed.remoteID, size: committed.size, directoryID: upload.directoryID)
        #expect(try service.open(file).bytes(0..<UInt64(count + 10)) == bytes)
    }

    private static let faults: [JSONValue] = [
        ["reset": true], ["reset": true, "performed": true], ["status": 500], ["status": 502],
        ["status": 502, "performed": true], ["status": 503], ["status": 504, "performed": true], ["status": 429],
    ]

    @Test(arguments: faults, [0, 1]) func `whatever happens to one request, the file arrives once`(
        fault: JSONValue, size: Int
    ) throws {
        let bench = try OpenTeraBench()
        let session = try bench.pair.session("s")
        let bytes = bytes(size * 5000)
        var number = 0
        // One more request goes well each time, until the fault meets none any more.
        while true {
            try bench.pair.stopFailing()
            let fault = JSONValue.object(
                (fault.members ?? []) + [.init("skip", .integer(Int64(number))), .init("times", 1)])
            try bench.pair.fail(fault)
            let name = "f\(number)"
            var upload = try bench.upload(name, bytes, to: session)
            let committed = try bench.service().deliver(&upload, bytes)
            let stored = try bench.pair.allAssets().filter { $0.name == name && $0.size == bytes.count }
            #expect(stored.map { "asset/" + $0.uuid } == [committed.remoteID], "request \(number)")
            #expect(stored.first?.sha256 == SHA256Digest(hashing: bytes).text)
            if try bench.pair.pendingFaults() > 0 { break }
            number += 1
        }
        // Login, service, link, upload, record, infos at the least.
        #expect(number >= 6)
    }

    @Test func `a file that appears late is waited for and not sent twice`() throws {
        let bench = try OpenTeraBench()
        let service = try bench.service()
        let session = try bench.pair.session("s")
        try bench.pair.fail([
            "method": "POST", "path": "/file/api/assets", "status": 504, "performed": true, "late_milliseconds": 150,
        ])
        var upload = try bench.upload("late", [1, 2, 3], to: session)
        try service.deliver(&upload, [1, 2, 3])
        #expect(try bench.pair.assets(of: session).count == 1)
        #expect(try bench.pair.log().filter { $0.method == "POST" && $0.target == "/file/api/assets" }.count == 1)
    }

    @Test func `an upload of an earlier run is looked for before it is sent`() throws {
        let bench = try OpenTeraBench()
        let session = try bench.pair.session("s")
        var upload = try bench.upload("f", [7], to: session)
        try bench.service().deliver(&upload, [7])
        // Its time is changed between the runs; the note has the key it was sent under.
        upload.modified = Timestamp(seconds: 1_750_000_000)
        guard case .committed = try bench.service().standing(of: upload) else {
            Issue.record("not found again")
            return
        }
        let other = try bench.upload("f", [7], to: session)
        let again = try bench.service()
        // Not there, but it might be on its way: a second look after a while.
        #expect(refusal { _ = try again.standing(of: other) }?.retryAfter != nil)
    }

    @Test func `tokens that die under an upload are replaced`() throws {
        let bench = try OpenTeraBench()
        let service = try bench.service()
        let session = try bench.pair.session("s")
        var first = try bench.upload("a", [1], to: session)
        try service.deliver(&first, [1], attempts: 1)
        try bench.pair.restart()
        var second = try bench.upload("b", [2], to: session)
        second.note = try service.begin(second)
        try bench.pair.restart()
        try service.send(0..<1, of: second, from: Bytes(bytes: [2]))
        try bench.pair.restart()
        _ = try service.commit(second)
        #expect(try bench.pair.assets(of: session).map(\.name) == ["a", "b"])
    }

    @Test func `uploads of one service follow each other`() throws {
        let bench = try OpenTeraBench()
        let service = try bench.service()
        let session = try bench.pair.session("s")
        try bench.pair.set(["parse_milliseconds_per_mebibyte": 40])
        let bytes = bytes(1 << 20)
        let ended = Monitor(0)
        for number in 0..<4 {
            let upload = try bench.upload("f\(number)", bytes, to: session)
            _ = try ServiceThread(name: "upload") {
                var upload = upload
                _ = try? service.deliver(&upload, bytes)
                ended.withLock { $0 += 1 }
            }
        }
        #expect(ended.wait(until: .after(.seconds(60))) { $0 == 4 ? $0 : nil } == 4)
        #expect(try bench.pair.assets(of: session).count == 4)
        #expect(try bench.pair.counter("most_uploads_under_way") == 1)
    }

    @Test func `what is too large is refused before it is sent, and by the service's own word`() throws {
        let bench = try OpenTeraBench()
        let service = try bench.service(maximumBody: ByteCount(100_000))
        let limit = try #require(service.facts.maximumFileSize)
        #expect(limit < ByteCount(100_000))
        #expect(limit > ByteCount(96_000))
        let session = try bench.pair.session("s")
        try bench.pair.set(["body_limit": 50_000])
        for count in [60_000, 3 << 20] {
            var upload = try bench.upload("f\(count)", bytes(count), to: session)
            #expect(refusal { try service.deliver(&upload, bytes(count)) } == .tooLarge(limit: nil))
        }
        #expect(try bench.pair.assets(of: session).isEmpty)
    }

    @Test func `a session whose type is not linked takes no file, and not a byte is sent`() throws {
        let bench = try OpenTeraBench()
        let service = try bench.service()
        let session = try bench.pair.session("s", type: 2)
        var upload = try bench.upload("f", [1], to: session)
        #expect(refusal { try service.deliver(&upload, [1]) } == .sessionTypeNotLinked("Données Capteur"))
        #expect(try bench.pair.counter("uploads") == 0)
        var lost = try bench.upload("f", [1], to: 9999)
        #expect(refusal { try service.deliver(&lost, [1]) } == .noSuchEntry)
    }

    @Test(arguments: [false, true]) func `a replaced file is removed where that is allowed, after the new one is there`(
        allowsDelete: Bool
    ) throws {
        let bench = try OpenTeraBench()
        let service = try bench.service(allowsDelete: allowsDelete)
        let session = try bench.pair.session("s")
        var old = try bench.upload("f", [1], to: session)
        try service.deliver(&old, [1])
        let replaced = try service.stored("f", in: bench.session(session))
        var new = try bench.upload("f", [2, 2], to: session, replaces: replaced)
        let committed = try service.deliver(&new, [2, 2])
        let left = try bench.pair.assets(of: session)
        #expect(left.map(\.size) == (allowsDelete ? [2] : [1, 2]))
        #expect(left.last.map { "asset/" + $0.uuid } == committed.remoteID)
    }

    @Test func `a deleted file is gone from the listing, and deleting it again succeeds`() throws {
        let bench = try OpenTeraBench()
        let service = try bench.service(allowsDelete: true)
        let session = try bench.pair.session("s")
        try bench.pair.seed(["assets": [["session": .integer(Int64(session)), "name": "f", "size": 3]]])
        let file = try service.stored("f", in: bench.session(session))
        #expect(refusal { try bench.service().delete(file) } == .notSupported)
        try bench.pair.fail(["method": "DELETE", "path": "/file/api/assets", "status": 502, "performed": true])
        _ = refusal { try service.delete(file) }
        try service.delete(file)
        try service.delete(file)
        #expect(try service.list(bench.session(session)).isEmpty)
        #expect(refusal { _ = try service.open(file).bytes(0..<3) } == .noSuchEntry)
        // The service still has the bytes.
        #expect(try bench.pair.allAssets().filter(\.isDeleted).count == 1)
    }

    // MARK: - Reading

    @Test func `ranges are clipped to the file, and an empty file asks for nothing`() throws {
        let bench = try OpenTeraBench()
        let service = try bench.service()
        let session = try bench.pair.session("s")
        let number = JSONValue.integer(Int64(session))
        try bench.pair.seed([
            "assets": [
                ["session": number, "name": "f", "text": "hello world"], ["session": number, "name": "e", "size": 0],
            ]
        ])
        let content = try service.open(service.stored("f", in: bench.session(session)))
        #expect(try content.bytes(0..<5) == Array("hello".utf8))
        #expect(try content.bytes(6..<100) == Array("world".utf8))
        #expect(try content.bytes(11..<20) == [])
        let empty = try service.open(service.stored("e", in: bench.session(session)))
        let asked = try bench.requests {
            let bytes = try empty.bytes(0..<10)
            #expect(bytes.isEmpty)
        }
        #expect(asked.isEmpty)
        // After an hour and a restart nothing that was known is good any more.
        bench.time.advance(3700)
        try bench.pair.restart()
        #expect(try content.bytes(0..<5) == Array("hello".utf8))
    }

    private final class Collected: ByteSink {
        let bytes = Monitor<[UInt8]>([])
        func receive(_ piece: UnsafeRawBufferPointer) -> Bool {
            bytes.withLock { $0 += Array(piece) }
            return true
        }
    }

    @Test(arguments: [false, true]) func `a range comes without a thread, also when the tokens died`(areDead: Bool)
        throws
    {
        let bench = try OpenTeraBench()
        let service = try bench.service()
        let session = try bench.pair.session("s")
        try bench.pair.seed(["assets": [["session": .integer(Int64(session)), "name": "f", "text": "hello world"]]])
        let file = try service.stored("f", in: bench.session(session))
        let content = try #require(try service.open(file) as? any FetchedContent)
        if areDead { try bench.pair.restart() }
        let sink = Collected()
        let ended = Monitor<Result<Void, RemoteError>?>(nil)
        _ = content.fetch(2..<8, into: sink) { result in ended.withLock { $0 = result } }
        let result = try #require(ended.wait(until: .after(.seconds(20))) { $0 })
        #expect(throws: Never.self) { try result.get() }
        #expect(sink.bytes.withLock { $0 } == Array("llo wo".utf8))
    }

    @Test func `a size that is a lie is found out at the first read, and the next listing has the true one`() throws {
        let bench = try OpenTeraBench()
        let service = try bench.service()
        let session = try bench.pair.session("s")
        try bench.pair.seed([
            "assets": [["session": .integer(Int64(session)), "name": "f", "text": "abc", "reported_size": 7]]
        ])
        let file = try service.stored("f", in: bench.session(session))
        #expect(file.size == ByteCount(7))
        #expect(refusal { _ = try service.open(file).bytes(0..<7) } == .changed)
        let again = try service.stored("f", in: bench.session(session))
        #expect(again.size == ByteCount(3))
        #expect(try service.open(again).bytes(0..<7) == Array("abc".utf8))
    }

    @Test func `bytes the service has lost are an error, not silence`() throws {
        let bench = try OpenTeraBench()
        let service = try bench.service()
        let session = try bench.pair.session("s")
        try bench.pair.seed([
            "assets": [["session": .integer(Int64(session)), "name": "f", "size": 4, "missing": true]]
        ])
        let file = try service.stored("f", in: bench.session(session))
        #expect(refusal { _ = try service.open(file).bytes(0..<4) }?.errno == .ioError)
        try bench.pair.fail(["method": "GET", "path": "/file/api/assets", "status": 502])
        #expect(refusal { _ = try service.open(file).bytes(0..<4) }?.isTemporary == true)
    }
}
