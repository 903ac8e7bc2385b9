internal import FXSystem
internal import Synchronization

/// Reading committed files: whole, from their first byte, since no page says that parts can be asked for.
extension MFTService {
    public func open(_ file: StoredFile) throws(RemoteError) -> any CommittedContent {
        guard let id = MFTPlace(file.remoteID)?.file else { throw .noSuchEntry }
        let processing = try processing(of: file)
        if let error = processing.readError { throw error }
        if let size = processing.size, size != file.size, !processing.isChanged { throw .changed }
        return MFTContent(self, file: id, size: (processing.isChanged ? processing.size : nil) ?? file.size)
    }

    /// Without a mail to whoever sent the file.
    func download(_ file: String, into sink: (any HTTPSink)?) -> HTTPRequest {
        var request = client.request(
            .get, "/file/" + file, [("skip_notify", "1")], deadlines: HTTPDeadlines(idle: .seconds(75)))
        request.sink = sink
        return request
    }

    /// What a download would bring; it is ended as soon as its head is there.
    func lengthOfDownload(_ file: String) throws(RemoteError) -> ByteCount? {
        let sink = LengthSink()
        do throws(RemoteError) { _ = try client.ask(download(file, into: sink)) } catch {
            if error != .protocolViolation { throw error }
        }
        return sink.length.withLock { $0 }
    }
}

/// Refuses every body and keeps its length.
private final class LengthSink: HTTPSink {
    let length = Mutex<ByteCount?>(nil)

    func begin(status: Int, fields: HTTPFields) -> Bool {
        let told = fields["Content-Length"].flatMap { UInt64($0) }
        length.withLock { $0 = told.map { ByteCount($0) } }
        return false
    }

    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool { false }
}

/// The bytes of one file. A range is what is left of a whole download, so whoever reads more than one asks for all of it.
final class MFTContent: FetchedContent {
    private let service: MFTService
    private let file: String
    private let size: UInt64

    init(_ service: MFTService, file: String, size: ByteCount) {
        self.service = service
        self.file = file
        self.size = size.rawValue
    }

    var knownSize: ByteCount? { ByteCount(size) }

    func fetch(
        _ range: Range<UInt64>, into sink: any ByteSink,
        _ completion: @escaping @Sendable (Result<Void, RemoteError>) -> Void
    ) -> Fetch {
        let now = service.client.clock.now()
        let passing = PassingSink(range, of: size, to: sink)
        let call = service.client.start(service.download(file, into: passing)) { result in
            let result = result.map { MFTAnswer(response: $0, now: now) }
            completion(passing.judge(result.mapError(\.remoteError)))
        }
        // The token was there a moment ago, when the file was opened: asking again helps.
        if call == nil { completion(.failure(.unavailable(retryAfter: nil))) }
        return Fetch { call?.cancel() }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        try unsafe read(into: buffer, at: offset, byFetchingOf: size)
    }
}

/// Takes a whole body and passes a range of it on.
private final class PassingSink: HTTPSink {
    private struct State {
        var position: UInt64 = 0
        var isRefused = false
    }

    private let range: Range<UInt64>
    private let size: UInt64
    private let sink: any ByteSink
    private let state = Mutex(State())

    init(_ range: Range<UInt64>, of size: UInt64, to sink: any ByteSink) {
        self.range = range
        self.size = size
        self.sink = sink
    }

    func begin(status: Int, fields: HTTPFields) -> Bool {
        // Another length is another content.
        let told = fields["Content-Length"].flatMap { UInt64($0) }
        return status == 200 && told.map { $0 == size } ?? true
    }

    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let start = state.withLock { state in
            defer { state.position += UInt64(bytes.count) }
            return state.position
        }
        let part = range.clamped(to: start..<start + UInt64(bytes.count))
        if !part.isEmpty {
            let isTaken = unsafe sink.receive(
                UnsafeRawBufferPointer(
                    rebasing: bytes[Int(part.lowerBound - start)..<Int(part.upperBound - start)]))
            if !isTaken {
                state.withLock { $0.isRefused = true }
                return false
            }
        }
        // What comes behind the range concerns nobody.
        return start + UInt64(bytes.count) < range.upperBound || range.upperBound == size
    }

    func judge(_ result: Result<MFTAnswer, RemoteError>) -> Result<Void, RemoteError> {
        let (position, isRefused) = state.withLock { ($0.position, $0.isRefused) }
        if isRefused { return .failure(.interrupted) }
        switch result {
        case .success(let answer) where !answer.isSuccess:
            // Tokens end: whoever asks again gets another.
            return .failure(answer.status == 401 ? .unavailable(retryAfter: nil) : answer.error)
        case .failure(let error) where position < range.upperBound:
            return .failure(error == .protocolViolation ? .changed : error)
        default: break
        }
        let isWhole = range.upperBound == size ? position == size : position >= range.upperBound
        return isWhole ? .success(()) : .failure(.changed)
    }
}
