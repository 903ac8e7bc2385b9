public import FXMapping
internal import FXSystem

/// A web origin (RFC 6454) as a browser sends it, and the application it stands for.
///
/// Consent belongs to the whole origin; the application, and with it the types, to its host: as published, the domain
/// identifies the application, whatever the port.
public struct Origin: Hashable, Sendable {
    /// Scheme and host in lower case, the port only when it is not the scheme's own.
    public let text: String
    public let application: ApplicationID
    let scheme: String
    let host: String
    let port: UInt16

    /// nil for everything a browser does not send for a page of the web: `null`, other schemes, paths, user names.
    public init?(_ header: some StringProtocol) {
        let lowered = header.lowercased()
        guard let separator = lowered.firstRange(of: "://") else { return nil }
        let scheme = String(lowered[..<separator.lowerBound])
        guard scheme == "http" || scheme == "https",
            let authority = Authority(lowered[separator.upperBound...]),
            let application = try? ApplicationID(authority.host)
        else { return nil }
        let standard: UInt16 = scheme == "https" ? 443 : 80
        self.scheme = scheme
        host = authority.host
        port = authority.port ?? standard
        self.application = application
        text = "\(scheme)://\(host)" + (port == standard ? "" : ":\(port)")
    }
}

extension Origin: CustomStringConvertible { public var description: String { text } }

/// A host name or address with an optional port, as in `Host` and in an origin.
struct Authority: Hashable, Sendable {
    /// In lower case; an IPv6 address in its brackets.
    let host: String
    let port: UInt16?

    /// nil unless it is a host name of letters, digits, hyphens and dots, or an address.
    init?(_ text: some StringProtocol) {
        let text = text.lowercased()
        let host: Substring
        let rest: Substring
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[...end]
            rest = text[text.index(after: end)...]
            guard host.utf8.dropFirst().dropLast().allSatisfy({ "0123456789abcdef:.".utf8.contains($0) }) else {
                return nil
            }
        } else {
            host = text.prefix { $0 != ":" }
            rest = text[host.endIndex...]
            guard !host.isEmpty, host.utf8.count <= 253, host.first != ".",
                host.utf8.allSatisfy({ "abcdefghijklmnopqrstuvwxyz0123456789-._".utf8.contains($0) })
            else { return nil }
        }
        if rest.isEmpty {
            port = nil
        } else {
            let digits = rest.dropFirst()
            guard rest.first == ":", digits.utf8.allSatisfy({ (48...57).contains($0) }), let number = UInt16(digits),
                number > 0
            else { return nil }
            port = number
        }
        self.host = String(host)
    }

    /// True for the names and addresses that mean this machine only.
    var isLoopback: Bool {
        if host == "localhost" || host == "[::1]" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}
