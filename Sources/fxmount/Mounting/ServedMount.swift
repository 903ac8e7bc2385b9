internal import FXSystem

/// A mount being served, as far as the command line looks after it.
protocol ServedMount: Sendable {
    /// How long to drain, as set through the mount; nil for the default.
    var drainTimeout: Duration? { get }
    /// One line for `systemctl status`.
    var activity: String { get }
    /// True when the mount answers; false when it did not within `limit`.
    func waitUntilReady(_ limit: Duration) -> Bool
    /// Returns when the mount is gone, whoever took it away.
    func waitUntilUnmounted()
    /// Takes no new writes, finishes what it can, and says what is left.
    func drain(timeout: Duration) -> [UnmountReport.Left]
    /// Takes the mount out of the tree.
    func unmount() throws
    /// Lets go of everything, after the mount is gone.
    func stop()
}

/// Looks after one mount from ready to gone: signals, systemd, drain and report.
///
/// Signals must be blocked in all threads before this starts.
final class MountRun: Sendable {
    /// What an unmount waits for transfers when nobody said otherwise.
    static let standardDrain = Duration.seconds(60)

    private struct Progress {
        var drained: [UnmountReport.Left]?
        var isDraining = false
        var isOver = false
    }

    private let mount: any ServedMount
    private let notifier: ServiceNotifier
    private let log: @Sendable (String) -> Void
    private let progress = Monitor(Progress())

    init(_ mount: any ServedMount, notifier: ServiceNotifier, log: @escaping @Sendable (String) -> Void) {
        self.mount = mount
        self.notifier = notifier
        self.log = log
    }

    /// Serves until the mount is gone; what is left then.
    /// - Parameter ready: called once, when the mount answers.
    /// - Throws: exit 1 when the mount does not answer.
    func serve(ready: () -> Void) throws -> [UnmountReport.Left] {
        try TerminationSignals.handle { [self] signal, count in terminate(signal, count) }
        guard mount.waitUntilReady(.seconds(30)) else {
            try? mount.unmount()
            throw CommandFailure(
                .failure, "the kernel did not answer within 30s", hint: "see dmesg and /sys/fs/fuse/connections")
        }
        notifier.ready(status: mount.activity)
        ready()
        mount.waitUntilUnmounted()
        // Unmounted from outside, or after the drain of a signal; whoever comes second gets the first one's list.
        let left = drainOnce()
        progress.withLock { $0.isOver = true }
        mount.stop()
        return left
    }

    private func terminate(_ signal: Int32, _ count: Int) {
        if count > 1 {
            log("second signal (\(signal)): unmounting without waiting for transfers")
            try? mount.unmount()
            return
        }
        // Elsewhere, so that a second signal is heard.
        let drain = try? ServiceThread(name: "drain") { [self] in
            _ = drainOnce()
            do { try mount.unmount() } catch { log("cannot unmount: \(CommandFailure(describing: error).message)") }
        }
        if drain == nil { try? mount.unmount() }
    }

    private func drainOnce() -> [UnmountReport.Left] {
        let isFirst = progress.withLock { progress in
            defer { progress.isDraining = true }
            return !progress.isDraining
        }
        guard isFirst else { return progress.wait { $0.drained } ?? [] }
        let timeout = mount.drainTimeout ?? MountRun.standardDrain
        notifier.stopping(status: "finishing transfers")
        keepSystemdPatient()
        let left = mount.drain(timeout: timeout)
        progress.withLock { $0.drained = left }
        return left
    }

    /// Asks for 30 seconds more every 10 while the drain lasts.
    private func keepSystemdPatient() {
        notifier.extend(seconds: 30)
        let keeper = try? ServiceThread(name: "patience") { [self] in
            while progress.wait(until: .after(.seconds(10)), { $0.drained }) == nil {
                notifier.extend(seconds: 30)
                notifier.status(mount.activity)
            }
        }
        if keeper == nil { log("no thread to ask systemd for more time") }
    }
}
