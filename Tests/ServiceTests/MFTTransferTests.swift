import FXSystem
import ServiceFixtures
import Synchronization
import Testing

@testable import FXRemote

/// Group transfers through the backend: the laws of a service whose questions change things and whose ids a client chooses.
@Suite struct MFTTransferTests {
    private func fault(_ method: String, _ path: String, performed: Bool, times: Int64 = 1) -> JSONValue {
        [
            "method": .string(method), "path": .string("/vault_rest" + path), "performed": .bool(performed),
            "reset": true, "times": .integer(times),
        ]
    }

    @Test(arguments: ["same", "refuse"], [true, false])
    func `a lost answer to the opening of a group leaves one group`(duplicates: String, performed: Bool) throws {
        let bench = try MFTBench()
        try bench.vault.set(.object([.init("duplicates", .string(duplicates))]))
        let backend = bench.backend()
        // Twice: libcurl repeats a GET on a connection that was used before.
        try bench.vault.fail(fault("GET", "/transfer", performed: performed, times: 2))
        #expect(throws: RemoteError.self) { try bench.session("monday", of: backend) }
        // Asked again by the same program, by another one after a crash, and by two at once.
        let first = try bench.session("monday", of: performed ? backend : bench.backend())
        #expect(try bench.openGroups().map { "group/\($0.id)" } == [first.remoteID])
        #expect(try bench.vault.pendingFaults() == 0)
    }

    @Test func `a session that two ask for at once is one group`() throws {
        let bench = try MFTBench()
        try bench.vault.set(["duplicates": "refuse"])
        let backend = bench.backend()
        let outcome = Monitor<[String]>([])
        for _ in 0..<4 {
            _ = try ServiceThread(name: "mkdir") {
                let made = (try? bench.session("monday", of: backend))?.remoteID ?? "failed"
                outcome.withLock { $0.append(made) }
            }
        }
        let made = try #require(outcome.wait(until: .after(.seconds(20))) { $0.count == 4 ? $0 : nil })
        #expect(Set(made).count == 1)
        #expect(try bench.openGroups().map { "group/\($0.id)" } == [made[0]])
    }

    @Test(arguments: ["same", "refuse"], [true, false])
    func `a lost answer to the announcement of a file leaves one file`(duplicates: String, performed: Bool) throws {
        let bench = try MFTBench()
        try bench.vault.set(.object([.init("duplicates", .string(duplicates))]))
        let backend = bench.backend()
        let session = try bench.session("monday", of: backend)
        let bytes = patterned(5000, seed: 1)
        try bench.vault.fail(fault("GET", "/transfer_file", performed: performed))
        try bench.send("a", bytes, in: session, of: backend)
        let files = try bench.openGroups().flatMap(\.files)
        #expect(files.map(\.sha256) == [sha256Text(bytes)])
        #expect(files.map(\.path) == ["monday"])
        #expect(try bench.vault.pendingFaults() == 0)
    }

    @Test(arguments: [true, false])
    func `a lost answer to the completing request is never followed by one that fails`(performed: Bool) throws {
        let bench = try MFTBench()
        let backend = bench.backend()
        let session = try bench.session("monday", of: backend)
        let file = try bench.send("a", [1, 2, 3], in: session, of: backend)
        try bench.vault.fail(fault("POST", "/transfer", performed: performed))
        let life = try #require(Lifetime("30d"))
        try backend.complete(try bench.manifest(session, [file], lasting: life))
        // 0 is no answer.
        #expect(try bench.completions() == (performed ? [0] : [0, 200]))
        #expect(try bench.vault.groups().map(\.state) == ["committed"])
        #expect(try bench.vault.groups().first?.expiresAfter == "30:00:00:00")
        // Again, and by a program that knows nothing of the first.
        try bench.backend().complete(try bench.manifest(session, [file], lasting: life))
        #expect(try bench.completions().filter { $0 >= 400 }.isEmpty)
        #expect(try bench.vault.counter("commits") == 1)
    }

