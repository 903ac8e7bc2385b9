import FXSystem
import Testing

@testable import FXRemote

/// Keys, ids, parts, refusals and manifests: what needs no service.
@Suite struct S3LayoutTests {
    private func upload(_ path: String, size: UInt64, growing: Bool = false, note: String? = nil) throws -> Upload {
        Upload(
            id: UploadID("u"), path: try RelativePath(path), size: ByteCount(size), sha256: growing ? nil : .empty,
            modified: Timestamp(seconds: 0), note: note)
    }

    @Test(arguments: [("", ""), ("/", ""), ("a", "a/"), ("/a//b/", "a/b/")])
    func `the prefix ends with one slash or is empty`(prefix: String, root: String) {
        #expect(S3Layout(prefix: prefix).root == S3Key(root))
    }

    @Test func `files and directories lie below the prefix, and below the directory the service named`() throws {
        let layout = S3Layout(prefix: "top")
        var upload = try upload("s/d/f o", size: 1)
        #expect(try layout.file(upload) == S3Key("top/s/d/f o"))
        upload.directoryID = "top/s/%2E%2E/%FF/"
        #expect(try layout.file(upload).bytes == Array("top/s/../".utf8) + [0xff] + Array("/f o".utf8))
        #expect(
            try layout.directory(StoredDirectory(path: try RelativePath("s/d"), remoteID: nil)) == S3Key("top/s/d/"))
        #expect(layout.directory(RelativePath()) == S3Key("top/"))
        #expect(throws: RemoteError.invalidArgument) {
            try layout.directory(StoredDirectory(path: try RelativePath("s"), remoteID: "top/s"))
        }
    }

    @Test func `a key is at most 1024 bytes long`() throws {
        let layout = S3Layout(prefix: "")
        let names = Array(repeating: String(repeating: "x", count: 203), count: 5)
        let long = try upload(names.joined(separator: "/") + "/abcd", size: 1)
        #expect(try layout.file(long).bytes.count == 1024)
        #expect(throws: RemoteError.unrepresentableName) {
            try layout.file(try self.upload(names.joined(separator: "/") + "/abcde", size: 1))
        }
    }

    @Test func `the session of a key is its first component`() throws {
        let layout = S3Layout(prefix: "top")
        let session = try #require(layout.session(of: S3Key("top/s/d/f")))
        #expect(session.prefix == S3Key("top/s/"))
        #expect(session.name == Array("s".utf8))
        #expect(layout.session(of: S3Key("top/f")) == nil)
        #expect(layout.session(of: S3Key("other/s/f")) == nil)
        #expect(
            try layout.replaced(S3Key("top/s/d/f"), by: UploadID("9")) == S3Key("top/s/.fxmount/replaced/d/f/@9"))
        let deep = S3Key("top/s/" + String(repeating: "d/", count: 500))
        #expect(try layout.replaced(deep, by: UploadID("9")).bytes.count <= S3Key.maximumLength)
    }

    @Test func `an object's identity survives its text, whatever the key is`() throws {
        for key in ["s/f", "s/a b+c%/é", "s/\n\u{1}"] {
            for tag in ["5d41402abc4b2a76b9719d911017c592", "x-3", nil] {
                let id = S3ObjectID(key: S3Key(key), tag: tag)
                #expect(S3ObjectID(text: id.text) == id)
            }
        }
        let bytes = S3ObjectID(key: S3Key([0x73, 0x2f, 0xff, 0xfe]), tag: "t")
        #expect(S3ObjectID(text: bytes.text) == bytes)
        #expect(S3ObjectID(text: "a b c") == nil)
    }

    @Test func `listed keys are decoded with a plus sign as a space`() {
        #expect(S3Key(listed: "a+b%2Bc%25") == S3Key("a b+c%"))
        #expect(S3Key(listed: "%4") == nil)
    }

    @Test func `base 64 is as RFC 4648 has it`() {
        let vectors = ["": "", "f": "Zg==", "fo": "Zm8=", "foo": "Zm9v", "foob": "Zm9vYg==", "foobar": "Zm9vYmFy"]
        for (text, encoded) in vectors { #expect(base64(Array(text.utf8)) == encoded) }
    }

    // MARK: - Parts

    private func plan(_ part: UInt64) -> S3Parts {
        var facts = BackendFacts()
        facts.preferredChunk = ByteCount(part)
        facts.chunkSizes = S3Parts.sizes
        facts.chunksBeforeDoubling = S3Parts.partsBeforeDoubling
        return S3Parts(facts: facts)
    }

    @Test func `the largest file fits into the parts a service takes`() {
        let plan = plan(S3Parts.preferredSize.rawValue)
        let ranges = plan.ranges(upTo: S3Client.largestFile.rawValue)
        #expect(ranges.count <= S3Parts.maximumCount)
        #expect(ranges.dropLast().allSatisfy { S3Parts.sizes.contains($0.upperBound - $0.lowerBound) })
        #expect(ranges.last?.upperBound == S3Client.largestFile.rawValue)
        for (index, range) in ranges.enumerated() where plan.number(of: range) != index + 1 {
            Issue.record("part \(index + 1) has the number \(String(describing: plan.number(of: range)))")
        }
    }

    @Test func `only whole parts have a number`() {
        let plan = plan(5 << 20)
        #expect(plan.number(of: 0..<(5 << 20)) == 1)
        #expect(plan.number(of: 0..<7) == 1)
        #expect(plan.number(of: 0..<(5 << 20) + 1) == nil)
        #expect(plan.number(of: 1..<7) == nil)
        #expect(plan.number(of: 0..<0) == nil)
    }

    @Test func `a small sealed file needs no multipart upload`() throws {
        let plan = plan(5 << 20)
        #expect(plan.isSinglePut(try upload("s/f", size: 0)))
        #expect(plan.isSinglePut(try upload("s/f", size: 5 << 20)))
        #expect(!plan.isSinglePut(try upload("s/f", size: 5 << 20 + 1)))
        #expect(!plan.isSinglePut(try upload("s/f", size: 1, growing: true)))
        #expect(!plan.isSinglePut(try upload("s/f", size: 1, note: "n")))
    }

    @Test func `parts of another size, twice with different contents, or missing are not held`() {
        let plan = plan(5 << 20)
        let size: UInt64 = 12 << 20
        func part(_ number: Int, _ tag: String, _ size: UInt64) -> S3Part {
            S3Part(number: number, tag: tag, size: size)
        }
        let whole = [part(3, "c", 2 << 20), part(1, "a", 5 << 20), part(1, "a", 5 << 20), part(2, "b", 5 << 20)]
        #expect(plan.selection(size: size, held: whole, sent: [:]).map(\.?.tag) == ["a", "b", "c"])
        let torn = [part(1, "a", 5 << 20), part(1, "x", 5 << 20), part(3, "c", 5 << 20)]
        #expect(plan.selection(size: size, held: torn, sent: [:]) == [nil, nil, nil])
        let chosen = plan.selection(size: size, held: torn, sent: [1: part(1, "x", 5 << 20)])
        #expect(chosen.map(\.?.tag) == ["x", nil, nil])
        #expect(plan.held(chosen, size: size) == ByteRanges(upTo: 5 << 20))
        // A part that was whole when it was sent, of a file that shrank afterwards.
        #expect(plan.selection(size: 7, held: [part(1, "a", 5 << 20)], sent: [1: part(1, "a", 5 << 20)]) == [nil])
    }

    // MARK: - Refusals

    private func error(_ status: Int, _ code: String) -> RemoteError {
        S3Refusal(status: status, code: code).remoteError(bucket: "b")
    }

    @Test func `refusals become what they mean`() {
        #expect(error(403, "SignatureDoesNotMatch") == .credentials)
        #expect(error(403, "InvalidAccessKeyId") == .credentials)
        #expect(error(403, "AccessDenied") == .forbidden)
        #expect(error(403, "") == .forbidden)
        #expect(error(404, "NoSuchKey") == .noSuchEntry)
        #expect(error(404, "NoSuchUpload") == .expired)
        #expect(error(400, "EntityTooLarge") == .tooLarge(limit: nil))
        #expect(error(400, "BadDigest") == .verificationMismatch)
        #expect(error(412, "PreconditionFailed") == .changed)
        #expect(error(403, "QuotaExceeded") == .quotaExceeded)
        #expect(error(507, "XMinioStorageFull") == .serviceFull)
        for (status, code) in [(503, "SlowDown"), (500, "InternalError"), (200, "InternalError"), (502, ""), (429, "")]
        {
            #expect(error(status, code) == .unavailable(retryAfter: nil))
            #expect(error(status, code).isTemporary)
        }
        #expect(error(400, "RequestTimeout").isTemporary)
        #expect(error(404, "NoSuchBucket").message.contains("there is no bucket \"b\""))
        #expect(!error(404, "NoSuchBucket").isTemporary)
    }

    @Test func `a clock that is wrong is said, with how much and which way`() {
        let date = HTTPFields(dictionaryLiteral: ("Date", "Thu, 01 Jan 1970 01:00:00 GMT"))
        let document = XMLElement(name: "Error", children: [XMLElement(name: "Code", text: "RequestTimeTooSkewed")])
        let refusal = S3Refusal(
            HTTPResponse(status: 403, fields: date), document: document, now: Timestamp(seconds: 0))
        #expect(
            refusal.remoteError(bucket: "b").message.contains(
                "the clock of this machine is 3600 s behind the service's"))
    }

    @Test func `another region is named`() {
        let document = XMLElement(
            name: "Error",
            children: [
                XMLElement(name: "Code", text: "AuthorizationHeaderMalformed"),
                XMLElement(name: "Region", text: "eu-west-1"),
            ])
        let refusal = S3Refusal(HTTPResponse(status: 400), document: document, now: Timestamp(seconds: 0))
        #expect(refusal.remoteError(bucket: "b").message.contains("\"eu-west-1\""))
    }

    // MARK: - Manifests

    @Test func `manifests of several writers become one, by path, the latest of each`() throws {
        func manifest(_ writer: String, _ files: [(String, String)]) -> S3Manifest {
            let list = files.map {
                JSONValue.object([.init("path", .string($0.0)), .init("committed", .string($0.1))])
            }
            return S3Manifest(["format": 1, "session": "s", "files": .array(list)], writer: writer)
        }
        let merged = S3Manifest(merging: [
            manifest("b", [("z", "2026-01-01"), ("same", "2026-01-02")]),
            manifest("a", [("same", "2026-01-01"), ("c", "2026-01-01")]),
        ])
        #expect(merged.writer == "a,b")
        #expect(merged.files.map { $0["path"]?.string } == ["c", "same", "z"])
        #expect(merged.files.map { $0["writer"]?.string } == ["a", "b", "b"])
        #expect(S3Manifest(parsing: merged.bytes) == merged)
    }
}
