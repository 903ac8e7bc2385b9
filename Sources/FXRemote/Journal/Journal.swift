internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// The durable memory of a state directory, written by one thread that commits whatever has queued up at once.
///
/// A caller that needs durability passes a completion and gets it after the commit; everything else rides along. So
/// files sealed at the same time share a sync, and making a draft costs none of its own. A commit is one record of the
/// log; the database gets the changes of many of them in one transaction, when nothing is to be committed or the log is
/// full. What was sealed and sent in between never gets there.
///
/// Lock order: `pending` and `backlog` are leaves. `pending` may be taken under the tree's lock, which keeps the order
/// of changes the order in which they happened in memory. Completions run on the journal thread, outside of every lock.
final class Journal: Sendable {
    typealias Completion = @Sendable (Result<Void, RemoteError>) -> Void

    private struct Pending {
        var changes: [JournalChange] = []
        /// Of callers that are waited for; they hear of it before the others.
        var urgent: [Completion] = []
        var others: [Completion] = []
        var isUrgent: Bool { !urgent.isEmpty }
        var isEmpty: Bool { changes.isEmpty && urgent.isEmpty && others.isEmpty }
        var isStopping = false
        /// The thread sleeps until there is something; at other times it looks again by itself.
        var isIdle = false
        /// The last transaction failed; the next one waits longer.
        var isFailing = false
        /// Changes were given up at the end: whoever asked for them, or for later ones, hears of it.
        var loss: RemoteError?
    }

    /// For the bytes of small files.
    let room = JournalRoom()
    private let database: JournalDatabase
    private let log: JournalLog
    /// Changed by the thread only.
    private let backlog = Mutex(JournalBacklog())
    private let pending = Monitor(Pending())
    private let didCommit: @Sendable ([JournalChange]) -> Void
    private let thread = Mutex<WorkerThread?>(nil)

    /// How long a change nobody waits for may wait for company. A crash loses at most this much of what was never
    /// promised.
    private static let patience: Duration = .milliseconds(20)
    /// How often that passes with nothing to commit before the database is brought up to date.
    private static let pauses = 10
    /// A full disk does not get better by asking often.
    private static let patienceAfterFailure: Duration = .seconds(1)
    /// Bounds the memory of the queue and the length of one transaction; a caller past it waits.
    private static let capacity = 4096

    /// - Parameter didCommit: runs on the journal thread after each transaction; recovery tests take their pictures
    ///   there.
    init(path: String, didCommit: @escaping @Sendable ([JournalChange]) -> Void = { _ in }) throws(RemoteError) {
        let logPath = Journal.log(of: path)
        database = try JournalDatabase(path: path, log: logPath)
        log = try JournalLog(path: logPath, position: try database.position())
        self.didCommit = didCommit
    }

    func contents() throws(RemoteError) -> JournalContents { try database.contents() }

    /// Where the log of a database is: beside it.
    static func log(of path: String) -> String {
        var file = FilePath(path)
        // Not `.log`: that is what people and programs tidy up.
        file.extension = "ahead"
        return file.string
    }

    /// The bytes of a revision that was sealed with them.
    func content(of revision: RevisionID) throws(RemoteError) -> [UInt8]? {
        if let bytes = backlog.withLock({ $0.content(of: revision) }) { return bytes }
        return try database.content(of: revision)
    }

    func hasContents() throws(RemoteError) -> Bool { try database.hasContents() }

    /// The bytes of every content that was sealed with them and that nobody has put back into the spool.
    func forEachContent(_ body: (UploadID, [UInt8]) throws -> Void) throws(RemoteError) {
        try database.forEachContent(body)
    }

    /// Writes at once, on the calling thread; only before `start`.
    func commitDirectly(_ changes: [JournalChange]) throws(RemoteError) {
        if changes.isEmpty { return }
        try database.commit(changes, through: log.attempted)
        didCommit(changes)
    }

    func start() throws(RemoteError) {
        let started = try WorkerThread(name: "fx-journal") { [self] in run() }
        thread.withLock { $0 = started }
    }

    /// Queues changes; they are committed in this order, soon. Takes no lock but its own and does not wait.
    /// - Parameter completion: called when they and all before them are durable, or with what went wrong.
    func enqueue(_ changes: [JournalChange], whenWritten completion: Completion? = nil) {
        // A thread that gathers company is not woken for it.
        pending.withLock(waking: { $0.isIdle ? .all : .nobody }) { state in
            state.changes += changes
            if let completion { state.others.append(completion) }
        }
    }

    /// The same for a caller that is waited for: they are committed now.
    func enqueue(_ changes: [JournalChange], _ completion: @escaping Completion) {
        pending.withLock {
            $0.changes += changes
            $0.urgent.append(completion)
        }
    }

    /// Queues changes and waits until they are durable.
    func commit(_ changes: [JournalChange]) throws(RemoteError) {
        let outcome = Monitor<Result<Void, RemoteError>?>(nil)
        enqueue(changes) { result in outcome.withLock { $0 = result } }
        guard let result = outcome.wait({ $0 }) else { throw .interrupted }
        try result.get()
    }

