import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// Sending to a real service.
@Suite struct S3UploadTests {
    private static let part = Int(S3Bench.part)

    @Test(arguments: [0, 1, part - 1, part, part + 1, 2 * part, 2 * part + 1])
    func `a file arrives whole with its metadata and leaves nothing else`(size: Int) throws {
        let bench = try S3Bench()
        let service = try bench.service()
        let bytes = noise(size, seed: UInt64(size))
        var upload = try newUpload("s/f", bytes)
        #expect(try service.standing(of: upload) == .nothing)
        let file = try service.run(&upload, bytes)
        #expect(file.size == upload.size)
        #expect(try service.standing(of: upload) == .committed(file))
        #expect(try bench.weed.sha256(of: bench.prefix + "s/f") == upload.sha256?.text)
        #expect(try bench.files() == ["s/f"])
        #expect(try bench.leftovers().isEmpty)
        let object = try #require(try service.client.head(S3Key(bench.prefix + "s/f")))
        #expect(object.upload == upload.id)
        #expect(object.sha256 == upload.sha256)
        // Listed under the id it was committed with, so that nobody takes it for another content.
        let listed = try service.list(StoredDirectory(path: try RelativePath("s"), remoteID: nil))
        #expect(listed.map(\.remoteID) == [file.remoteID])
        #expect(listed.map(\.kind) == [.file(upload.size)])
    }

    @Test func `a small file takes one request`() throws {
        let bench = try S3Bench()
        let transport = FaultyTransport(try bench.transport())
        let service = try bench.service(through: transport)
        var first = try newUpload("s/first", [1])
        try service.run(&first, [1])
        let before = transport.count
        var second = try newUpload("s/second", [2])
        try service.run(&second, [2])
        #expect(transport.count == before + 1)
        #expect(transport.seen.last?.fields["If-None-Match"] == "*")
        #expect(transport.seen.last?.fields["x-amz-content-sha256"] == second.sha256?.text)
        let stored = StoredFile(path: second.path, remoteID: try service.commit(second).remoteID, size: second.size)
        let target = try #require(transport.seen.first { $0.method == .put && $0.target.hasSuffix("/second") }).target
        #expect(service.links(to: stored) == FileLinks(url: try bench.origin.root + target))
    }

    @Test func `parts go out of order and at the same time`() throws {
        let bench = try S3Bench()
        let service = try bench.service()
        let bytes = noise(3 * S3UploadTests.part + 77)
        var upload = try newUpload("s/f", bytes)
        upload.note = try service.begin(upload)
        let ranges = service.plan.ranges(upTo: UInt64(bytes.count))
        let begun = upload
        try together(ranges.count) { number in
            do {
                try service.send(ranges[ranges.count - 1 - number], of: begun, from: Bytes(bytes: bytes))
            } catch { Issue.record(error) }
        }
        _ = try service.commit(upload)
        #expect(try bench.bytes("s/f") == bytes)
    }

    @Test func `another process goes on where one stopped`() throws {
        let bench = try S3Bench()
        let bytes = noise(2 * S3UploadTests.part + 77)
        var upload = try newUpload("s/f", bytes)
        let ranges = try bench.service().plan.ranges(upTo: UInt64(bytes.count))
        do {
            let service = try bench.service()
            upload.note = try service.begin(upload)
            try service.send(ranges[0], of: upload, from: Bytes(bytes: bytes))
            try service.send(ranges[2], of: upload, from: Bytes(bytes: bytes))
        }
        let transport = FaultyTransport(try bench.transport())
        let service = try bench.service(through: transport)
        #expect(try service.unfinishedUploads() == [upload.id])
        #expect(try service.standing(of: upload) == .partial(ByteRanges([ranges[0], ranges[2]])))
        try service.run(&upload, bytes, isKnown: true)
        #expect(transport.seen.filter { $0.target.contains("partNumber") }.count == 1)
        #expect(try bench.bytes("s/f") == bytes)
        #expect(try bench.leftovers().isEmpty)
        #expect(try service.unfinishedUploads().isEmpty)
    }

    @Test func `a growing file is sent before its size is known, and what was written over is sent again`() throws {
        let bench = try S3Bench()
        let service = try bench.service()
        let part = S3UploadTests.part
        let before = noise(part, seed: 1)
        var upload = try newUpload("s/f", before)
        upload.sha256 = nil
        upload.note = try service.begin(upload)
        try service.send(0..<UInt64(part), of: upload, from: Bytes(bytes: before))
        let bytes = noise(part, seed: 2) + noise(100, seed: 3)
        upload.size = ByteCount(UInt64(bytes.count))
        try service.send(0..<UInt64(part), of: upload, from: Bytes(bytes: bytes))
        upload.sha256 = SHA256Digest(hashing: bytes)
        #expect(try service.begin(upload) == nil)
        try service.send(UInt64(part)..<UInt64(part + 100), of: upload, from: Bytes(bytes: bytes))
        // Another process cannot tell which of the two first parts is the right one and asks for it again.
        guard case .partial(let held) = try bench.service().standing(of: upload) else {
            Issue.record("not partial")
            return
        }
        #expect(held.ranges == [UInt64(part)..<UInt64(part + 100)])
        _ = try service.commit(upload)
        #expect(try bench.bytes("s/f") == bytes)
    }

