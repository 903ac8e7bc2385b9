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
        var cancel: (@Sendable () -> Bool)?
    }

    private let state: Mutex<State>

    init(_ request: consuming PendingRequest) {
        state = Mutex(State(request: request, token: nil, cancel: nil))
    }

    /// Starts to listen for the caller's death.
    ///
    /// - Parameter cancel: gives the wait up; true when its completion will never come, false when it has or is about to.
    func watch(thread: Int32, cancel: @escaping @Sendable () -> Bool) {
        let token = InterruptWatch.shared.add(thread: thread) { [weak self] in self?.interrupted() }
        let isAnswered = state.withLock { state in
            guard let request = state.request.take() else { return true }
            // Under the lock: an interrupt that is already pending calls back at once, which only leaves a note.
            request.onInterrupt(token)
            state.request = consume request
            state.token = token
            state.cancel = cancel
            return false
        }
        if isAnswered { InterruptWatch.shared.remove(token) }
    }

    /// Answers with success or an error; false when it was answered before.
    @discardableResult
    func finish(_ error: Errno?) -> Bool {
        guard let request = take() else { return false }
        if let error { request.fail(error) } else { request.succeed() }
        return true
    }

    private func interrupted() {
        let cancel = state.withLock { $0.cancel }
        if cancel?() ?? false { finish(.interrupted) }
    }

    private func take() -> PendingRequest? {
        let token = state.withLock { $0.token.take() }
        if let token { InterruptWatch.shared.remove(token) }
        return state.withLock { $0.request.take() }
    }
}
