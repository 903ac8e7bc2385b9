internal import FXSystem
internal import SystemPackage

/// What a request asks of a node, as far as it decides where it is carried out.
enum NodeCall: Sendable {
    case lookup(Name)
    case openDirectory
    case create(Name)
    case makeDirectory
    case remove(Name)
    case open(OpenFlags)
    case setAttributes(SetAttributes)
}

/// Where calls are carried out that may wait for a network. Their requests hold no worker meanwhile: each is answered
/// when its call has ended, with ETIMEDOUT at the limit, or with EINTR when its caller dies, whatever comes first.
struct RequestLane: Sendable {
    let lane: CallLane
    /// Calls with the same key run one after another.
    let key: UInt64?
    /// nil for calls that bring file contents or wait for them.
    let limit: Duration?

    /// Carries a call out and answers its request.
    /// - Parameter unwanted: what to do with a result nobody waits for any more.
    func carry<Value: Sendable>(
        _ request: consuming PendingRequest, by caller: Caller,
        _ perform: @escaping @Sendable (Caller) throws(Errno) -> Value,
        answer: @escaping @Sendable (consuming PendingRequest, Value) -> Void,
        unwanted: @escaping @Sendable (Value) -> Void = { _ in }
    ) {
        let waiting = WaitingRequest(request)
        waiting.watch(thread: caller.thread, until: limit.map { .after($0) })
        submit(waiting) {
            do throws(Errno) {
                let value = try perform(caller)
                guard let request = waiting.take() else { return unwanted(value) }
                answer(request, value)
            } catch {
                waiting.finish(error)
            }
        }
    }

    /// Runs something for a request that waits, unless it is answered before its turn comes.
    func submit(_ waiting: WaitingRequest, _ run: @escaping @Sendable () -> Void) {
        let isTaken = lane.submit(
            key: key, run: { if !waiting.isAnswered { run() } }, drop: { waiting.finish(.interrupted) })
        // So many wait already that one more would only wait as well.
        if !isTaken { waiting.finish(.resourceTemporarilyUnavailable) }
    }
}
