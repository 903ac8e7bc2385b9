internal import Synchronization

/// How many ranges are brought from one service at once, so that listings and uploads find room beside them.
///
/// Lock order: `state` is a leaf; who waits is called outside of it.
final class ReadTurns: Sendable {
    private struct State {
        var running = 0
        var waiting: [@Sendable () -> Void] = []
        var isWaking = false
    }

    /// See `HTTPOptions.standardConnections`: eight fill any line.
    static let standardLimit = 8

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int = ReadTurns.standardLimit) { self.limit = limit }

    /// A turn, to be given back with `end`; false when there is none.
    /// - Parameter waits: somebody waits for it; who does not gives way to those.
    func begin(waits: Bool) -> Bool {
        state.withLock { state in
            if state.running >= limit || !waits && !state.waiting.isEmpty { return false }
            state.running += 1
            return true
        }
    }

    /// Calls `retry` once, when a turn has come back. Holding no lock.
    func wait(_ retry: @escaping @Sendable () -> Void) {
        let isFree = state.withLock { state in
            state.waiting.append(retry)
            return state.running < limit
        }
        if isFree { wake() }
    }

    /// Gives a turn back. Holding no lock.
    func end() {
        state.withLock { $0.running -= 1 }
        wake()
    }

    /// Lets those who wait try, in order, as long as there are turns. What one of them gives back at once the loop sees:
    /// no recursion, however many there are.
    private func wake() {
        let isFirst = state.withLock { state in
            defer { state.isWaking = true }
            return !state.isWaking
        }
        if !isFirst { return }
        while true {
            let retry: (@Sendable () -> Void)? = state.withLock { state in
                if state.running < limit, !state.waiting.isEmpty { return state.waiting.removeFirst() }
                state.isWaking = false
                return nil
            }
            guard let retry else { return }
            retry()
        }
    }
}
