import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// The tus backend against a service of ours, which can do and refuse what SeaweedFS does not offer.
@Suite(.serialized) struct TusServiceTests {
    private static let bytes = patterned((2 << 20) + 4321, seed: 4)

    private func sent(_ run: NetworkBench.Run, _ bytes: [UInt8] = bytes) throws -> CommittedFile {
        var driver = UploadDriver(run.backend)
        return try driver.send(bytes, as: try run.upload("f", bytes, in: try run.session()))
    }

    @Test(.timeLimit(.minutes(1))) func `an upload that was cut goes on where the service stands`() throws {
        let bench = try NetworkBench(.tus)
        let run = try bench.run()
        // Without checksums a service keeps what came.
        try bench.tusControl.set(["extensions": ["creation", "termination"]])
        try bench.proxy.rule(["method": "PATCH", "skip": 1, "cut_request_after": 600_000])
        _ = try sent(run)
        try expectExactly([("f", TusServiceTests.bytes)], at: run, "cut in the second chunk")
        let patches = try bench.proxy.finishedLog().filter { $0.method == "PATCH" }
        // Hardly more than the file has, heads included.
        #expect(patches.reduce(0) { $0 + $1.sent } < TusServiceTests.bytes.count + 100_000)
        #expect(try bench.tusControl.log().filter { $0 == "POST 201" }.count == 1)
    }

    @Test(.timeLimit(.minutes(1))) func `a chunk with a wrong checksum is sent again, three times at most`() throws {
        let bench = try NetworkBench(.tus)
        let run = try bench.run()
        try bench.tusControl.set(["damaged": 2])
        _ = try sent(run)
        try expectExactly([("f", TusServiceTests.bytes)], at: run, "damaged twice")
        #expect(try bench.tusControl.log().filter { $0 == "PATCH 460" }.count == 2)
        let hopeless = try bench.run()
        try bench.tusControl.set(["damaged": 1000])
        #expect(throws: RemoteError.verificationMismatch) { try sent(hopeless) }
        #expect(try bench.held(hopeless).isEmpty)
    }

    @Test(.timeLimit(.minutes(1)), arguments: [["md5"], ["crc32", "sha1"], ["sha512", "sha256"], ["crc32"]])
    func `the checksum is one that both sides know`(algorithms: [String]) throws {
        let bench = try NetworkBench(.tus)
        let run = try bench.run()
        try bench.tusControl.set(["algorithms": .array(algorithms.map { .string($0) })])
        _ = try sent(run)
        try expectExactly([("f", TusServiceTests.bytes)], at: run, "\(algorithms)")
    }

    @Test(.timeLimit(.minutes(1))) func `a locked upload is waited for`() throws {
        let bench = try NetworkBench(.tus)
        let run = try bench.run()
        let session = try run.session()
        let upload = try run.upload("f", TusServiceTests.bytes, in: session)
        try bench.tusControl.set(["locked": 3])
        var driver = UploadDriver(run.backend)
        _ = try driver.send(TusServiceTests.bytes, as: upload)
        #expect(driver.failures == 3)
        #expect(try bench.tusControl.setting("locked") == 0)
        try expectExactly([("f", TusServiceTests.bytes)], at: run, "locked three times")
        #expect(RemoteError.unavailable(retryAfter: nil).isTemporary)
    }

