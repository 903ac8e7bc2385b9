import FXSystem

/// Log-in, refresh and log-out of users: `opentera.md`, section 3.
extension OpenTeraState {
    /// Who asks, by token or by password. Password checks cost what a login costs.
    mutating func authenticate(_ call: Call) throws(Refusal) -> User {
        let (scheme, value) = credentials(call)
        if scheme == "opentera" {
            guard case .user(let id)? = mint.requester(value, now: now), let user = users[id],
                user.standing != .disabled
            else { throw Refusal(.unauthorized(call)) }
            return user
        }
        guard scheme == "basic", let user = try checkPassword(value, call) else { throw Refusal(.unauthorized(call)) }
        switch user.standing {
        case .normal, .disabled: return user
        case .passwordChange:
            throw Refusal(.message(401, "Unauthorized - User must login first to change password"))
        case .twoFactor, .twoFactorSetup:
            throw Refusal(.message(401, "Unauthorized - 2FA is enabled, must login first and use token"))
        }
    }

    private func credentials(_ call: Call) -> (scheme: String, value: String) {
        let parts = (call.field("Authorization") ?? "").split(separator: " ", maxSplits: 1)
        return (parts.first?.lowercased() ?? "", parts.count > 1 ? String(parts[1]) : "")
    }

    /// Counts refused passwords; too many in a row lock the account for a while, against the right password too.
    private mutating func checkPassword(_ basic: String, _ call: Call) throws(Refusal) -> User? {
        guard let bytes = URLText.decodeBase64(basic) else { return nil }
        let pair = String(decoding: bytes, as: UTF8.self).split(
            separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        count("password_checks")
        guard pair.count == 2, let user = users.first({ $0.username == pair[0] }), user.standing != .disabled else {
            count("failed_logins")
            return nil
        }
        let moment = now
        let isLocked =
            user.failures >= settings.lockoutFailures
            && moment < user.lastFailure + Int64(settings.lockoutSeconds) * 1_000_000
        if !isLocked, user.password == pair[1] {
            _ = users.update(user.id) { $0.failures = 0 }
            return users[user.id]
        }
        count("failed_logins")
        if !isLocked {
            let limit = settings.lockoutFailures
            _ = users.update(user.id) {
                $0.failures = $0.failures >= limit ? 1 : $0.failures + 1
                $0.lastFailure = moment
            }
        }
        return nil
    }

    mutating func login(_ call: Call) throws(Refusal) -> Answer {
        if let unknown = call.query.first(where: { $0.name != "with_websocket" }) {
            throw Refusal(.message(400, "Unknown arguments: \(unknown.name)"))
        }
        let (scheme, value) = credentials(call)
        guard scheme == "basic", let user = try checkPassword(value, call) else { throw Refusal(.unauthorized(call)) }
        count("password_logins")
        var members: [JSONValue.Member] = []
        if let name = call.field("X-Client-Name"), let known = settings.knownClients[name] {
            members.append(.init("version_latest", client(name, known)))
            let given = (call.field("X-Client-Version") ?? "").split(separator: ".").map(String.init)
            if given.count == 3, given.joined(separator: ".") != known {
                members.append(.init("version_error", "Client major version mismatch"))
                if given[0] != known.split(separator: ".").first.map(String.init) {
                    members.insert(.init("current_version", .array(given.map { .string($0) })), at: 1)
                    members.append(.init("message", "Client major version too old, not accepting login"))
                    return .json(426, .object(members))
                }
            }
        }
        let cookie = "session=\(newUUID())"
        let pending = PendingLogin(user: user.id, end: now + 300_000_000)
        switch user.standing {
        case .normal, .disabled:
            if try Arguments(call).flag("with_websocket") {
                members.append(.init("websocket_url", .string("wss://\(settings.serverName)/wss/user?id=0")))
            }
            return tokenAnswer(user, members, cookie: cookie)
        case .passwordChange:
            pendingLogins[cookie] = pending
            return redirect(
                "Password change required for this user.", "password_change", "login_change_password", cookie)
        case .twoFactor:
            pendingLogins[cookie] = pending
            return redirect("2FA required for this user.", "2fa", "login_validate_2fa", cookie)
        case .twoFactorSetup:
            pendingLogins[cookie] = pending
            return redirect(
                "2FA enabled but OTP not set for this user.Please setup 2FA.", "2fa_setup", "login_setup_2fa", cookie)
        }
    }

    private func client(_ name: String, _ version: String) -> JSONValue {
        .object([
            .init("client_name", .string(name)), .init("client_description", .string("\(name) Qt Client")),
            .init("client_version", .string(version)), .init("client_documentation_url", .null),
            .init("client_windows_download_url", .null), .init("client_mac_download_url", .null),
            .init("client_linux_download_url", .null),
        ])
    }

    var versions: JSONValue {
        .object([
            .init("version_string", "OpenTera_v1.3.0"), .init("version_major", 1), .init("version_minor", 3),
            .init("version_patch", 0),
            .init(
                "clients",
                .object(
                    settings.knownClients.sorted { $0.key < $1.key }
                        .map { .init($0.key, client($0.key, $0.value)) })),
        ])
    }

    private mutating func tokenAnswer(_ user: User, _ before: [JSONValue.Member], cookie: String) -> Answer {
        count("logins")
        let token = mint.userToken(user, now: now, seconds: settings.loginTokenSeconds)
        var answer = Answer.json(
            200,
            .object(
                before + [
                    .init("user_uuid", .string(user.uuid)), .init("user_fullname", .string(user.name)),
                    .init("user_token", .string(token)),
                ]))
        answer.fields.append(("Set-Cookie", "\(cookie); Secure; HttpOnly; Path=/; SameSite=Strict"))
        return answer
    }

    private func redirect(_ message: String, _ reason: String, _ page: String, _ cookie: String) -> Answer {
        var answer = Answer.json(
            200,
            .object([
                .init("message", .string(message)), .init("reason", .string(reason)),
                .init("redirect_url", .string("/\(page)")),
            ]))
        answer.fields.append(("Set-Cookie", "\(cookie); Secure; HttpOnly; Path=/; SameSite=Strict"))
        return answer
    }

    /// The code of a second factor, in the query or a JSON body, with the cookie of the login.
    mutating func secondFactor(_ call: Call) throws(Refusal) -> Answer {
        let arguments = Arguments(call)
        let cookie = "session=\(call.cookie("session") ?? "")"
        guard var pending = pendingLogins[cookie], pending.end > now, let user = users[pending.user] else {
            throw Refusal(.text(401, Words.unauthorized(call)))
        }
        let code = try arguments.required("otp_code", "2FA otp code")
        if pending.attempts >= 5 { throw Refusal(.text(403, "Too many attempts")) }
        if user.standing != .twoFactor || code != user.otp {
            pending.attempts += 1
            pendingLogins[cookie] = pending
            throw Refusal(.text(401, "Invalid OTP code"))
        }
        pendingLogins[cookie] = nil
        return tokenAnswer(user, [], cookie: cookie)
    }

    mutating func changePassword(_ call: Call) throws(Refusal) -> Answer {
        let cookie = "session=\(call.cookie("session") ?? "")"
        guard let pending = pendingLogins[cookie], pending.end > now else {
            throw Refusal(.text(401, Words.unauthorized(call)))
        }
        guard let wanted = call.json?["new_password"]?.string, wanted == call.json?["confirm_password"]?.string else {
            throw Refusal(.text(400, "New password and confirm password do not match"))
        }
        var weaknesses: [String] = []
        if wanted.count < 10 { weaknesses.append("Password not long enough (10 characters)") }
        if wanted.allSatisfy({ $0.isLetter || $0.isNumber }) { weaknesses.append("Password missing special character") }
        if !weaknesses.isEmpty { throw Refusal(.text(400, weaknesses.joined(separator: "<br>"))) }
        _ = users.update(pending.user) {
            $0.password = wanted
            $0.standing = .normal
        }
        pendingLogins[cookie] = nil
        return .text(200, "Password changed")
    }

    /// A new token for a living one, which dies; never for a password.
    mutating func refreshToken(_ call: Call) throws(Refusal) -> Answer {
        let (scheme, value) = credentials(call)
        guard scheme == "opentera", case .user(let id)? = mint.requester(value, now: now), let user = users[id] else {
            throw Refusal(.unauthorized(call))
        }
        count("refreshes")
        mint.disable(value)
        let token = mint.userToken(user, now: now, seconds: settings.refreshedTokenSeconds)
        return .json(200, .object([.init("refresh_token", .string(token))]))
    }

    mutating func logout(_ call: Call) throws(Refusal) -> Answer {
        _ = try authenticate(call)
        mint.disable(credentials(call).value)
        return .text(200, "User logged out.")
    }
}
