import FXSystem

/// What the control plane can change. The names are those of its JSON.
///
/// Where the documentation of the service is silent, a setting chooses; the defaults are the likelier answers.
struct MFTSettings: Sendable {
    // Logging in.
    /// `user CR LF password` is understood, as the documentation shows it.
    var acceptsLines = true
    /// `user:password` is understood, as the generated reference says.
    var acceptsColon = true
    /// A PIN alone logs a guest in.
    var acceptsPIN = false
    /// "vault": `token`, `expires`; "reference": `Result`, `Token`, `Expires`.
    var loginShape = "vault"
    /// Active Directory cannot be reached: 417.
    var directoryDown = false
    var tokenSeconds = 86_400
    /// A token dies after so many requests; 0 never.
    var tokenRequests = 0
    /// What a dead token is answered: 401 or 403.
    var expiredStatus = 401
    /// Times end with Z; without, they are UTC all the same.
    var timesEndWithZ = true

    // Parameters.
    /// An invalid header parameter: 401 as the Vault pages say, or 400.
    var invalidParameterStatus = 401
    /// Fields with underscores in their names get lost, as in a proxy that was not told to keep them.
    var stripsUnderscores = false
    /// Client-chosen ids are ignored, as by older versions.
    var ignoresClientIDs = false
    /// A client-chosen id that is in use by the same user: "same" answers what is there, "refuse" is 400.
    var duplicates = "same"

    // Chunks and files.
    /// The temporary store is S3: every chunk but the last has `minimum_chunk` bytes at least.
    var s3Temp = false
    var minimumChunk = 5_242_880
    var maximumChunk = 100_000_000
    var tooLargeStatus = 413
    var mismatchStatus = 400
    /// A chunk that was there before: "accept" (the last writer wins) or "refuse" (400).
    var resends = "accept"
    /// 0 for none.
    var maximumFile = 0
    /// Bytes a user may have; 0 for any.
    var quota = 0
    /// A completed file is completed again: 400, or 200.
    var repeatedCompletionStatus = 400
    /// Any call about a group that is committed, deleted or unknown: 400 or 403.
    var closedGroupStatus = 400

    // After the completion.
    var composingMilliseconds = 0
    var queuedMilliseconds = 0
    var processingMilliseconds = 0
    /// What files become: Available, Blocked, BlockedNoSanitization, ProcessingFailed, Expired, Deleted.
    var outcome = "Available"
    /// Available files were changed by the service: other bytes, another size.
    var sanitizes = false
    /// "2021" or "2018".
    var statusVintage = "2021"
    /// "vault": `files` and `folders`; "reference": `items` with types and without sizes.
    var folderShape = "vault"
    /// `Range` is answered with 206.
    var ranges = false
    var purgeMilliseconds = 0

    private static let numbers: [(String, any WritableKeyPath<MFTSettings, Int> & Sendable)] = [
        ("token_seconds", \.tokenSeconds), ("token_requests", \.tokenRequests), ("expired_status", \.expiredStatus),
        ("invalid_parameter_status", \.invalidParameterStatus), ("minimum_chunk", \.minimumChunk),
        ("maximum_chunk", \.maximumChunk), ("too_large_status", \.tooLargeStatus),
        ("mismatch_status", \.mismatchStatus), ("maximum_file", \.maximumFile), ("quota", \.quota),
        ("repeated_completion_status", \.repeatedCompletionStatus), ("closed_group_status", \.closedGroupStatus),
        ("composing_milliseconds", \.composingMilliseconds), ("queued_milliseconds", \.queuedMilliseconds),
        ("processing_milliseconds", \.processingMilliseconds), ("purge_milliseconds", \.purgeMilliseconds),
    ]
    private static let switches: [(String, any WritableKeyPath<MFTSettings, Bool> & Sendable)] = [
        ("accepts_lines", \.acceptsLines), ("accepts_colon", \.acceptsColon), ("accepts_pin", \.acceptsPIN),
        ("directory_down", \.directoryDown),
        ("times_end_with_z", \.timesEndWithZ), ("strips_underscores", \.stripsUnderscores),
        ("ignores_client_ids", \.ignoresClientIDs), ("s3_temp", \.s3Temp), ("sanitizes", \.sanitizes),
        ("ranges", \.ranges),
    ]
    private static let texts: [(String, any WritableKeyPath<MFTSettings, String> & Sendable, [String])] = [
        ("login_shape", \.loginShape, ["vault", "reference"]), ("duplicates", \.duplicates, ["same", "refuse"]),
        ("resends", \.resends, ["accept", "refuse"]), ("status_vintage", \.statusVintage, ["2021", "2018"]),
        ("folder_shape", \.folderShape, ["vault", "reference"]),
        ("outcome", \.outcome, MFTSettings.outcomes),
    ]

    static let outcomes = ["Available", "Blocked", "BlockedNoSanitization", "ProcessingFailed", "Expired", "Deleted"]

    var json: JSONValue {
        .object(
            MFTSettings.numbers.map { .init($0.0, .integer(Int64(self[keyPath: $0.1]))) }
                + MFTSettings.switches.map { .init($0.0, .bool(self[keyPath: $0.1])) }
                + MFTSettings.texts.map { .init($0.0, .string(self[keyPath: $0.1])) })
    }

    /// Changes what is named; an unknown name or word is an error.
    mutating func apply(_ changes: JSONValue) throws(ControlError) {
        for member in changes.members ?? [] {
            if let (_, path) = MFTSettings.numbers.first(where: { $0.0 == member.key }),
                let number = member.value.integer
            {
                self[keyPath: path] = Int(number)
            } else if let (_, path) = MFTSettings.switches.first(where: { $0.0 == member.key }),
                let value = member.value.boolean
            {
                self[keyPath: path] = value
            } else if let (_, path, words) = MFTSettings.texts.first(where: { $0.0 == member.key }),
                let text = member.value.string, words.contains(text)
            {
                self[keyPath: path] = text
            } else {
                throw ControlError("no such setting, or not of its type: \(member.key)")
            }
        }
    }
}
