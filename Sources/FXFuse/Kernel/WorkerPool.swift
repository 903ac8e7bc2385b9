internal import CFuse3
internal import FXSystem
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// The threads that take requests from the kernel and serve them.
///
/// One worker at a time waits at the device, in the way `Attention` says; the others rest. Another one asleep there would
/// be woken by every request, in vain. So while the one that waited is serving, nobody takes requests, which is right as
/// long as they take microseconds. When they do not, another worker is called: by one that found request after request
/// waiting, or by the overseer, who notices within two milliseconds that all are busy.
///
/// `@unchecked Sendable`: the owner keeps `session` alive until `wait` has returned; libfuse allows calls on it from any
/// thread. Everything else is immutable, atomic or behind a Monitor.
@safe
final class WorkerPool: @unchecked Sendable {
    private let session: OpaquePointer
    private let device: Int32
    /// How many rest for good; more end when there is nothing for them to do.
    private let kept: Int
    private let processors: Int
    private let roster = Monitor(Roster())
    /// Workers whose thread has not ended. Not in the roster, whose every change wakes those who rest.
    private let running = Monitor(0)
    private let oversight = Monitor(Oversight())
    /// Somebody waits at the device; nobody else reads from it then.
    private let isAttended = Atomic<Bool>(false)
    /// For whoever waits at the device.
    private let attention: Mutex<Attention>
    private let isBlocking = Atomic<Bool>(true)
    /// Requests taken from the device.
    private let taken = Atomic<UInt64>(0)
    private let isOverseen = Atomic<Bool>(false)

    private struct Roster {
        /// Those who do not rest.
        var busy = 0
        var resting = 0
        /// Of those who rest, how many shall come.
        var called = 0
        var isOver = false
    }

    private struct Oversight {
        var isWanted = false
        var isOver = false
    }

    /// Threads that can be busy at once, in slow disks and version copies; each costs a stack and a megabyte of buffer.
    private static let maximum = 128
    /// Requests found waiting, one after the other, after which another worker is called: closing a file and opening the
    /// next one leaves two or three.
    private static let crowd = 8
    /// A request that came sooner was there already.
    private static let atOnce: UInt64 = 2_000
    /// How often the overseer looks: often enough for a slow disk, and a hundredth of what looking costs.
    private static let round: Duration = .milliseconds(1)
    /// Rounds without a request after which the overseer sleeps.
    private static let quietRounds = 100

    /// - Parameter session: mounted.
    init(_ session: OpaquePointer, keeping kept: Int) {
        unsafe self.session = session
        device = unsafe fuse_session_fd(session)
        self.kept = max(2, kept)
        processors = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        // On a single processor whoever looks keeps the caller from running.
        attention = Mutex(Attention(mayLook: processors > 1))
    }

    /// Starts the overseer and the workers that are kept.
    func start() throws(Errno) {
        _ = try ServiceThread(name: "fx-overseer") { [self] in oversee() }
        for _ in 0..<kept {
            roster.withLock { $0.busy += 1 }
            try startWorker()
        }
    }

    /// Waits until the session has ended and all workers with it; false when that takes longer.
    func wait(until deadline: ContinuousDeadline? = nil) -> Bool {
        running.wait(until: deadline) { $0 == 0 ? () : nil } != nil
    }

    // MARK: A worker

    private enum Turn { case request, attended, ended }

    private func work() {
        ThreadCredentials.prepareWorker()
        var buffer = unsafe fuse_buf()
        defer { unsafe free(buffer.mem) }
        var foundWaiting = 0
        while true {
            switch unsafe take(&buffer, &foundWaiting) {
            case .request:
                // In this order for everybody: the overseer must not fall asleep over a request it did not see.
                taken.add(1, ordering: .sequentiallyConsistent)
                if !isOverseen.load(ordering: .sequentiallyConsistent) { wakeOverseer() }
                unsafe fuse_session_process_buf(session, &buffer)
            case .attended:
                guard rest() else { return leave() }
            case .ended:
                end()
                return leave()
            }
        }
    }

