/// How to wait for the next request: by looking for it again and again, or asleep.
///
/// A thread that sleeps has to be woken. Where that means another processor, one that is stopped on a virtual machine, it
/// costs several times what serving a request does; where caller and worker share a processor it costs next to nothing,
/// and whoever looks takes the caller's. Which of the two it is the scheduler decides anew from minute to minute, so both
/// ways are tried, and the one that brought requests sooner is taken until the next trial.
///
/// Times are in nanoseconds. Pure.
struct Attention: Sendable, Equatable {
    enum Way: Sendable { case look, sleep }

    /// About what waking two threads costs on a virtual machine; more than that is not worth a busy processor.
    static let longestLook: UInt64 = 50_000
    /// A longer wait tells of the caller and not of the way.
    static let longestGap: UInt64 = 200_000
    /// Requests of one trial, enough to tell the ways apart, and how many until the next.
    static let trial = 16
    static let period = 1024

    private struct Average: Equatable {
        private(set) var value: UInt64 = 0
        private(set) var count = 0

        mutating func add(_ gap: UInt64) {
            count += 1
            // The newest counts a sixteenth.
            value = count == 1 ? gap : value &- value / 16 &+ gap / 16
        }
    }

    private let mayLook: Bool
    private var looks = Average()
    private var sleeps = Average()
    private var requests = 0
    private var isPaused = true

    init(mayLook: Bool) { self.mayLook = mayLook }

    /// After a pause, asleep: nobody knows when the next one comes.
    mutating func choose() -> Way {
        guard mayLook, !isPaused else { return .sleep }
        requests = (requests + 1) % Attention.period
        if looks.count < Attention.trial { return .look }
        if sleeps.count < Attention.trial { return .sleep }
        if requests < Attention.trial { return better == .look ? .sleep : .look }
        return better
    }

    mutating func waited(_ gap: UInt64, in way: Way) {
        let wasPaused = isPaused
        isPaused = gap > Attention.longestGap
        if isPaused || wasPaused { return }
        switch way {
        case .look: looks.add(gap)
        case .sleep: sleeps.add(gap)
        }
    }

    /// Looking takes a processor, so it has to be clearly better.
    private var better: Way { looks.value + looks.value / 4 < sleeps.value ? .look : .sleep }
}
