internal import FXSystem

/// What the threads of one remote do next. Pure: guarded by the engine, and time is a parameter.
///
/// Steps of uploads under way and uploads that have not begun take turns, so that neither a large file holds up small
/// ones nor a long queue a large file. Bounded by the number of files in the journal and of chunks under way.
struct WorkQueue<Job: Sendable>: Sendable {
    enum Turn: Sendable {
        case work(Job)
        /// The service would refuse it with this; it is not to be asked.
        case refuse(Job, RemoteError)
        /// Nothing before this moment; nil: nothing before something is added.
        case sleep(ContinuousDeadline?)
    }

    /// First in, first out.
    private struct Line: Sendable {
        private var jobs: [Job] = []
        private var head = 0

        var isEmpty: Bool { head == jobs.count }
        var count: Int { jobs.count - head }

        mutating func append(_ job: Job) { jobs.append(job) }

        mutating func takeFirst() -> Job? {
            if isEmpty { return nil }
            let job = jobs[head]
            head += 1
            // Keeps the array short without moving it at every step.
            if head == jobs.count || head > 1024 && head * 2 > jobs.count {
                jobs.removeFirst(head)
                head = 0
            }
            return job
        }
    }

    /// A job whose time has come goes before those that have not begun: it has waited already.
    private struct Timer: Sendable {
        var time: ContinuousDeadline
        var job: Job
        var isStep: Bool
    }

    var gate = ServiceGate()
    private var steps = Line()
    private var fresh = Line()
    private var again = Line()
    /// The earliest last.
    private var timers: [Timer] = []
    private var hadStep = false

    /// The next piece of an upload under way.
    mutating func addStep(_ job: Job) { steps.append(job) }
    /// An upload to begin, when the gate lets it.
    mutating func add(_ job: Job) { fresh.append(job) }

    mutating func addStep(_ job: Job, at time: ContinuousDeadline) { insert(Timer(time: time, job: job, isStep: true)) }
    mutating func add(_ job: Job, at time: ContinuousDeadline) { insert(Timer(time: time, job: job, isStep: false)) }

    private mutating func insert(_ timer: Timer) {
        var low = 0
        var high = timers.count
        while low < high {
            let middle = (low + high) / 2
            if timers[middle].time > timer.time { low = middle + 1 } else { high = middle }
        }
        timers.insert(timer, at: low)
    }

    /// Everything that waits is due, and the service is asked again.
    mutating func hurry() {
        gate.open()
        while let timer = timers.popLast() { release(timer) }
    }

    mutating func removeAll() {
        steps = Line()
        fresh = Line()
        again = Line()
        timers = []
    }

    private mutating func release(_ timer: Timer) {
        if timer.isStep { steps.append(timer.job) } else { again.append(timer.job) }
    }

    mutating func next(at now: ContinuousDeadline) -> Turn {
        while let timer = timers.last, timer.time <= now {
            timers.removeLast()
            release(timer)
        }
        if !steps.isEmpty, !hadStep || (fresh.isEmpty && again.isEmpty) { return step() }
        if !fresh.isEmpty || !again.isEmpty {
            switch gate.verdict(at: now) {
            case .go: return begin()
            case .tryAlone:
                gate.tries()
                return begin()
            case .refuse(let error):
                if let job = takeFresh() { return .refuse(job, error) }
            case .waitUntil(let time):
                if steps.isEmpty { return .sleep(min(time, timers.last?.time ?? time)) }
            case .wait: break
            }
        }
        return steps.isEmpty ? .sleep(timers.last?.time) : step()
    }

    private mutating func step() -> Turn {
        hadStep = true
        return steps.takeFirst().map { .work($0) } ?? .sleep(nil)
    }

    private mutating func begin() -> Turn { takeFresh().map { .work($0) } ?? .sleep(nil) }

    private mutating func takeFresh() -> Job? {
        hadStep = false
        return again.takeFirst() ?? fresh.takeFirst()
    }

    /// How many threads could work now.
    var readyCount: Int { steps.count + fresh.count + again.count }
}
