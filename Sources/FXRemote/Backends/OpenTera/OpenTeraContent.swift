internal import FXSystem
internal import Synchronization

/// The bytes of one asset, asked for in single ranges that never reach past its end.
///
/// With tokens at hand a range comes without a thread. When one of them has died, or the service stumbles, a thread of
/// its own asks again and may wait for a login.
final class OpenTeraContent: FetchedContent {
    private let service: OpenTeraService
    private let uuid: String
    private let session: Int64?
    private let size: UInt64
    /// Of the first answer; every later one has to agree.
    private let entityTag = Mutex<String?>(nil)

    init(service: OpenTeraService, uuid: String, session: Int64?, size: ByteCount) {
        self.service = service
        self.uuid = uuid
        self.session = session
        self.size = size.rawValue
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        if unsafe offset >= size || buffer.isEmpty { return 0 }
        let range = offset..<min(size, offset.addingReportingOverflow(UInt64(buffer.count)).partialValue)
        let bytes = try bytes(range)
        unsafe buffer.copyBytes(from: bytes)
        return bytes.count
    }

    func fetch(
        _ range: Range<UInt64>, into sink: any ByteSink,
        _ completion: @escaping @Sendable (Result<Void, RemoteError>) -> Void
    ) -> Fetch {
        if range.isEmpty {
            completion(.success(()))
            return Fetch {}
        }
        let run = OpenTeraFetch(self, range, sink, completion)
        run.start()
        return Fetch { run.cancel() }
    }

    // MARK: - Waiting

    /// Asks until there is an answer that can be believed.
    func bytes(_ range: Range<UInt64>) throws(RemoteError) -> [UInt8] {
        var answer = try ask(range)
        if answer.status == 500 {
            // Either a moment of weakness, or bytes the service has lost; the record tells whether it was deleted.
            let record = try service.record(of: uuid, in: session, ("with_only_token", "1"))
            if record == nil { throw .noSuchEntry }
            answer = try ask(range)
            if answer.status == 500 { throw .rejected(status: 500, saying: answer.saying) }
        }
        if !answer.response.isSuccess { throw answer.error }
        if let refusal = refusal(answer.status, answer.response.fields, range) { throw refusal }
        if answer.response.body.count != range.count { throw .protocolViolation }
        return answer.response.body
    }

    private func ask(_ range: Range<UInt64>) throws(RemoteError) -> OpenTeraAnswer {
        try service.askFile(uuid, in: session) { token throws(RemoteError) in
            request(range, of: try service.client.fileService(), token)
        }
    }

    private func request(_ range: Range<UInt64>, of service: OpenTeraFileService, _ token: Secret) -> HTTPRequest {
        let query = [("asset_uuid", uuid), ("access_token", token.reveal())]
        var request = self.service.client.request(to: service, .get, "/api/assets", query)
        request.fields.set("Range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)")
        request.collects = range.count
        // A line of 16 KiB/s is still worth waiting for.
        let patience = Duration.seconds(75 + Int64(clamping: range.count / (16 << 10)))
        request.deadlines = HTTPDeadlines(idle: .seconds(75), total: patience)
        return request
    }

    // MARK: - Without waiting

    /// nil, with nothing sent, when a token is missing.
    func start(
        _ range: Range<UInt64>, into sink: any HTTPSink,
        _ completion: @escaping @Sendable (Result<HTTPResponse, HTTPFailure>) -> Void
    ) -> HTTPCall? {
        let now = service.client.clock.now()
        guard let found = service.client.knownFileService,
            let token = service.access.withLock({ $0.token(of: uuid, now: now) })
        else { return nil }
        var request = request(range, of: found, token)
        request.sink = sink
        return service.client.startFile(request, completion)
    }

    // MARK: - Judging

    /// Why a successful answer is not the range that was asked for; nil when it is.
    func refusal(_ status: Int, _ fields: HTTPFields, _ range: Range<UInt64>) -> RemoteError? {
        // The whole file in the place of a range would be right for an empty one only, which is never asked for.
        guard status == 206, let told = ContentRange(fields["Content-Range"]) else { return .protocolViolation }
        if let total = told.total, total != size {
            // The size in the listing is what an uploader said, when that said any; this one is counted.
            service.access.withLock { $0.keep(size: ByteCount(total), of: uuid) }
            return .changed
        }
        if told.range != range { return .protocolViolation }
        let tag = fields["ETag"]
        let isSame = entityTag.withLock { known in
            if known == nil { known = tag }
            return known == tag
        }
        return isSame ? nil : .changed
    }
}
