/// A version 4 UUID (RFC 4122 section 4.4) made of what it stands for, so that a question that is asked again after its
/// answer was lost is the same question.
struct MFTIdentity: Sendable, Hashable {
    /// 32 hexadecimal digits, as the service writes ids.
    let digits: String

    /// - Parameter number: counts up when the service takes an earlier one no more.
    init(_ kind: String, _ parts: [String], number: Int) {
        let seed = ([kind, String(number)] + parts).map { "\($0.utf8.count):\($0)" }.joined()
        var bytes = Array(SHA256Digest(hashing: Array(seed.utf8)).bytes.prefix(16))
        bytes[6] = bytes[6] & 0x0f | 0x40
        bytes[8] = bytes[8] & 0x3f | 0x80
        digits = hexadecimal(bytes)
    }

    /// `6f1c9d0e-8a57-4c9b-9d0e-2f6f0a1b2c3d`: what the service wants from a client.
    var dashed: String {
        var text = ""
        for (index, digit) in digits.enumerated() {
            if [8, 12, 16, 20].contains(index) { text += "-" }
            text.append(digit)
        }
        return text
    }
}
