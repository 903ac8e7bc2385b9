internal import CLinux
internal import Glibc

/// Which of those who wait on a `Monitor` look at their condition again.
public enum Waking: Sendable {
    /// Nothing has changed for any of them.
    case nobody
    /// Any of them will do: all wait for the same, and there is work for one.
    case one
    case all
}

/// A value behind a lock on which threads can wait for a condition.
///
/// The only way to wait in this project (house style 20). Hold it for memory only: bodies make no system call and
/// answer no request.
///
/// `@unchecked Sendable`: `state` is touched only between lock and unlock of `mutex`; both C objects live at fixed
/// addresses from init to deinit and POSIX allows any thread to use them.
@safe
public final class Monitor<State>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var state: State

    public init(_ state: sending State) {
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe condition.initialize(to: pthread_cond_t())
        unsafe pthread_mutex_init(mutex, nil)
        // Deadlines must not move when somebody sets the clock.
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
        self.state = state
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// Runs `body` alone, then wakes those who wait, so that they look at their condition again.
    ///
    /// - Parameter waking: asked under the lock after `body`. Everybody, unless all waiters are alike: a thread that is
    ///   woken in vain costs as much as a small request.
    public func withLock<Result, Failure: Error>(
        waking: (State) -> Waking = { _ in .all }, _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        unsafe pthread_mutex_lock(mutex)
        // Woken after the lock is given back: a thread that is woken before only runs into it.
        defer {
            let woken = waking(state)
            unsafe pthread_mutex_unlock(mutex)
            wake(woken)
        }
        return try body(&state)
    }

    /// Looks at the value and wakes nobody.
    public func read<Result>(_ body: (State) -> Result) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return body(state)
    }

    /// Waits until `body` returns something, or until `deadline`; nil means the deadline came first.
    ///
    /// `body` runs under the lock, at once and after every change; it may change the state when it succeeds.
    /// - Parameters:
    ///   - deadline: monotonic; nil waits without end.
    ///   - waking: who else is to look, once `body` has succeeded.
    public func wait<Result>(
        until deadline: ContinuousDeadline? = nil, waking: (State) -> Waking = { _ in .all },
        _ body: (inout State) -> Result?
    ) -> Result? {
        unsafe pthread_mutex_lock(mutex)
        var woken = Waking.nobody
        defer {
            unsafe pthread_mutex_unlock(mutex)
            wake(woken)
        }
        var isOver = false
        while true {
            if let result = body(&state) {
                woken = waking(state)
                return result
            }
            if isOver { return nil }
            if let deadline {
                var time = deadline.systemTime
                isOver = unsafe pthread_cond_timedwait(condition, mutex, &time) == ETIMEDOUT
            } else {
                unsafe pthread_cond_wait(condition, mutex)
            }
        }
    }

    private func wake(_ waking: Waking) {
        switch waking {
        case .nobody: return
        case .one: unsafe pthread_cond_signal(condition)
        case .all: unsafe pthread_cond_broadcast(condition)
        }
    }
}

/// A moment on the monotonic clock.
public struct ContinuousDeadline: Sendable, Comparable {
    let nanoseconds: UInt64

    /// The moment `duration` from now.
    public static func after(_ duration: Duration) -> ContinuousDeadline { now().advanced(by: duration) }

    /// The moment `duration` after this one; this one when `duration` is negative.
    public func advanced(by duration: Duration) -> ContinuousDeadline {
        let start = nanoseconds
        let parts = duration.components
        if duration <= .zero { return self }
        // A span past the end of the clock, five hundred years, is one without end.
        let (whole, isLong) = UInt64(parts.seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (end, isPast) = start.addingReportingOverflow(whole &+ UInt64(parts.attoseconds / 1_000_000_000))
        return ContinuousDeadline(nanoseconds: isLong || isPast ? UInt64(Int64.max) : min(end, UInt64(Int64.max)))
    }

    public static func now() -> ContinuousDeadline {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return ContinuousDeadline(nanoseconds: UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
    }

    public var hasPassed: Bool { ContinuousDeadline.now() >= self }

    /// What is left until then; zero when it has passed.
    public var remaining: Duration {
        let current = ContinuousDeadline.now().nanoseconds
        return .nanoseconds(Int64(clamping: nanoseconds > current ? nanoseconds - current : 0))
    }

    /// The time since this moment; zero when it is still to come.
    public var elapsed: Duration { .nanoseconds(Int64(clamping: elapsedNanoseconds)) }

    /// The same without a division, for where every nanosecond counts.
    public var elapsedNanoseconds: UInt64 {
        let current = ContinuousDeadline.now().nanoseconds
        return current > nanoseconds ? current - nanoseconds : 0
    }

    /// The time from `earlier` to this moment; zero when this one is not later.
    public func duration(since earlier: ContinuousDeadline) -> Duration {
        .nanoseconds(Int64(clamping: nanoseconds > earlier.nanoseconds ? nanoseconds - earlier.nanoseconds : 0))
    }

    public static func < (left: ContinuousDeadline, right: ContinuousDeadline) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    var systemTime: timespec {
        timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    }
}
