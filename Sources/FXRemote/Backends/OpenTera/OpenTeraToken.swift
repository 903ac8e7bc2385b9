internal import FXSystem

/// What a login or a refresh gives: proof of who asks, for a limited time.
struct OpenTeraToken: Sendable, Equatable {
    var text: Secret
    /// By our own clock.
    var received: Timestamp
    /// In seconds.
    var life: Int64
    /// Who logged in, when the token says it.
    var user: Int64?

    /// A token lives an hour after a login when it does not say how long.
    static let standardLife: Int64 = 3600

    /// Reads the payload of a JSON web token (RFC 7519); only the server can check its signature.
    /// - Returns: nil when `text` cannot be sent in a field of a request.
    init?(_ text: String, received: Timestamp) {
        // RFC 9110 section 11.2: the characters of a token68.
        let isFit = !text.isEmpty && text.utf8.allSatisfy { (0x21...0x7e).contains($0) && !"\",;\\".utf8.contains($0) }
        guard isFit else { return nil }
        self.text = Secret(text)
        self.received = received
        let payload = OpenTeraToken.payload(text)
        user = payload?["id_user"]?.integer
        life = OpenTeraToken.standardLife
        guard let end = payload?["exp"]?.integer else { return }
        // Both by the server's clock, so that ours may be wrong.
        let given = end.subtractingReportingOverflow(payload?["iat"]?.integer ?? received.seconds).partialValue
        if (1...OpenTeraToken.longestLife).contains(given) { life = given }
    }

    /// A day: whatever says more is no login token of this service.
    private static let longestLife: Int64 = 86_400

    /// 1 when it ends.
    func age(at now: Timestamp) -> Double { Double(now.seconds - received.seconds) / Double(life) }

    /// In seconds, never negative.
    func remaining(at now: Timestamp) -> Int64 { max(0, life - max(0, now.seconds - received.seconds)) }

    private static func payload(_ text: String) -> JSONValue? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let bytes = Base64.decode(parts[1]) else { return nil }
        return JSONValue(parsing: String(decoding: bytes, as: UTF8.self))
    }
}

/// RFC 4648, without line breaks.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// The standard alphabet, with padding (section 4).
    static func encode(_ bytes: some Collection<UInt8>) -> String {
        var out: [UInt8] = []
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            let group = rest.prefix(3)
            rest = rest.dropFirst(3)
            let bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
            for place in 0..<4 {
                let shift = UInt32(18 - 6 * place)
                out.append(place <= group.count ? alphabet[Int(bits >> shift & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// The standard or the URL alphabet (section 5), padded or not; nil when there is anything else in it.
    static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var out: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        let digits = text.utf8.reversed().drop { $0 == UInt8(ascii: "=") }.reversed()
        if digits.count % 4 == 1 { return nil }
        for digit in digits {
            guard let value = value(digit) else { return nil }
            bits = bits << 6 | value
            count += 6
            if count >= 8 {
                count -= 8
                out.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return out
    }

    private static func value(_ digit: UInt8) -> UInt32? {
        switch digit {
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: alphabet.firstIndex(of: digit).map { UInt32($0) }
        }
    }
}
