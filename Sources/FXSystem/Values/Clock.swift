internal import CLinux
internal import Glibc

/// Where the time comes from; a parameter, so that tests can say what time it is (house style 49).
public struct WallClock: Sendable {
    private let read: @Sendable () -> Timestamp

    public init(_ read: @escaping @Sendable () -> Timestamp) { self.read = read }

    public func now() -> Timestamp { read() }

    /// CLOCK_REALTIME.
    public static let system = WallClock {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
    }
}

extension Timestamp {
    /// RFC 3339 in UTC with microseconds, for JSON: `2026-01-31T23:59:59.123456Z`.
    public var rfc3339: String {
        var seconds = time_t(self.seconds)
        var parts = unsafe tm()
        // A year that does not fit an Int32: the number itself says more than nothing.
        guard unsafe gmtime_r(&seconds, &parts) != nil else { return "@\(self.seconds)" }
        func padded(_ value: some BinaryInteger, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let day =
            unsafe "\(padded(Int64(parts.tm_year) + 1900, 4))-\(padded(parts.tm_mon + 1, 2))-\(padded(parts.tm_mday, 2))"
        let time = unsafe "\(padded(parts.tm_hour, 2)):\(padded(parts.tm_min, 2)):\(padded(parts.tm_sec, 2))"
        return "\(day)T\(time).\(padded(Int32(nanoseconds / 1000), 6))Z"
    }
}

/// Reads what people write for a span of time: `"15s"`, `"500ms"`, `"2m"`, `"1h"`, `"30d"`; nil when it is none of
/// these.
public func parseDuration(_ text: String) -> Duration? {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    guard let number = Double(digits), digits.first != ".", digits.last != "." else { return nil }
    let seconds: Double
    switch text.dropFirst(digits.count) {
    case "ms": seconds = 0.001
    case "s", "": seconds = 1
    case "m", "min": seconds = 60
    case "h": seconds = 3600
    case "d": seconds = 86400
    default: return nil
    }
    guard number * seconds < 0x1p40 else { return nil }
    return .milliseconds(Int64((number * seconds * 1000).rounded()))
}
