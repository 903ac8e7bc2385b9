internal import FXSystem

/// What an answer without success means where a service has no words of its own for it.
extension HTTPResponse {
    /// - Parameter now: for a `Retry-After` that is a date.
    func remoteError(now: Timestamp) -> RemoteError {
        switch status {
        case 401: .credentials
        case 403: .forbidden
        case 404: .noSuchEntry
        case 408: .timedOut
        case 409: .exists
        case 410: .expired
        // The precondition was about what was there before.
        case 412: .changed
        case 413: .tooLarge(limit: nil)
        // 423: locked by another request of somebody's; 425: too early.
        case 423, 425, 429, 500, 502, 503, 504: .unavailable(retryAfter: retryAfter(now: now))
        case 507: .serviceFull
        // Success where another success was wanted.
        case 200..<300: .protocolViolation
        case 300..<400: .rejected(status: status, saying: "it points to another place, which is not followed")
        default: .rejected(status: status, saying: explanation)
        }
    }

    /// What the service says about it, if that is one line of text: at most 200 printable characters.
    var explanation: String {
        let text = String(decoding: body.prefix(4096), as: UTF8.self)
        let first = text.first { !$0.isWhitespace }
        if first == "<" { return "" }
        if first == "{" {
            let json = JSONValue(parsing: text)
            let words = ["message", "error_description", "detail", "error"].lazy.compactMap { json?[$0]?.string }
            return words.first.map(HTTPResponse.printable) ?? ""
        }
        return HTTPResponse.printable(text)
    }

    private static func printable(_ text: String) -> String {
        let line = text.drop { $0.isWhitespace }.prefix { !$0.isNewline }
        let visible = line.unicodeScalars.filter { scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
            default: true
            }
        }
        return String(String(String.UnicodeScalarView(visible)).prefix(200))
    }
}
