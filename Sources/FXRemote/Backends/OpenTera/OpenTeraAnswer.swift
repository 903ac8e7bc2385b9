internal import FXSystem

/// An answer of either server, read without trust: errors come as a JSON string, a JSON object, bare text or HTML.
struct OpenTeraAnswer: Sendable {
    var response: HTTPResponse
    var now: Timestamp

    var status: Int { response.status }

    /// The JSON of a success.
    func json() throws(RemoteError) -> JSONValue {
        try check()
        guard let value else { throw .protocolViolation }
        return value
    }

    /// The JSON of any answer; nil when it is none.
    var value: JSONValue? { JSONValue(parsing: String(decoding: response.body, as: UTF8.self)) }

    /// The elements of a list; an empty one may be `null`.
    func list<Element>(_ element: (JSONValue) -> Element?) throws(RemoteError) -> [Element] {
        let value = try json()
        if value == .null { return [] }
        guard let elements = value.elements else { throw .protocolViolation }
        return elements.compactMap(element)
    }

    func check() throws(RemoteError) {
        if !response.isSuccess { throw error }
    }

    /// What a failure means, decided by its status alone.
    var error: RemoteError {
        switch status {
        case 401: .credentials
        case 403: .forbidden
        case 404: .noSuchEntry
        case 416: .changed
        case 426: .accountNeeds(.newerClient)
        // 500 is its answer when a server behind it did not answer in time, so it can pass.
        case 408, 429, 500, 502, 503, 504: .unavailable(retryAfter: response.retryAfter(now: now))
        case 501: .notSupported
        case 200..<300: .protocolViolation
        default: .rejected(status: status, saying: saying)
        }
    }

    /// The words of the service, for a person, on one short line; empty when there are none.
    var saying: String {
        let text = String(decoding: response.body.prefix(OpenTeraAnswer.longestBody), as: UTF8.self)
        let words: String
        if let value = JSONValue(parsing: text) {
            words = value.string ?? value["message"]?.string ?? ""
        } else {
            let isPage = text.drop { $0.isWhitespace }.hasPrefix("<")
            words = isPage || response.body.count > OpenTeraAnswer.longestBody ? "" : text
        }
        let line = words.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : Character($0) }
        return String(String(line).prefix(OpenTeraAnswer.longestSaying))
    }

    /// In bytes; a sentence is shorter.
    private static let longestBody = 4096
    /// In characters: two lines of a terminal.
    private static let longestSaying = 160
}
