internal import FXMapping
internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// What became of a request.
struct Outcome: Sendable {
    var reply: Reply
    /// The origin that may read the answer.
    var allowedOrigin: Origin?
    var application: String?
    /// What failed, for the log: an errno or a kind of error, never a name.
    var reason: String?
}

/// Where requests are received: who is it, may they, which operation, and back with the answer.
///
/// Lock order: `state` is a leaf.
final class Desk: Sendable {
    let settings: ServeSettings
    let parts: FileExchangeServer.Parts
    /// For calls that are over soon.
    let pool: WorkerPool
    /// For calls in which the user may be asked: each waits in a thread of its own.
    let waitingRoom: WorkerPool
    let filesGoingOut = FileShare()
    let refusals = RefusalLog()
    private let questions = ConsentQuestions()
    let rate: RateLimit
    private let state = Mutex(State())

    private struct State {
        var rule: AccessRule?
        var isStopping = false
        var stopWaiter: CheckedContinuation<Void, any Error>?
    }

    /// No question waits longer, whatever a page asks for.
    static let longestPrompt = Duration.seconds(300)
    /// A request of JSON is a path and some names.
    private static let longestJSON = 256 << 10

    init(_ settings: ServeSettings, _ parts: FileExchangeServer.Parts) {
        self.settings = settings
        self.parts = parts
        rate = RateLimit(requestsPerSecond: settings.requestsPerSecond)
        // Disks answer quickly or are slow for everybody; a connection has one call at a time.
        pool = WorkerPool(name: "fx-serve", threads: 16, waiting: settings.connections)
        waitingRoom = WorkerPool(name: "fx-serve-asks", threads: 64, waiting: settings.connections)
    }

    // MARK: Opening and closing

    func opened(port: UInt16) {
        let rule = settings.accessRule(port: port)
        state.withLock { $0.rule = rule }
    }

    /// Where connections come to.
    var port: UInt16 { state.withLock { $0.rule?.port } ?? settings.port }

    var isStopping: Bool { state.withLock { $0.isStopping } }

