internal import FXSystem

/// `Retry-After` (RFC 9110 section 10.2.3).
enum RetryAfter {
    /// nil when absent or not understood; a moment in the past is zero.
    static func duration(_ value: String?, now: Timestamp) -> Duration? {
        guard let value else { return nil }
        if let seconds = Int64(value), seconds >= 0 { return .seconds(min(seconds, longest)) }
        guard let moment = HTTPDate.parse(value, now: now) else { return nil }
        return .seconds(min(max(moment.seconds - now.seconds, 0), longest))
    }

    /// Nobody means more than a week.
    private static let longest: Int64 = 7 * 86_400
}