    /// Waits while the queue is full; called without a lock by whoever produces changes in a loop.
    func waitForRoom() {
        _ = pending.wait { $0.changes.count < Journal.capacity ? true : nil }
    }

    /// Commits what is queued and ends the thread.
    func stop() {
        pending.withLock { $0.isStopping = true }
        thread.withLock { $0.take() }?.join()
    }

    private func run() {
        while true {
            switch nextTurn() {
            case .commit(let batch): commit(batch)
            // What it could not take is in the log.
            case .catchUp: try? catchUp()
            case .end:
                if (try? catchUp()) != nil { log.empty() }
                return
            }
        }
    }

    private func commit(_ batch: Pending) {
        var outcome: Result<Void, RemoteError> = .success(())
        do throws(RemoteError) {
            if let loss = batch.loss { throw loss }
            if !batch.changes.isEmpty { try write(batch.changes) }
        } catch {
            outcome = .failure(error)
        }
        if case .success = outcome {
            giveRoomBack(batch.changes)
            didCommit(batch.changes)
        } else {
            keep(batch.changes, outcome)
        }
        for completion in batch.urgent + batch.others { completion(outcome) }
    }

    /// Makes changes durable: in the log, or in the database when the log is full or cannot be written.
    private func write(_ changes: [JournalChange]) throws(RemoteError) {
        let isFull = backlog.withLock { $0.isFull }
        if !isFull, (try? log.append(changes)) == true { return backlog.withLock { $0.add(changes) } }
        try catchUp(with: changes)
    }

    /// Gives the database what the log has, and `changes`.
    private func catchUp(with changes: [JournalChange] = []) throws(RemoteError) {
        let all = backlog.withLock { $0.changes } + changes
        if all.isEmpty { return }
        do throws(RemoteError) { try database.commit(all, through: log.attempted) } catch {
            // What is in the log comes back from there, whatever the database has made of this. Nothing is to be added to a
            // database that does not work, though, nor after changes that may be in it all the same.
            if !changes.isEmpty || !error.isPassing { log.close() }
            if error == .local(.noSpace, during: .journal) { log.giveBack() }
            backlog.withLock { $0.isStuck = true }
            throw error
        }
        log.startOver()
        backlog.withLock { $0 = JournalBacklog() }
    }

    private func giveRoomBack(_ changes: [JournalChange]) {
        for change in changes {
            if case .dropRevision(let id) = change { room.giveBack(id) }
            if case .dropContent(let id) = change { room.giveBack(id) }
        }
    }

    /// Puts changes that could not be written back in front: they are upserts, so the next commit brings all in order. But
    /// for the bytes of files: whoever sealed them was told that they are not, and gives them again.
    private func keep(_ changes: [JournalChange], _ outcome: Result<Void, RemoteError>) {
        pending.withLock {
            $0.isFailing = true
            let kept = changes.filter { if case .putContent = $0 { false } else { true } }
            // The thread must be able to end; what was never written is never promised.
            if $0.isStopping, case .failure(let error) = outcome { $0.loss = error }
            $0.changes = $0.isStopping ? [] : kept + $0.changes
        }
    }

    private enum Turn {
        case commit(Pending)
        case catchUp
        case end
    }

    private func nextTurn() -> Turn {
        var quiet = 0
        while true {
            let (isEmpty, isStuck) = backlog.withLock { ($0.isEmpty, $0.isStuck) }
            if isEmpty { sleepUntilNeeded() }
            // Company for the unhurried: the wait ends early as soon as somebody needs durability.
            let isFailing = pending.withLock(waking: { _ in .nobody }) { $0.isFailing } || isStuck
            let patience = isFailing ? Journal.patienceAfterFailure : Journal.patience
            _ = pending.wait(until: .after(patience)) { state in state.isUrgent || state.isStopping ? true : nil }
            if let turn = takeTurn() { return turn }
            quiet += 1
            if quiet >= Journal.pauses || isFailing { return .catchUp }
        }
    }

    private func sleepUntilNeeded() {
        _ = pending.wait { (state: inout Pending) -> Bool? in
            state.isIdle = !state.isStopping && state.isEmpty
            return state.isIdle ? nil : true
        }
    }

    private func takeTurn() -> Turn? {
        pending.withLock { state in
            if state.isEmpty { return state.isStopping ? .end : nil }
            let batch = state
            state.changes = []
            state.urgent = []
            state.others = []
            state.isFailing = false
            return .commit(batch)
        }
    }
}

extension RemoteError {
    /// The database will take it once there is room on the disk, or nobody else holds it.
    fileprivate var isPassing: Bool {
        switch self {
        case .local(.noSpace, during: .journal): true
        // SQLITE_BUSY and SQLITE_LOCKED.
        case .journal(.database(let code)): [5, 6].contains(code & 0xff)
        default: false
        }
    }
}