    @Test func `a completion answered with 500 after it was carried out is found to be done`() throws {
        let bench = try MFTBench()
        let backend = bench.backend()
        let session = try bench.session("monday", of: backend)
        let file = try bench.send("a", [], in: session, of: backend)
        try bench.vault.fail(["method": "POST", "path": "/vault_rest/transfer", "status": 500, "performed": true])
        try backend.complete(try bench.manifest(session, [file]))
        #expect(try bench.completions() == [500])
        #expect(try bench.vault.counter("commits") == 1)
    }

    @Test func `an empty session is completed, also when the answer is lost`() throws {
        let bench = try MFTBench()
        let backend = bench.backend()
        let session = try bench.session("nothing", of: backend)
        try bench.vault.fail(fault("POST", "/transfer", performed: true))
        try backend.complete(try bench.manifest(session, []))
        #expect(try bench.vault.groups().map(\.state) == ["committed"])
    }

    @Test(arguments: [true, false])
    func `a lost answer to the end of a file is no second end`(performed: Bool) throws {
        let bench = try MFTBench()
        let backend = bench.backend()
        let session = try bench.session("monday", of: backend)
        // The announcement is a GET of the same path.
        try bench.vault.fail(fault("POST", "/transfer_file", performed: performed))
        try bench.send("a", patterned(100, seed: 1), in: session, of: backend)
        #expect(try bench.openGroups().flatMap(\.files).map(\.isComplete) == [true])
    }

