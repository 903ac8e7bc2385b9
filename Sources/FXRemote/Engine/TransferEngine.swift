internal import FXSystem

/// A piece of work for the engine.
enum TransferJob: Sendable {
    case upload(RemoteTree, EntryID)
    case complete(RemoteTree, EntryID)

    func run(random: @escaping @Sendable () -> Double) -> Duration? {
        switch self {
        case .upload(let tree, let entry): return UploadRun(tree: tree, entry: entry, random: random).perform()
        case .complete(let tree, let session):
            tree.performCompletion(of: session)
            return nil
        }
    }
}

/// Carries out the uploads of one remote on a bounded number of threads; what to do next is decided by `UploadMachine`.
///
/// Lock order: `queue` is a leaf; jobs run outside of it.
final class TransferEngine: Sendable {
    private struct Queue {
        var ready: [TransferJob] = []
        var head = 0
        var later: [(time: ContinuousDeadline, job: TransferJob)] = []
        var running = 0
        var isStopping = false

        mutating func next() -> TransferJob? {
            let now = ContinuousDeadline.now()
            if let due = later.firstIndex(where: { $0.time <= now }) { return later.remove(at: due).job }
            if head < ready.count {
                let job = ready[head]
                head += 1
                // Keeps the array short without moving it at every step.
                if head == ready.count || head > 1024 && head * 2 > ready.count {
                    ready.removeFirst(head)
                    head = 0
                }
                return job
            }
            return nil
        }
    }

    private let queue = Monitor(Queue())
    private let threads = Monitor<[WorkerThread]>([])
    private let connections: Int
    private let random: @Sendable () -> Double

    /// - Parameter connections: how many jobs run at the same time, each on a thread.
    init(connections: Int, random: @escaping @Sendable () -> Double) {
        self.connections = max(connections, 1)
        self.random = random
    }

    func start() throws(RemoteError) {
        for number in 0..<connections {
            let thread = try WorkerThread(name: "fx-transfer-\(number)") { [self] in run() }
            threads.withLock { $0.append(thread) }
        }
    }

    /// Never waits; the queue is bounded by the number of files in the journal.
    func submit(_ job: TransferJob) { queue.withLock { $0.ready.append(job) } }

    /// Starts nothing more; does not wait.
    func beginStop() { queue.withLock { $0.isStopping = true } }

    /// Lets running jobs reach their end and forgets the others; the journal knows them.
    func stop() {
        beginStop()
        for thread in threads.withLock({ taken in
            defer { taken = [] }
            return taken
        }) { thread.join() }
        // Jobs hold their trees, and the trees hold this engine.
        queue.withLock { queue in
            queue.ready = []
            queue.head = 0
            queue.later = []
        }
    }

    /// Makes waiting retries due now.
    func hurry() {
        queue.withLock { queue in
            queue.ready += queue.later.map(\.job)
            queue.later = []
        }
    }

    private func run() {
        while let job = nextJob() {
            let wait = job.run(random: random)
            queue.withLock { queue in
                queue.running -= 1
                if let wait { queue.later.append((.after(wait), job)) }
            }
        }
    }

    private func nextJob() -> TransferJob? {
        while true {
            enum Turn { case job(TransferJob), stop, timer(ContinuousDeadline) }
            let due = queue.withLock { $0.later.map(\.time).min() }
            let turn = queue.wait(until: due) { queue -> Turn? in
                if queue.isStopping { return .stop }
                if let job = queue.next() {
                    queue.running += 1
                    return .job(job)
                }
                // Somebody added an earlier timer than the one this thread sleeps for.
                if let earliest = queue.later.map(\.time).min(), due.map({ earliest < $0 }) ?? true {
                    return .timer(earliest)
                }
                return nil
            }
            switch turn {
            case .job(let job): return job
            case .stop: return nil
            case .timer, nil: continue
            }
        }
    }
}
