public import FXSystem
internal import Synchronization

/// What a transfer does, seen from the application: a download creates a local file, an upload returns one.
public enum TransferAction: String, Sendable, Hashable {
    case upload = "UPLOAD", download = "DOWNLOAD", copy = "COPY", move = "MOVE"
}

/// How far a transfer is, or how it ended.
public enum TransferState: String, Sendable, Hashable {
    case running = "RUNNING", done = "DONE", failed = "FAILED"
}

/// One transfer at one moment.
public struct TransferRecord: Sendable, Hashable {
    /// Unique in this process.
    public var id: UInt64
    public var application: ApplicationID
    public var action: TransferAction
    /// Where it comes from or goes to; nil as long as a download has not been told.
    public var file: FileAddress?
    public var state: TransferState
    public var done: ByteCount
    /// nil while nobody knows.
    public var total: ByteCount?
    public var startedAt: Timestamp
    public var endedAt: Timestamp?
    /// Why it failed.
    public var failure: String?

    public init(
        id: UInt64, application: ApplicationID, action: TransferAction, file: FileAddress?, state: TransferState,
        done: ByteCount = .zero, total: ByteCount? = nil, startedAt: Timestamp
    ) {
        self.id = id
        self.application = application
        self.action = action
        self.file = file
        self.state = state
        self.done = done
        self.total = total
        self.startedAt = startedAt
    }

    /// An extension of ours; the published API names no endpoint for it.
    public var json: JSONValue {
        [
            "id": .integer(Int64(clamping: id)), "action": .string(action.rawValue), "state": .string(state.rawValue),
            "entity": .text(file?.type.entity.text), "type": .text(file?.type.type.text),
            "relPath": file.map { .array($0.folder.texts.map { .string($0) }) } ?? .null,
            "fileName": .text(file?.name.exchangedText), "bytes": .bytes(done),
            "total": total.map { .bytes($0) } ?? .null, "started": .time(startedAt), "ended": .time(endedAt),
            "error": .text(failure),
        ]
    }
}

/// The transfers that run, and the last that have ended, of all applications of a process.
public final class TransferBoard: Sendable {
    private struct State {
        var nextID: UInt64 = 1
        var running: [UInt64: TransferRecord] = [:]
        /// Oldest first.
        var ended: [TransferRecord] = []
    }

    /// Each running transfer holds a descriptor and a thread's attention; a file descriptor limit of 1024 leaves as many.
    public static let defaultLimit = 512
    /// Enough for an application that looks once a second to see how its transfers ended.
    static let keptEnds = 256

    private let state = Mutex(State())
    private let limit: Int
    private let clock: WallClock

    /// - Parameter limit: transfers that may run at once.
    public init(limit: Int = TransferBoard.defaultLimit, clock: WallClock = .system) {
        self.limit = limit
        self.clock = clock
    }

    /// Running ones first, by their start, then ended ones, newest first.
    public func transfers(of application: ApplicationID) -> [TransferRecord] {
        all.filter { $0.application == application }
    }

    /// The same for all applications.
    public var all: [TransferRecord] {
        state.withLock { state in state.running.values.sorted { $0.id < $1.id } + state.ended.reversed() }
    }

    /// How many run.
    public var running: Int { state.withLock { $0.running.count } }

    func begin(
        _ action: TransferAction, _ file: FileAddress?, total: ByteCount?, of application: ApplicationID
    ) throws(ExchangeError) -> Transfer {
        let now = clock.now()
        let id: UInt64? = state.withLock { state in
            guard state.running.count < limit else { return nil }
            defer { state.nextID += 1 }
            state.running[state.nextID] = TransferRecord(
                id: state.nextID, application: application, action: action, file: file, state: .running, done: .zero,
                total: total, startedAt: now)
            return state.nextID
        }
        guard let id else { throw .tooManyTransfers(limit: limit) }
        return Transfer(id, on: self)
    }

    func update(_ id: UInt64, _ change: (inout TransferRecord) -> Void) {
        state.withLock { state in
            guard var record = state.running[id] else { return }
            change(&record)
            state.running[id] = record
        }
    }

    func record(of id: UInt64) -> TransferRecord? {
        state.withLock { state in state.running[id] ?? state.ended.last { $0.id == id } }
    }

    /// Returns what the transfer was at its end; nil when it had ended before.
    @discardableResult
    func end(_ id: UInt64, failure: String?) -> TransferRecord? {
        let now = clock.now()
        return state.withLock { state in
            guard var record = state.running.removeValue(forKey: id) else { return nil }
            record.state = failure == nil ? .done : .failed
            record.failure = failure
            record.endedAt = now
            if state.ended.count >= TransferBoard.keptEnds { state.ended.removeFirst() }
            state.ended.append(record)
            return record
        }
    }
}

/// A running transfer, from its start to its end; one that is let go without an end has failed.
public final class Transfer: Sendable {
    public let id: UInt64
    private let board: TransferBoard
    private let isCancelledFlag = Mutex(false)

    init(_ id: UInt64, on board: TransferBoard) {
        self.id = id
        self.board = board
    }

    /// As it is now.
    public var record: TransferRecord? { board.record(of: id) }

    /// Ends it at its next step, with `ExchangeError.cancelled` for whoever carries it out.
    public func cancel() { isCancelledFlag.withLock { $0 = true } }
    var isCancelled: Bool { isCancelledFlag.withLock { $0 } }

    func advance(to done: ByteCount) { board.update(id) { $0.done = done } }
    func addTotal(_ bytes: ByteCount) { board.update(id) { $0.total = ($0.total ?? .zero) + bytes } }
    func isFor(_ file: FileAddress) { board.update(id) { $0.file = file } }

    @discardableResult
    func succeed() -> TransferRecord? { board.end(id, failure: nil) }
    func fail(_ error: ExchangeError) { board.end(id, failure: error.message) }

    deinit { board.end(id, failure: "cut short") }
}