    /// Waits for a request, unless somebody else does.
    private func take(_ buffer: inout fuse_buf, _ foundWaiting: inout Int) -> Turn {
        guard isAttended.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged
        else { return .attended }
        let way = attention.withLock { $0.choose() }
        let start = ContinuousDeadline.now()
        let turn = unsafe wait(way, &buffer, since: start)
        let gap = start.elapsedNanoseconds
        attention.withLock { $0.waited(gap, in: way) }
        isAttended.store(false, ordering: .releasing)
        foundWaiting = gap < WorkerPool.atOnce ? foundWaiting + 1 : 0
        if foundWaiting == WorkerPool.crowd {
            foundWaiting = 0
            call(upTo: processors)
        }
        return turn
    }

    private func wait(_ way: Attention.Way, _ buffer: inout fuse_buf, since start: ContinuousDeadline) -> Turn {
        let blocks = way == .sleep
        if isBlocking.exchange(blocks, ordering: .relaxed) != blocks { fx_set_blocking(device, blocks ? 1 : 0) }
        while true {
            let count = unsafe fuse_session_receive_buf(session, &buffer)
            if count > 0 { return .request }
            guard count == -EAGAIN || count == -EINTR else { return .ended }
            if start.elapsedNanoseconds > Attention.longestLook {
                var waiting = pollfd(fd: device, events: Int16(POLLIN), revents: 0)
                _ = unsafe poll(&waiting, 1, -1)
            }
        }
    }

    /// Waits to be called; false when this worker is not needed any more.
    private func rest() -> Bool {
        var rests = false
        let isCalled = roster.wait { roster -> Bool? in
            if !rests {
                roster.busy -= 1
                if roster.resting >= kept { return false }
                roster.resting += 1
                rests = true
            }
            guard roster.called > 0 || roster.isOver else { return nil }
            roster.resting -= 1
            if roster.isOver { return false }
            roster.called -= 1
            roster.busy += 1
            return true
        }
        return isCalled ?? false
    }

    private func end() {
        unsafe fuse_session_exit(session)
        oversight.withLock { $0.isOver = true }
        roster.withLock { roster in
            roster.isOver = true
            roster.busy -= 1
        }
    }

    private func leave() { running.withLock { $0 -= 1 } }

    // MARK: Calling others

    /// Calls a worker, unless `limit` are at work already.
    private func call(upTo limit: Int) {
        let isMissing = roster.withLock { roster in
            if roster.isOver || roster.busy + roster.called >= limit { return false }
            guard roster.resting == roster.called else {
                roster.called += 1
                return false
            }
            roster.busy += 1
            return true
        }
        // No thread to be had means that the others keep waiting for those there are.
        if isMissing { try? startWorker() }
    }

    /// - Throws: EAGAIN when there is no thread to be had; the worker is no longer counted as busy then.
    private func startWorker() throws(Errno) {
        running.withLock { $0 += 1 }
        do throws(Errno) {
            _ = try ServiceThread(name: "fx-worker") { [self] in work() }
        } catch {
            leave()
            roster.withLock { $0.busy -= 1 }
            throw error
        }
    }

    private func wakeOverseer() {
        if isOverseen.exchange(true, ordering: .sequentiallyConsistent) { return }
        oversight.withLock { $0.isWanted = true }
    }

    /// Sleeps while there are no requests; else calls a worker whenever none waits for requests and none gets on.
    private func oversee() {
        while true {
            let isWanted = oversight.wait { oversight -> Bool? in
                if oversight.isOver { return false }
                defer { oversight.isWanted = false }
                return oversight.isWanted ? true : nil
            }
            guard isWanted == true else { return }
            var quiet = 0
            var seen = taken.load(ordering: .relaxed)
            while quiet < WorkerPool.quietRounds {
                if oversight.wait(until: .after(WorkerPool.round), { $0.isOver ? () : nil }) != nil { return }
                let present = taken.load(ordering: .relaxed)
                let isBusy = !isAttended.load(ordering: .relaxed)
                if present == seen && isBusy { call(upTo: WorkerPool.maximum) }
                quiet = present == seen && !isBusy ? quiet + 1 : 0
                seen = present
            }
            isOverseen.store(false, ordering: .sequentiallyConsistent)
            // Somebody may have found it set a moment ago.
            if taken.load(ordering: .sequentiallyConsistent) != seen { wakeOverseer() }
        }
    }
}
