internal import FXSystem

/// The last comparison of a session with what its service holds, also while it is under way.
struct Verification: Sendable {
    enum Method: String, Sendable {
        /// The service lists sizes, and digests where it keeps them.
        case listing
        /// A service that lists nothing: each file is asked for by its id, and its size tried.
        case each
        /// Every file is brought back and hashed.
        case content
    }

    enum State: Sendable {
        case running, done
        case failed(RemoteError)

        var word: String {
            switch self {
            case .running: "running"
            case .done: "done"
            case .failed: "failed"
            }
        }
    }

    /// Problems that are listed one by one; `problemCount` has them all.
    static let listedProblems = 10_000

    var method: Method
    var state = State.running
    var started: Timestamp
    var ended: Timestamp?
    var files: Int
    var checked = 0
    var bytes: ByteCount
    var checkedBytes = ByteCount.zero
    private(set) var problems: [VerificationProblem] = []
    private(set) var problemCount = 0
    var unknown = 0

    init(_ method: Method, of known: [VerificationRule.Known], started: Timestamp) {
        self.method = method
        self.started = started
        files = known.count
        bytes = known.reduce(.zero) { $0 + $1.size }
    }

    mutating func note(_ problem: VerificationProblem) {
        problemCount += 1
        if problems.count < Verification.listedProblems { problems.append(problem) }
    }

    /// What `.fxmount/sessions/…/verification.json` holds.
    func json(remote: Name, session: RelativePath) -> JSONValue {
        var error: RemoteError?
        if case .failed(let reason) = state { error = reason }
        return .object([
            .init("format", 1), .init("remote", .string(remote.description)),
            .init("session", .string(session.description)), .init("method", .string(method.rawValue)),
            .init("state", .string(state.word)), .init("error", .text(error?.message)),
            .init("started", .time(started)), .init("ended", .time(ended)),
            .init("files", .integer(Int64(files))), .init("checked", .integer(Int64(checked))),
            .init("bytes", .bytes(bytes)), .init("bytes_checked", .bytes(checkedBytes)),
            .init("problem_count", .integer(Int64(problemCount))),
            .init("problems", .array(problems.map(\.json))), .init("unknown_files", .integer(Int64(unknown))),
        ])
    }
}

/// The verifications of one remote: those under way, and the last one of each session.
///
/// `table` is a leaf of the lock order; whoever waits is told outside of it.
final class Verifications: Sendable {
    /// Each brings listings or contents over the network; more at once would only take turns on the line.
    static let limit = 4
    /// Reports kept; the oldest goes.
    private static let keptReports = 64

    private struct Table {
        var reports: [EntryID: Verification] = [:]
        var order: [EntryID] = []
        var running: Set<EntryID> = []
        var isStopping = false
    }

    private let table = Monitor(Table())

    func report(of id: EntryID) -> Verification? { table.withLock { $0.reports[id] } }

    /// - Throws: `.busy` while the session is being verified, `.unavailable` while `limit` others are, `.draining` at
    ///   the end.
    func begin(_ id: EntryID, _ report: Verification) throws(RemoteError) {
        try table.withLock { table throws(RemoteError) in
            if table.isStopping { throw .draining }
            if table.running.contains(id) { throw .busy }
            if table.running.count >= Verifications.limit { throw .unavailable(retryAfter: nil) }
            table.running.insert(id)
            table.order.removeAll { $0 == id }
            table.order.append(id)
            table.reports[id] = report
            while table.order.count > Verifications.keptReports { table.reports[table.order.removeFirst()] = nil }
        }
    }

    /// Changes a report; true while the verification is to go on.
    @discardableResult
    func update(_ id: EntryID, _ body: (inout Verification) -> Void) -> Bool {
        table.withLock { table in
            if var report = table.reports[id] {
                body(&report)
                table.reports[id] = report
            }
            return !table.isStopping
        }
    }

    func end(_ id: EntryID) { table.withLock { _ = $0.running.remove(id) } }

    /// Lets none begin, and waits until those under way have ended, at most until `deadline`; their transport must have
    /// been stopped.
    func stop(until deadline: ContinuousDeadline) {
        table.withLock { $0.isStopping = true }
        _ = table.wait(until: deadline) { $0.running.isEmpty ? true : nil as Bool? }
    }
}
