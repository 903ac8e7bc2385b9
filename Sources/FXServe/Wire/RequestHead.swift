internal import HTTPTypes
internal import HummingbirdCore

/// The first line and the fields of a request, as far as anybody here looks at them.
struct RequestHead: Sendable {
    var method: String
    /// Without the query; as sent, because no path of this server needs an escape.
    var path: String
    var query: [String: String]
    var credentials: Credentials
    var contentLength: UInt64?
    var isChunked: Bool
    var expectsContinue: Bool
    var requestedMethod: String?
    var asksForPrivateNetwork: Bool

    var hasBody: Bool { isChunked || (contentLength ?? 0) > 0 }

    init(_ request: Request) {
        method = request.method.rawValue
        let target = request.head.path ?? "/"
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = String(parts[0])
        query = RequestHead.pairs(parts.count > 1 ? parts[1] : "")
        let fields = request.headers
        func field(_ name: String) -> String? { HTTPField.Name(name).flatMap { fields[$0] } }
        let authorization = field("Authorization")
        let bearer = authorization.flatMap { $0.lowercased().hasPrefix("bearer ") ? $0.dropFirst(7) : nil }
        credentials = Credentials(
            host: request.head.authority ?? field("Host"), origin: field("Origin"), bearer: bearer.map(String.init),
            contentType: field("Content-Type"), csrfToken: field("X-CSRF-Token"), fetchMode: field("Sec-Fetch-Mode"),
            namedApplication: field("X-FXMount-Application"))
        contentLength = field("Content-Length").flatMap { UInt64($0) }
        isChunked = field("Transfer-Encoding") != nil
        expectsContinue = field("Expect")?.lowercased() == "100-continue"
        requestedMethod = field("Access-Control-Request-Method")
        asksForPrivateNetwork = field("Access-Control-Request-Private-Network") == "true"
    }

    /// Only what paging needs: numbers and words, never escaped.
    private static func pairs(_ text: Substring) -> [String: String] {
        var found: [String: String] = [:]
        for pair in text.split(separator: "&").prefix(32) {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            found[String(sides[0])] = sides.count > 1 ? String(sides[1]) : ""
        }
        return found
    }
}
