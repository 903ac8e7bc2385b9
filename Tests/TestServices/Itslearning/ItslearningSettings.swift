import FXSystem

/// What the control plane can change. The names are those of its JSON.
struct ItslearningSettings: Sendable {
    /// Of one file, in bytes: 500 MB, read generously.
    var sizeLimit = 524_288_000
    /// Of files nobody used.
    var retentionSeconds = 14 * 86_400
    /// Seconds the service's clock is ahead.
    var clockOffset = 0
    /// How often `InQueue` is answered before `Finished`.
    var queuedPolls = 1
    /// Bytes a second of an upload it reads; 0 for all it can.
    var readBytesPerSecond = 0
    /// A repeated nonce, and a `Created` more than five minutes away, are refused.
    var strictSecurity = false
    /// A root part that is not the first is looked for.
    var rootAnywhere = false
    /// Base64 text in the place of the reference, in plain `text/xml`.
    var acceptsInline = false
    /// Names of more than 155 characters are refused at upload, not when they are used.
    var limitsNamesAtUpload = false
    /// Answers come as multipart/related.
    var multipartAnswers = false
    /// The timestamp of answers is a day old.
    var staleAnswers = false
    /// What it refuses it refuses as if it had failed itself.
    var hidesRefusals = false
    /// After 413 the connection is reset instead of ended.
    var resetsAfterLimit = false
    /// Below the base path.
    var dataService = "/DataService.svc"
    var basePath = ""
    /// Before `Finished`, in the place of `InQueue`.
    var queuedStatus = "InQueue"

    private static let numbers: [(String, any WritableKeyPath<ItslearningSettings, Int> & Sendable)] = [
        ("size_limit", \.sizeLimit), ("retention_seconds", \.retentionSeconds), ("clock_offset", \.clockOffset),
        ("queued_polls", \.queuedPolls), ("read_bytes_per_second", \.readBytesPerSecond),
    ]
    private static let flags: [(String, any WritableKeyPath<ItslearningSettings, Bool> & Sendable)] = [
        ("strict_security", \.strictSecurity), ("root_anywhere", \.rootAnywhere), ("accepts_inline", \.acceptsInline),
        ("limits_names_at_upload", \.limitsNamesAtUpload), ("multipart_answers", \.multipartAnswers),
        ("stale_answers", \.staleAnswers), ("hides_refusals", \.hidesRefusals),
        ("resets_after_limit", \.resetsAfterLimit),
    ]
    private static let texts: [(String, any WritableKeyPath<ItslearningSettings, String> & Sendable)] = [
        ("data_service", \.dataService), ("base_path", \.basePath), ("queued_status", \.queuedStatus),
    ]

    var json: JSONValue {
        .object(
            ItslearningSettings.numbers.map { .init($0.0, .integer(Int64(self[keyPath: $0.1]))) }
                + ItslearningSettings.flags.map { .init($0.0, .bool(self[keyPath: $0.1])) }
                + ItslearningSettings.texts.map { .init($0.0, .string(self[keyPath: $0.1])) })
    }

    mutating func apply(_ json: JSONValue) throws(ControlError) {
        for member in json.members ?? [] {
            if let (_, path) = ItslearningSettings.numbers.first(where: { $0.0 == member.key }),
                let number = member.value.integer
            {
                self[keyPath: path] = Int(number)
            } else if let (_, path) = ItslearningSettings.flags.first(where: { $0.0 == member.key }),
                let flag = member.value.boolean
            {
                self[keyPath: path] = flag
            } else if let (_, path) = ItslearningSettings.texts.first(where: { $0.0 == member.key }),
                let text = member.value.string
            {
                self[keyPath: path] = text
            } else {
                throw ControlError("no such setting, or not of its type: \(member.key)")
            }
        }
    }
}

/// Something that goes wrong with the next calls of an operation.
struct ItslearningTrouble: Sendable {
    /// `UploadFile`, `AddMessage`, …; nil for all.
    var operation: String?
    var skip = 0
    var times = 1
    /// The connection is reset after so many bytes of the body.
    var resetAt: Int?
    /// It is carried out all the same.
    var isPerformed = false
    /// No answer, until the client goes away.
    var stalls = false
    /// The connection is reset in the place of an answer.
    var resets = false
    /// A page with this status.
    var status: Int?
    /// A fault by its name in `SOAPFault.Code`, and its words.
    var fault: String?
    var words: String?
    var delayMilliseconds = 0

    init(_ json: JSONValue) throws(ControlError) {
        for member in json.members ?? [] {
            switch (member.key, member.value) {
            case ("operation", .string(let text)): operation = text
            case ("skip", .integer(let number)): skip = Int(number)
            case ("times", .integer(let number)): times = Int(number)
            case ("reset_at", .integer(let number)): resetAt = Int(number)
            case ("performed", .bool(let value)): isPerformed = value
            case ("stall", .bool(let value)): stalls = value
            case ("reset", .bool(let value)): resets = value
            case ("status", .integer(let number)): status = Int(number)
            case ("fault", .string(let text)): fault = text
            case ("words", .string(let text)): words = text
            case ("delay_milliseconds", .integer(let number)): delayMilliseconds = Int(number)
            default: throw ControlError("no such part of a fault, or not of its type: \(member.key)")
            }
        }
        if let fault, SOAPFault.Code(rawValue: fault) == nil { throw ControlError("no such fault: \(fault)") }
    }

    /// What is answered in the place of the truth; nil when the truth is.
    var answer: Answer? {
        if let status { return .page(status, status == 503 ? "Service Unavailable" : "Error") }
        return fault.flatMap { SOAPFault.named($0, words)?.answer }
    }
}
