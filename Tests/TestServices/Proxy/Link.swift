import FXSystem

/// A line that all connections share in one direction, as wide as it is set to. Whoever sends waits until the bytes of those
/// before have passed, as it would for a full buffer of a router.
final class Link: Sendable {
    private struct State: Sendable {
        /// nil for a line that holds nobody up.
        var bytesPerSecond: Int?
        /// When the last byte that was let on it has passed.
        var free: ContinuousDeadline?
    }

    private let state = Monitor(State())

    var bytesPerSecond: Int? {
        get { state.withLock { $0.bytesPerSecond } }
        set { state.withLock { $0.bytesPerSecond = newValue } }
    }

    /// Waits for the turn of so many bytes.
    func pass(_ count: Int) {
        let turn: ContinuousDeadline? = state.withLock { state in
            guard let rate = state.bytesPerSecond, rate > 0 else { return nil }
            let turn = max(.now(), state.free ?? .now())
            state.free = turn.advanced(by: .seconds(1) * count / rate)
            return turn
        }
        if let turn { pause(turn.remaining) }
    }
}

/// The lines of a proxy.
struct ProxyLinks: Sendable {
    let toClients = Link()
    let toUpstream = Link()
}
