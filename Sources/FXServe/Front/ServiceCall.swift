internal import FXMapping
internal import FXSystem

/// Calls that are not operations on files: the consent of the published API, and what this server adds of its own below
/// `/fxmount/v1/`.
enum ServiceCall: String, Sendable, CaseIterable {
    case consent = "/v3/consent"
    case transfers = "/fxmount/v1/transfers"
    case consents = "/fxmount/v1/consents"
    case grant = "/fxmount/v1/consents/grant"
    case revoke = "/fxmount/v1/consents/revoke"
    case types = "/fxmount/v1/types"
    case refusals = "/fxmount/v1/refusals"

    init?(path: String) { self.init(rawValue: path) }

    var method: String {
        switch self {
        case .consent, .grant, .revoke: "POST"
        case .transfers, .consents, .types, .refusals: "GET"
        }
    }

    /// For the owner of the server alone, with the owner's key.
    var isForOwner: Bool { self != .consent && self != .transfers }
}

extension Desk {
    func perform(
        _ call: ServiceCall, _ head: RequestHead, _ body: IncomingBody, _ visitor: Visitor, _ standing: Standing
    ) async throws -> Outcome {
        if call.isForOwner, case .page = visitor { throw Refusal(.unauthorized, "this is for the owner of the server") }
        try rate.admit(standing == .unknown ? "" : visitor.application?.text ?? "")
        switch call {
        case .consent: return try await consent(head, body, visitor, standing)
        case .transfers: return try await transfers(visitor, standing)
        case .consents:
            let consents = parts.consents
            let all = try await pool.run { try consents.all() }
            return Outcome(reply: .success(.array(all.map(\.json))))
        case .grant, .revoke: return try await changeConsent(call, head, body)
        case .types: return try await allTypes()
        case .refusals: return Outcome(reply: .success(.array(refusals.recent)))
        }
    }

    /// `POST /v3/consent`: the user is asked, as at the first use. The code word of the published clients means nothing here.
    private func consent(
        _ head: RequestHead, _ body: IncomingBody, _ visitor: Visitor, _ standing: Standing
    ) async throws -> Outcome {
        try CrossSiteRule.check(head.credentials, expecting: .json)
        guard case .page(let origin) = visitor else {
            throw Refusal(.parameter, "consent is asked for by pages; use consents/grant")
        }
        if standing == .unknown { throw Refusal(.originRefused, "this origin is not known here") }
        let days = try days(try await object(body)["durationInDays"])
        if standing == .mayAsk { try await ask(origin, days: days) }
        var outcome = Outcome(reply: .success(["state": "APPROVED"]))
        outcome.application = origin.application.text
        return outcome
    }

    private func transfers(_ visitor: Visitor, _ standing: Standing) async throws -> Outcome {
        let board = parts.exchange.transfers
        let records: [TransferRecord]
        switch visitor {
        case .owner(nil): records = board.all
        case .owner(let application?): records = board.transfers(of: application)
        case .page(let origin):
            guard standing != .unknown else { throw Refusal(.originRefused, "this origin is not known here") }
            guard standing == .consented else { throw Refusal(.consentMissing, "the user has not given consent") }
            records = board.transfers(of: origin.application)
        }
        let running = records.filter { $0.state == .running }
        let done = running.reduce(ByteCount.zero) { $0 + $1.done }
        let total = running.reduce(ByteCount.zero) { $0 + ($1.total ?? $1.done) }
        let isOwner = if case .owner = visitor { true } else { false }
        let list = records.map { record -> JSONValue in
            guard isOwner, case .object(var members) = record.json else { return record.json }
            members.append(.init("appid", .string(record.application.text)))
            return .object(members)
        }
        return Outcome(
            reply: .success([
                "transfers": .array(list), "running": .integer(Int64(running.count)), "bytes": .bytes(done),
                "total": .bytes(total),
            ]))
    }

    private func changeConsent(_ call: ServiceCall, _ head: RequestHead, _ body: IncomingBody) async throws -> Outcome {
        try CrossSiteRule.check(head.credentials, expecting: .json)
        let fields = try await object(body)
        guard let text = fields["origin"]?.string, let origin = Origin(text) else {
            throw Refusal(.parameter, "origin: has to be an origin such as https://app.example.org")
        }
        let days = try days(fields["days"])
        let consents = parts.consents
        if call == .grant {
            let consent = try await pool.run { try consents.grant(origin, days: days, by: .page) }
            return Outcome(reply: .success(consent.json))
        }
        return Outcome(reply: .success(.bool(try await pool.run { try consents.revoke(origin) })))
    }

    private func allTypes() async throws -> Outcome {
        let shared = parts.exchange
        let lists = try await pool.run { () -> [JSONValue] in
            try shared.registry.applications().flatMap { application in
                try shared.exchange(for: application).listTypes().types.map(\.json)
            }
        }
        return Outcome(reply: .success(["types": .array(lists), "total": .integer(Int64(lists.count))]))
    }

    /// A short JSON object.
    private func object(_ body: IncomingBody) async throws -> JSONValue {
        guard let text = String(validating: try await body.bytes(upTo: 64 << 10), as: UTF8.self),
            let value = JSONValue(parsing: text), value.members != nil
        else { throw Refusal(.parameter, "the body is not a JSON object") }
        return value
    }

    private func days(_ value: JSONValue?) throws(Refusal) -> Int {
        switch value {
        case nil, .null?: return ConsentStore.defaultDays
        case .integer(let days)? where (1...Int64(ConsentStore.longestDays)).contains(days): return Int(days)
        default: throw Refusal(.parameter, "days: has to be a whole number from 1 to \(ConsentStore.longestDays)")
        }
    }
}
