internal import FXSystem

/// The key of an object, as bytes: S3 takes up to 1024 of them, in UTF-8.
struct S3Key: Hashable, Sendable {
    var bytes: [UInt8]

    static let maximumLength = 1024

    init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }
    init(_ text: String) { bytes = Array(text.utf8) }

    /// As a path has it: everything percent-encoded but letters, digits, `-._~` and `/`.
    var encoded: String {
        bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .map(PercentEncoding.encode).joined(separator: "/")
    }

    /// Reads what `encoded` wrote; nil when it is something else.
    init?(encoded: some StringProtocol) {
        guard let bytes = PercentEncoding.decode(encoded) else { return nil }
        self.bytes = bytes
    }

    /// Reads a key of a listing with `encoding-type=url`, where a space is a plus sign.
    init?(listed text: String) {
        let spaced = text.utf8.contains(UInt8(ascii: "+")) ? text.replacing("+", with: "%20") : text
        guard let bytes = PercentEncoding.decode(spaced) else { return nil }
        self.bytes = bytes
    }

    /// Decoded for a parameter of a query, which a server takes as text in any case.
    var text: String { String(decoding: bytes, as: UTF8.self) }

    func starts(with prefix: S3Key) -> Bool { bytes.starts(with: prefix.bytes) }

    static func + (left: S3Key, right: String) -> S3Key { S3Key(left.bytes + Array(right.utf8)) }
    static func + (left: S3Key, right: some Sequence<UInt8>) -> S3Key { S3Key(left.bytes + right) }
}

/// The identity of a committed object: its key and the entity tag of the content, which changes with it.
///
/// As text, for the journal and for people: `5d41402abc4b2a76b9719d911017c592 session/file.txt`.
struct S3ObjectID: Hashable, Sendable {
    var key: S3Key
    /// Without quotation marks.
    var tag: String?

    init(key: S3Key, tag: String?) {
        self.key = key
        self.tag = tag
    }

    var text: String { (tag.map { "\($0) " } ?? "") + key.encoded }

    init?(text: String) {
        let parts = text.split(separator: " ")
        guard let last = parts.last, parts.count <= 2, let key = S3Key(encoded: last) else { return nil }
        self.init(key: key, tag: parts.count == 2 ? String(parts[0]) : nil)
    }
}

/// Entity tags (RFC 9110 section 8.8.3) as S3 sends them.
enum S3Tag {
    /// Without quotation marks; nil for an empty one.
    static func bare(_ text: String?) -> String? {
        guard let text else { return nil }
        let bare = text.trimmingPrefix("W/").filter { $0 != "\"" && $0 != " " && $0 != "\n" }
        return bare.isEmpty ? nil : bare
    }

    static func quoted(_ bare: String) -> String { "\"\(bare)\"" }
}
