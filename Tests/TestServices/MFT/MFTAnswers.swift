import FXSystem

/// The shapes of answers of `vault_rest`.
extension Answer {
    /// JSON with every `/` escaped, as .NET writes it.
    static func vault(_ value: JSONValue, status: Int = 200) -> Answer {
        let text = value.text.split(separator: "/", omittingEmptySubsequences: false).joined(separator: #"\/"#)
        return Answer(
            status, reason: vaultReasons[status], fields: [("Content-Type", "application/json; charset=utf-8")],
            body: .bytes(Array(text.utf8)))
    }

    static let vaultSuccess = Answer.vault(["result": "success"])

    /// `{"message", "ui_message_key", "status_code"}`.
    static func vaultError(_ status: Int, _ message: String?, key: String? = nil) -> Answer {
        .vault(
            [
                "message": .text(message), "ui_message_key": .text(key),
                "status_code": .string(vaultNames[status] ?? "InternalServerError"),
            ], status: status)
    }

    private static let vaultNames = [
        400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict",
        413: "RequestEntityTooLarge", 417: "ExpectationFailed", 500: "InternalServerError",
    ]
    private static let vaultReasons = [
        200: "OK", 206: "Partial Content", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
        409: "Conflict", 413: "Request Entity Too Large", 417: "Expectation Failed", 500: "Internal Server Error",
    ]
}

extension Moment {
    /// `2026-11-22T05:39:43.3617040`, with or without a Z.
    static func dotNet(_ moment: Int64, endsWithZ: Bool) -> String {
        let whole = text(moment).prefix(19)
        let fraction = String((moment % 1_000_000 + 1_000_000) % 1_000_000)
        return whole + "." + String(repeating: "0", count: 6 - fraction.count) + fraction + "0" + (endsWithZ ? "Z" : "")
    }
}
