import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// What a service says no to, and how that is told.
@Suite struct S3RefusalTests {
    private func outcome(_ service: S3Service, _ bytes: [UInt8] = [1]) throws -> RemoteError? {
        var upload = try newUpload("s/f", bytes)
        do {
            try service.run(&upload, bytes)
            return nil
        } catch let error as RemoteError { return error }
    }

    @Test func `a wrong key or secret is EACCES by any request, HEAD included`() throws {
        let bench = try S3Bench()
        for configuration in [try bench.configuration(secret: "x"), try bench.configuration(accessKey: "nobody")] {
            let service = try bench.service(configuration)
            #expect(try outcome(service) == .credentials)
            #expect(try outcome(service, noise(Int(S3Bench.part) + 1)) == .credentials)
            #expect(throws: RemoteError.credentials) { try service.list(.root) }
            #expect(throws: RemoteError.credentials) { try service.standing(of: try newUpload("s/f", [])) }
            #expect(throws: RemoteError.credentials) {
                try service.open(StoredFile(path: try RelativePath("s/f"), remoteID: "", size: .zero))
            }
            let findings = service.examine()
            #expect(findings.map(\.verdict) == [.fails])
            #expect(findings.map(\.subject) == ["credentials"])
            #expect(findings.map(\.error) == [.credentials])
        }
    }

    @Test func `a secret that was put right is used with the next request`() throws {
        let bench = try S3Bench()
        let secret = Monitor(Secret("wrong"))
        var configuration = try bench.configuration()
        configuration.secretAccessKey = { () throws(RemoteError) in secret.withLock { $0 } }
        let service = try bench.service(configuration)
        #expect(try outcome(service) == .credentials)
        secret.withLock { $0 = Secret(bench.weed.secretAccessKey) }
        #expect(try outcome(service) == nil)
    }

    @Test func `an account that may only read is told so, early`() throws {
        let bench = try S3Bench()
        try bench.put("s/there", [5])
        let service = try bench.service(try bench.configuration(accessKey: "reader", secret: "reader-secret"))
        #expect(throws: RemoteError.forbidden) { try service.makeDirectory(try RelativePath("s"), in: .root) }
        #expect(try outcome(service) == .forbidden)
        #expect(try service.list(.root).count == 1)
        let findings = service.examine()
        #expect(findings.map(\.verdict) == [.works, .works, .fails])
        #expect(findings.last?.subject == "bucket writable")
    }

    @Test func `a missing bucket is said and not made`() throws {
        let bench = try S3Bench()
        let name = "no-such-bucket-\(UInt32.random(in: 0...(.max)))"
        let service = try bench.service(try bench.configuration(bucket: name))
        for _ in 0..<2 {
            let error = #expect(throws: RemoteError.self) {
                try service.makeDirectory(try RelativePath("s"), in: .root)
            }
            #expect(error?.message.contains("there is no bucket \"\(name)\"") == true)
            #expect(error?.isTemporary == false)
        }
        #expect(service.examine().map(\.subject) == ["bucket"])
    }

    @Test func `a clock that is wrong is said with the difference`() throws {
        let bench = try S3Bench()
        let late = WallClock { Timestamp(seconds: WallClock.system.now().seconds - 7200) }
        let service = try bench.service(try bench.configuration(), clock: late)
        let error = #expect(throws: RemoteError.self) { try service.list(.root) }
        #expect(error?.message.contains("s behind the service's; set the clock") == true)
    }

    @Test func `a service that is not there is temporary`() throws {
        let bench = try S3Bench()
        let transport = try CurlTransport(try HTTPOrigin("http://127.0.0.1:9"))
        let error = try #require(try outcome(try bench.service(through: transport)))
        #expect(error == .unreachable)
        #expect(error.isTemporary)
    }

    @Test func `a healthy remote is found healthy, with its limits`() throws {
        let bench = try S3Bench()
        let service = try bench.service()
        var upload = try newUpload("s/f", noise(Int(S3Bench.part) + 1))
        upload.note = try service.begin(upload)
        let findings = service.examine()
        #expect(findings.allSatisfy { $0.verdict == .works }, "\(findings)")
        #expect(
            findings.map(\.subject) == [
                "credentials", "bucket", "bucket writable", "conditional writes", "multipart uploads", "limits",
            ])
        #expect(findings[4].sentence.contains("1 uploads are unfinished, 1 of them of this state directory"))
        try service.discard(upload)
    }

    @Test func `a service without conditional writes is found out, and names are looked up instead`() throws {
        let bench = try S3Bench()
        let transport = Unconditional(wrapped: try bench.transport())
        let service = try bench.service(through: transport)
        #expect(service.examine().first { $0.subject == "conditional writes" }?.verdict == .warning)
        for size in [10, Int(S3Bench.part) + 1] {
            let bytes = noise(size)
            var upload = try newUpload("s/f\(size)", bytes)
            let file = try service.run(&upload, bytes)
            var second = try newUpload("s/f\(size)", bytes)
            #expect(throws: RemoteError.nameTaken) { try service.run(&second, bytes) }
            second.replaces = StoredFile(path: upload.path, remoteID: file.remoteID, size: file.size)
            try service.run(&second, bytes, isKnown: true)
        }
        #expect(try bench.leftovers().isEmpty)
    }
}

/// A service that takes the header and ignores it.
private struct Unconditional: HTTPTransport {
    let wrapped: any HTTPTransport

    @discardableResult
    func start(
        _ request: HTTPRequest, _ completion: @escaping @Sendable (Result<HTTPResponse, HTTPFailure>) -> Void
    ) -> HTTPCall {
        // The fields are signed: an unconditional write of the same object in its place, so the answer is what counts.
        let isConditional =
            request.method != .get && (request.fields["If-None-Match"] ?? request.fields["If-Match"]) != nil
        return wrapped.start(request) { result in
            if isConditional, case .success(let response) = result, response.status == 412 {
                completion(.success(HTTPResponse(status: 200, fields: ["ETag": "\"x\""])))
            } else {
                completion(result)
            }
        }
    }
}
