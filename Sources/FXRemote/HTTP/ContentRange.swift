/// `Content-Range` (RFC 9110 section 14.4): `bytes 0-9/100`, `bytes */100`.
struct ContentRange: Sendable, Equatable {
    /// nil when nothing of it was sent.
    var range: Range<UInt64>?
    var total: UInt64?

    init?(_ value: String?) {
        guard let words = value?.split(separator: " "), words.count == 2, words[0] == "bytes" else { return nil }
        let parts = words[1].split(separator: "/")
        guard parts.count == 2 else { return nil }
        total = UInt64(parts[1])
        if total == nil, parts[1] != "*" { return nil }
        if parts[0] == "*" { return }
        let ends = parts[0].split(separator: "-").map { UInt64($0) }
        guard ends.count == 2, let first = ends[0], let last = ends[1], first <= last, last < .max else { return nil }
        range = first..<last + 1
    }
}
