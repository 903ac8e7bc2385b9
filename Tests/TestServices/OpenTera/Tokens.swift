import FXSystem

/// Who a request comes from.
enum Requester: Sendable, Hashable {
    case user(Int)
    case participant(Int)
    /// A static token: may upload and little else.
    case restrictedParticipant(Int)
    case device(Int)
}

/// Makes and reads tokens that look like OpenTera's (JWT, HS256). The signature is a keyed hash of the standard library:
/// enough against mistakes, which is all a test needs, and fast in a listing of 100,000 assets.
struct TokenMint: Sendable {
    /// Changes with a restart of MAIN: whatever was signed before is dead. Two installations have nothing in common.
    private var generation = UInt64.random(in: 0...(.max))
    private var disabled: Set<String> = []
    private var serial = 0

    private static let header = URLText.base64(Array(#"{"alg":"HS256","typ":"JWT"}"#.utf8))

    mutating func restart() {
        generation &+= 1
        disabled = []
    }

    mutating func disable(_ token: String) { disabled.insert(token) }

    mutating func userToken(_ user: User, now: Int64, seconds: Int) -> String {
        sign(
            claims("user", user.id, now, seconds) + [
                .init("user_uuid", .string(user.uuid)), .init("id_user", .integer(Int64(user.id))),
                .init("user_fullname", .string(user.name)), .init("user_superadmin", .bool(user.isSuperAdmin)),
                .init("service_access", .object([.init("FileTransferService", ["admin"])])),
            ])
    }

    mutating func participantToken(_ participant: Participant, now: Int64, seconds: Int) -> String {
        sign(
            claims("participant", participant.id, now, seconds) + [
                .init("participant_uuid", .string(participant.uuid)),
                .init("participant_fullname", .string(participant.name)),
            ])
    }

    /// For an asset listed by MAIN the claim is a string, for one just uploaded a list.
    func accessToken(requester: String, asset: String, asList: Bool, now: Int64, seconds: Int) -> String {
        // Written by hand: a listing makes one for every asset.
        let uuids = asList ? "[\"\(asset)\"]" : "\"\(asset)\""
        let payload =
            "{\"iat\":\(now / 1_000_000),\"exp\":\(now / 1_000_000 + Int64(seconds)),\"iss\":\"TeraServer\","
            + "\"requester_uuid\":\"\(requester)\",\"asset_uuids\":\(uuids)}"
        return signed(payload)
    }

    /// What a token of a user or participant says; nil when it is dead.
    func requester(_ token: String, now: Int64) -> Requester? {
        guard let claims = verified(token, now: now), !disabled.contains(token), let id = claims["id"]?.integer
        else { return nil }
        switch claims["kind"]?.string {
        case "user": return .user(Int(id))
        case "participant": return .participant(Int(id))
        default: return nil
        }
    }

    /// A string claim is searched, as the server does it: a part of a uuid is found too. A list is compared.
    func grants(_ token: String, asset: String, to requester: String, now: Int64) -> Bool {
        guard let claims = verified(token, now: now), claims["requester_uuid"]?.string == requester else {
            return false
        }
        if let list = claims["asset_uuids"]?.elements { return list.contains { $0.string == asset } }
        return claims["asset_uuids"]?.string?.contains(asset) ?? false
    }

    private mutating func claims(_ kind: String, _ id: Int, _ now: Int64, _ seconds: Int) -> [JSONValue.Member] {
        serial += 1
        return [
            .init("iat", .integer(now / 1_000_000)), .init("exp", .integer(now / 1_000_000 + Int64(seconds))),
            .init("iss", "TeraServer"), .init("jti", .string("\(serial)")), .init("kind", .string(kind)),
            .init("id", .integer(Int64(id))),
        ]
    }

    private func sign(_ claims: [JSONValue.Member]) -> String { signed(JSONValue.object(claims).text) }

    private func signed(_ payload: String) -> String {
        let content = "\(TokenMint.header).\(URLText.base64(Array(payload.utf8)))"
        return "\(content).\(signature(of: content))"
    }

    /// `Hasher` is keyed by the process.
    private func signature(of content: String) -> String {
        var text = ""
        for part in 0..<2 {
            var hasher = Hasher()
            hasher.combine(generation)
            hasher.combine(part)
            hasher.combine(content)
            text += String(UInt(bitPattern: hasher.finalize()), radix: 36)
        }
        return text
    }

    private func verified(_ token: String, now: Int64) -> JSONValue? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[2] == signature(of: "\(parts[0]).\(parts[1])"),
            let payload = URLText.decodeBase64(parts[1]),
            let claims = JSONValue(parsing: String(decoding: payload, as: UTF8.self)),
            let end = claims["exp"]?.integer, end > now / 1_000_000
        else { return nil }
        return claims
    }
}
