import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// Exactly once, whatever gets lost on the way.
@Suite struct S3LostAnswerTests {
    enum Shape: String, CaseIterable, Sendable {
        case empty, small, large, replacing, replacingLarge

        var size: Int {
            switch self {
            case .empty: 0
            case .small, .replacing: 1000
            case .large, .replacingLarge: Int(S3Bench.part) + 1
            }
        }
        var replaces: Bool { self == .replacing || self == .replacingLarge }
    }

    enum Trouble: String, CaseIterable, Sendable {
        case lostAnswer, unreachable, busy, broken

        var fault: FaultyTransport.Fault {
            switch self {
            case .lostAnswer: .loseAnswer
            case .unreachable: .refuse(.unreachable("test"))
            case .busy: .answer(HTTPResponse(status: 503, fields: ["Retry-After": "1"]))
            case .broken:
                .document(HTTPResponse(status: 200, body: Array("<Error><Code>InternalError</Code></Error>".utf8)))
            }
        }
    }

    /// Every request of an upload fails in turn, until one goes through without meeting the failure.
    @Test(arguments: Shape.allCases, Trouble.allCases)
    func `an upload with trouble at any one request arrives once and leaves nothing`(shape: Shape, trouble: Trouble)
        throws
    {
        for number in 1...60 {
            let bench = try S3Bench()
            let transport = FaultyTransport(try bench.transport())
            var old: StoredFile?
            if shape.replaces {
                var first = try newUpload("s/f", [7])
                let file = try bench.service().run(&first, [7])
                old = StoredFile(path: first.path, remoteID: file.remoteID, size: file.size)
            }
            let service = try bench.service(through: transport)
            transport.inject(trouble.fault, at: number)
            let bytes = noise(shape.size, seed: UInt64(number))
            var upload = try newUpload("s/f", bytes, replaces: old)
            do {
                try service.run(&upload, bytes, attempts: 4)
            } catch let error as RemoteError {
                Issue.record("\(shape) \(trouble) at \(number): \(error)")
            }
            #expect(try bench.bytes("s/f") == bytes, "\(shape) \(trouble) at \(number)")
            #expect(try bench.files() == ["s/f"])
            #expect(try bench.leftovers().isEmpty, "\(shape) \(trouble) at \(number)")
            if let old, let key = S3ObjectID(text: old.remoteID)?.key {
                let kept = try service.layout.replaced(key, by: upload.id)
                #expect(try bench.weed.get(kept.text) == [7])
            }
            if transport.count < number { return }
        }
        Issue.record("an upload takes more than 60 requests")
    }

    @Test func `an answer that was lost before a crash is found by the next process`() throws {
        let bench = try S3Bench()
        let bytes = noise(Int(S3Bench.part) + 1)
        var upload = try newUpload("s/f", bytes)
        let transport = FaultyTransport(try bench.transport())
        try bench.service(through: transport).run(&upload, bytes)
        let again = FaultyTransport(try bench.transport())
        let service = try bench.service(through: again)
        guard case .committed(let file) = try service.standing(of: upload) else {
            Issue.record("not committed")
            return
        }
        #expect(file.size == upload.size)
        #expect(again.seen.allSatisfy { $0.method != .put && $0.method != .post })
    }

    @Test func `an upload begun under a lost answer is aborted, and one that somebody else began is not`() throws {
        let bench = try S3Bench()
        // Begun by hand, before anybody claimed the name.
        let foreign = try bench.service(writer: "by-hand").client.createUpload(S3Key(bench.prefix + "s/f"), fields: [])
        // Times are in seconds: what began in the same second as the claim counts as later.
        try waitForTheNextSecond()
        let transport = FaultyTransport(try bench.transport())
        let service = try bench.service(through: transport)
        let bytes = noise(Int(S3Bench.part) + 1)
        var upload = try newUpload("s/f", bytes)
        // Two to learn whether conditions work; then HEAD, the claim, and CreateMultipartUpload.
        _ = try service.conditions.work()
        transport.inject(.loseAnswer, at: transport.count + 3)
        try service.run(&upload, bytes, attempts: 2)
        #expect(try bench.bytes("s/f") == bytes)
        let left = try service.client.unfinishedUploads(below: S3Key(bench.prefix))
        #expect(left.map(\.id) == [foreign])
    }

    private func waitForTheNextSecond() throws {
        let start = WallClock.system.now().seconds
        while WallClock.system.now().seconds <= start + 1 { try pause() }
    }

    private func pause() throws { _ = try SeaweedFS.shared.s3.get("/") }
}
