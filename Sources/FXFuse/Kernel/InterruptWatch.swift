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

/// Callers that have been signalled while they wait for us; they are let go when they are about to die.
///
/// The kernel sends FUSE_INTERRUPT for every signal, once a request, and does not say which. A handled signal must not
/// break a call (git, Go programs), a fatal one must end it. So a signalled caller is looked at, at once and then
/// every `interval`, until it is answered: see `WaitingProcess.isDying`.
final class InterruptWatch: Sendable {
    /// Keeps `kill -9` under a second for the caller.
    static let interval: Duration = .milliseconds(100)

    private struct Waiting: Sendable {
        let thread: Int32
        let cancel: @Sendable () -> Void
        var isSignalled = false
    }

    private struct State {
        var waiting: [Int: Waiting] = [:]
        var next = 1
        var isStopping = false
    }

    /// The callback of libfuse has no context but the number, so the registry is one for the process.
    static let shared = InterruptWatch()

    private let state = Monitor(State())

    private init() {}

    /// Called by libfuse on any worker, holding a lock of the request: it may only leave a note.
    static let callback: @convention(c) (fuse_req_t?, UnsafeMutableRawPointer?) -> Void = { _, pointer in
        InterruptWatch.shared.signalled(Int(bitPattern: pointer))
    }

    /// Remembers a request that is going to wait. `cancel` is called at most once, from the watch's thread.
    func add(thread: Int32, cancel: @escaping @Sendable () -> Void) -> InterruptToken {
        state.withLock { state in
            let token = state.next
            state.next += 1
            state.waiting[token] = Waiting(thread: thread, cancel: cancel)
            return InterruptToken(rawValue: token)
        }
    }

    /// The request has been answered.
    func remove(_ token: InterruptToken) {
        state.withLock { $0.waiting[token.rawValue] = nil }
    }

    private func signalled(_ token: Int) {
        state.withLock { $0.waiting[token]?.isSignalled = true }
    }

    /// The body of the watch's thread; returns after `stop`.
    func run() {
        while true {
            let deadline = ContinuousDeadline.after(InterruptWatch.interval)
            let signalled: [(Int, Waiting)]? = state.wait { state in
                if state.isStopping { return [] }
                let found = state.waiting.filter { $0.value.isSignalled }
                return found.isEmpty ? nil : Array(found)
            }
            guard let signalled, !signalled.isEmpty else { return }
            for (token, waiting) in signalled where WaitingProcess.isDying(thread: waiting.thread) {
                remove(InterruptToken(rawValue: token))
                waiting.cancel()
            }
            // Those that live on are looked at again after a pause; stop ends it early.
            _ = state.wait(until: deadline) { $0.isStopping ? () : nil }
        }
    }

    func start() { state.withLock { $0.isStopping = false } }
    func stop() { state.withLock { $0.isStopping = true } }
}
