internal import CFuse3
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// Names a waiting request in the interrupt callback, which may come when the request is long answered: a number can be
/// looked up safely, a pointer could not.
struct InterruptToken: Hashable, Sendable {
    let rawValue: Int

    var pointer: UnsafeMutableRawPointer? { unsafe UnsafeMutableRawPointer(bitPattern: rawValue) }
}

/// Callers that have been signalled while they wait for us, and those whose time is over; they are let go when they are
/// about to die, or at their deadline.
///
/// The kernel sends FUSE_INTERRUPT for every signal, once a request, and does not say which. A handled signal must not
/// break a call (git, Go programs), a fatal one must end it. So a signalled caller is looked at, at once and then
/// every `interval`, until it is answered: see `WaitingProcess.isDying`.
final class InterruptWatch: Sendable {
    /// Keeps `kill -9` under a second for the caller.
    static let interval: Duration = .milliseconds(100)

    /// Why a request is to be answered now.
    enum Reason: Sendable { case death, deadline }

    private struct Waiting: Sendable {
        let thread: Int32
        let end: @Sendable (Reason) -> Void
        var deadline: ContinuousDeadline?
    }

    private struct State {
        var waiting: [Int: Waiting] = [:]
        var signalled: Set<Int> = []
        /// Ascending.
        var deadlines: [(time: ContinuousDeadline, token: Int)] = []
        var next = 1
        var isStopping = false

        mutating func add(_ deadline: ContinuousDeadline, _ token: Int) {
            deadlines.insert((deadline, token), at: position(deadline, token))
        }

        mutating func forgetDeadline(_ token: Int) {
            guard let deadline = waiting[token]?.deadline else { return }
            waiting[token]?.deadline = nil
            let position = position(deadline, token)
            if position < deadlines.count, deadlines[position].token == token { deadlines.remove(at: position) }
        }

        private func position(_ time: ContinuousDeadline, _ token: Int) -> Int {
            var (low, high) = (0, deadlines.count)
            while low < high {
                let middle = (low + high) / 2
                if (deadlines[middle].time, deadlines[middle].token) < (time, token) {
                    low = middle + 1
                } else {
                    high = middle
                }
            }
            return low
        }

        mutating func takeExpired() -> [Waiting] {
            let now = ContinuousDeadline.now()
            let expired = deadlines.prefix { $0.time <= now }.map(\.token)
            return expired.compactMap { remove($0) }
        }

        @discardableResult
        mutating func remove(_ token: Int) -> Waiting? {
            forgetDeadline(token)
            signalled.remove(token)
            return waiting.removeValue(forKey: token)
        }
    }

    /// The callback of libfuse has no context but the number, so the registry is one for the process.
    static let shared = InterruptWatch()

    private let state = Monitor(State())

    private init() {}

    /// Called by libfuse on any worker, holding a lock of the request: it may only leave a note.
    static let callback: @convention(c) (fuse_req_t?, UnsafeMutableRawPointer?) -> Void = { _, pointer in
        InterruptWatch.shared.signalled(Int(bitPattern: pointer))
    }

    /// Remembers a request that is going to wait. `end` is called at most once, from the watch's thread.
    func add(
        thread: Int32, until deadline: ContinuousDeadline? = nil, _ end: @escaping @Sendable (Reason) -> Void
    ) -> InterruptToken {
        // The thread is woken for an earlier deadline than the one it sleeps for, and for nothing else.
        state.withLock(waking: { $0.deadlines.first?.token == $0.next - 1 ? .all : .nobody }) { state in
            let token = state.next
            state.next += 1
            state.waiting[token] = Waiting(thread: thread, end: end, deadline: deadline)
            if let deadline { state.add(deadline, token) }
            return InterruptToken(rawValue: token)
        }
    }

    /// The request has been answered.
    func remove(_ token: InterruptToken) {
        state.withLock(waking: { _ in .nobody }) { _ = $0.remove(token.rawValue) }
    }

    /// The request may wait for as long as it takes.
    func forgetDeadline(_ token: InterruptToken) {
        state.withLock(waking: { _ in .nobody }) { $0.forgetDeadline(token.rawValue) }
    }

    private func signalled(_ token: Int) {
        state.withLock { state in
            if state.waiting[token] != nil { state.signalled.insert(token) }
        }
    }

    private enum Turn {
        case stop, look
        case end([Waiting])
        /// A deadline came that is earlier than the one slept for.
        case again
    }

    /// The body of the watch's thread; returns after `stop`.
    func run() {
        while true {
            let due = state.withLock { $0.deadlines.first?.time }
            let turn = state.wait(until: due) { state -> Turn? in
                if state.isStopping { return .stop }
                let expired = state.takeExpired()
                if !expired.isEmpty { return .end(expired) }
                if !state.signalled.isEmpty { return .look }
                guard let first = state.deadlines.first?.time else { return nil }
                return due.map { first < $0 } ?? true ? .again : nil
            }
            switch turn {
            case .stop: return
            case .end(let expired): for waiting in expired { waiting.end(.deadline) }
            case .look: look()
            case .again, nil: continue
            }
        }
    }

    private func look() {
        let pause = ContinuousDeadline.after(InterruptWatch.interval)
        let signalled = state.withLock { state in
            state.signalled.compactMap { token in state.waiting[token].map { (token, $0.thread) } }
        }
        for (token, thread) in signalled where WaitingProcess.isDying(thread: thread) {
            state.withLock({ $0.remove(token) })?.end(.death)
        }
        // Those that live on are looked at again after a pause; stop ends it early.
        _ = state.wait(until: pause) { $0.isStopping ? () : nil }
    }

    func start() { state.withLock { $0.isStopping = false } }
    func stop() { state.withLock { $0.isStopping = true } }
}
