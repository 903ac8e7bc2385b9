/// Where a service is: scheme, host and port of a configured url, and the path below which its requests lie.
///
/// A request can name a target only, so that nothing a service answers can send credentials to another host.
public struct HTTPOrigin: Sendable, Equatable {
    public enum Scheme: String, Sendable {
        case http, https

        public var standardPort: UInt16 { self == .http ? 80 : 443 }
    }

    public let scheme: Scheme
    /// In lower case; an IPv6 address has its brackets.
    public let host: String
    public let port: UInt16
    /// Percent-encoded; empty, or begins with `/` and does not end with one.
    public let basePath: String

    /// As the `Host` field has it: the port only when it is not the scheme's own.
    public var authority: String { port == scheme.standardPort ? host : "\(host):\(port)" }

    /// What is sent there does not leave this machine.
    public var isLoopback: Bool {
        if host == "localhost" || host == "[::1]" { return true }
        return host.hasPrefix("127.") && host.allSatisfy { $0.isASCII && ($0.isNumber || $0 == ".") }
    }

    /// `https://host:port`, without the base path.
    public var root: String { "\(scheme.rawValue)://\(authority)" }

    /// Another host of the same service, such as a bucket's own: `prefix` becomes its first labels.
    /// - Throws: `.host` for what cannot be part of a name: a slash in it would make a host of the prefix alone.
    public func withHostPrefix(_ prefix: String) throws(HTTPOriginError) -> HTTPOrigin {
        guard prefix.allSatisfy(HTTPOrigin.isInName) else { throw .host }
        return try HTTPOrigin("\(scheme.rawValue)://\(prefix).\(authority)\(basePath)")
    }

    /// Reads a configured url.
    /// - Throws: `HTTPOriginError`, whose description is a sentence for the person who wrote it.
    public init(_ url: String) throws(HTTPOriginError) {
        if url.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7f || #""<>\^`{|}"#.utf8.contains($0) }) {
            throw .character
        }
        if url.utf8.contains(UInt8(ascii: "#")) { throw .fragment }
        if url.utf8.contains(UInt8(ascii: "?")) { throw .query }
        let lowered = url.lowercased()
        let rest: Substring
        if lowered.hasPrefix("http://") {
            scheme = .http
            rest = url.dropFirst(7)
        } else if lowered.hasPrefix("https://") {
            scheme = .https
            rest = url.dropFirst(8)
        } else {
            throw .scheme
        }
        let end = rest.firstIndex(of: "/") ?? rest.endIndex
        let authority = rest[..<end]
        if authority.contains("@") { throw .userInfo }
        (host, port) = try HTTPOrigin.hostAndPort(authority, scheme)
        basePath = try HTTPOrigin.path(rest[end...])
    }

    private static func hostAndPort(_ text: Substring, _ scheme: Scheme) throws(HTTPOriginError) -> (String, UInt16) {
        let host: Substring
        var rest: Substring
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { throw .host }
            host = text[...end]
            rest = text[text.index(after: end)...]
            let digits = host.dropFirst().dropLast()
            guard digits.contains(":"), digits.allSatisfy({ $0.isHexDigit || $0 == ":" || $0 == "." }) else {
                throw .host
            }
        } else {
            host = text.prefix { $0 != ":" }
            rest = text[host.endIndex...]
            let isName = host.allSatisfy(isInName)
            guard isName, !host.isEmpty, host.count <= 253, !host.hasPrefix("."), !host.contains("..") else {
                throw .host
            }
        }
        if rest.isEmpty { return (host.lowercased(), scheme.standardPort) }
        guard rest.removeFirst() == ":", rest.allSatisfy(\.isNumber), let port = UInt16(rest), port > 0 else {
            throw .port
        }
        return (host.lowercased(), port)
    }

    private static func isInName(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || character == "-" || character == "." || character == "_"
    }

    private static func path(_ text: Substring) throws(HTTPOriginError) -> String {
        var path = String(text)
        while path.hasSuffix("/") { path.removeLast() }
        for segment in path.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            guard let bytes = PercentEncoding.decode(segment) else { throw .path }
            if segment.isEmpty || bytes == Array(".".utf8) || bytes == Array("..".utf8) { throw .path }
        }
        return path
    }
}

/// What is wrong with a configured url.
public enum HTTPOriginError: Error, Sendable, Equatable, CustomStringConvertible {
    case scheme, character, userInfo, query, fragment, host, port, path

    public var description: String {
        switch self {
        case .scheme: "the url has to begin with http:// or https://"
        case .character:
            "the url has a space, a control character or a character outside ASCII; percent-encode it in the path, "
                + "and write a host name in its xn-- form"
        case .userInfo: "the url must not contain a user name or password; they have keys of their own"
        case .query: "the url must not contain a query (?)"
        case .fragment: "the url must not contain a fragment (#)"
        case .host: "the url has no usable host name"
        case .port: "the port in the url is not a number from 1 to 65535"
        case .path: "the path of the url has an empty or dotted part, or a % without two hexadecimal digits"
        }
    }
}
