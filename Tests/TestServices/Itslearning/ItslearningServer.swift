import FXSystem
import Glibc
import HTTPTypes
import HummingbirdCore
import NIOCore
import Synchronization

/// The Organisation API of itslearning as far as a file needs it: `FileStreamService.svc` and `DataService.svc`, as
/// `protocols/itslearning-filestream.md` section 10 wants them, with a control plane under `/_control/`.
public final class ItslearningServer: Sendable {
    let state = Mutex(ItslearningState())
    private let front: Front

    /// - Parameter certificateDirectory: an existing directory in which to make a certificate; nil for plain HTTP.
    public init(certificateDirectory: String?) throws {
        front = Front(certificate: try certificateDirectory.map { try Certificate(in: $0) })
    }

    /// What a client trusts, with TLS.
    public var certificatePath: String? { front.certificate?.path }

    /// Serves until the task is cancelled. Port 0 takes a free one.
    public func run(port: Int, ready: @escaping @Sendable (Int) -> Void) async throws {
        try await front.serve(port: port) { request, writer, channel in
            try await self.respond(to: request, writer, channel)
        } ready: {
            ready($0)
        }
    }

    private func respond(
        to request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel
    ) async throws {
        var call = Call(
            method: request.method.rawValue, target: request.head.path ?? "/",
            fields: request.headers.map { ($0.name.rawName, $0.value) })
        call.isChunked = call.field("Transfer-Encoding") != nil
        let isControl = call.path.hasPrefix("/_control/")
        let operation = isControl ? "" : state.withLock { $0.operation(of: call) }
        let trouble = isControl ? nil : state.withLock { $0.takeTrouble(operation) }
        let intake = Intake(server: self, call: call, operation: operation, trouble: trouble)
        if let early = intake.beforeBody() { return try await end(early, intake, writer, channel) }
        if call.field("Expect")?.lowercased() == "100-continue" {
            try await writer.writeInformationalHead(HTTPResponse(status: .continue))
        }
        let pace = state.withLock { isControl ? 0 : $0.settings.readBytesPerSecond }
        do {
            for try await piece in request.body {
                let cut = try piece.withUnsafeReadableBytes { try intake.take($0) }
                if cut { return try await reset(channel) }
                if pace > 0 { try await Task.sleep(for: .milliseconds(piece.readableBytes * 1000 / pace)) }
            }
        } catch let refused as IncomingStream.Refused {
            return try await end(refused.answer, intake, writer, channel)
        }
        if let trouble {
            try await Task.sleep(for: .milliseconds(trouble.delayMilliseconds))
            let isTold = trouble.answer == nil && !trouble.stalls && !trouble.resets
            let answer = isTold || trouble.isPerformed ? intake.afterBody() : Answer(500)
            if !isTold {
                if trouble.stalls { try await channel.closeFuture.get() }
                intake.record(trouble.answer?.status ?? 0)
                if trouble.stalls || trouble.resets { return try await reset(channel) }
                return try await send(trouble.answer ?? answer, writer)
            }
            intake.record(answer.status)
            return try await send(answer, writer)
        }
        let answer = intake.afterBody()
        intake.record(answer.status)
        try await send(answer, writer)
    }

    /// An answer before the end of the request: what still comes is read for a while, then the connection goes.
    private func end(
        _ early: Answer, _ intake: Intake, _ writer: consuming ResponseWriter, _ channel: any Channel
    ) async throws {
        var answer = early
        answer.closes = true
        intake.record(answer.status)
        try await send(answer, writer)
        if answer.status == 413, state.withLock({ $0.settings.resetsAfterLimit }) { return try await reset(channel) }
        try await channel.close(mode: .output)
        channel.eventLoop.scheduleTask(in: ItslearningServer.lingering) { channel.close(promise: nil) }
    }

    private static let lingering = TimeAmount.seconds(5)

    private func reset(_ channel: any Channel) async throws {
        if let options = channel as? any SocketOptionProvider {
            try? await options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        }
        try? await channel.close()
        throw ConnectionEnded()
    }

    private func send(_ answer: Answer, _ writer: consuming ResponseWriter) async throws {
        var fields = HTTPFields()
        func add(_ name: String, _ value: String) {
            if let name = HTTPField.Name(name) { fields.append(HTTPField(name: name, value: value)) }
        }
        add("Server", "Microsoft-IIS/8.5")
        add("Date", Moment.httpDate(state.withLock { $0.now }))
        if let length = answer.length { add("Content-Length", String(length)) }
        if answer.closes { add("Connection", "close") }
        for (name, value) in answer.fields { add(name, value) }
        let head = HTTPResponse(
            status: HTTPResponse.Status(code: answer.status, reasonPhrase: answer.reason), headerFields: fields)
        switch answer.body {
        case .bytes(let bytes):
            try await writer.write(response: head, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
        case .chunkedNothing, .pieces: try await writer.writeResponse(head)
        case .stored(let stored, let range):
            var body = try await writer.writeHead(head)
            var position = range.lowerBound
            while position < range.upperBound {
                let next = min(position + ItslearningServer.pieceSize, range.upperBound)
                try await body.write(ByteBuffer(bytes: stored.bytes(in: position..<next)))
                position = next
            }
            try await body.finish(nil)
        }
    }

    /// In bytes: large enough that a piece costs more than its handling.
    private static let pieceSize = 512 << 10
}
