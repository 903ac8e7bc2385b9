import FXSystem

/// What the control plane can change. The names are those of its JSON.
struct TusSettings: Sendable {
    /// In the order of the answer to OPTIONS.
    var extensions = [
        "creation", "creation-with-upload", "creation-defer-length", "checksum", "expiration", "termination",
    ]
    var algorithms = ["md5", "sha1", "sha256"]
    var versions = ["1.0.0"]
    /// Bytes; 0 names no limit.
    var maximumSize = 0
    /// Seconds an unfinished upload has; 0 for ever.
    var expiresAfter = 3600
    /// Wanted as a bearer token; empty for none.
    var token = ""
    /// `absolute`, `relative` (to the creation url), `path`, or a url as it is.
    var location = "absolute"
    /// Whole uploads can be read with GET, and in ranges.
    var serves = true
    var servesRanges = true
    /// The answer to OPTIONS; 405 as a server without it.
    var optionsStatus = 204
    /// Of an upload that expired; one that was terminated is 404.
    var expiredStatus = 410
    /// So many of the next requests to uploads are answered 423.
    var locked = 0
    /// So many of the next bodies are damaged on their way.
    var damaged = 0
    /// The most one request brings; 0 for everything.
    var accepts = 0

    private static let numbers: [(String, any WritableKeyPath<TusSettings, Int> & Sendable)] = [
        ("max_size", \.maximumSize), ("expires_after", \.expiresAfter), ("options_status", \.optionsStatus),
        ("expired_status", \.expiredStatus), ("locked", \.locked), ("damaged", \.damaged), ("accepts", \.accepts),
    ]
    private static let switches: [(String, any WritableKeyPath<TusSettings, Bool> & Sendable)] = [
        ("serves", \.serves), ("serves_ranges", \.servesRanges),
    ]
    private static let texts: [(String, any WritableKeyPath<TusSettings, String> & Sendable)] = [
        ("token", \.token), ("location", \.location),
    ]
    private static let lists: [(String, any WritableKeyPath<TusSettings, [String]> & Sendable)] = [
        ("extensions", \.extensions), ("algorithms", \.algorithms), ("versions", \.versions),
    ]

    var json: JSONValue {
        .object(
            TusSettings.numbers.map { .init($0.0, .integer(Int64(self[keyPath: $0.1]))) }
                + TusSettings.switches.map { .init($0.0, .bool(self[keyPath: $0.1])) }
                + TusSettings.texts.map { .init($0.0, .string(self[keyPath: $0.1])) }
                + TusSettings.lists.map { .init($0.0, .array(self[keyPath: $0.1].map { .string($0) })) })
    }

    /// Changes what is named; an unknown name is an error.
    mutating func apply(_ changes: JSONValue) throws(ControlError) {
        for member in changes.members ?? [] {
            if let (_, path) = TusSettings.numbers.first(where: { $0.0 == member.key }),
                let number = member.value.integer
            {
                self[keyPath: path] = Int(number)
            } else if let (_, path) = TusSettings.switches.first(where: { $0.0 == member.key }),
                let value = member.value.boolean
            {
                self[keyPath: path] = value
            } else if let (_, path) = TusSettings.texts.first(where: { $0.0 == member.key }),
                let text = member.value.string
            {
                self[keyPath: path] = text
            } else if let (_, path) = TusSettings.lists.first(where: { $0.0 == member.key }),
                let values = member.value.elements
            {
                self[keyPath: path] = values.compactMap(\.string)
            } else {
                throw ControlError("no such setting, or not of its type: \(member.key)")
            }
        }
    }
}
