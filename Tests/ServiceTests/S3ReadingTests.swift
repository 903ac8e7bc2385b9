import FXSystem
import ServiceFixtures
import Synchronization
import Testing

@testable import FXRemote

/// Reading what is committed.
@Suite struct S3ReadingTests {
    private func stored(_ service: S3Service, _ path: String, _ bytes: [UInt8]) throws -> StoredFile {
        var upload = try newUpload(path, bytes)
        let file = try service.run(&upload, bytes)
        return StoredFile(path: upload.path, remoteID: file.remoteID, size: file.size)
    }

    @Test func `any range is exactly those bytes, short only at the end`() throws {
        let bench = try S3Bench()
        let service = try bench.service()
        let bytes = noise(300_000)
        let content = try service.open(try stored(service, "s/f", bytes))
        let size = UInt64(bytes.count)
        for range in [0..<1, 0..<size, 1..<2, size - 1..<size, 65_535..<65_537, 0..<size + 5, size - 3..<size + 100] {
            #expect(try content.bytes(range) == Array(bytes[Int(range.lowerBound)..<Int(min(range.upperBound, size))]))
        }
        #expect(try content.bytes(size..<size + 1).isEmpty)
        #expect(try content.bytes(size + 7..<size + 9).isEmpty)
        #expect(try service.open(try stored(service, "s/empty", [])).bytes(0..<10).isEmpty)
    }

    @Test func `a file that changed under a reader is stale and never mixed`() throws {
        let bench = try S3Bench()
        let service = try bench.service()
        let file = try stored(service, "s/f", noise(1000, seed: 1))
        let content = try service.open(file)
        #expect(try content.bytes(0..<10).count == 10)
        try bench.put("s/f", noise(1000, seed: 2))
        #expect(throws: RemoteError.changed) { try content.bytes(0..<10) }
        #expect(RemoteError.changed.errno == .staleNFSFileHandle)
        // Without a tag the present content is what is opened.
        let present = StoredFile(path: file.path, remoteID: "", size: .zero)
        #expect(try service.open(present).bytes(0..<1000) == noise(1000, seed: 2))
    }

    @Test func `a file that is gone is ENOENT`() throws {
        let bench = try S3Bench()
        let service = try bench.service(allowsDelete: true)
        let file = try stored(service, "s/f", [1])
        let content = try service.open(file)
        try service.delete(file)
        try service.delete(file)
        #expect(throws: RemoteError.noSuchEntry) { try content.bytes(0..<1) }
        #expect(throws: RemoteError.noSuchEntry) {
            try service.open(StoredFile(path: file.path, remoteID: "", size: .zero))
        }
    }

    @Test func `deleting has to be allowed, and takes only what it was asked to take`() throws {
        let bench = try S3Bench()
        let service = try bench.service(allowsDelete: true)
        let file = try stored(service, "s/f", [1])
        #expect(throws: RemoteError.notSupported) { try bench.service().delete(file) }
        try bench.put("s/f", [2])
        #expect(throws: RemoteError.changed) { try service.delete(file) }
        #expect(try bench.bytes("s/f") == [2])
    }

    @Test func `a fetch brings its range without a thread that waits`() throws {
        let bench = try S3Bench()
        let service = try bench.service()
        let bytes = noise(2 << 20)
        let content = try #require(try service.open(try stored(service, "s/f", bytes)) as? any FetchedContent)
        let collected = Collector()
        let outcome = Monitor<Result<Void, RemoteError>?>(nil)
        _ = content.fetch(1000..<2_000_000, into: collected) { result in outcome.withLock { $0 = result } }
        try #require(outcome.wait(until: .after(.seconds(20))) { $0 }).get()
        #expect(collected.bytes == Array(bytes[1000..<2_000_000]))
        // A sink that wants no more ends it.
        let full = Monitor<Result<Void, RemoteError>?>(nil)
        _ = content.fetch(0..<2_000_000, into: Collector(limit: 1)) { result in full.withLock { $0 = result } }
        let end = try #require(full.wait(until: .after(.seconds(20))) { $0 })
        #expect(throws: RemoteError.interrupted) { try end.get() }
    }

    @Test func `answers that are not the range are not taken`() throws {
        let bench = try S3Bench()
        func outcome(_ response: HTTPResponse) throws -> RemoteError? {
            let service = try bench.service(through: SinkTransport(response: response))
            let content = try service.open(
                StoredFile(path: try RelativePath("s/f"), remoteID: "t s/f", size: ByteCount(100)))
            do {
                _ = try content.bytes(0..<10)
                return nil
            } catch let error as RemoteError { return error }
        }
        let ten = [UInt8](repeating: 7, count: 10)
        func part(_ range: String, _ body: [UInt8]) -> HTTPResponse {
            HTTPResponse(status: 206, fields: ["Content-Range": range], body: body)
        }
        #expect(try outcome(part("bytes 0-9/100", ten)) == nil)
        #expect(try outcome(part("bytes 0-9/100", Array(ten.dropLast()))) == .unreachable)
        #expect(try outcome(part("bytes 0-9/100", ten + [1])) == .protocolViolation)
        #expect(try outcome(part("bytes 1-10/100", ten)) == .protocolViolation)
        #expect(try outcome(part("bytes 0-9/101", ten)) == .changed)
        #expect(try outcome(HTTPResponse(status: 206, body: ten)) == .protocolViolation)
        #expect(try outcome(HTTPResponse(status: 200, body: ten)) == .protocolViolation)
        #expect(try outcome(HTTPResponse(status: 412)) == .changed)
        #expect(try outcome(HTTPResponse(status: 416)) == .changed)
        #expect(try outcome(HTTPResponse(status: 404)) == .noSuchEntry)
        #expect(try outcome(HTTPResponse(status: 503)) == .unavailable(retryAfter: nil))
    }
}

/// Answers every request with one response, its body through the sink.
private struct SinkTransport: HTTPTransport {
    let response: HTTPResponse

    @discardableResult
    func start(
        _ request: HTTPRequest, _ completion: @escaping @Sendable (Result<HTTPResponse, HTTPFailure>) -> Void
    ) -> HTTPCall {
        guard response.isSuccess, let sink = request.sink else {
            completion(.success(response))
            return HTTPCall {}
        }
        let isTaken =
            sink.begin(status: response.status, fields: response.fields)
            && response.body.withUnsafeBytes { sink.receive($0) }
        completion(isTaken ? .success(HTTPResponse(status: response.status)) : .failure(.refusedBody))
        return HTTPCall {}
    }
}

private final class Collector: ByteSink {
    private let collected = Mutex<[UInt8]>([])
    private let limit: Int

    init(limit: Int = .max) { self.limit = limit }

    var bytes: [UInt8] { collected.withLock { $0 } }

    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        collected.withLock { collected in
            collected += bytes
            return collected.count <= limit
        }
    }
}
