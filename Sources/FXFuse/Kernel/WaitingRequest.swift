internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// A request that waits for something, answered by whoever comes first: the result, or the death of its caller.
///
/// It holds no worker while it waits.
final class WaitingRequest: Sendable {
    private struct State: ~Copyable {
        var request: PendingRequest?
        var token: InterruptToken?
        var giveUp: (@Sendable () -> Bool)?
        var isDying = false
    }

    private let state: Mutex<State>

    init(_ request: consuming PendingRequest) {
        state = Mutex(State(request: request))
    }

    /// Starts to listen for the caller's death.
    func watch(thread: Int32) {
        let token = InterruptWatch.shared.add(thread: thread) { [weak self] in self?.interrupted() }
        state.withLock { state in
            guard let request = state.request.take() else { return }
            // Under the lock: an interrupt that is already pending calls back at once, which only leaves a note.
            request.onInterrupt(token)
            state.request = consume request
            state.token = token
        }
    }

    /// What is waited for has begun.
    ///
    /// - Parameter giveUp: gives it up; true when its result will never come, false when it has or is about to.
    func began(_ giveUp: @escaping @Sendable () -> Bool) {
        let isDying = state.withLock { state in
            state.giveUp = giveUp
            return state.isDying
        }
        // The caller died before there was anything to give up, and has been answered.
        if isDying { _ = giveUp() }
    }

    /// Answers with success or an error; false when it was answered before.
    @discardableResult
    func finish(_ error: Errno?) -> Bool {
        let token = state.withLock { $0.token.take() }
        if let token { InterruptWatch.shared.remove(token) }
        guard let request = state.withLock({ $0.request.take() }) else { return false }
        if let error { request.fail(error) } else { request.succeed() }
        return true
    }

    private func interrupted() {
        let giveUp = state.withLock { state in
            state.isDying = true
            return state.giveUp
        }
        // Nothing to give up yet: the work goes on without anybody waiting for it.
        if giveUp?() ?? true { finish(.interrupted) }
    }
}