    @Test func `a file whose end was lost on its way, with a chunk the service then lost, is not taken for committed`()
        throws
    {
        let bench = try MFTBench()
        let backend = bench.backend()
        let session = try bench.session("monday", of: backend)
        let bytes = patterned(1000, seed: 1)
        var upload = try bench.upload("a", bytes, in: session)
        upload.note = try backend.begin(upload)
        try backend.send(0..<1000, of: upload, from: Bytes(bytes: bytes))
        try bench.vault.fail(fault("POST", "/transfer_file", performed: false))
        do throws(RemoteError) {
            _ = try backend.commit(upload)
            Issue.record("committed without an answer")
        } catch { #expect(error.isTemporary) }
        try bench.vault.lose("a", 10..<20)
        #expect(throws: RemoteError.expired) { try backend.commit(upload) }
        upload.note = nil
        var driver = UploadDriver(backend)
        _ = try driver.send(bytes, as: upload)
        let files = try bench.openGroups().flatMap(\.files)
        #expect(files.map(\.sha256) == [sha256Text(bytes)] && files.map(\.isComplete) == [true])
    }

    @Test func `the name of a session can be used again when its group was completed or given up`() throws {
        let bench = try MFTBench()
        let backend = bench.backend()
        let first = try bench.session("monday", of: backend)
        try backend.abort(first)
        try backend.abort(first)
        let second = try bench.session("monday", of: backend)
        try backend.complete(try bench.manifest(second, []))
        let third = try bench.session("monday", of: backend)
        #expect(Set([first.remoteID, second.remoteID, third.remoteID]).count == 3)
        #expect(try bench.vault.groups().map(\.state).sorted() == ["committed", "deleted", "open"])
    }

    @Test func `the group of another user is EACCES, with the reason`() throws {
        let bench = try MFTBench()
        let session = try bench.session("theirs", of: bench.backend("user2"))
        let backend = bench.backend()
        let upload = try bench.upload("a", [1], in: session)
        #expect(throws: RemoteError.belongsToAnother) { try backend.begin(upload) }
        #expect(throws: RemoteError.belongsToAnother) { try backend.complete(try bench.manifest(session, [])) }
        #expect(throws: RemoteError.belongsToAnother) { try backend.abort(session) }
        #expect(RemoteError.belongsToAnother.errno == .permissionDenied)
        #expect(RemoteError.belongsToAnother.message.contains("another user"))
        // Each was found to be meant without a login more.
        #expect(try bench.vault.counter("logins") == 2)
    }

    @Test(arguments: [401, 403])
    func `tokens may die before any request`(status: Int) throws {
        let bench = try MFTBench()
        try bench.vault.set(
            .object([.init("expired_status", .integer(Int64(status))), .init("token_requests", 2)]))
        let backend = bench.backend()
        let session = try bench.session("monday", of: backend)
        let bytes = patterned((5 << 20) + 1, seed: 1)
        let file = try bench.send("a", bytes, in: session, of: backend)
        let directory = try bench.session("monday", of: backend)
        #expect(directory == session)
        try backend.complete(try bench.manifest(session, [file]))
        #expect(try backend.open(file).bytes(0..<UInt64(bytes.count)) == bytes)
        #expect(try bench.vault.groups().flatMap(\.files).map(\.sha256) == [sha256Text(bytes)])
        #expect(try bench.vault.counter("failed_logins") == 0)
        #expect(try bench.vault.counter("logins") > 3)
    }

    // MARK: - Chunks

    @Test func `chunks of every size near the edges arrive where small ones are refused`() throws {
        let bench = try MFTBench()
        try bench.vault.set(["s3_temp": true])
        let backend = bench.backend()
        let session = try bench.session("monday", of: backend)
        let chunk = 5 << 20
        var expected: [String: String] = [:]
        for size in [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk - 1, 2 * chunk, 2 * chunk + 1] {
            let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: size), count: size)
            try bench.send("f\(size)", bytes, in: session, of: backend)
            expected["f\(size)"] = sha256Text(bytes)
        }
        let files = try bench.openGroups().flatMap(\.files)
        #expect(Dictionary(uniqueKeysWithValues: files.map { ($0.name, $0.sha256) }) == expected)
        #expect(try bench.vault.log().allSatisfy { $0.status < 400 })
        // Parallel chunks came out of order or in it: each once.
        #expect(try bench.vault.counter("chunks") == 1 + 1 + 1 + 2 + 2 + 2 + 3)
    }

    @Test func `no chunk is larger than what the service takes, or smaller than what its store takes`() throws {
        let bench = try MFTBench()
        #expect(bench.backend(chunk: .mebibytes(1)).facts.preferredChunk == .mebibytes(5))
        let backend = bench.backend(chunk: .mebibytes(512))
        #expect(backend.facts.preferredChunk == ByteCount(100_000_000))
        let session = try bench.session("monday", of: backend)
        let bytes = [UInt8](repeating: 7, count: 100_000_001)
        try bench.send("large", bytes, in: session, of: backend)
        let sent = try bench.vault.log().filter { $0.method == "PATCH" }.map(\.sent)
        #expect(sent.sorted() == [1, 100_000_000])
        #expect(try bench.openGroups().flatMap(\.files).map(\.isComplete) == [true])
    }

    @Test func `a chunk that was garbled on the way is sent again`() throws {
        let bench = try MFTBench()
        let backend = bench.backend()
        let session = try bench.session("monday", of: backend)
        let bytes = patterned(1000, seed: 1)
        var upload = try bench.upload("a", bytes, in: session)
        upload.note = try backend.begin(upload)
        let content = Garbled(bytes)
        #expect(throws: RemoteError.unavailable(retryAfter: nil)) {
            try backend.send(0..<1000, of: upload, from: content)
        }
        try backend.send(0..<1000, of: upload, from: content)
        upload.acknowledged = ByteRanges(upTo: 1000)
        _ = try backend.commit(upload)
        #expect(try bench.vault.counter("mismatches") == 1)
        #expect(try bench.openGroups().flatMap(\.files).map(\.sha256) == [sha256Text(bytes)])
    }

    @Test func `a chunk the service has lost is found out at the end, and the file is sent anew`() throws {
        let bench = try MFTBench()
        let backend = bench.backend()
        let session = try bench.session("monday", of: backend)
        let bytes = patterned(1000, seed: 1)
        var upload = try bench.upload("a", bytes, in: session)
        upload.note = try backend.begin(upload)
        try backend.send(0..<1000, of: upload, from: Bytes(bytes: bytes))
        try bench.vault.lose("a", 10..<20)
        #expect(throws: RemoteError.verificationMismatch) { try backend.commit(upload) }
        try backend.discard(upload)
        upload.note = nil
        var driver = UploadDriver(backend)
        _ = try driver.send(bytes, as: upload)
        #expect(try bench.openGroups().flatMap(\.files).map(\.sha256) == [sha256Text(bytes)])
    }

    @Test func `a file the service has lost is begun anew, and one it will not take fails`() throws {
        let bench = try MFTBench()
        let backend = bench.backend()
        let session = try bench.session("monday", of: backend)
        let bytes = patterned(1000, seed: 1)
        var upload = try bench.upload("a", bytes, in: session)
        upload.note = try backend.begin(upload)
        try bench.vault.lose("a")
        for _ in 0..<2 {
            #expect(throws: RemoteError.unavailable(retryAfter: nil)) {
                try backend.send(0..<1000, of: upload, from: Bytes(bytes: bytes))
            }
        }
        #expect(throws: RemoteError.expired) { try backend.send(0..<1000, of: upload, from: Bytes(bytes: bytes)) }
        upload.note = nil
        var driver = UploadDriver(backend)
        _ = try driver.send(bytes, as: upload)
        #expect(try bench.openGroups().flatMap(\.files).map(\.sha256) == [sha256Text(bytes)])
        try bench.vault.fail(["method": "PATCH", "status": 400, "times": 1000])
        #expect(throws: RemoteError.rejected(status: 400, saying: "out of order on purpose")) {
            try bench.send("b", bytes, in: session, of: backend)
        }
    }

    @Test func `limits of the service are EFBIG and EDQUOT, and say so before a byte is sent`() throws {
        let bench = try MFTBench()
        let backend = bench.backend()
        let session = try bench.session("monday", of: backend)
        try bench.vault.set(["maximum_file": 100, "quota": 150])
        #expect(throws: RemoteError.tooLarge(limit: nil)) {
            try bench.send("a", patterned(101, seed: 1), in: session, of: backend)
        }
        try bench.send("b", patterned(100, seed: 1), in: session, of: backend)
        #expect(throws: RemoteError.quotaExceeded) {
            try bench.send("c", patterned(51, seed: 1), in: session, of: backend)
        }
        try bench.vault.change(user: ["username": "user1", "standing": "uploader_group"])
        #expect(throws: RemoteError.accountNeeds(.uploaderGroup)) { try bench.session("tuesday", of: backend) }
        #expect(try bench.vault.log().filter { $0.method == "PATCH" }.map(\.sent) == [100])
    }

    @Test func `replacing a file of an open session leaves one`() throws {
        let bench = try MFTBench()
        let backend = bench.backend()
        let session = try bench.session("monday", of: backend)
        let old = try bench.send("a", [1, 2, 3], in: session, of: backend)
        var upload = try bench.upload("a", [4, 5], in: session)
        upload.replaces = old
        var driver = UploadDriver(backend)
        _ = try driver.send([4, 5], as: upload)
        #expect(try bench.openGroups().flatMap(\.files).map(\.sha256) == [sha256Text([4, 5])])
    }
}

/// Reads wrong once, in the second pass: after the digest was made.
private final class Garbled: UploadContent {
    private let bytes: [UInt8]
    private let reads = Mutex(0)

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var identity: FileIdentity? { nil }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        let number = reads.withLock { reads in
            reads += 1
            return reads
        }
        var piece = Array(bytes.dropFirst(Int(offset)).prefix(buffer.count))
        if number == 2, !piece.isEmpty { piece[0] ^= 1 }
        buffer.copyBytes(from: piece)
        return piece.count
    }

    func link(as name: Name, in directory: borrowing OwnedDescriptor) throws(RemoteError) { throw .notSupported }
}