    /// New requests are refused from now on; questions to the user are given up.
    func stop() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, any Error>? in
            state.isStopping = true
            defer { state.stopWaiter = nil }
            return state.stopWaiter
        }
        waitingRoom.stop()
        waiter?.resume()
    }

    /// Returns once `stop` was called. One waiter at a time.
    func stopped() async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.isStopping || Task.isCancelled { return true }
                    state.stopWaiter = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state -> CheckedContinuation<Void, any Error>? in
                defer { state.stopWaiter = nil }
                return state.stopWaiter
            }
            waiter?.resume(throwing: CancellationError())
        }
    }

    func close() {
        pool.stop()
        waitingRoom.stop()
    }

    // MARK: Answering

    /// Whether the body is worth sending (`Expect: 100-continue`).
    func mayContinue(_ head: RequestHead) -> Bool { (head.contentLength ?? 0) <= longestBody }

    /// The file, and room for the other parts and their heads.
    var longestBody: UInt64 { settings.payloadLimit.rawValue + UInt64(DownloadForm.longestTexts) * 2 }

    /// Never fails: what goes wrong is an answer too.
    func answer(_ head: RequestHead, _ body: IncomingBody) async -> Outcome {
        let origin = head.credentials.origin.flatMap { Origin($0) }
        var standing = Standing.unknown
        var outcome: Outcome
        do {
            if let origin { standing = try self.standing(of: origin) }
            outcome = try await route(head, body, origin, standing)
        } catch {
            let refusal = Refusal(describing: error)
            let code = refusal.condition.code(settings.vintage)
            refusals.record(
                at: WallClock.system.now(), origin: head.credentials.origin, path: head.path, refusal, code: code)
            outcome = Outcome(reply: .failure(refusal, settings.vintage))
            if refusal.condition == .failed { outcome.reason = Desk.reason(error) }
        }
        if standing != .unknown { outcome.allowedOrigin = origin }
        return outcome
    }

    private func route(
        _ head: RequestHead, _ body: IncomingBody, _ origin: Origin?, _ standing: Standing
    ) async throws -> Outcome {
        guard !isStopping, let rule = state.withLock({ $0.rule }) else {
            throw Refusal(.stopping, "the server is stopping", retryAfter: 1)
        }
        try rule.checkHost(head.credentials.host)
        if head.method == "OPTIONS" { return try preflight(head, origin, standing) }
        if let operation = Operation(path: head.path) {
            try allow(["POST"], head)
            let visitor = try rule.visitor(head.credentials)
            return try await perform(operation, head, body, visitor, standing)
        }
        if let document = StaticDocument(path: head.path) {
            try allow(["GET", "HEAD"], head)
            return Outcome(reply: document.reply(self))
        }
        guard let service = ServiceCall(path: head.path) else {
            throw Refusal(.noSuchFunction, "there is no such function")
        }
        try allow([service.method], head)
        let visitor = try rule.visitor(head.credentials)
        return try await perform(service, head, body, visitor, standing)
    }

    private func allow(_ methods: [String], _ head: RequestHead) throws(Refusal) {
        if !methods.contains(head.method) {
            var refusal = Refusal(.methodRefused, "this function takes \(methods.joined(separator: " and "))")
            refusal.allowedMethods = methods
            throw refusal
        }
    }

    private func perform(
        _ operation: Operation, _ head: RequestHead, _ body: IncomingBody, _ visitor: Visitor, _ standing: Standing
    ) async throws -> Outcome {
        try CrossSiteRule.check(head.credentials, expecting: operation == .download ? .form : .json)
        let application = try await admit(visitor, standing)
        let exchange = parts.exchange.exchange(for: application)
        var outcome: Outcome
        if operation == .download {
            outcome = Outcome(reply: try await DownloadCall(desk: self, exchange: exchange).perform(head, body))
        } else {
            let fields = try Fields(try await body.bytes(upTo: Desk.longestJSON), query: head.query)
            try fields.check(operation)
            let operations = JSONOperations(exchange: exchange, fields: fields, uploadLimit: settings.payloadLimit)
            let room = operation.mayPrompt ? waitingRoom : pool
            outcome = Outcome(reply: try await room.run { try operations.perform(operation) })
        }
        outcome.application = application.text
        return outcome
    }

    // MARK: Consent

    /// How this server stands to an origin.
    enum Standing: Sendable { case consented, mayAsk, unknown }

    /// - Throws: `ConsentFailure`: nobody has consent that cannot be read.
    func standing(of origin: Origin) throws -> Standing {
        if try parts.consents.holds(for: origin) { return .consented }
        let mayAsk = settings.askingOrigins.contains { $0 == "*" || Origin($0) == origin }
        return mayAsk ? .mayAsk : .unknown
    }

    /// The application, for a visitor that may work with files; asks the user if that is what it takes.
    /// - Throws: `originRefused`, `consentMissing`, `tooManyRequests`, `parameter` for an owner who names no application.
    private func admit(_ visitor: Visitor, _ standing: Standing) async throws -> ApplicationID {
        switch visitor {
        case .owner(let application):
            guard let application else {
                throw Refusal(.parameter, "X-FXMount-Application: it has to say for which application")
            }
            try rate.admit(application.text)
            return application
        case .page(let origin):
            if standing == .unknown {
                try rate.admit("")
                throw Refusal(.originRefused, "this origin is not known here")
            }
            try rate.admit(origin.application.text)
            if standing == .mayAsk { try await ask(origin, days: ConsentStore.defaultDays) }
            return origin.application
        }
    }

    /// - Throws: `consentMissing` unless the user says yes in time.
    func ask(_ origin: Origin, days: Int) async throws {
        guard questions.begin(origin) else {
            throw Refusal(.consentMissing, "the user has not given consent", retryAfter: 60)
        }
        let (asker, consents, timeout) = (parts.asker, parts.consents, settings.promptTimeout)
        var answer = ConsentAnswer.nobodyToAsk
        defer { questions.ended(origin, answer) }
        answer = try await waitingRoom.run {
            let answer = asker.ask(origin, days: days, until: .after(timeout))
            if answer == .granted { try consents.grant(origin, days: days, by: .prompt) }
            return answer
        }
        if answer != .granted { throw Refusal(.consentMissing, "the user has not given consent") }
    }

    // MARK: Preflight and log

    private func preflight(_ head: RequestHead, _ origin: Origin?, _ standing: Standing) throws(Refusal) -> Outcome {
        try rate.admit(standing == .unknown ? "" : origin?.application.text ?? "")
        guard origin != nil, standing != .unknown else {
            throw Refusal(.originRefused, "this origin is not known here")
        }
        var reply = Reply(status: 204, contentType: "", body: .bytes([]))
        reply.fields = [
            ("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
            (
                "Access-Control-Allow-Headers",
                "Content-Type, X-CSRF-Token, Accept-Language, Authorization, X-T1C-BILLING-TAG"
            ),
            ("Access-Control-Max-Age", "600"),
        ]
        if head.asksForPrivateNetwork { reply.fields.append(("Access-Control-Allow-Private-Network", "true")) }
        return Outcome(reply: reply)
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as ExchangeError: error.errno.symbol
        case let error as Errno: error.symbol
        case let error as ConsentFailure: "\(error)"
        default: "\(type(of: error))"
        }
    }

    /// One line without a name or a byte of any file.
    func log(_ outcome: Outcome, _ head: RequestHead, received: UInt64, took: Duration, isWhole: Bool) {
        let milliseconds = took.components.seconds * 1000 + took.components.attoseconds / 1_000_000_000_000_000
        parts.log([
            "time": .string(WallClock.system.now().rfc3339),
            "method": .string(displayed(Array(head.method.utf8.prefix(20)))),
            "path": .string(displayed(Array(head.path.utf8.prefix(100)))),
            "origin": .text(head.credentials.origin.map { displayed(Array($0.utf8.prefix(300))) }),
            "application": .text(outcome.application), "status": .integer(Int64(outcome.reply.status)),
            "code": .text(outcome.reply.code), "reason": .text(outcome.reason),
            "received": .integer(Int64(clamping: received)),
            "sent": .integer(Int64(clamping: outcome.reply.length)), "whole": .bool(isWhole),
            "ms": .integer(milliseconds),
        ])
    }
}
