/// When to try again: exponential, with full jitter in the upper half, and never earlier than the service asked for.
public struct RetryPolicy: Sendable, Equatable {
    /// The wait after the first failure.
    public var initial: Duration
    /// No wait is longer, unless the service asks for it.
    public var maximum: Duration

    public init(initial: Duration = .milliseconds(500), maximum: Duration = .seconds(120)) {
        self.initial = initial
        self.maximum = maximum
    }

    /// The wait before attempt `failures + 1`; nil when trying again is pointless.
    /// - Parameters:
    ///   - failures: how many attempts have failed, at least one.
    ///   - random: in 0…1; spreads clients that failed together.
    public func wait(after error: RemoteError, failures: Int, random: Double) -> Duration? {
        if !error.isTemporary { return nil }
        // 2^20 times half a second is past every maximum; the bound keeps the shift in range.
        let doubled = initial * (1 << max(0, min(failures - 1, 20)))
        let bounded = min(doubled, maximum)
        let jittered = bounded * (0.5 + 0.5 * max(0, min(random, 1)))
        return max(jittered, error.retryAfter ?? .zero)
    }
}
