import Crypto
import FXSystem
import Glibc
import HTTPTypes
import HummingbirdCore
import NIOCore
import Synchronization

/// The `vault_rest` service of OPSWAT MetaDefender MFT and Vault, as `protocols/opswat-mft.md` section 6 wants it, with a
/// control plane under `/_control/`. A second port stands for the host its URLs name: a client that comes there has
/// believed them.
public final class MFTServer: Sendable {
    let state = Mutex(MFTState())
    private let front: Front
    private let other = Front(certificate: nil)

    /// - Parameter certificateDirectory: an existing directory in which to make a certificate; nil for plain HTTP.
    public init(certificateDirectory: String?) throws {
        front = Front(certificate: try certificateDirectory.map { try Certificate(in: $0) })
    }

    /// What a client trusts, with TLS.
    public var certificatePath: String? { front.certificate?.path }

    /// Serves until the task is cancelled. Port 0 takes a free one.
    public func run(port: Int, ready: @escaping @Sendable (Int) -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await self.other.serve(port: 0) { request, writer, channel in
                    self.state.withLock { $0.count("astray") }
                    try await self.send(.vaultError(403, "not here"), isHead: false, writer)
                } ready: { port in
                    self.state.withLock { $0.otherPort = port }
                }
            }
            group.addTask {
                try await self.front.serve(port: port) { request, writer, channel in
                    try await self.respond(to: request, writer, channel)
                } ready: { port in
                    self.state.withLock { $0.port = port }
                    ready(port)
                }
            }
            try await group.waitForAll()
        }
    }

    private func respond(
        to request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel
    ) async throws {
        var call = Call(
            method: request.method.rawValue, target: request.head.path ?? "/",
            fields: request.headers.map { ($0.name.rawName, $0.value) })
        if call.field("Expect")?.lowercased() == "100-continue" {
            try await writer.writeInformationalHead(HTTPResponse(status: .continue))
        }
        let collector = StoredBytesWriter()
        // On the way, so that the lock is not held for it.
        var hasher: Insecure.MD5? = call.field("chunk_checksum") == nil ? nil : Insecure.MD5()
        for try await piece in request.body {
            try piece.withUnsafeReadableBytes { bytes in
                hasher?.update(bufferPointer: bytes)
                try collector.append(bytes)
            }
        }
        call.body = collector.finish()
        let md5 = hasher.map { hasher in
            hasher.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
        let heading = call
        if call.path.hasPrefix("/_control/") {
            return try await send(state.withLock { $0.control(heading) }, isHead: false, writer)
        }
        let answer = try await answer(call, md5, channel)
        state.withLock { $0.record(heading, status: answer?.status ?? 0) }
        guard let answer else {
            try await reset(channel)
            throw ConnectionEnded()
        }
        try await send(answer, isHead: call.method == "HEAD", writer)
    }

    /// The answer with everything that goes wrong on purpose; nil ends the connection without one.
    private func answer(_ call: Call, _ md5: String?, _ channel: any Channel) async throws -> Answer? {
        guard let fault = state.withLock({ $0.takeFault(call) }) else {
            return state.withLock { $0.perform(call, md5: md5) }
        }
        try await Task.sleep(for: .milliseconds(fault.delayMilliseconds))
        if fault.isHarmless { return state.withLock { $0.perform(call, md5: md5) } }
        if fault.isPerformed { _ = state.withLock { $0.perform(call, md5: md5) } }
        if fault.stalls { try await channel.closeFuture.get() }
        if fault.resets || fault.stalls { return nil }
        return .vaultError(fault.status ?? 500, "out of order on purpose")
    }

    private func reset(_ channel: any Channel) async throws {
        if let options = channel as? any SocketOptionProvider {
            try? await options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        }
        try? await channel.close()
    }

    private func send(_ answer: Answer, isHead: Bool, _ writer: consuming ResponseWriter) async throws {
        var fields = HTTPFields()
        func add(_ name: String, _ value: String) {
            if let name = HTTPField.Name(name) { fields.append(HTTPField(name: name, value: value)) }
        }
        add("Date", Moment.httpDate(Moment.now()))
        if let length = answer.length { add("Content-Length", String(length)) }
        for (name, value) in answer.fields { add(name, value) }
        let head = HTTPResponse(
            status: HTTPResponse.Status(code: answer.status, reasonPhrase: answer.reason), headerFields: fields)
        if isHead { return try await writer.writeResponse(head) }
        guard case .pieces(let content, let range) = answer.body else {
            guard case .bytes(let bytes) = answer.body else { return try await writer.writeResponse(head) }
            return try await writer.write(response: head, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
        }
        var body = try await writer.writeHead(head)
        var position = range.lowerBound
        while position < range.upperBound {
            let next = min(position + MFTServer.pieceSize, range.upperBound)
            try await body.write(ByteBuffer(bytes: content.bytes(in: position..<next)))
            position = next
        }
        try await body.finish(nil)
    }

    /// Of a download, in bytes: large enough that a piece costs more than its handling.
    private static let pieceSize = 512 << 10
}
