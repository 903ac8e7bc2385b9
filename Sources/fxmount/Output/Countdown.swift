internal import FXSystem
internal import Glibc

/// How long it is until a moment, for a person.
struct Countdown: Sendable, Equatable {
    /// Zero when it has passed.
    var seconds: Int64

    /// - Parameters:
    ///   - text: a moment as the mount writes it: `2026-01-31T23:59:59.123456Z`.
    ///   - now: seconds since 1970.
    init?(until text: String, now: Int64) {
        let numbers = text.split { !$0.isNumber }.map { Int32($0) }
        guard numbers.count >= 6, let year = numbers[0], let month = numbers[1], let day = numbers[2],
            let hour = numbers[3], let minute = numbers[4], let second = numbers[5]
        else { return nil }
        var parts = unsafe tm()
        unsafe parts.tm_year = year - 1900
        unsafe parts.tm_mon = month - 1
        unsafe parts.tm_mday = day
        unsafe parts.tm_hour = hour
        unsafe parts.tm_min = minute
        unsafe parts.tm_sec = second
        seconds = max(0, Int64(unsafe timegm(&parts)) - now)
    }

    /// `13 d 4 h`: the two largest units.
    var text: String {
        if seconds == 0 { return "over" }
        let units: [(Int64, String)] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")]
        var rest = seconds
        var words: [String] = []
        for (length, name) in units {
            let count = rest / length
            rest %= length
            if count > 0 { words.append("\(count) \(name)") } else if !words.isEmpty { break }
            if words.count == 2 { break }
        }
        return words.joined(separator: " ")
    }
}
