import FXSystem
internal import CLinux
internal import Glibc
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
        var isStopping = false
    }

    private let queue: Monitor<Queue>
    private let ledger: SealLedger
    private let events: EventLog
    private let thread: Mutex<Handle>

    private struct Handle: ~Copyable, Sendable {
        var thread: ServiceThread?
    }

    init(ledger: SealLedger, events: EventLog) throws(Errno) {
        self.ledger = ledger
        self.events = events
        self.queue = Monitor(Queue())
        // Breaking a lease sends SIGIO, whose default is to end the process (fcntl(2)).
        unsafe _ = signal(SIGIO, SIG_IGN)
        let queue = self.queue
        self.thread = Mutex(
            Handle(
                thread: try ServiceThread(name: "fx-seal") {
                    LingeringWriters.run(queue, ledger: ledger, events: events)
                }))
    }

    /// Takes over one counted writer of `file`, which the caller is about to close.
    func watch(_ file: MappedFile, path: @escaping @Sendable () -> RelativePath) {
        do throws(Errno) {
            let probe = Probe(try file.descriptor.reopen(.readOnly))
            let watched = Watched(
                identity: file.identity, root: file.root, probe: probe, path: path, since: .after(LingeringWriters.patience))
            queue.withLock { $0.watched.append(watched) }
        } catch {
            // Without a probe nothing can be watched: the file counts as being written until the mount ends, which
            // protects its names; say so.
            events.record(
                "seal_delayed", level: .warning,
                [.init("path", .string("\(path())")), .init("errno", .string(error.symbol))])
        }
    }

    /// Ends the thread. What is still watched is sealed by the end of the mount.
    func stop() {
        queue.withLock { $0.isStopping = true }
        let handle = thread.withLock { handle in
            let taken = handle.thread.take()
            return Handle(thread: taken)
        }
        handle.join()
    }

    private static func run(_ queue: Monitor<Queue>, ledger: SealLedger, events: EventLog) {
        var round = 0
        while true {
            // The lease is usually granted at the first or second look; a mapping can stay for days.
            let pause: Duration = round < 20 ? .milliseconds(2) : round < 100 ? .milliseconds(20) : .milliseconds(500)
            let deadline: ContinuousDeadline? = round == 0 ? nil : .after(pause)
            let batch: [Watched]? = queue.wait(until: deadline) { queue in
                if queue.isStopping { return [] }
                if round > 0 && queue.watched.count == 0 { return nil }
                guard round == 0, !queue.watched.isEmpty else { return nil }
                return queue.watched
            }
            if let batch, batch.isEmpty { return }
            let present = batch ?? queue.withLock { $0.watched }
            if present.isEmpty {
                round = 0
                continue
            }
            let left = present.compactMap { look(at: $0, ledger: ledger, events: events) }
            queue.withLock { queue in
                // New ones came in behind those we looked at.
                queue.watched = left + queue.watched.dropFirst(present.count)
                round = queue.watched.isEmpty ? 0 : (left.count < present.count ? 1 : round + 1)
            }
        }
    }

    /// Seals if it can; returns what is still to be watched.
    private static func look(at watched: Watched, ledger: SealLedger, events: EventLog) -> Watched? {
        let number = watched.probe.descriptor.rawValue
        // F_SETLEASE = 1024 (F_LINUX_SPECIFIC_BASE).
        if fx_fcntl_int(number, 1024, Int32(F_RDLCK)) == 0 {
            _ = fx_fcntl_int(number, 1024, Int32(F_UNLCK))
            ledger.stopWriting(watched.identity)
            return nil
        }
        let error = Errno(rawValue: errno)
        guard error == .resourceTemporarilyUnavailable else {
            // No leases on this file system: keep a version now, so that whatever a mapping does later loses nothing.
            var once = watched
            keepVersion(of: &once, events: events)
            ledger.stopWriting(watched.identity)
            return nil
        }
        var next = watched
        if watched.since.hasPassed && !watched.hasVersion { keepVersion(of: &next, events: events) }
        return next
    }

    private static func keepVersion(of watched: inout Watched, events: EventLog) {
        let path = watched.path()
        do throws(Errno) {
            let status = try watched.probe.descriptor.status()
            try watched.root.versions.keepCopy(of: watched.probe.descriptor, status: status, path: path)
            watched.hasVersion = true
            events.record("version_kept", [.init("path", .string("\(path)")), .init("reason", "mapped after close")])
        } catch {
            events.record(
                "version_failed", level: .error,
                [.init("path", .string("\(path)")), .init("errno", .string(error.symbol))])
        }
    }
}

extension LingeringWriters.Handle {
    fileprivate consuming func join() {
        if let thread = thread.take() { thread.join() }
    }
}
