internal import FXSystem
internal import HTTPTypes
internal import HummingbirdCore
internal import NIOCore

/// The HTTP side: takes a request apart, has the desk answer it, sends the answer, and sees to deadlines, logs and orderly
/// ends of connections. Decides nothing about files.
struct Front: Sendable {
    let desk: Desk
    let settings: ServeSettings

    /// A client that sends or takes less than this for long holds a connection others could use.
    private static let slowestBytesPerSecond: Int64 = 32 << 10
    /// Unread bodies up to this size are read to their end, so that the connection can go on.
    private static let drained: UInt64 = 64 << 10
    /// After an early answer the client is given this long to read it before the connection goes.
    private static let lingering = TimeAmount.seconds(3)

    func respond(to request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel) async throws {
        let began = ContinuousDeadline.now()
        let head = RequestHead(request)
        let body = IncomingBody(request.body, head)
        let deadline = channel.eventLoop.scheduleTask(in: timeAllowed(for: head)) { channel.close(promise: nil) }
        defer { deadline.cancel() }
        if head.expectsContinue, desk.mayContinue(head) {
            try await writer.writeInformationalHead(HTTPResponse(status: .continue))
        }
        let outcome = await desk.answer(head, body)
        // The rest of a small body is passed over by the server; a large one is not waited for.
        let endsHere = head.hasBody && !body.wasRead && (head.contentLength ?? .max) > Front.drained || desk.isStopping
        do {
            try await send(outcome, head, writer, channel, endsHere: endsHere)
            desk.log(outcome, head, received: body.received, took: began.elapsed, isWhole: true)
        } catch {
            desk.log(outcome, head, received: body.received, took: began.elapsed, isWhole: false)
            throw error
        }
        if endsHere {
            try await channel.close(mode: .output)
            channel.eventLoop.scheduleTask(in: Front.lingering) { channel.close(promise: nil) }
        }
    }

    /// For the whole exchange; prompts have their own time on top.
    private func timeAllowed(for head: RequestHead) -> TimeAmount {
        let bytes = Int64(clamping: min(head.contentLength ?? 0, settings.payloadLimit.rawValue * 2))
        let payload = Int64(clamping: settings.payloadLimit.rawValue)
        return settings.idleTimeout.timeAmount * 2 + settings.promptTimeout.timeAmount + Desk.longestPrompt.timeAmount
            + .seconds((bytes + payload) / Front.slowestBytesPerSecond)
    }

    private func send(
        _ outcome: Outcome, _ head: RequestHead, _ writer: consuming ResponseWriter, _ channel: any Channel,
        endsHere: Bool
    ) async throws {
        let reply = outcome.reply
        var fields = HTTPFields()
        func add(_ name: String, _ value: String) {
            if let name = HTTPField.Name(name) { fields.append(HTTPField(name: name, value: value)) }
        }
        if reply.status != 204 { add("Content-Type", reply.contentType) }
        add("Content-Length", String(reply.length))
        add("Cache-Control", "no-store")
        add("X-Content-Type-Options", "nosniff")
        add("Cross-Origin-Resource-Policy", outcome.allowedOrigin == nil ? "same-origin" : "cross-origin")
        add("Vary", "Origin")
        if let origin = outcome.allowedOrigin {
            add("Access-Control-Allow-Origin", origin.text)
            // Published clients send `withCredentials`; there are no cookies here.
            add("Access-Control-Allow-Credentials", "true")
            add("Access-Control-Expose-Headers", "Content-Length, Retry-After")
        }
        for field in reply.fields { add(field.name, field.value) }
        if endsHere { add("Connection", "close") }
        let response = HTTPResponse(status: HTTPResponse.Status(code: reply.status), headerFields: fields)
        switch reply.body {
        case .bytes(let bytes):
            if head.method == "HEAD" { return try await writer.writeResponse(response) }
            try await writer.write(response: response, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
        case .file(let file):
            try await FileSending(
                file: file, pool: desk.pool, share: desk.filesGoingOut, idle: settings.idleTimeout.timeAmount
            ).send(response, writer, channel)
        }
    }
}

/// A request body that is read at most once, and remembers how far.
final class IncomingBody: @unchecked Sendable {
    // `@unchecked Sendable`: one task reads it; `Front` looks at the marks after that task has answered.
    private let source: RequestBody
    private(set) var received: UInt64 = 0
    private(set) var wasRead = false

    init(_ source: RequestBody, _ head: RequestHead) {
        self.source = source
        wasRead = !head.hasBody
    }

    /// Hands over each piece in turn; the next is asked of the network when the last was taken.
    func forEach(_ take: (ByteBuffer) async throws -> Void) async throws {
        for try await piece in source {
            received += UInt64(piece.readableBytes)
            try await take(piece)
        }
        wasRead = true
    }

    /// The whole body in memory.
    /// - Throws: `payloadTooLarge` for one longer than `limit`.
    func bytes(upTo limit: Int) async throws -> [UInt8] {
        var all: [UInt8] = []
        try await forEach { piece in
            if all.count + piece.readableBytes > limit {
                throw Refusal(.payloadTooLarge, "the body is longer than \(limit) bytes")
            }
            all.append(contentsOf: piece.readableBytesView)
        }
        return all
    }
}
