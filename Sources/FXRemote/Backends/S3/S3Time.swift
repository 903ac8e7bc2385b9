internal import FXSystem

/// The forms in which S3 writes times, all in UTC.
enum S3Time {
    /// `20130524T000000Z`, of which the first eight characters are the day.
    static func basic(_ time: Timestamp) -> String {
        let digits = time.rfc3339.prefix(19).filter { $0 != "-" && $0 != ":" }
        return "\(digits)Z"
    }

    /// `2013-05-24T00:00:00.000Z`, with or without a fraction; nil when it is something else.
    static func parse(_ text: String) -> Timestamp? {
        let parts = text.split { "-T:Z+".contains($0) }
        guard parts.count == 6, let year = Int64(parts[0]), let month = Int64(parts[1]), let day = Int64(parts[2]),
            let hour = Int64(parts[3]), let minute = Int64(parts[4]), (1...12).contains(month), (1...31).contains(day),
            (0..<24).contains(hour), (0..<60).contains(minute), (0...9999).contains(year)
        else { return nil }
        let seconds = parts[5].split(separator: ".", omittingEmptySubsequences: false)
        guard seconds.count <= 2, let whole = Int64(seconds[0]), (0...60).contains(whole) else { return nil }
        let days = CivilDate.days(year: year, month: month, day: day)
        let total = days * 86_400 + hour * 3600 + minute * 60 + whole
        return Timestamp(seconds: total, nanoseconds: seconds.count == 2 ? nanoseconds(seconds[1]) : 0)
    }

    /// `1700000000.123456789`, how a modification time is kept with an object.
    static func exact(_ time: Timestamp) -> String {
        let fraction = String(time.nanoseconds)
        return "\(time.seconds)." + String(repeating: "0", count: max(0, 9 - fraction.count)) + fraction
    }

    private static func nanoseconds(_ digits: Substring) -> UInt32 {
        let nine = digits.prefix(9)
        return (UInt32(nine) ?? 0) * (0..<(9 - nine.count)).reduce(1) { product, _ in product * 10 }
    }
}
