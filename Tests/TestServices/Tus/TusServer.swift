import FXSystem
import Glibc
import HTTPTypes
import HummingbirdCore
import NIOCore
import Synchronization

/// A server of tus 1.0.0 with the extensions creation, creation-with-upload, creation-defer-length, checksum,
/// expiration and termination, and a control plane under `/_control/`. Uploads are created at `/files/`.
///
/// As the protocol asks, it keeps what came before a cut, except where a checksum could not be verified; one request at
/// a time appends to an upload, others get 423, as tusd does it.
public final class TusServer: Sendable {
    let state: Mutex<TusState>
    private let front = Front(certificate: nil)

    /// - Parameter data: an existing directory to keep uploads and settings in, after loading those it has; nil keeps
    ///   them for as long as the process lives.
    public init(data: String? = nil) throws {
        state = try Mutex(TusState(data.map { TusDirectory(path: $0) }))
    }

    /// Serves until the task is cancelled. Port 0 takes a free one.
    public func run(port: Int, ready: @escaping @Sendable (Int) -> Void) async throws {
        try await front.serve(port: port) { request, writer, channel in
            try await self.respond(to: request, writer)
        } ready: {
            ready($0)
        }
    }

    private func respond(to request: Request, _ writer: consuming ResponseWriter) async throws {
        var call = Call(
            method: request.method.rawValue, target: request.head.path ?? "/",
            fields: request.headers.map { ($0.name.rawName, $0.value) })
        if let authority = request.head.authority { call.fields.append(("Host", authority)) }
        if call.path.hasPrefix("/_control/") {
            let collector = StoredBytesWriter()
            for try await piece in request.body { try piece.withUnsafeReadableBytes { try collector.append($0) } }
            call.body = collector.finish()
            let heard = call
            return try await send(state.withLock { $0.control(heard) }, to: call, writer)
        }
        let heard = call
        let plan = try state.withLock { try $0.begin(heard) }
        switch plan {
        case .answer(let answer):
            // What comes along is read, so that the connection can go on.
            for try await _ in request.body {}
            try await send(answer, to: call, writer)
        case .append(let id):
            if call.field("Expect")?.lowercased() == "100-continue" {
                try await writer.writeInformationalHead(HTTPResponse(status: .continue))
            }
            let answer: Answer
            do {
                for try await piece in request.body {
                    let bytes = piece.withUnsafeReadableBytes { Array($0) }
                    try state.withLock { try $0.take(bytes, for: id) }
                }
                answer = try state.withLock { try $0.finish(heard, id) }
            } catch {
                try state.withLock { try $0.cut(id) }
                throw error
            }
            try await send(answer, to: call, writer)
        }
    }

    private func send(_ answer: Answer, to call: Call, _ writer: consuming ResponseWriter) async throws {
        var fields = HTTPFields()
        for (name, value) in [("Content-Length", String(answer.length ?? 0))] + answer.fields {
            // A 204 has no length (RFC 9110 section 8.6).
            if name == "Content-Length", answer.status == 204 { continue }
            if let name = HTTPField.Name(name) { fields.append(HTTPField(name: name, value: value)) }
        }
        let head = HTTPResponse(
            status: HTTPResponse.Status(code: answer.status, reasonPhrase: answer.reason), headerFields: fields)
        guard case .bytes(let bytes) = answer.body, call.method != "HEAD", answer.status != 204 else {
            return try await writer.writeResponse(head)
        }
        try await writer.write(response: head, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}
