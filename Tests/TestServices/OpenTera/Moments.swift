import Glibc

/// Moments in microseconds since 1970, as OpenTera writes and reads them. Its zone is UTC.
enum Moment {
    static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }

    /// `2026-11-22T05:39:43.361704+00:00`; a fraction of zero is left out.
    static func text(_ moment: Int64) -> String {
        var seconds = time_t(floorDivide(moment, 1_000_000))
        let fraction = Int(moment - Int64(seconds) * 1_000_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let tail = fraction == 0 ? "" : "." + padded(fraction, 6)
        return
            "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(Int(parts.tm_mday), 2))"
            + "T\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):\(padded(Int(parts.tm_sec), 2))\(tail)+00:00"
    }

    /// `Sun, 22 Nov 2026 05:39:43 GMT` (RFC 9110 section 5.6.7).
    static func httpDate(_ moment: Int64) -> String {
        var seconds = time_t(floorDivide(moment, 1_000_000))
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        return "\(days[Int(parts.tm_wday)]), \(padded(Int(parts.tm_mday), 2)) \(months[Int(parts.tm_mon)])"
            + " \(Int(parts.tm_year) + 1900) \(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2))"
            + ":\(padded(Int(parts.tm_sec), 2)) GMT"
    }

    /// nil for anything but the form above.
    static func parseHTTPDate(_ text: String) -> Int64? {
        let words = text.split { $0 == " " || $0 == ":" || $0 == "," }
        guard words.count == 8, let day = Int(words[1]), let month = months.firstIndex(of: String(words[2])),
            let year = Int(words[3]), let hour = Int(words[4]), let minute = Int(words[5]), let second = Int(words[6])
        else { return nil }
        return (days(year, month + 1, day) * 86400 + Int64(hour * 3600 + minute * 60 + second)) * 1_000_000
    }

    /// ISO 8601: a date, or a date and a time with or without fraction and offset; nil for anything else.
    static func parse(_ text: String) -> Int64? {
        var rest = Substring(text)
        func number(_ width: Int) -> Int? {
            let digits = rest.prefix(width)
            guard digits.count == width, digits.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
            rest = rest.dropFirst(width)
            return Int(digits)
        }
        func take(_ sign: Character) -> Bool {
            guard rest.first == sign else { return false }
            rest = rest.dropFirst()
            return true
        }
        guard let year = number(4), take("-"), let month = number(2), take("-"), let day = number(2),
            (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        var moment = days(year, month, day) * 86_400_000_000
        if rest.isEmpty { return moment }
        guard take("T") || take(" "), let hour = number(2), take(":"), let minute = number(2), hour < 24, minute < 60
        else { return nil }
        moment += Int64(hour * 3600 + minute * 60) * 1_000_000
        if take(":") {
            guard let second = number(2), second < 60 else { return nil }
            moment += Int64(second) * 1_000_000
            if take(".") {
                let digits = rest.prefix { $0.isASCII && $0.isNumber }
                rest = rest.dropFirst(digits.count)
                moment += Int64(digits.prefix(6) + String(repeating: "0", count: max(0, 6 - digits.count))) ?? 0
            }
        }
        if rest.isEmpty || rest == "Z" { return moment }
        let sign: Int64 = rest.first == "-" ? 1 : -1
        guard take("+") || take("-"), let hours = number(2) else { return nil }
        _ = take(":")
        guard let minutes = rest.isEmpty ? 0 : number(2), rest.isEmpty else { return nil }
        return moment + sign * Int64(hours * 3600 + minutes * 60) * 1_000_000
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    private static func padded(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    private static func floorDivide(_ value: Int64, _ by: Int64) -> Int64 {
        value >= 0 ? value / by : -((-value + by - 1) / by)
    }

    /// Days from 1970-01-01 in the Gregorian calendar.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int64 {
        let shifted = month > 2 ? year : year - 1
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return Int64(era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468)
    }
}
