internal import FXSystem

/// Where an upload is, from what a service said: a path on the configured host and nothing else.
enum TusLocation {
    /// Resolves a `Location` (RFC 3986 section 5) against the request it answers.
    /// - Parameter base: the target of that request.
    /// - Returns: what a request has for its target; nil when it is no url, or one that leaves the host.
    static func target(_ location: String, base: String, origin: HTTPOrigin) -> String? {
        // What has no place in a url has none in a request; a fragment is never sent.
        guard !location.isEmpty,
            location.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && !#""<>\^`{|}#"#.utf8.contains($0) })
        else { return nil }
        if location.hasPrefix("//") { return target(Substring(location).dropFirst(2), scheme: origin.scheme, origin) }
        if location.hasPrefix("/") { return location }
        if let colon = location.firstIndex(of: ":"),
            location[..<colon].allSatisfy({ $0.isLetter || $0.isNumber || "+-.".contains($0) })
        {
            let rest = location[colon...].dropFirst()
            guard let scheme = HTTPOrigin.Scheme(rawValue: location[..<colon].lowercased()), rest.hasPrefix("//") else {
                return nil
            }
            return target(rest.dropFirst(2), scheme: scheme, origin)
        }
        return merged(location, base)
    }

    /// - Parameter rest: what follows the two slashes.
    private static func target(_ rest: Substring, scheme: HTTPOrigin.Scheme, _ origin: HTTPOrigin) -> String? {
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        guard let other = try? HTTPOrigin("\(scheme.rawValue)://\(rest[..<end])"), other.host == origin.host else {
            return nil
        }
        // Who ends TLS in front of a service may make it speak of http and of its inner port of that scheme.
        let isStandard = other.port == scheme.standardPort && origin.port == origin.scheme.standardPort
        if other.port != origin.port && !isStandard { return nil }
        let path = String(rest[end...])
        return path.hasPrefix("/") ? path : "/" + path
    }

    /// A path relative to the directory of the request; `..` ends at the root.
    private static func merged(_ reference: String, _ base: String) -> String? {
        let path = base.prefix { $0 != "?" }
        if reference.hasPrefix("?") { return String(path) + reference }
        let parts = reference.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().dropLast()
        let added = parts[0].split(separator: "/", omittingEmptySubsequences: false)
        for (index, segment) in added.enumerated() {
            let isLast = index == added.count - 1
            switch segment {
            case ".": if isLast { segments.append("") }
            case "..":
                _ = segments.popLast()
                if isLast { segments.append("") }
            default: segments.append(segment)
            }
        }
        return "/" + segments.joined(separator: "/") + (parts.count > 1 ? "?\(parts[1])" : "")
    }

    /// True of the unfinished uploads of SeaweedFS, which are at `/.tus/.uploads/<uuid>` whatever they were created at.
    static func isSeaweedFS(_ target: String) -> Bool {
        target.prefix { $0 != "?" }.split(separator: "/").dropLast().last == ".uploads"
    }
}

/// What has to be known to go on with an upload: the note of `Backend.begin`.
struct TusNote: Sendable, Equatable {
    /// Of its requests.
    var target: String
    /// It was created without a length, which is told at the end.
    var isDeferred = false

    private static let deferred = "deferred "

    init(_ target: String, isDeferred: Bool) {
        self.target = target
        self.isDeferred = isDeferred
    }

    init?(_ text: String?) {
        guard let text, !text.isEmpty else { return nil }
        isDeferred = text.hasPrefix(TusNote.deferred)
        target = isDeferred ? String(text.dropFirst(TusNote.deferred.count)) : text
    }

    var text: String { (isDeferred ? TusNote.deferred : "") + target }
}
