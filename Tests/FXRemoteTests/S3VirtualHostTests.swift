import FXSystem
import Testing

@testable import FXRemote

/// Buckets in the host name (`path_style = false`): where requests go, what they sign, what is not in their path.
@Suite struct S3VirtualHostTests {
    /// Of the examples of the Amazon S3 API reference.
    private static let secret = Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    private static let scope = SigV4.Scope(date: "20130524", region: "us-east-1")
    private static let host = "examplebucket.s3.amazonaws.com"

    /// As the command line makes one of a remote's settings.
    private func client(
        _ transport: any HTTPTransport, endpoint: String = "https://s3.amazonaws.com", bucket: String = "examplebucket"
    ) throws -> S3Client {
        let origin = try HTTPOrigin(endpoint).withHostPrefix(bucket)
        let configuration = S3Configuration(
            region: S3VirtualHostTests.scope.region, bucket: bucket, prefix: "", accessKeyID: "AKIAIOSFODNN7EXAMPLE",
            secretAccessKey: { S3VirtualHostTests.secret }, pathStyle: false, authority: origin.authority,
            isEncrypted: origin.scheme == .https, writer: "me")
        // 24 May 2013, the day of the examples.
        return S3Client(
            configuration, transport: transport, basePath: origin.basePath, clock: SetClock(1_369_353_600).clock)
    }

    private func answering(_ document: String = "") -> ScriptedTransport {
        ScriptedTransport { _ in .success(HTTPResponse(status: 200, body: Array(document.utf8))) }
    }

    /// The signature of what was sent, were it sent to this host.
    private func signature(of request: ScriptedTransport.Request, to host: String) -> String {
        let fields = request.fields.fields.filter { $0.name != "Authorization" } + [(name: "host", value: host)]
        let signable = SigV4.Request(
            method: request.method.rawValue, path: request.path, query: request.query, fields: fields,
            payload: request.fields["x-amz-content-sha256"] ?? "")
        return SigV4.signature(
            signable, time: request.fields["x-amz-date"] ?? "", scope: S3VirtualHostTests.scope,
            key: SigV4.signingKey(S3VirtualHostTests.secret, scope: S3VirtualHostTests.scope))
    }

    private func isSigned(_ request: ScriptedTransport.Request, for host: String) -> Bool {
        request.fields["Authorization"]?.hasSuffix("Signature=" + signature(of: request, to: host)) == true
    }

    // MARK: - What AWS publishes

