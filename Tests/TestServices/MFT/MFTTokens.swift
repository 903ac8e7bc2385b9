import FXSystem

/// Logging in and tokens: `protocols/opswat-mft.md` section 2.
extension MFTState {
    /// Whose token a request has.
    mutating func authorized(_ call: Call) throws(Refusal) -> MFTUser {
        let words = (call.field("Authorization") ?? "").split(separator: " ", maxSplits: 1)
        guard words.count == 2, words[0].lowercased() == "bearer" else {
            throw Refusal(.vaultError(401, "authentication required"))
        }
        let text = String(words[1])
        guard let token = tokens[text], let user = user(token.user) else { throw deadToken }
        tokens[text]?.uses += 1
        let isUsedUp = settings.tokenRequests > 0 && token.uses >= settings.tokenRequests
        if token.isDead || token.expires <= now || isUsedUp { throw deadToken }
        return user
    }

    private var deadToken: Refusal { Refusal(.vaultError(settings.expiredStatus, "invalid or expired token")) }

    mutating func authenticate(_ call: Call) throws(Refusal) -> Answer {
        count("logins")
        if settings.directoryDown { throw Refusal(.vaultError(417, "Active Directory cannot be reached")) }
        let words = (call.field("Authorization") ?? "").split(separator: " ", maxSplits: 1)
        guard words.count == 2, words[0].lowercased() == "basic", let bytes = URLText.decodeBase64(words[1]) else {
            throw Refusal(.vaultError(400, "no credentials"))
        }
        guard let user = user(with: String(decoding: bytes, as: UTF8.self)) else {
            count("failed_logins")
            if settings.loginShape == "reference" { return .vault(loginResult("ErrorInvalidCredentials", nil)) }
            throw Refusal(.vaultError(403, "wrong user name or password"))
        }
        switch user.standing {
        case .stale: throw Refusal(.vaultError(409, "the password was changed in Active Directory"))
        case .mfa: return .vault(loginResult("ErrorMfaRequired", nil))
        case .normal, .uploaderGroup: break
        }
        let token = issue(to: user.id, expires: now + Int64(settings.tokenSeconds) * 1_000_000)
        return .vault(
            settings.loginShape == "reference" ? loginResult("Success", token) : tokenJSON(token))
    }

    private func user(with pair: String) -> MFTUser? {
        for separator in (settings.acceptsLines ? ["\r\n"] : []) + (settings.acceptsColon ? [":"] : []) {
            if let user = users.first(where: { pair.utf8.elementsEqual(($0.username + separator + $0.password).utf8) })
            {
                return user
            }
        }
        return settings.acceptsPIN ? users.first { $0.pin == pair } : nil
    }

    private func loginResult(_ result: String, _ token: MFTToken?) -> JSONValue {
        [
            "Result": .string(result), "Token": .text(token?.text),
            "Expires": token.map { .string(time($0.expires)) } ?? .null,
            "ExpiresString": token.map { .string(time($0.expires)) } ?? .null, "UiMessageKey": nil, "Message": nil,
        ]
    }

    func time(_ moment: Int64) -> String { Moment.dotNet(moment, endsWithZ: settings.timesEndWithZ) }

    private func tokenJSON(_ token: MFTToken) -> JSONValue {
        [
            "expires": .string(time(token.expires)), "token": .string(token.text),
            "user_id": .integer(Int64(token.user)),
        ]
    }

    @discardableResult
    mutating func issue(to user: Int, expires: Int64, description: String = "") -> MFTToken {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
        let text = String((0..<30).compactMap { _ in alphabet.randomElement() })
        let token = MFTToken(text: text, user: user, expires: expires, description: description)
        tokens[text] = token
        return token
    }

    /// `PUT /token`: `ExtendBy` or `ExtendUntil`.
    mutating func extend(_ call: Call) throws(Refusal) -> Answer {
        _ = try authorized(call)
        count("extensions")
        let bearer = String((call.field("Authorization") ?? "").dropFirst(7))
        let text = call.field("Token") ?? bearer
        guard var token = tokens[text] else { throw Refusal(.vaultError(404, "no such token")) }
        if let span = call.field("ExtendBy") {
            let parts = span.split(separator: ":").map { Int64($0) }
            guard parts.count == 3, let hours = parts[0], let minutes = parts[1], let seconds = parts[2],
                (0...23).contains(hours), (0...59).contains(minutes), (0...59).contains(seconds)
            else { throw invalid("ExtendBy") }
            token.expires += (hours * 3600 + minutes * 60 + seconds) * 1_000_000
        } else if let until = call.field("ExtendUntil").flatMap({ Moment.parse($0) }) {
            token.expires = until
        } else {
            throw invalid("ExtendBy")
        }
        tokens[text] = token
        return .vault(tokenJSON(token))
    }

    /// `POST /token`: a key for somebody else's program.
    mutating func makeKey(_ call: Call) throws(Refusal) -> Answer {
        let user = try authorized(call)
        guard let expires = call.json?["expires"]?.string.flatMap({ Moment.parse($0) }) else {
            throw invalid("expires")
        }
        return .vault(
            tokenJSON(issue(to: user.id, expires: expires, description: call.json?["description"]?.string ?? "")))
    }

    /// `DELETE /authenticate`.
    mutating func logOut(_ call: Call) throws(Refusal) -> Answer {
        _ = try authorized(call)
        let bearer = String((call.field("Authorization") ?? "").dropFirst(7))
        tokens[bearer] = nil
        return .vault(["token": .string(bearer)])
    }

    mutating func listKeys(_ call: Call, _ start: Int, _ count: Int) throws(Refusal) -> Answer {
        let user = try authorized(call)
        let own = tokens.values.filter { $0.user == user.id }.sorted { $0.text < $1.text }
        return .vault([
            "filter_count": .number(of: own.count),
            "items": .array(
                own.dropFirst(start).prefix(count).map {
                    [
                        "token": .string($0.text), "description": .string($0.description),
                        "expires": .string(time($0.expires)),
                    ]
                }),
        ])
    }

    func invalid(_ name: String) -> Refusal {
        Refusal(.vaultError(settings.invalidParameterStatus, "invalid header parameter: \(name)"))
    }
}
