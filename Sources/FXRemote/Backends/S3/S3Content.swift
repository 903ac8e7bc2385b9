internal import FXSystem
internal import Synchronization

/// The bytes of one object, pinned to the entity tag it had when it was found: ranged requests that fail with `.changed`
/// once another content has the name.
struct S3Content: FetchedContent {
    let client: S3Client
    let id: S3ObjectID
    let size: ByteCount

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        try unsafe read(into: buffer, at: offset, byFetchingOf: size.rawValue)
    }

    func fetch(
        _ range: Range<UInt64>, into sink: any ByteSink,
        _ completion: @escaping @Sendable (Result<Void, RemoteError>) -> Void
    ) -> Fetch {
        if range.isEmpty {
            completion(.success(()))
            return Fetch {}
        }
        let body = S3RangeSink(range, size: size.rawValue, sink)
        var request = S3Request(.get, id.key)
        request.fields = [("Range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)")]
        if let tag = id.tag { request.fields.append(S3Condition.holds(tag).field) }
        request.patience = .content
        request.sink = body
        do throws(S3Failure) {
            let call = try client.start(request) { result in completion(outcome(result, body)) }
            return Fetch { call.cancel() }
        } catch {
            completion(.failure(client.remoteError(error)))
            return Fetch {}
        }
    }

    private func outcome(_ result: Result<HTTPResponse, S3Failure>, _ body: S3RangeSink) -> Result<Void, RemoteError> {
        switch result {
        case .success: return body.isWhole ? .success(()) : .failure(.unreachable)
        case .failure(let failure):
            // 412 by our own condition; 416 when the object is shorter than it was.
            if failure.refusal?.status == 416 { return .failure(.changed) }
            return .failure(body.refusal ?? client.remoteError(failure))
        }
    }
}

/// Sees to it that an answer is exactly the range that was asked for.
private final class S3RangeSink: HTTPSink {
    private struct Progress {
        var received: UInt64 = 0
        var refusal: RemoteError?
    }

    private let range: Range<UInt64>
    private let size: UInt64
    private let sink: any ByteSink
    private let progress = Mutex(Progress())

    init(_ range: Range<UInt64>, size: UInt64, _ sink: any ByteSink) {
        self.range = range
        self.size = size
        self.sink = sink
    }

    var isWhole: Bool { progress.withLock { $0.received == range.upperBound - range.lowerBound } }
    /// Why the answer was not taken.
    var refusal: RemoteError? { progress.withLock { $0.refusal } }

    func begin(status: Int, fields: HTTPFields) -> Bool {
        let refusal = judge(status, fields["Content-Range"])
        progress.withLock { $0 = Progress(refusal: refusal) }
        return refusal == nil
    }

    /// RFC 9110 section 14.4: `bytes 0-99/200`.
    private func judge(_ status: Int, _ field: String?) -> RemoteError? {
        // The whole object instead of a range is the same when the range is the whole object.
        if status == 200, field == nil, range == 0..<size { return nil }
        guard status == 206, let words = field?.split(separator: " "), words.count == 2, words[0] == "bytes" else {
            return .protocolViolation
        }
        let numbers = words[1].split { $0 == "-" || $0 == "/" }.map { UInt64($0) }
        guard numbers.count == 3, numbers[0] == range.lowerBound, numbers[1] == range.upperBound - 1 else {
            return .protocolViolation
        }
        return numbers[2] == size ? nil : .changed
    }

    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let fits = progress.withLock { progress in
            progress.received += UInt64(bytes.count)
            if progress.received > range.upperBound - range.lowerBound { progress.refusal = .protocolViolation }
            return progress.refusal == nil
        }
        if !fits { return false }
        if unsafe sink.receive(bytes) { return true }
        progress.withLock { $0.refusal = .interrupted }
        return false
    }
}
