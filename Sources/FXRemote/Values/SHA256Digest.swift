internal import Crypto

/// The SHA-256 of a content: 32 bytes.
public struct SHA256Digest: Hashable, Sendable {
    public let bytes: [UInt8]

    init(_ hasher: SHA256) { bytes = Array(hasher.finalize()) }

    init(hashing bytes: some Collection<UInt8>) {
        var hasher = SHA256()
        hasher.update(data: Array(bytes))
        self.init(hasher)
    }

    /// nil unless there are 32 bytes.
    init?(bytes: [UInt8]) {
        if bytes.count != 32 { return nil }
        self.bytes = bytes
    }

    /// Lower-case hexadecimal digits, as sha256sum(1) prints them.
    public var text: String { hexadecimal(bytes) }

    static let empty = SHA256Digest(SHA256())
}

func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}
