internal import FXSystem

/// What the journal keeps of an upload on its way, so that nothing is published twice and no lost id is forgotten.
struct ItslearningNote: Sendable, Equatable {
    /// An attempt that may have left a file at the service which nobody will use.
    struct Orphan: Sendable, Equatable {
        /// The name this program gave the attempt: the Content-ID before the `@`.
        var attempt: String
        /// The service's id, when its answer arrived.
        var fileID: String?
        var time: Timestamp
    }

    /// The attempt under way.
    var attempt: String
    var began: Timestamp
    /// The service's id of the bytes, and since when it has them.
    var fileID: String?
    var uploaded: Timestamp?
    /// How many messages may have been sent for this id.
    var asked = 0
    var firstAsked: Timestamp?
    /// The service's id of the message it took.
    var messageID: String?
    var orphans: [Orphan] = []
    /// Those that are named no more.
    var forgotten = 0

    /// More attempts than a week of refusals makes; the rest is counted.
    private static let mostOrphans = 50

    init(attempt: String, began: Timestamp) {
        self.attempt = attempt
        self.began = began
    }

    /// The time after which the id cannot be relied on.
    var lastUse: Timestamp? {
        uploaded.map {
            Timestamp(seconds: $0.seconds + ItslearningConfiguration.retention - ItslearningConfiguration.margin)
        }
    }

    var expires: Timestamp? { uploaded.map { Timestamp(seconds: $0.seconds + ItslearningConfiguration.retention) } }

    /// The bytes are at the service and can be used.
    func isUsable(at now: Timestamp) -> Bool {
        // What may have been used already is not sent anew: it could come to be there twice.
        guard fileID != nil, let lastUse else { return false }
        return asked > 0 || now < lastUse
    }

    /// Begins anew; what the attempt before may have left is kept in mind.
    mutating func beginAnew(attempt: String, now: Timestamp, mayHaveArrived: Bool) {
        if mayHaveArrived || fileID != nil {
            orphans.append(Orphan(attempt: self.attempt, fileID: fileID, time: uploaded ?? began))
            if orphans.count > ItslearningNote.mostOrphans {
                forgotten += 1
                orphans.removeFirst()
            }
        }
        self.attempt = attempt
        began = now
        (fileID, uploaded, asked, firstAsked, messageID) = (nil, nil, 0, nil, nil)
    }

    // MARK: - Text

    var text: String {
        JSONValue.object([
            .init("attempt", .string(attempt)), .init("began", .integer(began.seconds)),
            .init("file_id", .text(fileID)), .init("uploaded", uploaded.map { .integer($0.seconds) } ?? .null),
            .init("asked", .integer(Int64(asked))),
            .init("first_asked", firstAsked.map { .integer($0.seconds) } ?? .null),
            .init("message_id", .text(messageID)), .init("forgotten", .integer(Int64(forgotten))),
            .init("orphans", .array(orphans.map(\.json))),
        ]).text
    }

    /// nil for anything else than what `text` writes.
    init?(_ text: String?) {
        guard let text, let json = JSONValue(parsing: text), let attempt = json["attempt"]?.string,
            let began = json["began"]?.integer
        else { return nil }
        self.init(attempt: attempt, began: Timestamp(seconds: began))
        fileID = json["file_id"]?.string
        uploaded = json["uploaded"]?.integer.map { Timestamp(seconds: $0) }
        asked = Int(clamping: json["asked"]?.integer ?? 0)
        firstAsked = json["first_asked"]?.integer.map { Timestamp(seconds: $0) }
        messageID = json["message_id"]?.string
        forgotten = Int(clamping: json["forgotten"]?.integer ?? 0)
        orphans = (json["orphans"]?.elements ?? []).compactMap { entry in
            guard let attempt = entry["attempt"]?.string, let time = entry["time"]?.integer else { return nil }
            return Orphan(attempt: attempt, fileID: entry["file_id"]?.string, time: Timestamp(seconds: time))
        }
    }
}

extension ItslearningNote.Orphan {
    fileprivate var json: JSONValue {
        .object([
            .init("attempt", .string(attempt)), .init("file_id", .text(fileID)), .init("time", .integer(time.seconds)),
        ])
    }

    /// As a receipt shows it.
    var shown: JSONValue {
        let end = Timestamp(seconds: time.seconds + ItslearningConfiguration.retention)
        return .object([
            .init("attempt", .string(attempt)), .init("remote_id", .text(fileID)), .init("sent_at", .time(time)),
            .init("gone_by", .time(end)),
        ])
    }
}