    @Test(arguments: [0, 10, 5 << 20]) func `a file that shrank while it was sent has what it has at the end`(size: Int)
        throws
    {
        let bench = try S3Bench()
        let service = try bench.service()
        let part = UInt64(S3UploadTests.part)
        let before = noise(2 * S3UploadTests.part)
        var upload = try newUpload("s/f", before)
        upload.sha256 = nil
        upload.note = try service.begin(upload)
        try service.send(0..<part, of: upload, from: Bytes(bytes: before))
        try service.send(part..<2 * part, of: upload, from: Bytes(bytes: before))
        let bytes = noise(size, seed: 9)
        upload.size = ByteCount(UInt64(size))
        upload.sha256 = SHA256Digest(hashing: bytes)
        if size > 0 { try service.send(0..<UInt64(size), of: upload, from: Bytes(bytes: bytes)) }
        _ = try service.commit(upload)
        try service.clear(upload)
        #expect(try bench.bytes("s/f") == bytes)
        #expect(try bench.leftovers().isEmpty)
    }

    @Test(arguments: [false, true])
    func `parts have a CRC-32C, and Content-MD5 where the service does not verify that`(isRefused: Bool) throws {
        let bench = try S3Bench()
        let transport = FaultyTransport(try bench.transport())
        let service = try bench.service(through: transport)
        let bytes = noise(3 * S3UploadTests.part)
        var upload = try newUpload("s/f", bytes)
        upload.note = try service.begin(upload)
        let ranges = service.plan.ranges(upTo: UInt64(bytes.count))
        func sent(_ range: Range<UInt64>) throws -> [String] {
            let before = transport.count
            try service.send(range, of: upload, from: Bytes(bytes: bytes))
            return transport.seen[before...].map { seen in
                let check = seen.fields["x-amz-checksum-crc32c"] == nil ? "" : "crc32c"
                return check + (seen.fields["Content-MD5"] == nil ? "" : "md5")
            }
        }
        #expect(try sent(ranges[0]) == ["crc32c"])
        var answer = HTTPResponse(status: isRefused ? 400 : 200)
        answer.fields.add("ETag", "\"0123456789abcdef0123456789abcdef\"")
        if isRefused { answer.body = Array("<Error><Code>InvalidRequest</Code><Message>m</Message></Error>".utf8) }
        transport.inject(.answer(answer), at: transport.count + 1)
        #expect(try sent(ranges[1]) == ["crc32c", "md5"])
        #expect(try sent(ranges[2]) == ["md5"])
        _ = try service.commit(upload)
        #expect(try bench.bytes("s/f") == bytes)
    }

    @Test func `content that changes on its way is refused and never visible`() throws {
        let bench = try S3Bench()
        let service = try bench.service()
        var small = try newUpload("s/small", [1, 2, 3])
        #expect(throws: RemoteError.verificationMismatch) { try service.run(&small, [9, 9, 9]) }
        let bytes = noise(S3UploadTests.part + 1)
        var large = try newUpload("s/large", bytes)
        large.note = try service.begin(large)
        // Read once for the digests and once for sending.
        let reads = Monitor(0)
        let changing = ChangingBytes(bytes: bytes, reads: reads)
        #expect(throws: RemoteError.verificationMismatch) {
            try service.send(0..<S3Bench.part, of: large, from: changing)
        }
        #expect(try bench.files().isEmpty)
        try service.run(&large, bytes, isKnown: true)
        try service.run(&small, [1, 2, 3], isKnown: true)
        #expect(try bench.files() == ["s/large", "s/small"])
    }

    @Test func `an upload that is given up leaves neither parts nor a claim`() throws {
        let bench = try S3Bench()
        let service = try bench.service()
        let bytes = noise(S3UploadTests.part + 1)
        var upload = try newUpload("s/f", bytes)
        upload.note = try service.begin(upload)
        try service.send(0..<S3Bench.part, of: upload, from: Bytes(bytes: bytes))
        #expect(try bench.leftovers().count == 2)
        try service.discard(upload)
        try service.discard(upload)
        #expect(try bench.leftovers().isEmpty)
        #expect(throws: RemoteError.expired) {
            try service.send(0..<S3Bench.part, of: upload, from: Bytes(bytes: bytes))
        }
        try service.run(&upload, bytes, attempts: 2, isKnown: true)
        #expect(try bench.bytes("s/f") == bytes)
    }

    @Test func `aborting a session aborts our own uploads in it and nobody else's`() throws {
        let bench = try S3Bench()
        let (ours, theirs) = (try bench.service(), try bench.service(writer: "writer-b"))
        let bytes = noise(S3UploadTests.part + 1)
        var mine = try newUpload("s/mine", bytes)
        mine.note = try ours.begin(mine)
        var elsewhere = try newUpload("other/mine", bytes)
        elsewhere.note = try ours.begin(elsewhere)
        var foreign = try newUpload("s/theirs", bytes)
        foreign.note = try theirs.begin(foreign)
        #expect(try Set(ours.unfinishedUploads()) == [mine.id, elsewhere.id])
        try ours.abort(StoredDirectory(path: try RelativePath("s"), remoteID: nil))
        #expect(try ours.unfinishedUploads() == [elsewhere.id])
        try theirs.run(&foreign, bytes, isKnown: true)
        try ours.run(&elsewhere, bytes, isKnown: true)
        #expect(try bench.files() == ["other/mine", "s/theirs"])
        #expect(try bench.leftovers().isEmpty)
    }
}

/// Other bytes at the second reading.
private struct ChangingBytes: UploadContent {
    let bytes: [UInt8]
    let reads: Monitor<Int>
    var identity: FileIdentity? { nil }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        let isSecond = reads.withLock { reads in
            if offset == 0 { reads += 1 }
            return reads > 1
        }
        let count = try Bytes(bytes: bytes).read(into: buffer, at: offset)
        if isSecond, count > 0 { buffer[0] ^= 1 }
        return count
    }

    func link(as name: Name, in directory: borrowing OwnedDescriptor) throws(RemoteError) { throw .notSupported }
}
