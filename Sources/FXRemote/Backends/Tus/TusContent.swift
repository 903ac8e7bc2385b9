internal import FXSystem
internal import Synchronization

/// The bytes of one file, from a service that serves what was uploaded: the protocol does not ask that of it.
///
/// Whole files in the place of ranges are taken too, and what was not asked for is thrown away.
struct TusContent: FetchedContent {
    let client: TusClient
    let target: String
    let size: ByteCount
    /// Of the content that was found; empty when the service names none.
    var validators = TusValidators()

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
        let body = TusRangeSink(range, size: size.rawValue, validators: validators, sink)
        do throws(RemoteError) {
            let call = try client.fetch(range, of: target, into: body) { completion(outcome($0, body)) }
            return Fetch { call.cancel() }
        } catch {
            completion(.failure(error))
            return Fetch {}
        }
    }

    private func outcome(_ result: Result<HTTPResponse, RemoteError>, _ body: TusRangeSink) -> Result<Void, RemoteError>
    {
        // Also when the rest of the answer was refused.
        if body.isWhole { return .success(()) }
        if let refusal = body.refusal { return .failure(refusal) }
        switch result {
        case .failure(let error): return .failure(error)
        case .success(let response):
            switch response.status {
            case 200..<300: return .failure(.unreachable)
            case 416: return .failure(.changed)
            case 403, 404, 405, 501: return .failure(.notServed)
            default: return .failure(client.refusal(response))
            }
        }
    }
}

/// What tells one content of a name from another (RFC 9110 section 8.8): compared here, since not every service does.
struct TusValidators: Sendable, Equatable {
    private var entityTag: String?
    private var modified: String?

    init() {}

    init(_ fields: HTTPFields) {
        entityTag = fields["ETag"]
        modified = fields["Last-Modified"]
    }

    /// True unless the fields are another content's.
    func fit(_ fields: HTTPFields) -> Bool {
        let other = TusValidators(fields)
        if let entityTag, let tag = other.entityTag, tag != entityTag { return false }
        if let modified, let time = other.modified, time != modified { return false }
        return true
    }
}

/// Takes exactly the range that was asked for out of an answer.
private final class TusRangeSink: HTTPSink {
    private struct Progress {
        /// Where in the file the next byte of the answer is.
        var position: UInt64 = 0
        var refusal: RemoteError?
    }

    private let range: Range<UInt64>
    private let size: UInt64
    private let validators: TusValidators
    private let sink: any ByteSink
    private let progress = Mutex(Progress())

    init(_ range: Range<UInt64>, size: UInt64, validators: TusValidators, _ sink: any ByteSink) {
        self.range = range
        self.size = size
        self.validators = validators
        self.sink = sink
    }

    var isWhole: Bool { progress.withLock { $0.refusal == nil && $0.position >= range.upperBound } }
    /// Why the answer was not taken.
    var refusal: RemoteError? { progress.withLock { $0.refusal } }

    func begin(status: Int, fields: HTTPFields) -> Bool {
        let start: Result<UInt64, RemoteError> = judge(status, fields)
        return progress.withLock { progress in
            switch start {
            case .success(let position): progress = Progress(position: position)
            case .failure(let error): progress = Progress(refusal: error)
            }
            return progress.refusal == nil
        }
    }

    /// Where the answer begins.
    private func judge(_ status: Int, _ fields: HTTPFields) -> Result<UInt64, RemoteError> {
        if !validators.fit(fields) { return .failure(.changed) }
        if status == 200 {
            if let length = fields["Content-Length"], length != String(size) { return .failure(.changed) }
            return .success(0)
        }
        guard status == 206, let told = ContentRange(fields["Content-Range"]), told.range == range else {
            return .failure(.protocolViolation)
        }
        return told.total == nil || told.total == size ? .success(range.lowerBound) : .failure(.changed)
    }

    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let wanted: Range<Int>? = progress.withLock { progress in
            let start = progress.position
            progress.position += UInt64(bytes.count)
            let lower = max(start, range.lowerBound)
            let upper = min(progress.position, range.upperBound)
            if lower >= upper { return nil }
            return Int(lower - start)..<Int(upper - start)
        }
        if let wanted, unsafe !sink.receive(UnsafeRawBufferPointer(rebasing: bytes[wanted])) {
            progress.withLock { $0.refusal = .interrupted }
            return false
        }
        // What comes after it is not needed.
        return progress.withLock { $0.position <= range.upperBound }
    }
}
