internal import FXSystem
internal import Synchronization

/// Why something was not answered with success, and whether it may have happened all the same.
struct ItslearningFailure: Error, Sendable, Equatable {
    var error: RemoteError
    var mayHaveArrived = false
    /// The service's own words, when it said no.
    var fault: ItslearningAnswer.Fault?
}

/// Asks in the name of one account. There is no session: each request carries the password.
///
/// Calls wait on their own thread. `dataService` is a leaf.
final class ItslearningClient: Sendable {
    let configuration: ItslearningConfiguration
    let clock: WallClock
    private let transport: any HTTPTransport
    private let basePath: String
    private let random: @Sendable (Int) -> [UInt8]
    /// Which of the two places the service for messages is at; found out by asking.
    private let dataService = Mutex(0)

    init(
        _ configuration: ItslearningConfiguration, transport: any HTTPTransport, basePath: String, clock: WallClock,
        random: @escaping @Sendable (Int) -> [UInt8]
    ) {
        self.configuration = configuration
        self.transport = transport
        self.basePath = basePath
        self.clock = clock
        self.random = random
    }

    /// 128 random bits, as hexadecimal digits.
    func newName() -> String { hexadecimal(random(16)) }

    // MARK: - Streams

    /// Sends the bytes of one file.
    /// - Parameter body: puts them into the frame.
    /// - Returns: the service's id of them.
    func upload(
        _ name: String, attempt: String, _ body: (ItslearningFrame) -> HTTPBody
    ) throws(ItslearningFailure) -> String {
        let configuration = configuration
        let answer = try perform { security in
            let frame = ItslearningFrame(
                security: security, name: name, extensionID: configuration.extensionID, siteID: configuration.siteID,
                attempt: attempt, boundary: "fxmount-" + newName())
            var request = HTTPRequest(.post, basePath + "/FileStreamService.svc")
            request.body = body(frame)
            request.fields.set("Content-Type", frame.contentType)
            request.fields.set("MIME-Version", "1.0")
            request.fields.set("SOAPAction", "\"\(ItslearningWire.service)IFileStreamService/UploadFile\"")
            // A refusal for the size then comes before the bytes are sent, and is not lost with the connection.
            if request.body.count >= ItslearningClient.askFirst { request.fields.set("Expect", "100-continue") }
            // The service passes the file on before it answers.
            request.deadlines = HTTPDeadlines(idle: .seconds(150), total: nil)
            return request
        }
        guard let content = answer.content else {
            let error = answer.error(now: clock.now())
            // A server in front gave up; the one behind it may have gone on.
            throw ItslearningFailure(error: error, mayHaveArrived: answer.status >= 500 || answer.status == 408)
        }
        let ids = content.findAll("FileId").map { $0.text.trimmed }
        guard ids.count == 1, let id = ids.first, !id.isEmpty else {
            throw ItslearningFailure(error: .protocolViolation, mayHaveArrived: true)
        }
        return id
    }

    /// 1 MiB: below that asking first costs more than sending twice.
    private static let askFirst: UInt64 = 1 << 20

    // MARK: - Messages

    /// One call of `DataService.svc`.
    /// - Parameter body: the element of that name, without its own tag.
    func call(_ name: String, _ body: String = "") throws(ItslearningFailure) -> XMLElement {
        let element = "<t:\(name)>\(body)</t:\(name)>"
        while true {
            let place = dataService.withLock { $0 }
            let answer = try perform { security in
                var request = HTTPRequest(.post, basePath + ItslearningClient.dataServices[place])
                request.body = .bytes(Array(ItslearningWire.envelope(header: security, body: element).utf8))
                request.fields.set("Content-Type", "text/xml; charset=utf-8")
                request.fields.set("SOAPAction", "\"\(ItslearningWire.service)IDataService/\(name)\"")
                let patience = configuration.operationTimeout
                request.deadlines = HTTPDeadlines(
                    connect: min(.seconds(10), patience), idle: patience, total: patience * 4)
                request.collects = 4 << 20
                return request
            }
            if let content = answer.content, answer.response.isSuccess { return content }
            if answer.status == 404, place + 1 < ItslearningClient.dataServices.count {
                dataService.withLock { $0 = place + 1 }
                continue
            }
            if answer.status == 404 { dataService.withLock { $0 = 0 } }
            let error = answer.error(now: clock.now())
            throw ItslearningFailure(error: error, mayHaveArrived: answer.status >= 500 || answer.status == 408)
        }
    }

    /// Test and production systems have been seen with either.
    private static let dataServices = ["/DataService.svc", "/ContentImport/DataService.svc"]

    // MARK: - One request

    /// Sends a request, and once more when the service did not take its security header and the clock is not to blame.
    /// - Returns: a success, or an answer that is no SOAP.
    private func perform(_ request: (String) -> HTTPRequest) throws(ItslearningFailure) -> ItslearningAnswer {
        var refusals = 0
        while true {
            let answer = try performOnce(request)
            switch answer.fault {
            case nil: return answer
            case .authentication: throw ItslearningFailure(error: .credentials, fault: answer.fault)
            case .security:
                refusals += 1
                let skew = skew(of: answer)
                if let skew, abs(skew) >= ItslearningClient.strictness || refusals > 1 && abs(skew) >= 30 {
                    throw ItslearningFailure(error: .clockWrong(seconds: skew), fault: answer.fault)
                }
                if refusals > 1 { throw ItslearningFailure(error: .securityRefused, fault: answer.fault) }
            case .notUnderstood(let words): throw ItslearningFailure(error: .notUnderstood(words), fault: answer.fault)
            case .client(let words): throw ItslearningFailure(error: .refusedContent(words), fault: answer.fault)
            case .service:
                throw ItslearningFailure(
                    error: .unavailable(retryAfter: answer.response.retryAfter(now: clock.now())),
                    mayHaveArrived: true, fault: answer.fault)
            }
        }
    }

    /// How far apart clocks may be before a repetition is pointless, in seconds: services allow five minutes.
    private static let strictness: Int64 = 240

    private func performOnce(_ request: (String) -> HTTPRequest) throws(ItslearningFailure) -> ItslearningAnswer {
        let password: Secret
        do throws(RemoteError) { password = try configuration.password() } catch {
            throw ItslearningFailure(error: error)
        }
        let security = ItslearningWire.security(
            configuration.username, password, now: clock.now(), nonce: random(16))
        do throws(HTTPFailure) { return ItslearningAnswer(try transport.perform(request(security))) } catch {
            throw ItslearningFailure(error: error.remoteError, mayHaveArrived: ItslearningClient.mayHaveArrived(error))
        }
    }

    /// How far the service's clock is ahead of this machine's, in seconds; nil when it does not say.
    private func skew(of answer: ItslearningAnswer) -> Int64? {
        let now = clock.now()
        return answer.response.fields["Date"].flatMap { HTTPDate.parse($0, now: now) }.map { $0.seconds - now.seconds }
    }

    private static func mayHaveArrived(_ failure: HTTPFailure) -> Bool {
        switch failure {
        case .timedOut(let isSent), .cut(let isSent): isSent
        case .tooLong, .nonsense, .refusedBody, .cancelled: true
        default: false
        }
    }
}
