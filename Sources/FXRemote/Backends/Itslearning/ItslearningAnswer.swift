internal import FXSystem

/// An answer of the Organisation API, read without trust: SOAP, plain or in a multipart frame, or a page of whatever
/// stands in front of it.
struct ItslearningAnswer: Sendable {
    /// A SOAP fault by its code; the words are for people, never for decisions.
    enum Fault: Sendable, Equatable {
        case authentication
        case security
        /// The service does not know this request.
        case notUnderstood(String)
        /// The service refuses what it was asked.
        case client(String)
        /// The service failed, or says so.
        case service(String)
    }

    let status: Int
    /// What is in the body of the envelope; nil when it is no SOAP.
    let content: XMLElement?
    let fault: Fault?
    let response: HTTPResponse

    init(_ response: HTTPResponse) {
        self.response = response
        status = response.status
        let body = ItslearningAnswer.envelope(in: response).flatMap { try? XMLReader.read($0) }
        let inside = body?.name == "Envelope" ? body?["Body"]?.children.first : nil
        if let inside, inside.name == "Fault" {
            content = nil
            fault = ItslearningAnswer.fault(inside)
        } else {
            content = inside
            fault = nil
        }
    }

    private static func fault(_ element: XMLElement) -> Fault {
        let code = (element.text(of: "faultcode") ?? "").trimmed
        let words = (element.text(of: "faultstring") ?? "").onOneLine
        switch code.split(separator: ":").last {
        case "FailedAuthentication": return .authentication
        case "InvalidSecurity", "InvalidSecurityToken", "MessageExpired", "FailedCheck": return .security
        case "ActionNotSupported", "MustUnderstand", "VersionMismatch": return .notUnderstood(words)
        case "Client": return .client(words)
        default: return .service(words)
        }
    }

    /// The envelope's bytes: the whole body, or the first part of a multipart one.
    private static func envelope(in response: HTTPResponse) -> [UInt8]? {
        let type = response.fields["Content-Type"] ?? ""
        guard type.lowercased().hasPrefix("multipart/") else { return response.body }
        guard let boundary = parameter("boundary", of: type), !boundary.isEmpty else { return nil }
        let text = String(decoding: response.body, as: UTF8.self)
        let parts = text.split(separator: "--\(boundary)", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let head = parts[1].firstRange(of: "\r\n\r\n") else { return nil }
        return Array(parts[1][head.upperBound...].utf8)
    }

    private static func parameter(_ name: String, of type: String) -> String? {
        for part in type.split(separator: ";").dropFirst() {
            let sides = part.split(separator: "=", maxSplits: 1)
            guard sides.count == 2, sides[0].trimmed.lowercased() == name else { continue }
            return sides[1].trimmed.filter { $0 != "\"" }
        }
        return nil
    }

    /// What an answer that is neither a success nor a fault means, decided by its status alone.
    func error(now: Timestamp) -> RemoteError {
        switch status {
        case 415: .notUnderstood("")
        // No SOAP: a server in front of the service, which may be well again later.
        case 500: .unavailable(retryAfter: response.retryAfter(now: now))
        default: response.remoteError(now: now)
        }
    }
}

extension XMLElement {
    /// The first element with a name, at any depth.
    func find(_ name: String) -> XMLElement? {
        if self.name == name { return self }
        for child in children { if let found = child.find(name) { return found } }
        return nil
    }

    /// Every element with a name, at any depth.
    func findAll(_ name: String) -> [XMLElement] {
        (self.name == name ? [self] : []) + children.flatMap { $0.findAll(name) }
    }
}

extension StringProtocol {
    /// Without white space at both ends.
    var trimmed: String {
        var rest = self[...]
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return String(rest)
    }

    /// Words of a service for a person: printable, at most two lines of a terminal.
    var onOneLine: String {
        let line = trimmed.unicodeScalars.map { scalar -> Character in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: " "
            default: Character(scalar)
            }
        }
        return String(String(line).prefix(160))
    }
}
