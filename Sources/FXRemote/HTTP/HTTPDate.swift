internal import FXSystem

/// HTTP dates (RFC 9110 section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT` and the two obsolete forms.
enum HTTPDate {
    /// - Parameter now: tells the century of a year of two digits.
    /// - Returns: nil when `text` is no date.
    static func parse(_ text: String, now: Timestamp) -> Timestamp? {
        let words = text.split { $0 == " " || $0 == "," || $0 == "-" }.map(String.init)
        switch words.count {
        // Sun, 06 Nov 1994 08:49:37 GMT, or Sunday, 06-Nov-94 08:49:37 GMT
        case 6 where words[5] == "GMT" || words[5] == "UTC":
            guard let year = year(words[3], now: now) else { return nil }
            return moment(year: year, month: words[2], day: words[1], time: words[4])
        // Sun Nov  6 08:49:37 1994
        case 5:
            guard let year = year(words[4], now: now) else { return nil }
            return moment(year: year, month: words[1], day: words[2], time: words[3])
        default: return nil
        }
    }

    private static let months = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ]

    private static func moment(year: Int64, month: String, day: String, time: String) -> Timestamp? {
        let parts = time.split(separator: ":", omittingEmptySubsequences: false).map { number($0, 2...2) }
        guard let month = months.firstIndex(of: month.lowercased()), let day = number(day, 1...2),
            (1...31).contains(day),
            parts.count == 3, let hour = parts[0], let minute = parts[1], let second = parts[2],
            hour < 24, minute < 60, second <= 60
        else { return nil }
        let days = CivilDate.days(year: year, month: Int64(month) + 1, day: day)
        return Timestamp(seconds: days * 86_400 + hour * 3600 + minute * 60 + second)
    }

    private static func year(_ text: String, now: Timestamp) -> Int64? {
        if let year = number(text, 4...4) { return year }
        guard let short = number(text, 2...2) else { return nil }
        // RFC 9110: more than 50 years ahead means the past century.
        let current = 1970 + now.seconds / 31_556_952
        let year = current - current % 100 + short
        return year > current + 50 ? year - 100 : year
    }

    private static func number(_ text: some StringProtocol, _ lengths: ClosedRange<Int>) -> Int64? {
        guard lengths.contains(text.utf8.count), text.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
        return Int64(text)
    }
}

/// The Gregorian calendar, for dates that services send.
enum CivilDate {
    /// Days since 1970-01-01, by counting from March so that the leap day is the last of its year.
    static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
