internal import FXMapping
internal import FXSystem
internal import Synchronization

/// A bucket of requests for each application that fills up steadily; a value.
struct RequestBucket: Sendable, Equatable {
    private(set) var tokens: Double
    private var filledAt: ContinuousDeadline

    init(rate: Int, now: ContinuousDeadline) {
        tokens = Double(rate)
        filledAt = now
    }

    /// Takes one; nil when there was one, else the seconds until there is.
    mutating func take(rate: Int, now: ContinuousDeadline) -> Double? {
        let span = now.duration(since: filledAt).components
        let seconds = Double(span.seconds) + Double(span.attoseconds) / 1e18
        tokens = min(Double(rate), tokens + seconds * Double(rate))
        filledAt = now
        if tokens >= 1 {
            tokens -= 1
            return nil
        }
        return (1 - tokens) / Double(rate)
    }
}

/// How many requests a second each application may send; those without one share a bucket.
///
/// Lock order: `buckets` is a leaf.
final class RateLimit: Sendable {
    /// Applications are as many as there are origins that somebody made up; the least recently used bucket is full anyway.
    private static let capacity = 1000

    private let rate: Int
    private let buckets = Mutex<[String: RequestBucket]>([:])

    init(requestsPerSecond: Int) { rate = max(1, requestsPerSecond) }

    /// - Throws: `tooManyRequests`.
    func admit(_ key: String) throws(Refusal) {
        let now = ContinuousDeadline.now()
        let wait = buckets.withLock { buckets -> Double? in
            if buckets[key] == nil, buckets.count >= RateLimit.capacity { buckets.removeAll() }
            var bucket = buckets[key] ?? RequestBucket(rate: rate, now: now)
            defer { buckets[key] = bucket }
            return bucket.take(rate: rate, now: now)
        }
        if let wait {
            throw Refusal(
                .tooManyRequests, "too many requests from this application", retryAfter: max(1, Int(wait.rounded(.up))))
        }
    }
}
