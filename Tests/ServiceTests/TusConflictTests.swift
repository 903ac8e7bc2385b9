import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// 409 on PATCH: the service has another offset than it was told, or somebody in front of it says so.
/// docs/SEMANTICS.md, U2.
@Suite(.serialized) struct TusConflictTests {
    private static let bytes = patterned(5000, seed: 6)
    private static let whole = 0..<UInt64(5000)

    /// An upload that was created, and how many requests there have been.
    private struct Begun {
        var run: NetworkBench.Run
        var upload: Upload
        var requests: Int

        func send(_ range: Range<UInt64>) throws {
            try run.backend.send(range, of: upload, from: Bytes(bytes: TusConflictTests.bytes))
        }

        /// `PATCH 409` of every request since the creation, with what the client was told.
        func log() throws -> [String] {
            try run.bench.proxy.finishedLog(after: requests).map { "\($0.method) \($0.status)" }
        }

        /// Bytes that reach the service behind the client's back: those of a request whose answer it never saw.
        func append(_ count: Int) throws {
            let target = try #require(TusNote(upload.note)).target
            let answer = try run.bench.tusControl.http.request(
                "PATCH", target,
                fields: [
                    ("Tus-Resumable", "1.0.0"), ("Content-Type", "application/offset+octet-stream"),
                    ("Upload-Offset", "0"),
                ], body: Array(TusConflictTests.bytes.prefix(count)))
            #expect(answer.status == 204)
        }

        func finish(_ circumstances: String) throws {
            let file = try run.backend.commit(upload)
            #expect(file.size == upload.size)
            try expectExactly([("f", TusConflictTests.bytes)], at: run, circumstances)
        }
    }

    private func begun(_ bench: NetworkBench) throws -> Begun {
        let run = try bench.run()
        var upload = try run.upload("f", TusConflictTests.bytes, in: try run.session())
        upload.note = try run.backend.begin(upload)
        return Begun(run: run, upload: upload, requests: try bench.proxy.counter("requests"))
    }

    @Test(.timeLimit(.minutes(1)), arguments: [1, 1000, 4999])
    func `what arrived without the client's knowledge is asked for, and only the rest is sent`(count: Int) throws {
        let bench = try NetworkBench(.tus)
        let begun = try begun(bench)
        try begun.append(count)
        try begun.send(TusConflictTests.whole)
        #expect(try begun.log() == ["PATCH 409", "HEAD 200", "PATCH 204"])
        // Heads are shorter than this.
        let sent = try #require(try bench.proxy.finishedLog().last).sent
        #expect(sent >= 5000 - count && sent < 5000 - count + 1000)
        try begun.finish("\(count) bytes were there")
    }

    @Test(.timeLimit(.minutes(1))) func `what is there whole is not sent again`() throws {
        let bench = try NetworkBench(.tus)
        let begun = try begun(bench)
        try begun.append(5000)
        try begun.send(TusConflictTests.whole)
        #expect(try begun.log() == ["PATCH 409", "HEAD 200"])
        try begun.finish("everything was there")
    }

    @Test(.timeLimit(.minutes(1)))
    func `bytes the service has lost end the attempt, and the next begins with what it has`()
        throws
    {
        let bench = try NetworkBench(.tus)
        let begun = try begun(bench)
        try begun.append(1000)
        #expect(throws: RemoteError.unavailable(retryAfter: nil)) { try begun.send(2000..<5000) }
        #expect(try begun.log() == ["PATCH 409", "HEAD 200"])
        #expect(try begun.run.backend.standing(of: begun.upload) == .partial(ByteRanges(upTo: 1000)))
        try begun.send(1000..<5000)
        try begun.finish("bytes were lost")
    }

    @Test(.timeLimit(.minutes(1)), arguments: [1, 2])
    func `a conflict about the right offset is asked about and sent again`(times: Int) throws {
        let bench = try NetworkBench(.tus)
        let begun = try begun(bench)
        try bench.proxy.rule(["method": "PATCH", "times": .integer(Int64(times)), "status": 409])
        try begun.send(TusConflictTests.whole)
        let refused = [[String]](repeating: ["PATCH 409", "HEAD 200"], count: times).flatMap { $0 }
        #expect(try begun.log() == refused + ["PATCH 204"])
        try begun.finish("\(times) conflicts about the right offset")
    }

    @Test(.timeLimit(.minutes(1)))
    func `conflicts about the right offset that do not end are a pause and no failure`() throws {
        let bench = try NetworkBench(.tus)
        let begun = try begun(bench)
        try bench.proxy.rule(["method": "PATCH", "times": 0, "status": 409])
        let error = RemoteError.unavailable(retryAfter: nil)
        #expect(throws: error) { try begun.send(TusConflictTests.whole) }
        #expect(error.isTemporary)
        #expect(try begun.log() == ["PATCH 409", "HEAD 200", "PATCH 409", "HEAD 200", "PATCH 409", "HEAD 200"])
        try bench.proxy.clearRules()
        try begun.send(TusConflictTests.whole)
        try begun.finish("after conflicts that ended the attempt")
    }

    @Test(.timeLimit(.minutes(1)))
    func `an upload goes on through conflicts over several attempts, and is there once`() throws {
        let bench = try NetworkBench(.tus)
        let run = try bench.run()
        let upload = try run.upload("f", TusConflictTests.bytes, in: try run.session())
        // Three end an attempt; the third attempt has one.
        try bench.proxy.rule(["method": "PATCH", "times": 7, "status": 409])
        var driver = UploadDriver(run.backend)
        _ = try driver.send(TusConflictTests.bytes, as: upload)
        #expect(driver.failures == 2)
        #expect(try bench.proxy.pendingRules() == 0)
        try expectExactly([("f", TusConflictTests.bytes)], at: run, "seven conflicts")
        #expect(try bench.tusControl.uploads().count == 1)
    }
}