    struct Example: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var request: S3Request
        var line: String
        var signature: String
    }

    private static func example(
        _ name: String, _ request: S3Request, query: [(name: String, value: String)] = [],
        fields: [(name: String, value: String)] = [], body: HTTPBody = .none, line: String, signature: String
    ) -> Example {
        var request = request
        request.query = query
        request.fields = fields
        request.body = body
        return Example(testDescription: name, request: request, line: line, signature: signature)
    }

    static let published = [
        example(
            "GET object with a range", S3Request(.get, S3Key("test.txt")), fields: [("Range", "bytes=0-9")],
            line: "GET /test.txt", signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        example(
            "PUT object", S3Request(.put, S3Key("test$file.text")),
            fields: [("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            body: .bytes(Array("Welcome to Amazon S3.".utf8)), line: "PUT /test%24file.text",
            signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
        example(
            "GET bucket lifecycle", S3Request(.get, nil), query: [("lifecycle", "")], line: "GET /",
            signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        example(
            "GET bucket, list objects", S3Request(.get, nil), query: [("prefix", "J"), ("max-keys", "2")],
            line: "GET /", signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ]

    @Test(arguments: published) func `the examples of the S3 reference go out with the published signatures`(
        example: Example
    ) throws {
        let transport = answering()
        _ = try client(transport).perform(example.request)
        let sent = try #require(transport.seen.first)
        #expect(sent.line == example.line)
        #expect(sent.fields["Authorization"]?.hasSuffix("Signature=" + example.signature) == true)
        // The transport makes it of its origin.
        #expect(sent.fields["Host"] == nil)
    }

    // MARK: - Paths

    @Test func `a key with anything in it is the whole path, signed as it is sent`() throws {
        let transport = answering()
        let client = try client(transport)
        let key = S3Key("s/ä b+c?#%&=$/../f")
        try client.put(key, [1, 2, 3])
        _ = try client.get(key)
        try client.delete(key)
        let path = "/s/%C3%A4%20b%2Bc%3F%23%25%26%3D%24/../f"
        #expect(transport.lines == ["PUT \(path)", "GET \(path)", "DELETE \(path)"])
        for request in transport.seen {
            #expect(isSigned(request, for: S3VirtualHostTests.host))
            #expect(!isSigned(request, for: "s3.amazonaws.com"))
        }
    }

    @Test func `a listing asks for the root of the bucket's host`() throws {
        let transport = answering("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
        let page = try client(transport).page(of: S3Key("s/ä+/"), delimited: true, after: nil)
        #expect(page.items.isEmpty && page.next == nil)
        let request = try #require(transport.seen.first)
        #expect(request.line == "GET /")
        #expect(request.parameter("list-type") == "2" && request.parameter("prefix") == "s/ä+/")
        #expect(isSigned(request, for: S3VirtualHostTests.host))
    }

    @Test func `unfinished uploads are asked for at the root, a new one at its key`() throws {
        let listing = answering(
            "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>")
        #expect(try client(listing).unfinishedUploads(below: S3Key("s/")).isEmpty)
        #expect(listing.lines == ["GET /"])
        let beginning = answering(
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
        #expect(try client(beginning).createUpload(S3Key("s/f"), fields: []) == "u")
        #expect(beginning.lines == ["POST /s/f"])
        for request in listing.seen + beginning.seen { #expect(isSigned(request, for: S3VirtualHostTests.host)) }
    }

    /// CopyObject: the source is "the name of the source bucket and the key of the source object, separated by a
    /// slash", wherever the bucket of the target is named.
    @Test(arguments: ["examplebucket", "example.bucket"])
    func `the source of a copy has its bucket in the path`(bucket: String) throws {
        let source = S3ObjectID(key: S3Key("s/a b"), tag: "t")
        let copying = answering("<CopyObjectResult><ETag>\"t\"</ETag></CopyObjectResult>")
        try client(copying, bucket: bucket).copy(source, to: S3Key("s/c"))
        let part = answering("<CopyPartResult><ETag>\"t\"</ETag></CopyPartResult>")
        _ = try client(part, bucket: bucket).copyPart(1, of: "u", S3Key("s/c"), from: source, 0..<10)
        for request in copying.seen + part.seen {
            #expect(request.line == "PUT /s/c")
            #expect(request.fields["x-amz-copy-source"] == "/\(bucket)/s/a%20b")
            #expect(isSigned(request, for: "\(bucket).s3.amazonaws.com"))
        }
        #expect(copying.seen.count == 1 && part.seen.count == 1)
    }

    // MARK: - Hosts

    struct Place: Sendable {
        var endpoint: String
        var bucket = "b"
        /// What is signed and sent as `Host`.
        var host: String
        var url: String
    }

    static let places = [
        Place(endpoint: "https://s3.example", host: "b.s3.example", url: "https://b.s3.example/s/a%20b"),
        Place(endpoint: "https://S3.Example:443/", host: "b.s3.example", url: "https://b.s3.example/s/a%20b"),
        Place(endpoint: "http://s3.example:9000", host: "b.s3.example:9000", url: "http://b.s3.example:9000/s/a%20b"),
        Place(
            endpoint: "http://s3.example:443", host: "b.s3.example:443", url: "http://b.s3.example:443/s/a%20b"),
        // A gateway below a path of its own.
        Place(
            endpoint: "https://s3.example/gate/s3/", host: "b.s3.example",
            url: "https://b.s3.example/gate/s3/s/a%20b"),
        // More labels: for the service to serve and for its certificate to name.
        Place(
            endpoint: "https://s3.example", bucket: "my.own-bucket", host: "my.own-bucket.s3.example",
            url: "https://my.own-bucket.s3.example/s/a%20b"),
    ]

    @Test(arguments: places) func `the bucket is the first part of the host, the endpoint's path stays`(place: Place)
        throws
    {
        let transport = answering("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
        let client = try client(transport, endpoint: place.endpoint, bucket: place.bucket)
        let key = S3Key("s/a b")
        #expect(client.url(of: key) == place.url)
        try client.put(key, [])
        _ = try client.page(of: S3Key(""), delimited: true, after: nil)
        let basePath = try HTTPOrigin(place.endpoint).basePath
        #expect(transport.lines == ["PUT \(basePath)/s/a%20b", "GET \(basePath.isEmpty ? "/" : basePath)"])
        for request in transport.seen { #expect(isSigned(request, for: place.host)) }
    }

    @Test func `the host that is signed is the one that is sent`() throws {
        let server = try ScriptedServer { _ in answer("200 OK") }
        // libcurl takes every name below localhost for this machine.
        let endpoint = "http://localhost:\(server.port)"
        let transport = try CurlTransport(try HTTPOrigin(endpoint).withHostPrefix("examplebucket"))
        try client(transport, endpoint: endpoint).put(S3Key("s/a b"), [1])
        let request = try #require(server.received.first)
        #expect(request.line == "PUT /s/a%20b HTTP/1.1")
        #expect(request["Host"] == "examplebucket.localhost:\(server.port)")
        #expect(request["Authorization"]?.contains("SignedHeaders=content-type;host;") == true)
        #expect(request.body == [1])
    }

    @Test(arguments: [
        "", ".", ".b", "b.", "b..c", "b/c", "b/", "b:80/c", "u@b", "u@b/", "[::1]/", "b?c", "b#c", "b c", "ä",
    ])
    func `a bucket that is no part of a name has no host of its own`(bucket: String) throws {
        let endpoint = try HTTPOrigin("https://s3.example/base")
        #expect(throws: HTTPOriginError.self) { try endpoint.withHostPrefix(bucket) }
    }

    @Test(arguments: ["http://[::1]:9000", "https://[2001:db8::1]"])
    func `an IPv6 address has no hosts below it`(endpoint: String) throws {
        #expect(throws: HTTPOriginError.self) { try HTTPOrigin(endpoint).withHostPrefix("b") }
    }
}
