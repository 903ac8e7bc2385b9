internal import FXSystem
internal import Synchronization
internal import SystemPackage

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

/// The bytes of one file, brought in one piece.
final class MFTContent: FetchedContent {
    private let service: MFTService
    private let file: String
    private let size: UInt64
    private let staging = Monitor(Staging.none)

    /// What `read` has brought: the whole file, made by the first and used by all.
    private enum Staging: Sendable {
        case none, underWay
        case there(StagedFile)
    }

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
        if unsafe offset >= size || buffer.isEmpty { return 0 }
        return try unsafe staged().read(into: buffer, at: offset)
    }

    /// The whole file on this machine, brought by the first who needs it.
    private func staged() throws(RemoteError) -> StagedFile {
        let known = staging.wait { state -> StagedFile?? in
            switch state {
            case .there(let file): return .some(file)
            case .underWay: return nil
            case .none:
                state = .underWay
                return .some(nil)
            }
        }
        if case .some(.some(let file)) = known { return file }
        do throws(RemoteError) {
            let file = try StagedFile(in: service.configuration.stagingDirectory)
            let passing = PassingSink(0..<size, of: size, to: file)
            let answer: Result<MFTAnswer, RemoteError>
            do throws(RemoteError) {
                answer = .success(try service.client.ask(service.download(self.file, into: passing)))
            } catch { answer = .failure(error) }
            if let error = file.failure { throw error }
            try passing.judge(answer).get()
            staging.withLock { $0 = .there(file) }
            return file
        } catch {
            staging.withLock { $0 = .none }
            throw error
        }
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

/// A whole content in a file without a name, which goes with its last reader.
private final class StagedFile: ByteSink {
    private let descriptor: OwnedDescriptor
    private let state = Mutex<(position: UInt64, failure: RemoteError?)>((0, nil))

    init(in directory: String) throws(RemoteError) {
        do throws(Errno) {
            descriptor = try OwnedDescriptor.open(absolute: directory, [.readWrite, .temporary], mode: 0o600)
        } catch { throw .local(error, during: .store) }
    }

    /// Why the disk did not take it.
    var failure: RemoteError? { state.withLock { $0.failure } }

    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let position = state.withLock { $0.position }
        do throws(Errno) { try unsafe descriptor.write(bytes, at: position) } catch {
            state.withLock { $0.failure = .local(error, during: .store) }
            return false
        }
        state.withLock { $0.position += UInt64(bytes.count) }
        return true
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        do throws(Errno) { return try unsafe descriptor.read(into: buffer, at: offset) } catch {
            throw .local(error, during: .store)
        }
    }
}
