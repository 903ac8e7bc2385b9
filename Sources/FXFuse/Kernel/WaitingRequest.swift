internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// A request that waits for something, answered by whoever comes first: the result, the death of its caller, or the end
/// of its time.
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
    /// - Parameter deadline: ETIMEDOUT then, unless it has begun.
    func watch(thread: Int32, until deadline: ContinuousDeadline? = nil) {
        let token = InterruptWatch.shared.add(thread: thread, until: deadline) { [weak self] reason in
            switch reason {
            case .death: self?.interrupted()
            case .deadline: self?.finish(.timedOut)
            }
        }
        let isWaiting = state.withLock { state in
            guard let request = state.request.take() else { return false }
            // Under the lock: an interrupt that is already pending calls back at once, which only leaves a note.
            request.onInterrupt(token)
            state.request = consume request
            state.token = token
            return true
        }
        // It has been answered meanwhile.
        if !isWaiting { InterruptWatch.shared.remove(token) }
    }

    /// What is waited for has begun, and takes as long as it takes.
    ///
    /// - Parameter giveUp: gives it up; true when its result will never come, false when it has or is about to.
    func began(_ giveUp: @escaping @Sendable () -> Bool) {
        let (isUnwanted, token) = state.withLock { state in
            state.giveUp = giveUp
            return (state.isDying || state.request == nil, state.token)
        }
        if let token { InterruptWatch.shared.forgetDeadline(token) }
        // The caller died, or its time was over, before there was anything to give up; it has been answered.
        if isUnwanted { _ = giveUp() }
    }

    var isAnswered: Bool { state.withLock { $0.request == nil } }

    /// The request, to be answered; nil when it was answered before.
    func take() -> PendingRequest? {
        let token = state.withLock { $0.token.take() }
        if let token { InterruptWatch.shared.remove(token) }
        return state.withLock { $0.request.take() }
    }

    /// Answers with success or an error; false when it was answered before.
    @discardableResult
    func finish(_ error: Errno?) -> Bool {
        guard let request = take() else { return false }
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
