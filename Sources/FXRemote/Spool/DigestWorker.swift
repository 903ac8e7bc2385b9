internal import FXSystem

/// Hashes drafts behind their writers, on one thread, so that sealing a large file does not read it a second time.
///
/// Holds references to revisions only, at most one per open draft; the bytes come from the page cache.
final class DigestWorker: Sendable {
    private struct Work {
        var waiting: [Revision] = []
        var known: Set<RevisionID> = []
        var isStopping = false
    }

    private let work = Monitor(Work())
    private let thread: Monitor<WorkerThread?> = Monitor(nil)

    func start() throws(RemoteError) {
        let started = try WorkerThread(name: "fx-digest") { [self] in run() }
        thread.withLock { $0 = started }
    }

    /// Tells of a draft with something to hash; a second telling before its turn changes nothing.
    func add(_ revision: Revision) {
        work.withLock { work in
            if work.known.insert(revision.id).inserted { work.waiting.append(revision) }
        }
    }

    func stop() {
        work.withLock { $0.isStopping = true }
        thread.withLock { $0.take() }?.join()
    }

    private func run() {
        while true {
            let next: Revision?? = work.wait { work in
                if work.isStopping { return .some(nil) }
                if work.waiting.isEmpty { return nil }
                let revision = work.waiting.removeFirst()
                work.known.remove(revision.id)
                return .some(revision)
            }
            guard let revision = next ?? nil else { return }
            // One piece a turn: several open files share the thread.
            if revision.hashBacklog() { add(revision) }
        }
    }
}
