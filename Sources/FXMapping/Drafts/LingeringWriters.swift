internal import FXSystem
internal import Glibc
internal import Logging
internal import Synchronization
internal import SystemPackage

/// Seals files whose last writer had kernel passthrough, once nobody can change them any more.
///
/// A shared mapping made through passthrough maps the backing file, and lives on after the FUSE handle is closed
/// (backing_file_mmap in the kernel swaps the file of the mapping). A file is therefore sealed only when the kernel
/// grants a read lease on it (fcntl(2), F_SETLEASE: refused with EAGAIN while anybody has it open for writing). If that
/// takes longer than `patience`, a version of the bytes as they were closed is made, and the watch goes on.
final class LingeringWriters: Sendable {
    /// The kernel itself drops its reference a moment after close(2); longer than this means a mapping.
    static let patience: Duration = .milliseconds(500)

    private struct Watched: Sendable {
        let identity: FileIdentity
        let root: MappedRoot
        let probe: Probe
        let path: @Sendable () -> RelativePath
        let since: ContinuousDeadline
        var hasVersion = false
    }

    private final class Probe: Sendable {
        let descriptor: OwnedDescriptor
        init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }
    }

    private struct Queue {
        var watched: [Watched] = []
        var hasArrivals = false
        var isStopping = false
        var hasEnded = false
    }

    /// The kernel's reference is usually gone after one or two of the shortest; a mapping can stay for days.
    private static let shortestPause: Duration = .milliseconds(2)
    private static let longestPause: Duration = .milliseconds(500)

    private let queue = Monitor(Queue())
    private let ledger: SealLedger
    private let events: EventLog

    init(ledger: SealLedger, events: EventLog) throws(Errno) {
        self.ledger = ledger
        self.events = events
        // Breaking a lease sends SIGIO, whose default is to end the process (fcntl(2)).
        _ = signal(SIGIO, SIG_IGN)
        let queue = queue
        // Detached: `stop` waits for its end.
        _ = try ServiceThread(name: "fx-seal") { LingeringWriters.run(queue, ledger: ledger, events: events) }
    }

    /// Takes over the last counted writer of `file`, which the caller is about to close. At most one a file is watched.
    func watch(_ file: MappedFile, path: @escaping @Sendable () -> RelativePath) {
        do throws(Errno) {
            let probe = Probe(try file.descriptor.reopen(.readOnly))
            let watched = Watched(
                identity: file.identity, root: file.root, probe: probe, path: path,
                since: .after(LingeringWriters.patience))
            queue.withLock { queue in
                queue.watched.append(watched)
                queue.hasArrivals = true
            }
        } catch {
            // Out of descriptors: nothing can be watched, so the bytes as they are now are kept instead, if that can be done.
            events.record(
                "seal_unwatched", level: .warning,
                [.init("path", .string("\(path())")), .init("errno", .string(error.symbol))])
            file.keepVersionOfClosedBytes(path: path())
            ledger.stopWriting(file.identity)
        }
    }

    /// Ends the thread. What is still watched is sealed by the end of the mount.
    func stop() {
        queue.withLock { $0.isStopping = true }
        _ = queue.wait { $0.hasEnded ? () : nil }
    }

    private static func run(_ queue: Monitor<Queue>, ledger: SealLedger, events: EventLog) {
        var pause = shortestPause
        while let batch = next(queue, after: &pause) {
            let left = batch.compactMap { look(at: $0, ledger: ledger, events: events) }
            if left.count < batch.count { pause = shortestPause }
            queue.withLock { $0.watched += left }
        }
        queue.withLock { $0.hasEnded = true }
    }

    /// Everything that is watched, at once after an arrival, otherwise after a pause that grows; nil at the end.
    private static func next(_ queue: Monitor<Queue>, after pause: inout Duration) -> [Watched]? {
        let isIdle = queue.withLock { $0.watched.isEmpty }
        let deadline: ContinuousDeadline? = isIdle ? nil : .after(pause)
        let hasArrivals = queue.wait(until: deadline) { $0.isStopping || $0.hasArrivals ? $0.hasArrivals : nil }
        pause = hasArrivals == true ? shortestPause : min(pause * 2, longestPause)
        return queue.withLock { queue in
            if queue.isStopping { return nil }
            queue.hasArrivals = false
            defer { queue.watched = [] }
            return queue.watched
        }
    }

    /// Seals if it can; returns what is still to be watched.
    private static func look(at watched: Watched, ledger: SealLedger, events: EventLog) -> Watched? {
        switch watched.probe.descriptor.tryReadLease() {
        case .granted:
            ledger.distrustVersions(of: watched.probe.descriptor, watched.identity)
            ledger.stopWriting(watched.identity)
            return nil
        case .unsupported:
            // No leases on this file system: keep a version now, so that whatever a mapping does later loses nothing.
            var once = watched
            keepVersion(of: &once, ledger, events)
            ledger.distrustVersions(of: watched.probe.descriptor, watched.identity)
            ledger.stopWriting(watched.identity)
            return nil
        case .refused: break
        }
        var next = watched
        // Writers that came since are counted, and are no mapping.
        if watched.since.hasPassed && !watched.hasVersion && ledger.hasOneWriter(watched.identity) {
            keepVersion(of: &next, ledger, events)
        }
        return next
    }

    private static func keepVersion(of watched: inout Watched, _ ledger: SealLedger, _ events: EventLog) {
        let path = watched.path()
        do throws(Errno) {
            let status = try watched.probe.descriptor.status()
            try watched.root.versions.keepCopy(of: watched.probe.descriptor, status: status, path: path)
            watched.hasVersion = true
            ledger.madeUncertainVersion(of: watched.identity)
            events.record("version_kept", [.init("path", .string("\(path)")), .init("reason", "mapped after close")])
        } catch {
            events.record(
                "version_failed", level: .error,
                [.init("path", .string("\(path)")), .init("errno", .string(error.symbol))])
        }
    }
}
