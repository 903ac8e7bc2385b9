public import FXSystem
internal import SystemPackage

/// The name of one version: when it was made, and which state of which file it keeps.
///
/// `@YYYYMMDDTHHMMSS.nnnnnnnnnZ-<inode>-<change time>` with both numbers in hexadecimal, and `-2`, `-3`, … when the
/// name was taken. In byte order of the names the versions of a file are in order of time.
public struct VersionStamp: Hashable, Sendable {
    public let madeAt: Timestamp
    /// Of the file the version was made from; 0 for a restored content that never was that file.
    public let sourceInode: UInt64
    /// The source's status change time in nanoseconds since 1970, modulo 2^64; 0 as above.
    public let sourceChanged: UInt64
    /// 1, or more when several were made of the same state in the same nanosecond.
    public let number: Int

    init(madeAt: Timestamp, source: FileStatus) {
        self.init(
            madeAt: madeAt, sourceInode: source.inode, sourceChanged: Self.nanoseconds(source.changed), number: 1)
    }

    init(madeAt: Timestamp, sourceInode: UInt64, sourceChanged: UInt64, number: Int) {
        self.madeAt = madeAt
        self.sourceInode = sourceInode
        self.sourceChanged = sourceChanged
        self.number = number
    }

    /// The next name to try when this one is taken.
    var next: VersionStamp {
        VersionStamp(madeAt: madeAt, sourceInode: sourceInode, sourceChanged: sourceChanged, number: number + 1)
    }

    /// True when it was made of this very state of this very inode, so long after the last change that no later one can
    /// have left the same change time.
    ///
    /// Two seconds, the coarsest clock of a file system in use (FAT; git calls it the racy index).
    func isCurrent(for status: FileStatus) -> Bool {
        let settled = Timestamp(seconds: status.changed.seconds &+ 2, nanoseconds: status.changed.nanoseconds)
        return sourceInode == status.inode && sourceChanged == Self.nanoseconds(status.changed) && madeAt > settled
    }

    static func nanoseconds(_ time: Timestamp) -> UInt64 {
        UInt64(bitPattern: time.seconds &* 1_000_000_000 &+ Int64(time.nanoseconds))
    }

    /// What `fxmount versions` shows and takes: the name without its `@`.
    public var text: String {
        let day = CalendarDay(daysSince1970: madeAt.seconds.flooredQuotient(86400))
        let second = madeAt.seconds - madeAt.seconds.flooredQuotient(86400) * 86400
        let time = "\(padded(second / 3600, 2))\(padded(second / 60 % 60, 2))\(padded(second % 60, 2))"
        let moment =
            "\(padded(day.year, 4))\(padded(day.month, 2))\(padded(day.day, 2))T\(time).\(padded(Int64(madeAt.nanoseconds), 9))Z"
        let suffix = number > 1 ? "-\(number)" : ""
        return "\(moment)-\(String(sourceInode, radix: 16))-\(String(sourceChanged, radix: 16))\(suffix)"
    }

    /// Reads what `text` wrote; nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3 || parts.count == 4, let madeAt = Self.moment(Array(parts[0].utf8)),
            let inode = UInt64(parts[1], radix: 16), let changed = UInt64(parts[2], radix: 16)
        else { return nil }
        let number = parts.count == 4 ? Int(parts[3]) ?? 0 : 1
        self.init(madeAt: madeAt, sourceInode: inode, sourceChanged: changed, number: number)
        // One spelling each: no leading zeros, signs or capitals.
        if self.text != text { return nil }
    }

    /// Reads an entry of a version directory; nil for a directory of the tree or a partial copy.
    init?(entry bytes: some Collection<UInt8>) {
        guard bytes.first == UInt8(ascii: "@") else { return nil }
        self.init(String(decoding: bytes.dropFirst(), as: UTF8.self))
    }

    func name() throws(Errno) -> Name { try makeName(Array("@\(text)".utf8)) }

    private static func moment(_ text: [UInt8]) -> Timestamp? {
        // 20260131T235959.123456789Z
        guard text.count == 26, text[8] == UInt8(ascii: "T"), text[15] == UInt8(ascii: "."),
            text[25] == UInt8(ascii: "Z"), let year = number(text[0..<4]), let month = number(text[4..<6]),
            let day = number(text[6..<8]), let hour = number(text[9..<11]), let minute = number(text[11..<13]),
            let second = number(text[13..<15]), let nanoseconds = number(text[16..<25]),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 60
        else { return nil }
        let days = CalendarDay(year: year, month: month, day: day).daysSince1970
        return Timestamp(
            seconds: days * 86400 + hour * 3600 + minute * 60 + second, nanoseconds: UInt32(nanoseconds))
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
        guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
    }
}

extension VersionStamp: Comparable {
    /// By time, then by number.
    public static func < (left: VersionStamp, right: VersionStamp) -> Bool {
        (left.madeAt, left.number, left.sourceInode, left.sourceChanged)
            < (right.madeAt, right.number, right.sourceInode, right.sourceChanged)
    }
}

/// A date of the proleptic Gregorian calendar, counted as in Howard Hinnant's "chrono-compatible low-level date
/// algorithms".
struct CalendarDay {
    var year, month, day: Int64

    init(year: Int64, month: Int64, day: Int64) {
        self.year = year
        self.month = month
        self.day = day
    }

    init(daysSince1970 days: Int64) {
        // Years start in March here, so that the leap day is the last of its year.
        let shifted = days + 719_468
        let era = shifted.flooredQuotient(146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    var daysSince1970: Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = shiftedYear.flooredQuotient(400)
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}

extension Int64 {
    /// Division that rounds down, for times before 1970.
    fileprivate func flooredQuotient(_ divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}

private func padded(_ value: Int64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

/// Bytes of our own making as a name.
/// - Throws: EINVAL for bytes that are none.
func makeName(_ bytes: [UInt8]) throws(Errno) -> Name {
    do throws(NameError) { return try Name(validating: bytes) } catch { throw .invalidArgument }
}
