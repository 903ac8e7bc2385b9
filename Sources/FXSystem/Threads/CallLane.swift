internal import SystemPackage

/// A bounded number of threads for calls that may wait for a network, so that nobody else waits with them.
///
/// Threads start when there is work and stay until `stop`. Calls with the same key run one after another: while the
/// first of many brings a listing, the others take no thread, and then find it there.
///
/// Lock order: `state` is a leaf; calls run outside of it.
public final class CallLane: Sendable {
    public enum Urgency: Sendable {
        case somebodyWaits
        /// Takes a share of the threads only, and gives way.
        case background
    }

    private struct Call: Sendable {
        var number: Int
        var key: UInt64?
        var run: @Sendable () -> Void
        var drop: @Sendable () -> Void
    }

    private struct State {
        var waiting: [Call] = []
        var background: [Call] = []
        var running: [Int: (call: Call, urgency: Urgency)] = [:]
        var busyKeys: Set<UInt64> = []
        var threads = 0
        var next = 0
        var isStopped = false
        /// Threads in `waitUntilIdle`.
        var observers = 0

        /// Who looks when one more call can run: the threads of the lane are alike.
        var wakingForOne: Waking { observers > 0 ? .all : .one }
        /// A call has ended: its thread takes the next one, and its key or its share may let another one run.
        var wakingForRest: Waking {
            if observers > 0 { return .all }
            return waiting.isEmpty && background.isEmpty ? .nobody : .one
        }

        /// Takes the first call that can run now.
        mutating func take(backgroundThreads: Int) -> Call? {
            if let call = CallLane.takeFirst(from: &waiting, busyKeys) { return start(call, .somebodyWaits) }
            let share = running.values.count { $0.urgency == .background }
            guard share < backgroundThreads, let call = CallLane.takeFirst(from: &background, busyKeys) else {
                return nil
            }
            return start(call, .background)
        }

        private mutating func start(_ call: Call, _ urgency: Urgency) -> Call {
            running[call.number] = (call, urgency)
            if let key = call.key { busyKeys.insert(key) }
            return call
        }

        mutating func end(_ call: Call) {
            running[call.number] = nil
            if let key = call.key { busyKeys.remove(key) }
        }

        mutating func takeAllWaiting() -> [Call] {
            defer {
                waiting = []
                background = []
            }
            return waiting + background
        }
    }

    private let name: String
    private let limit: Int
    private let capacity: Int
    private let state = Monitor(State())

    /// - Parameters:
    ///   - threads: how many calls run at the same time.
    ///   - capacity: how many may wait; more are refused.
    public init(name: String, threads: Int, capacity: Int) {
        self.name = name
        limit = max(threads, 1)
        self.capacity = max(capacity, 1)
    }

    /// Queues a call; never waits.
    /// - Parameters:
    ///   - run: runs once on a thread of the lane, unless it is dropped first.
    ///   - drop: called by `stop`, for calls that wait and for those that run: nobody shall wait for them any longer.
    /// - Returns: false when it is not taken: too many wait, the lane was stopped, or there is no thread to be had.
    public func submit(
        key: UInt64? = nil, _ urgency: Urgency = .somebodyWaits, run: @escaping @Sendable () -> Void,
        drop: @escaping @Sendable () -> Void = {}
    ) -> Bool {
        enum Outcome { case refused, taken, needsThread }
        let (outcome, number): (Outcome, Int) = state.withLock(waking: \.wakingForOne) { state in
            state.next += 1
            let call = Call(number: state.next, key: key, run: run, drop: drop)
            if state.isStopped { return (.refused, call.number) }
            switch urgency {
            case .somebodyWaits:
                if state.waiting.count >= capacity { return (.refused, call.number) }
                state.waiting.append(call)
            case .background:
                if state.background.count >= capacity { return (.refused, call.number) }
                state.background.append(call)
            }
            let work = state.running.count + state.waiting.count + state.background.count
            guard state.threads < limit, work > state.threads else { return (.taken, call.number) }
            state.threads += 1
            return (.needsThread, call.number)
        }
        switch outcome {
        case .refused: return false
        case .taken: return true
        case .needsThread: return startThread() || isLeftToOthers(number)
        }
    }

    private func startThread() -> Bool {
        do throws(Errno) {
            _ = try ServiceThread(name: name) { [self] in serve() }
            return true
        } catch { return false }
    }

    /// There is no thread to be had: true when another one will come to the call. Without any nobody would ever.
    private func isLeftToOthers(_ number: Int) -> Bool {
        let stranded: [Call]? = state.withLock { state in
            state.threads -= 1
            return state.threads > 0 ? nil : state.takeAllWaiting()
        }
        guard let stranded else { return true }
        for call in stranded where call.number != number { call.drop() }
        return false
    }

    /// Drops every call and takes no more. Does not wait for those that run: they end by themselves, and their results
    /// are nobody's.
    public func stop() {
        let dropped = state.withLock { state in
            state.isStopped = true
            return state.takeAllWaiting() + state.running.values.map(\.call)
        }
        for call in dropped { call.drop() }
    }

    public var isStopped: Bool { state.read { $0.isStopped } }

    /// Waits until no call runs; false when one still does at the deadline.
    @discardableResult
    public func waitUntilIdle(until deadline: ContinuousDeadline) -> Bool {
        state.withLock { $0.observers += 1 }
        defer { state.withLock { $0.observers -= 1 } }
        return state.wait(until: deadline) { $0.running.isEmpty ? true : nil } ?? false
    }

    /// How many calls run and wait.
    public var load: Int { state.read { $0.running.count + $0.waiting.count + $0.background.count } }

    private func serve() {
        // A quarter: enough to keep listings fresh, and most threads stay for those who wait.
        let backgroundThreads = max(1, limit / 4)
        while true {
            enum Turn { case call(Call), stop }
            let turn = state.wait(waking: { _ in .nobody }) { state -> Turn? in
                if state.isStopped { return .stop }
                return state.take(backgroundThreads: backgroundThreads).map { .call($0) }
            }
            guard case .call(let call) = turn else { return }
            call.run()
            state.withLock(waking: \.wakingForRest) { $0.end(call) }
        }
    }

    private static func takeFirst(from calls: inout [Call], _ busyKeys: Set<UInt64>) -> Call? {
        guard let index = calls.firstIndex(where: { $0.key.map { !busyKeys.contains($0) } ?? true }) else { return nil }
        return calls.remove(at: index)
    }
}
