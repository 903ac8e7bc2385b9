import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// What a listing shows, whoever put it there.
@Suite struct S3ListingTests {
    private func directory(_ path: String, _ id: String? = nil) throws -> StoredDirectory {
        StoredDirectory(path: try RelativePath(path), remoteID: id)
    }

    @Test func `sessions and directories are listed when they are empty, and what is ours is not`() throws {
        let bench = try S3Bench()
        let service = try bench.service()
        let session = try service.makeDirectory(try RelativePath("s"), in: .root)
        #expect(try service.makeDirectory(try RelativePath("s"), in: .root) == session)
        let inner = try service.makeDirectory(try RelativePath("s/d"), in: try directory("s", session))
        var upload = try newUpload("s/d/f", [1, 2])
        upload.directoryID = inner
        let file = try service.run(&upload, [1, 2])
        let sessions = try service.list(.root)
        #expect(sessions == [ListedEntry(name: Array("s".utf8), kind: .session(.open), remoteID: session)])
        let directories = try service.list(try directory("s", session))
        #expect(directories == [ListedEntry(name: Array("d".utf8), kind: .directory, remoteID: inner)])
        let files = try service.list(try directory("s/d", inner))
        #expect(files.map(\.name) == [[UInt8(ascii: "f")]])
        #expect(files.map(\.remoteID) == [file.remoteID])
        let modified = try #require(files.first?.modified)
        #expect(abs(modified.seconds - WallClock.system.now().seconds) < 60)
    }

    @Test func `a directory and a file do not share a name where the service cannot have both`() throws {
        let bench = try S3Bench()
        let service = try bench.service()
        var upload = try newUpload("s/f", [1])
        try service.run(&upload, [1])
        #expect(throws: RemoteError.exists) {
            try service.makeDirectory(try RelativePath("s/f"), in: try directory("s"))
        }
        _ = try service.makeDirectory(try RelativePath("s/d"), in: try directory("s"))
        var other = try newUpload("s/d", [2])
        #expect(throws: RemoteError.nameTaken) { try service.run(&other, [2]) }
        #expect(try bench.bytes("s/f") == [1])
    }

    @Test func `names with anything in them are listed as they are and can be read and written`() throws {
        let bench = try S3Bench()
        let service = try bench.service()
        let names = [
            "a b", "a+b", "a%20b", "\u{1}\u{7f}", "line\nbreak", "tab\there", "ä\u{202e}", "e\u{301}", "é", "&<>\"'",
            "-rf", "#?;:@=$,!*()", String(repeating: "x", count: 255), "~", "...", " ", "{}[]|^`", "日本語", "😀",
        ]
        for name in names {
            var upload = try newUpload("s/d/x", Array(name.utf8))
            upload.path = RelativePath([try Name("s"), try Name(name), try Name(name)])
            upload.directoryID = nil
            try service.run(&upload, Array(name.utf8))
        }
        let listed = try service.list(try directory("s"))
        #expect(Set(listed.map(\.name)) == Set(names.map { Array($0.utf8) }))
        for entry in listed {
            #expect(entry.kind == .directory)
            let files = try service.list(StoredDirectory(path: try RelativePath("s/any"), remoteID: entry.remoteID))
            #expect(files.map(\.name) == [entry.name])
            for file in files {
                let stored = StoredFile(
                    path: try RelativePath("s/any/thing"), remoteID: file.remoteID,
                    size: ByteCount(UInt64(entry.name.count)))
                #expect(try service.open(stored).bytes(0..<1000) == entry.name)
            }
        }
    }

    @Test func `names that S3 cannot carry are refused before anything is sent`() throws {
        let rules = try S3Bench().service().facts.names
        for bytes in [[0x66, 0xff, 0xfe], Array("a\\b".utf8)] {
            #expect(throws: RemoteError.unrepresentableName) {
                try rules.check(try Name(validating: bytes), depth: 1)
            }
        }
        #expect(throws: RemoteError.reservedName) { try rules.check(try Name(".fxmount"), depth: 0) }
        #expect(throws: RemoteError.reservedName) { try rules.check(try Name(".fxmount"), depth: 1) }
        try rules.check(try Name(".fxmount"), depth: 2)
    }

    @Test func `five thousand entries are listed over all pages`() throws {
        let bench = try S3Bench()
        let service = try bench.service()
        let count = 5000
        try together(4) { worker in
            do {
                for number in stride(from: worker, to: count, by: 4) {
                    try service.client.put(S3Key(bench.prefix + "s/f\(number)"), [])
                }
            } catch { Issue.record(error) }
        }
        let clock = ContinuousClock()
        var entries: [ListedEntry] = []
        let time = try clock.measure { entries = try service.list(try directory("s")) }
        print("listing \(count) entries took \(time)")
        #expect(Set(entries.map(\.name)) == Set((0..<count).map { Array("f\($0)".utf8) }))
        #expect(Set(entries.map(\.remoteID)).count == count)
    }

    @Test func `a page that never ends is no listing`() throws {
        let page = """
            <ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>\
            </ListBucketResult>
            """
        let transport = CannedTransport { _ in HTTPResponse(status: 200, body: Array(page.utf8)) }
        let service = try S3Bench().service(through: transport)
        #expect(throws: RemoteError.protocolViolation) { try service.list(try directory("s")) }
    }

    /// Keys no file system could have: only a service that does not care for slashes keeps them.
    @Test func `keys with empty and dotted parts and foreign prefixes are listed as what they are`() throws {
        let page = """
            <ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>
            <Contents><Key>p/s/</Key><Size>0</Size></Contents>
            <Contents><Key>p/s/..</Key><Size>1</Size><ETag>&quot;t&quot;</ETag></Contents>
            <Contents><Key>p/s/%00%FF</Key><Size>2</Size></Contents>
            <Contents><Key>elsewhere</Key><Size>3</Size></Contents>
            <CommonPrefixes><Prefix>p/s//</Prefix></CommonPrefixes>
            <CommonPrefixes><Prefix>p/s/../</Prefix></CommonPrefixes>
            <CommonPrefixes><Prefix>p/s/.fxmount/</Prefix></CommonPrefixes>
            <CommonPrefixes><Prefix>q/</Prefix></CommonPrefixes>
            </ListBucketResult>
            """
        let transport = CannedTransport { _ in HTTPResponse(status: 200, body: Array(page.utf8)) }
        let bench = try S3Bench()
        var configuration = try bench.configuration()
        configuration.prefix = "p"
        let entries = try bench.service(configuration, through: transport).list(try directory("s"))
        #expect(
            entries == [
                ListedEntry(name: Array("..".utf8), kind: .file(ByteCount(1)), remoteID: "t p/s/.."),
                ListedEntry(name: [0, 0xff], kind: .file(ByteCount(2)), remoteID: "p/s/%00%FF"),
                ListedEntry(name: [], kind: .directory, remoteID: "p/s//"),
                ListedEntry(name: Array("..".utf8), kind: .directory, remoteID: "p/s/../"),
            ])
    }
}

/// Answers by itself.
struct CannedTransport: HTTPTransport {
    let answer: @Sendable (HTTPRequest) -> HTTPResponse

    @discardableResult
    func start(
        _ request: HTTPRequest, _ completion: @escaping @Sendable (Result<HTTPResponse, HTTPFailure>) -> Void
    ) -> HTTPCall {
        completion(.success(answer(request)))
        return HTTPCall {}
    }
}
