internal import FXSystem

/// What this run remembers of uploads and sessions; all of it can be asked for again. A value with bounds.
struct OpenTeraMemory: Sendable {
    /// How far one upload has come in this run.
    enum Progress: Sendable, Equatable {
        /// The service has nothing of it: not sent, or refused.
        case begun
        /// Acknowledged, as this asset; nil when the answer could not be read.
        case sent(String?)
        /// The answer was lost. It has arrived by then, or never will.
        case lost(ContinuousDeadline)
    }

    private var uploads: [UploadID: Progress] = [:]
    private var linkedSessions: [Int64: ContinuousDeadline] = [:]
    private var starts: [Int64: OpenTeraTime] = [:]

    /// Of each; far more than are under way at a time.
    private static let limit = 10_000
    /// An administrator who takes a link away is noticed after this long.
    private static let linkLife = Duration.seconds(600)

    /// How long the service may be busy with an upload nobody waits for any more: it parses 15 MiB a second and slower,
    /// then asks the main server.
    static func settling(_ base: Duration, _ size: ByteCount) -> Duration {
        base + .milliseconds(Int64(clamping: size.rawValue / parsedPerMillisecond))
    }

    private static let parsedPerMillisecond: UInt64 = 8 << 10

    // MARK: - Uploads

    /// nil for one of an earlier run.
    subscript(upload: UploadID) -> Progress? { uploads[upload] }

    /// - Parameter progress: nil forgets it.
    mutating func note(_ upload: UploadID, _ progress: Progress?) {
        // What is forgotten here is looked for as if it were from an earlier run.
        if uploads.count >= OpenTeraMemory.limit, uploads[upload] == nil { uploads = [:] }
        uploads[upload] = progress
    }

    // MARK: - Sessions

    mutating func noteLinked(_ session: Int64) {
        if linkedSessions.count >= OpenTeraMemory.limit { linkedSessions = [:] }
        linkedSessions[session] = .after(OpenTeraMemory.linkLife)
    }

    func isLinked(_ session: Int64) -> Bool { linkedSessions[session].map { !$0.hasPassed } ?? false }

    mutating func noteStart(_ start: OpenTeraTime?, of session: Int64) {
        if starts.count >= OpenTeraMemory.limit { starts = [:] }
        starts[session] = start
    }

    func start(of session: Int64) -> OpenTeraTime? { starts[session] }
}
