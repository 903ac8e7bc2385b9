import FXSystem
import Glibc
import HTTPTypes
import HummingbirdCore
import NIOCore
import Synchronization

/// An OpenTera pair (MAIN and file service) behind one origin, as `protocols/opentera.md` section 8 wants it, with a
/// control plane under `/_control/`.
public final class OpenTeraServer: Sendable {
    let state = Mutex(OpenTeraState())
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
        } ready: { port in
            self.state.withLock { $0.settings.serverName = "127.0.0.1:\(port)" }
            ready(port)
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
        let heading = call
        let limit = isControl ? .max : state.withLock { $0.bodyLimit(heading) }
        if let length = call.field("Content-Length").flatMap({ Int($0) }), length > limit {
            return try await refuse(call, writer, channel)
        }
        if call.field("Expect")?.lowercased() == "100-continue" {
            try await writer.writeInformationalHead(HTTPResponse(status: .continue))
        }
        var isUnderWay = !isControl && state.withLock { $0.beginUpload(heading) }
        defer { if isUnderWay { state.withLock { $0.endUpload() } } }
        let collector = StoredBytesWriter()
        for try await piece in request.body {
            try piece.withUnsafeReadableBytes { try collector.append($0) }
            if collector.count > limit { return try await refuse(call, writer, channel) }
        }
        call.body = collector.finish()
        if isControl {
            return try await send(control(call, channel), to: call, writer)
        }
        let answer = try await answer(call, channel)
        let done = call
        // Before the answer goes out: who has it may send the next one at once.
        let ends = isUnderWay
        isUnderWay = false
        state.withLock { state in
            if ends { state.endUpload() }
            state.record(done, status: answer?.status ?? 0)
        }
        guard let answer else {
            try await reset(channel)
            throw ConnectionEnded()
        }
        try await send(answer, to: call, writer)
    }

    /// The answer with everything that goes wrong on purpose; nil ends the connection without one.
    private func answer(_ call: Call, _ channel: any Channel) async throws -> Answer? {
        let plan = state.withLock { $0.plan(call) }
        if let wait = plan.wait { try await Task.sleep(for: wait) }
        if let answer = plan.answer { return answer }
        guard let fault = plan.fault else { return state.withLock { $0.perform(call) } }
        try await Task.sleep(for: .milliseconds(fault.delayMilliseconds))
        if fault.isHarmless { return state.withLock { $0.perform(call) } }
        if fault.isPerformed { _ = state.withLock { $0.perform(call) } }
        if fault.lateMilliseconds > 0 {
            Task {
                try await Task.sleep(for: .milliseconds(fault.lateMilliseconds))
                _ = self.state.withLock { $0.perform(call) }
            }
        }
        if fault.stalls { try await channel.closeFuture.get() }
        if fault.resets || fault.stalls { return nil }
        return .nginx(fault.status ?? 500)
    }

    /// 413 before the body is read, and an orderly end: what still comes is read for a while, then the connection goes.
    private func refuse(_ call: Call, _ writer: consuming ResponseWriter, _ channel: any Channel) async throws {
        var answer = Answer.nginx(413)
        answer.closes = true
        let resets = state.withLock { state in
            state.record(call, status: 413)
            return state.settings.resetsAfterLimit
        }
        try await send(answer, to: call, writer)
        if resets {
            try await reset(channel)
            throw ConnectionEnded()
        }
        try await channel.close(mode: .output)
        channel.eventLoop.scheduleTask(in: OpenTeraServer.lingering) { channel.close(promise: nil) }
    }

    /// NGINX's lingering_timeout.
    private static let lingering = TimeAmount.seconds(5)

    private func reset(_ channel: any Channel) async throws {
        if let options = channel as? any SocketOptionProvider {
            try? await options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        }
        try? await channel.close()
    }

    private func send(_ answer: Answer, to call: Call, _ writer: consuming ResponseWriter) async throws {
        var fields = HTTPFields()
        func add(_ name: String, _ value: String) {
            if let name = HTTPField.Name(name) { fields.append(HTTPField(name: name, value: value)) }
        }
        add("Server", nginxVersion)
        add("Date", Moment.httpDate(Moment.now()))
        if let length = answer.length, answer.status != 304 { add("Content-Length", String(length)) }
        add("Connection", answer.closes ? "close" : "keep-alive")
        for (name, value) in answer.fields { add(name, value) }
        let head = HTTPResponse(
            status: HTTPResponse.Status(code: answer.status, reasonPhrase: answer.reason), headerFields: fields)
        if call.method == "HEAD" || answer.status == 304 { return try await writer.writeResponse(head) }
        switch answer.body {
        case .bytes(let bytes):
            try await writer.write(response: head, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
        case .chunkedNothing, .pieces: try await writer.writeResponse(head)
        case .stored(let stored, let range):
            var body = try await writer.writeHead(head)
            var position = range.lowerBound
            while position < range.upperBound {
                let next = min(position + OpenTeraServer.pieceSize, range.upperBound)
                try await body.write(ByteBuffer(bytes: stored.bytes(in: position..<next)))
                position = next
            }
            try await body.finish(nil)
        }
    }

    /// Of a download, in bytes: large enough that a piece costs more than its handling.
    private static let pieceSize = 512 << 10

    func closeConnections(except channel: any Channel) { front.connections.closeAll(except: channel) }
}

/// Ends a connection: thrown through the server.
struct ConnectionEnded: Error {}

extension OpenTeraState {
    /// What is decided about a request before it is carried out.
    struct Plan: Sendable {
        var wait: Duration?
        /// From NGINX, the service behind it not reached.
        var answer: Answer?
        var fault: Fault?
    }

    mutating func plan(_ call: Call) -> Plan {
        if !restartsUntil.hasPassed { return Plan(answer: .nginx(502)) }
        switch isForFileService(call) ? settings.fileService : settings.mainServer {
        case "down": return Plan(answer: .nginx(502))
        case "stopped":
            return Plan(wait: .milliseconds(settings.gatewayTimeoutMilliseconds), answer: .nginx(504))
        default: break
        }
        var plan = Plan(fault: takeFault(call))
        if isForFileService(call) {
            if isUpload(call), settings.parseMillisecondsPerMebibyte > 0 {
                let parsing = Double(settings.parseMillisecondsPerMebibyte) * Double(call.body.count) / 1_048_576
                parsesUntil = .after(parsesUntil.remaining + .milliseconds(Int64(parsing)))
            }
            plan.wait = parsesUntil.hasPassed ? nil : parsesUntil.remaining
        } else if call.field("Authorization")?.lowercased().hasPrefix("basic") == true {
            plan.wait = settings.loginMilliseconds == 0 ? nil : .milliseconds(settings.loginMilliseconds)
        }
        return plan
    }

    /// Counts the uploads under way; true for an upload.
    mutating func beginUpload(_ call: Call) -> Bool {
        guard isUpload(call) else { return false }
        count("uploads_under_way")
        counters["most_uploads_under_way"] = max(
            counters["most_uploads_under_way"] ?? 0, counters["uploads_under_way"] ?? 0)
        return true
    }

    mutating func endUpload() { count("uploads_under_way", -1) }
}
