internal import FXSystem

/// A moment as OpenTera writes it: ISO 8601, microseconds, an offset; `2026-11-22T05:39:43.361704+00:00`.
struct OpenTeraTime: Sendable, Hashable {
    /// Since 1970; the server keeps no finer time.
    var microseconds: Int64

    init(microseconds: Int64) { self.microseconds = microseconds }

    /// A zero fraction is omitted by the server, an offset may be any; without one it is UTC.
    init?(_ text: String) {
        var rest = Array(text.utf8)[...]
        func take(_ count: Int) -> Int64? {
            let digits = rest.prefix(count)
            guard digits.count == count, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            rest = rest.dropFirst(count)
            return digits.reduce(0) { $0 * 10 + Int64($1 - 0x30) }
        }
        func sign(_ signs: String) -> UInt8? { rest.first.flatMap { signs.utf8.contains($0) ? rest.popFirst() : nil } }
        guard let year = take(4), sign("-") != nil, let month = take(2), sign("-") != nil, let day = take(2),
            sign("T ") != nil, let hour = take(2), sign(":") != nil, let minute = take(2), sign(":") != nil,
            let second = take(2), (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        var fraction: Int64 = 0
        if sign(".,") != nil {
            let digits = rest.prefix { (0x30...0x39).contains($0) }
            rest = rest.dropFirst(digits.count)
            let six = Array(digits.prefix(6)) + Array(repeating: 0x30, count: max(0, 6 - digits.count))
            fraction = six.reduce(0) { $0 * 10 + Int64($1 - 0x30) }
        }
        var offset: Int64 = 0
        if let direction = sign("+-") {
            guard let hours = take(2) else { return nil }
            _ = sign(":")
            offset = (hours * 60 + (take(2) ?? 0)) * 60
            if direction == UInt8(ascii: "-") { offset = -offset }
        } else {
            _ = sign("Zz")
        }
        guard rest.isEmpty else { return nil }
        let days = CivilDate.days(year: year, month: month, day: day)
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset
        microseconds = seconds * 1_000_000 + fraction
    }

    /// Always with six digits and an explicit offset: input without one counts as being in the server's zone.
    var text: String {
        let seconds = microseconds.quotient(1_000_000)
        let fraction = microseconds - seconds * 1_000_000
        let stamp = Timestamp(seconds: seconds, nanoseconds: UInt32(clamping: fraction * 1000)).rfc3339
        return stamp.dropLast() + "+00:00"
    }

    var timestamp: Timestamp {
        let seconds = microseconds.quotient(1_000_000)
        return Timestamp(
            seconds: seconds, nanoseconds: UInt32(clamping: (microseconds - seconds * 1_000_000) * 1000))
    }
}

extension OpenTeraTime {
    /// The `asset_datetime` an upload is known by: the second in which the file was modified, and microseconds that
    /// belong to the upload.
    ///
    /// The service stores it exactly and returns it in every listing, and it has no other field a client may fill and
    /// look for. With the name, the size and the session it finds one upload again: two uploads of equal name, size and
    /// second are taken for each other once in a million.
    init(modified: Timestamp, upload: UploadID) {
        let digest = SHA256Digest(hashing: Array(upload.text.utf8)).bytes
        let number = digest.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let seconds = max(OpenTeraTime.earliest, min(modified.seconds, OpenTeraTime.latest))
        microseconds = seconds * 1_000_000 + Int64(number % 1_000_000)
    }

    /// Years 2 to 9998: what the server's language can hold, in every zone.
    private static let earliest = CivilDate.days(year: 2, month: 1, day: 1) * 86_400
    private static let latest = CivilDate.days(year: 9998, month: 1, day: 1) * 86_400
}

extension Int64 {
    /// Rounded down, also below zero; `divisor` is positive.
    fileprivate func quotient(_ divisor: Int64) -> Int64 {
        self >= 0 ? self / divisor : -((-self + divisor - 1) / divisor)
    }
}
