import FXSystem
import Synchronization

/// One request while its body comes in: streamed for a file, collected for everything else.
final class Intake {
    private let server: ItslearningServer
    private var call: Call
    let operation: String
    private let trouble: ItslearningTrouble?
    private let collector = StoredBytesWriter()
    private var stream: IncomingStream?
    private var received = 0

    /// Of a message that is no stream, in bytes: what WCF takes by default, and room for a file in Base64.
    private static let longestMessage = 4 << 20
    /// What an envelope and its frame may add to the largest file.
    private static let frame = 64 << 10

    init(server: ItslearningServer, call: Call, operation: String, trouble: ItslearningTrouble?) {
        self.server = server
        self.call = call
        self.operation = operation
        self.trouble = trouble
    }

    private var isControl: Bool { operation.isEmpty }

    /// What is answered without looking at the body: method and URL, then size, then its type.
    func beforeBody() -> Answer? {
        if isControl { return nil }
        if operation == "unknown" { return .page(404, "Not Found") }
        if call.method != "POST" { return .page(405, "Method Not Allowed") }
        let settings = server.state.withLock { $0.settings }
        let isUpload = operation == "UploadFile"
        let limit = isUpload ? settings.sizeLimit + Intake.frame : Intake.longestMessage
        if let length = call.field("Content-Length").flatMap({ Int($0) }), length > limit {
            return .page(413, "Request Entity Too Large")
        }
        if isUpload { return openStream(settings) }
        return nil
    }

    private func openStream(_ settings: ItslearningSettings) -> Answer? {
        let type = MediaType(call.field("Content-Type") ?? "")
        if type.name == "text/xml", settings.acceptsInline { return nil }
        guard type.name == "multipart/related", type.parameters["type"]?.lowercased() == "application/xop+xml",
            type.parameters["start-info"]?.lowercased() == "text/xml", let boundary = type.parameters["boundary"],
            !boundary.isEmpty
        else { return .page(415, "Unsupported Media Type") }
        let (server, action) = (server, call.field("SOAPAction"))
        stream = IncomingStream(
            type: type, boundary: boundary, limit: settings.sizeLimit, rootAnywhere: settings.rootAnywhere
        ) { root throws(SOAPFault) in
            try server.state.withLock { state throws(SOAPFault) in try state.accept(root, action: action) }
        }
        return nil
    }

    /// - Returns: true when the connection is to be cut here.
    func take(_ bytes: UnsafeRawBufferPointer) throws -> Bool {
        received += bytes.count
        if let place = trouble?.resetAt, received >= place { return true }
        if let stream {
            try stream.take(bytes)
        } else {
            try collector.append(bytes)
            if !isControl, collector.count > Intake.longestMessage {
                throw IncomingStream.Refused(answer: .page(413, "Request Entity Too Large"))
            }
        }
        return false
    }

    /// Carries the call out.
    func afterBody() -> Answer {
        if let stream {
            do {
                let (bytes, acceptance) = try stream.finish()
                return server.state.withLock { $0.keep(bytes, acceptance, isChunked: call.isChunked) }
            } catch let refused as IncomingStream.Refused { return refused.answer } catch {
                return .page(500, "Internal Server Error")
            }
        }
        call.body = collector.finish()
        if isControl { return server.control(call) }
        return server.state.withLock { state in
            do throws(SOAPFault) {
                if operation != "UploadFile" { return try state.dataService(call) }
                let acceptance = try state.accept(call.body.bytes, action: call.field("SOAPAction"))
                guard let inline = acceptance.inline else { throw .client("There is no such part.") }
                return state.keep(StoredBytes(inline), acceptance, isChunked: call.isChunked)
            } catch { return error.answer }
        }
    }

    func record(_ status: Int) {
        if isControl { return }
        server.state.withLock { $0.record(operation, call, status: status, sent: received) }
    }
}

extension ItslearningState {
    /// `UploadFile`, `AddMessage`, …; `DataService` for a call of it without a name; `unknown` for any other address.
    func operation(of call: Call) -> String {
        if call.path == settings.basePath + "/FileStreamService.svc" { return "UploadFile" }
        guard call.path == settings.basePath + settings.dataService else { return "unknown" }
        let action = (call.field("SOAPAction") ?? "").filter { $0 != "\"" }
        return action.split(separator: "/").last.map(String.init) ?? "DataService"
    }
}
