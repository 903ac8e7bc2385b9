internal import FXSystem

/// Carries out the uploads of one remote on a bounded number of threads; what to do next is decided by `UploadMachine`,
/// whose turn it is by `WorkQueue`.
///
/// Threads are made when there is work for them. Lock order: `queue` and `threads` are leaves; jobs run outside of them.
final class TransferEngine: Sendable {
    private struct State {
        var work = WorkQueue<TransferJob>()
        var idle = 0
        /// Made, and not yet looking for work.
        var starting = 0
        var threads = 0
        var isStarted = false
        var isStopping = false
    }

    private let queue = Monitor(State())
    private let threads = Monitor<[WorkerThread]>([])
    private let connections: Int
    private let random: @Sendable () -> Double

    /// - Parameter connections: how many jobs run at the same time, each on a thread.
    init(connections: Int, random: @escaping @Sendable () -> Double) {
        self.connections = max(connections, 1)
        self.random = random
    }

    /// Begins to work on what was submitted; the first thread is made at once, so that there is one.
    func start() throws(RemoteError) {
        queue.withLock { state in
            state.isStarted = true
            state.threads += 1
            state.starting += 1
        }
        try addThread()
    }

    /// Never waits; the queue is bounded by the number of files in the journal.
    func submit(_ job: TransferJob) {
        queue.withLock(waking: { _ in .one }) { $0.work.add(job) }
        growIfNeeded()
    }

    /// The next pieces of an upload under way.
    func submit(_ steps: [UploadRun.Step]) {
        if steps.isEmpty { return }
        queue.withLock(waking: { _ in TransferEngine.waking(for: steps, isTaken: false) }) { state in
            TransferEngine.add(steps, to: &state.work)
        }
        growIfNeeded()
    }

    private static func add(_ steps: [UploadRun.Step], to work: inout WorkQueue<TransferJob>) {
        for step in steps {
            let job = TransferJob.step(step.run, step.action)
            if let wait = step.after { work.addStep(job, at: .after(wait)) } else { work.addStep(job) }
        }
    }

    /// Who looks for work when there is more. Whoever sleeps until a timer may be at work by then, so that a new timer is
    /// for everybody to see.
    /// - Parameter isTaken: this thread will take one of the steps itself.
    private static func waking(for steps: [UploadRun.Step], isTaken: Bool) -> Waking {
        if steps.contains(where: { $0.after != nil }) { return .all }
        switch steps.count - (isTaken ? 1 : 0) {
        case ...0: return .nobody
        case 1: return .one
        default: return .all
        }
    }

    /// True once transfers are to end where they are.
    var isStopping: Bool { queue.read { $0.isStopping } }

    /// Starts nothing more; does not wait.
    func beginStop() { queue.withLock { $0.isStopping = true } }

    /// Lets running jobs reach their end and forgets the others; the journal knows them.
    /// - Parameter deadline: what still runs then is left to itself.
    func stop(until deadline: ContinuousDeadline? = nil) {
        beginStop()
        for thread in threads.withLock({ taken in
            defer { taken = [] }
            return taken
        }) { thread.join(until: deadline) }
        // Jobs hold their trees, and the trees hold this engine.
        queue.withLock { $0.work.removeAll() }
    }

    /// Makes waiting retries due now, also where the service refused us.
    func hurry() {
        queue.withLock { $0.work.hurry() }
        growIfNeeded()
    }

    // MARK: - Threads

    private func growIfNeeded() {
        while isThreadNeeded() {
            // No thread to be had: those that are there do the work.
            do throws(RemoteError) { try addThread() } catch {
                queue.withLock { state in
                    state.threads -= 1
                    state.starting -= 1
                }
                return
            }
        }
    }

    /// Counts a thread that is about to be made as one that is idle already.
    private func isThreadNeeded() -> Bool {
        queue.withLock(waking: { _ in .nobody }) { state in
            if !state.isStarted || state.isStopping || state.threads >= connections { return false }
            if state.work.readyCount <= state.idle + state.starting { return false }
            state.threads += 1
            state.starting += 1
            return true
        }
    }

    private func addThread() throws(RemoteError) {
        try threads.withLock { threads throws(RemoteError) in
            threads.append(try WorkerThread(name: "fx-transfer-\(threads.count)") { [self] in run() })
        }
    }

    private func run() {
        queue.withLock(waking: { _ in .nobody }) { $0.starting -= 1 }
        while let turn = nextTurn() {
            let outcome: TransferJob.Outcome
            switch turn {
            case .work(let job): outcome = job.run(random: random)
            case .refuse(let job, let error): outcome = job.refuse(error)
            case .sleep: continue
            }
            var waking = outcome.again == nil ? TransferEngine.waking(for: outcome.steps, isTaken: true) : .all
            queue.withLock(waking: { _ in waking }) { state in
                if let finding = outcome.finding {
                    let before = state.work.gate
                    state.work.gate.note(finding, now: .now(), wait: { .after($0) })
                    if state.work.gate != before { waking = .all }
                }
                TransferEngine.add(outcome.steps, to: &state.work)
                if let again = outcome.again { state.work.add(again.job, at: .after(again.after)) }
                // This thread may take something else than its own step.
                if waking == .nobody, state.work.readyCount > 1 { waking = .one }
            }
            if outcome.steps.count > 1 { growIfNeeded() }
        }
    }

    private func nextTurn() -> WorkQueue<TransferJob>.Turn? {
        var due: ContinuousDeadline?
        queue.withLock(waking: { _ in .nobody }) { $0.idle += 1 }
        defer { queue.withLock(waking: { _ in .nobody }) { $0.idle -= 1 } }
        while true {
            enum Look { case turn(WorkQueue<TransferJob>.Turn), stop, sleep(ContinuousDeadline?) }
            let sleepsUntil = due
            let look = queue.wait(until: due, waking: { _ in .nobody }) { state -> Look? in
                if state.isStopping { return .stop }
                switch state.work.next(at: .now()) {
                case .sleep(let time):
                    // Somebody added an earlier timer than the one this thread sleeps for.
                    if let time, sleepsUntil.map({ time < $0 }) ?? true { return .sleep(time) }
                    return nil
                case let turn: return .turn(turn)
                }
            }
            switch look {
            case .turn(let turn): return turn
            case .stop: return nil
            case .sleep(let time): due = time
            case nil: due = nil
            }
        }
    }
}
