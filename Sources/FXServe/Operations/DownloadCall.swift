internal import FXMapping
internal import FXSystem
internal import NIOCore

/// `download`: a form becomes a local file. The bytes go to a file without a name as they come; when all parts were read it
/// gets its name, or nothing of it remains.
struct DownloadCall: Sendable {
    let desk: Desk
    let exchange: FileExchange

    /// Collected before a thread is asked to write them: few hops, and two of these in memory at most.
    private static let piece = 128 << 10

    func perform(_ head: RequestHead, _ body: IncomingBody) async throws -> Reply {
        if let length = head.contentLength, length > desk.longestBody {
            throw Refusal(.payloadTooLarge, "the file is larger than \(desk.settings.payloadLimit.rawValue) bytes")
        }
        var form = try DownloadForm(
            contentType: head.credentials.contentType ?? "", limit: desk.settings.payloadLimit)
        var arrival = Arrival(desk: desk, exchange: exchange)
        var pending = ByteBuffer()
        try await body.forEach { piece in
            try unsafe piece.withUnsafeReadableBytes { bytes in
                try unsafe form.consume(bytes) { content, _ in _ = unsafe pending.writeBytes(content) }
            }
            if pending.readableBytes >= DownloadCall.piece {
                try await arrival.write(pending, form)
                pending = ByteBuffer()
            }
        }
        let (texts, _) = try form.finished()
        let fields = try Fields(texts)
        try fields.check(.download)
        let file = try fields.file(in: try fields.type())
        let missing: FileExchange.MissingType = try fields.flag(.implicitCreationType) ?? false ? .created : .refused
        let completion: FileExchange.Completion = try fields.flag(.notifyOnCompletion) ?? false ? .told : .silent
        let content = try await arrival.finish(pending, form)
        let exchange = exchange
        let room = missing == .created ? desk.waitingRoom : desk.pool
        return try await room.run {
            .success(.string(try exchange.download(content, to: file, missing, completion).path))
        }
    }
}

/// The bytes of a file on their way to the disk: one piece is written while the next arrives.
private struct Arrival {
    let desk: Desk
    let exchange: FileExchange
    private var content: Download?
    private var writing: Task<Void, any Error>?

    init(desk: Desk, exchange: FileExchange) {
        self.desk = desk
        self.exchange = exchange
    }

    /// Waits for the piece before, and leaves this one under way.
    mutating func write(_ piece: ByteBuffer, _ form: DownloadForm) async throws {
        try await writing?.value
        let (content, pool) = (try await begun(form), desk.pool)
        writing = Task {
            try await pool.run {
                try unsafe piece.withUnsafeReadableBytes { bytes in try unsafe content.write(bytes) }
            }
        }
    }

    mutating func finish(_ piece: ByteBuffer, _ form: DownloadForm) async throws -> Download {
        if piece.readableBytes > 0 { try await write(piece, form) }
        try await writing?.value
        return try await begun(form)
    }

    /// The file is begun near the type it goes to when the type came before the bytes.
    private mutating func begun(_ form: DownloadForm) async throws -> Download {
        if let content { return content }
        let near = try Arrival.type(in: form)
        let (exchange, limit) = (exchange, desk.settings.payloadLimit)
        let begun = try await desk.pool.run { try exchange.beginDownload(near: near, limit: limit) }
        content = begun
        return begun
    }

    /// nil when it has not come yet.
    /// - Throws: `parameter` for one that can be no type, before a byte is written.
    private static func type(in form: DownloadForm) throws -> TypeAddress? {
        guard let entity = form.texts["entity"]?.first, let type = form.texts["type"]?.first else { return nil }
        return try TypeAddress(entity: entity, type: type)
    }
}
