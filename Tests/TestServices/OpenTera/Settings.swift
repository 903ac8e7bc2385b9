import FXSystem

/// What the control plane can change. The names are those of its JSON.
struct OpenTeraSettings: Sendable {
    /// NGINX's for `/file/`, in bytes of the whole request body.
    var bodyLimit = 524_288_000
    /// NGINX's for everything else.
    var otherBodyLimit = 104_857_600
    /// The 413 is followed by a reset instead of an orderly end.
    var resetsAfterLimit = false
    var loginTokenSeconds = 3600
    var refreshedTokenSeconds = 1800
    var accessTokenSeconds = 1800
    var lockoutFailures = 5
    var lockoutSeconds = 120
    /// As if the file service were reached without NGINX: no chunked requests, no limit, other URLs.
    var direct = false
    /// Host and port of the URLs in answers; never the Host of the request.
    var serverName = "127.0.0.1:40075"
    /// What a password check takes: bcrypt, 230 on the real server.
    var loginMilliseconds = 0
    /// How long the file service parses an upload; everything else it does waits meanwhile. About 70 on the real one.
    var parseMillisecondsPerMebibyte = 0
    /// What NGINX waits for a stopped service.
    var gatewayTimeoutMilliseconds = 60_000
    /// "up", "down" (502) or "stopped" (504 after the timeout).
    var fileService = "up"
    var mainServer = "up"
    /// Seconds the server's clock is ahead.
    var clockOffset = 0
    /// Name to version; a login of one of these with another major version is refused (426).
    var knownClients = ["OpenTeraPlus": "1.0.0"]

    private static let numbers: [(String, any WritableKeyPath<OpenTeraSettings, Int> & Sendable)] = [
        ("body_limit", \.bodyLimit), ("other_body_limit", \.otherBodyLimit),
        ("login_token_seconds", \.loginTokenSeconds), ("refreshed_token_seconds", \.refreshedTokenSeconds),
        ("access_token_seconds", \.accessTokenSeconds), ("lockout_failures", \.lockoutFailures),
        ("lockout_seconds", \.lockoutSeconds), ("login_milliseconds", \.loginMilliseconds),
        ("parse_milliseconds_per_mebibyte", \.parseMillisecondsPerMebibyte),
        ("gateway_timeout_milliseconds", \.gatewayTimeoutMilliseconds), ("clock_offset", \.clockOffset),
    ]
    private static let switches: [(String, any WritableKeyPath<OpenTeraSettings, Bool> & Sendable)] = [
        ("direct", \.direct), ("resets_after_limit", \.resetsAfterLimit),
    ]
    private static let texts: [(String, any WritableKeyPath<OpenTeraSettings, String> & Sendable)] = [
        ("server_name", \.serverName), ("file_service", \.fileService), ("main_server", \.mainServer),
    ]

    var json: JSONValue {
        .object(
            OpenTeraSettings.numbers.map { .init($0.0, .integer(Int64(self[keyPath: $0.1]))) }
                + OpenTeraSettings.switches.map { .init($0.0, .bool(self[keyPath: $0.1])) }
                + OpenTeraSettings.texts.map { .init($0.0, .string(self[keyPath: $0.1])) }
                + [
                    .init(
                        "known_clients",
                        .object(knownClients.sorted { $0.key < $1.key }.map { .init($0.key, .string($0.value)) }))
                ])
    }

    /// Changes what is named; an unknown name is an error.
    mutating func apply(_ changes: JSONValue) throws(ControlError) {
        for member in changes.members ?? [] {
            if let (_, path) = OpenTeraSettings.numbers.first(where: { $0.0 == member.key }),
                let number = member.value.integer
            {
                self[keyPath: path] = Int(number)
            } else if let (_, path) = OpenTeraSettings.switches.first(where: { $0.0 == member.key }),
                let value = member.value.boolean
            {
                self[keyPath: path] = value
            } else if let (_, path) = OpenTeraSettings.texts.first(where: { $0.0 == member.key }),
                let text = member.value.string
            {
                self[keyPath: path] = text
            } else if member.key == "known_clients", let clients = member.value.members {
                knownClients = Dictionary(
                    clients.map { ($0.key, $0.value.string ?? "") }, uniquingKeysWith: { $1 })
            } else {
                throw ControlError("no such setting, or not of its type: \(member.key)")
            }
        }
    }
}

/// A control request that makes no sense.
struct ControlError: Error {
    let sentence: String
    init(_ sentence: String) { self.sentence = sentence }
}