    @Test(.timeLimit(.minutes(1)), arguments: [410, 404, 403])
    func `an upload the service has given up is begun anew`(status: Int) throws {
        let bench = try NetworkBench(.tus)
        let run = try bench.run()
        let control = try bench.tusControl
        try control.set(["expired_status": .integer(Int64(status))])
        let bytes = TusServiceTests.bytes
        var upload = try run.upload("f", bytes, in: try run.session())
        upload.note = try run.backend.begin(upload)
        try run.backend.send(0..<(1 << 20), of: upload, from: BytesToUpload(bytes: bytes))
        try control.expire()
        #expect(try run.backend.standing(of: upload) == .nothing)
        if status != 403 {
            #expect(throws: RemoteError.expired) {
                try run.backend.send((1 << 20)..<(2 << 20), of: upload, from: BytesToUpload(bytes: bytes))
            }
        }
        upload.note = nil
        var driver = UploadDriver(run.backend)
        _ = try driver.send(bytes, as: upload)
        try expectExactly([("f", bytes)], at: run, "expired")
    }

    @Test(.timeLimit(.minutes(1))) func `a file over the limit is refused before a byte, and 413 means the same`()
        throws
    {
        let bench = try NetworkBench(.tus)
        let run = try bench.run()
        try bench.tusControl.set(["max_size": 1_000_000])
        let session = try run.session()
        #expect(run.backend.facts.maximumFileSize == ByteCount(1_000_000))
        var driver = UploadDriver(run.backend)
        let upload = try run.upload("f", TusServiceTests.bytes, in: session)
        #expect(throws: RemoteError.tooLarge(limit: ByteCount(1_000_000))) {
            try driver.send(TusServiceTests.bytes, as: upload)
        }
        #expect(try bench.tusControl.uploads().isEmpty)
        // The limit became smaller since it was asked for.
        try bench.tusControl.set(["max_size": 1000])
        let error = #expect(throws: RemoteError.self) {
            try driver.send(
                [UInt8](repeating: 1, count: 2000),
                as: try run.upload("g", [UInt8](repeating: 1, count: 2000), in: session))
        }
        #expect(error?.errno == .fileTooLarge)
    }

    @Test(.timeLimit(.minutes(1)), arguments: ["absolute", "relative", "path"])
    func `an upload is found wherever on its host it is said to be`(location: String) throws {
        let bench = try NetworkBench(.tus)
        let run = try bench.run()
        try bench.tusControl.set(["location": .string(location)])
        let file = try sent(run)
        #expect(file.remoteID.hasPrefix("/files/u1-"))
        try expectExactly([("f", TusServiceTests.bytes)], at: run, location)
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: ["http://elsewhere.example/files/1", "//elsewhere.example/1", "ftp://127.0.0.1/1", "javascript:1"])
    func `an upload at another host gets nothing`(location: String) throws {
        let bench = try NetworkBench(.tus)
        let run = try bench.run()
        try bench.tusControl.set(["location": .string(location), "token": "t0ken"])
        #expect(throws: RemoteError.credentials) {
            try sent(run)
        }
        try bench.tusControl.set(["token": ""])
        let error = #expect(throws: RemoteError.self) { try sent(run) }
        #expect(error?.message.contains("another host") ?? false, "\(String(describing: error))")
        #expect(try bench.tusControl.uploads().allSatisfy { $0.offset == 0 })
    }

    @Test(.timeLimit(.minutes(1))) func `a redirect is not followed`() throws {
        let bench = try NetworkBench(.tus)
        let run = try bench.run()
        let session = try run.session()
        try bench.proxy.rule([
            "method": "POST", "status": 307,
            "fields": ["Location": .string("http://127.0.0.1:\(try bench.tusControl.port)/files/")],
        ])
        let upload = try run.upload("f", [1], in: session)
        var driver = UploadDriver(run.backend)
        let error = #expect(throws: RemoteError.self) { try driver.send([1], as: upload) }
        #expect(error?.message.contains("not followed") ?? false)
        #expect(try bench.tusControl.uploads().isEmpty)
    }

    @Test(.timeLimit(.minutes(1))) func `less than was sent may be taken at a time`() throws {
        let bench = try NetworkBench(.tus)
        let run = try bench.run()
        try bench.tusControl.set(["accepts": 300_000, "extensions": ["creation", "termination"]])
        _ = try sent(run)
        try expectExactly([("f", TusServiceTests.bytes)], at: run, "300,000 bytes at a time")
    }

    @Test(.timeLimit(.minutes(1))) func `a service with nothing but creation, that answers no OPTIONS, takes files`()
        throws
    {
        let bench = try NetworkBench(.tus)
        let run = try bench.run()
        try bench.tusControl.set(["options_status": 405, "extensions": ["creation"]])
        let files = [(name: "f", bytes: TusServiceTests.bytes), (name: "empty", bytes: [])]
        try run.send(files)
        try expectExactly(files, at: run, "creation only")
        #expect(!run.backend.facts.uploadsWhileWriting && run.backend.facts.needsSizeFirst)
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            (["versions": ["0.2.2"]], "another version"), (["extensions": ["termination"]], "create uploads"),
            (["options_status": 500], "busy"),
        ] as [(JSONValue, String)])
    func `a service one cannot upload to is told from one that can`(settings: JSONValue, words: String) throws {
        let bench = try NetworkBench(.tus)
        let run = try bench.run()
        try bench.tusControl.set(settings)
        let error = #expect(throws: RemoteError.self) {
            try run.backend.makeDirectory(try RelativePath("s"), in: .root)
        }
        #expect(error?.message.contains(words) ?? false, "\(String(describing: error))")
    }

    // MARK: - Reading and removing

    @Test(.timeLimit(.minutes(1))) func `ranges are cut out of whole files where the service knows no ranges`() throws {
        let bench = try NetworkBench(.tus)
        let run = try bench.run()
        try bench.tusControl.set(["serves_ranges": false])
        let stored = try #require(try run.send([("f", TusServiceTests.bytes)]).first)
        let content = try run.backend.open(stored)
        for range in [0..<10, 1_000_000..<1_300_000, 2_100_000..<TusServiceTests.bytes.count] {
            let read = try content.bytes(UInt64(range.lowerBound)..<UInt64(range.upperBound))
            #expect(read == Array(TusServiceTests.bytes[range]), "\(range)")
        }
    }

    @Test(.timeLimit(.minutes(1))) func `a service that serves nothing is told from a file that is gone`() throws {
        let bench = try NetworkBench(.tus)
        let run = try bench.run(allowsDelete: true)
        try bench.tusControl.set(["serves": false])
        let stored = try #require(try run.send([("f", TusServiceTests.bytes)]).first)
        let content = try run.backend.open(stored)
        #expect(throws: RemoteError.notServed) { try content.bytes(0..<10) }
        #expect(RemoteError.notServed.errno.symbol == "EOPNOTSUPP")
        try run.backend.delete(stored)
        #expect(try bench.held(run).isEmpty)
        #expect(throws: RemoteError.expired) { try run.backend.open(stored) }
        // Once more is the same.
        try run.backend.delete(stored)
    }

    @Test(.timeLimit(.minutes(1))) func `nothing is removed unless the configuration and the service allow it`() throws
    {
        let bench = try NetworkBench(.tus)
        let careful = try bench.run()
        let stored = try #require(try careful.send([("f", [1, 2])]).first)
        #expect(throws: RemoteError.notSupported) { try careful.backend.delete(stored) }
        let run = try bench.run(allowsDelete: true)
        try bench.tusControl.set(["extensions": ["creation"]])
        let other = try #require(try run.send([("g", [3])]).first)
        #expect(!run.backend.facts.deletesCommitted)
        #expect(throws: RemoteError.notSupported) { try run.backend.delete(other) }
        #expect(try bench.held(run).count == 1)
    }

    // MARK: - Credentials

    @Test(.timeLimit(.minutes(1))) func `a token is sent with each request, and read again when it is refused`() throws
    {
        let bench = try NetworkBench(.tus)
        let first = try bench.run()
        try bench.tusControl.set(["token": "second"])
        let token = Monitor("first")
        var configuration = TusConfiguration(creationPath: "/files/")
        configuration.token = { Secret(token.withLock { $0 }) }
        let backend = TusService(
            configuration, transport: first.transport, origin: try HTTPOrigin("http://127.0.0.1:\(bench.proxy.port)"),
            clock: .system)
        let upload = try first.upload("f", [1, 2, 3], in: StoredDirectory(path: try RelativePath("s"), remoteID: nil))
        var driver = UploadDriver(backend)
        #expect(throws: RemoteError.credentials) { try driver.send([1, 2, 3], as: upload) }
        token.withLock { $0 = "second" }
        _ = try driver.send([1, 2, 3], as: upload)
        // The file with the token changes while the mount runs.
        try bench.tusControl.set(["token": "third"])
        token.withLock { $0 = "third" }
        _ = try driver.send(
            [4], as: try first.upload("g", [4], in: StoredDirectory(path: try RelativePath("s"), remoteID: nil)))
        #expect(try bench.held(first).keys.sorted() == ["f", "g"])
    }

    // MARK: - Looking

    @Test(.timeLimit(.minutes(1))) func `remote test creates one upload, terminates it, and says what there is`() throws
    {
        let bench = try NetworkBench(.tus)
        let run = try bench.run()
        let findings = run.backend.examine()
        #expect(findings.map(\.subject) == ["tus", "creating uploads", "reading", "limits"])
        #expect(findings.allSatisfy { $0.verdict != .fails })
        #expect(findings[0].sentence.contains("creation-defer-length"))
        #expect(findings[3].sentence.contains("sha256") && findings[3].sentence.contains("expire"))
        #expect(try bench.tusControl.uploads().allSatisfy { !$0.isOpen })
        try bench.tusControl.set(["token": "t0ken"])
        #expect(run.backend.examine().last?.error == .credentials)
    }
}

/// Bytes as the content of an upload.
private struct BytesToUpload: UploadContent {
    let bytes: [UInt8]
    var identity: FileIdentity? { nil }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        let piece = bytes.dropFirst(Int(offset)).prefix(buffer.count)
        unsafe buffer.copyBytes(from: piece)
        return piece.count
    }

    func link(as name: Name, in directory: borrowing OwnedDescriptor) throws(RemoteError) { throw .notSupported }
}
