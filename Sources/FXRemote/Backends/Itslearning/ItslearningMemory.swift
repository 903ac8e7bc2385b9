internal import FXSystem

/// What this run remembers of uploads and of the service. A value with bounds; without it an upload goes on as after a
/// crash.
struct ItslearningMemory: Sendable {
    struct Progress: Sendable, Equatable {
        /// The answer to an attempt.
        var sent: (attempt: String, fileID: String, time: Timestamp)?
        /// An attempt the service refused, so that nothing of it is there.
        var refusedAttempt: String?
        /// The number of the message that is recorded and was not sent yet.
        var intent: Int?
        /// How many messages the service refused to take.
        var refusedMessages = 0
        /// The message that the service could not carry out.
        var failedMessage: String?
        /// How often the service said that it failed, one time after the other.
        var serviceFailures = 0
        /// How often it was asked what became of the message.
        var polls = 0

        static func == (left: Progress, right: Progress) -> Bool {
            left.sent?.attempt == right.sent?.attempt && left.refusedAttempt == right.refusedAttempt
                && left.intent == right.intent && left.refusedMessages == right.refusedMessages
                && left.failedMessage == right.failedMessage && left.serviceFailures == right.serviceFailures
                && left.polls == right.polls
        }
    }

    private var uploads: [UploadID: Progress] = [:]
    /// The number of `Create.Extension.Instance`: another one at each system, the same for a run.
    var messageType: String?
    /// Whether the service took a file that nothing is wrong with, and what it said if not.
    var trial: (refusal: String?, until: ContinuousDeadline)?

    /// Far more than are under way at a time.
    private static let limit = 10_000

    subscript(upload: UploadID) -> Progress {
        get { uploads[upload] ?? Progress() }
        set {
            if uploads.count >= ItslearningMemory.limit, uploads[upload] == nil { uploads = [:] }
            uploads[upload] = newValue == Progress() ? nil : newValue
        }
    }

    mutating func forget(_ upload: UploadID) { uploads[upload] = nil }

    mutating func forgetService() {
        messageType = nil
        trial = nil
        for key in uploads.keys { uploads[key]?.serviceFailures = 0 }
    }
}
