import FXSystem

/// One upload.
struct TusUpload: Sendable {
    enum Standing: String, Sendable {
        case open, expired, terminated
    }

    var id: String
    /// nil while it is deferred.
    var length: Int?
    /// As the client gave it.
    var metadata: String?
    var bytes: AppendedBytes
    var expires: Int64?
    var standing = Standing.open
    /// A request appends to it now.
    var appending: Appending?

    var isWhole: Bool { length == bytes.count }

    /// Counted from 1 in the order of creation.
    var number: Int { Int(id.dropFirst().prefix { $0 != "-" }) ?? 0 }

    /// Where the bytes begin that a checksum is still to prove.
    var unverifiedStart: Int? { appending.flatMap { $0.digest == nil ? nil : $0.start } }

    /// A request under way.
    struct Appending: Sendable {
        /// Where it began.
        var start: Int
        /// Of its body, kept or not.
        var received = 0
        /// Wanted of the body, when it has a checksum.
        var digest: TusDigest?
        var isDamaged = false
        /// The length that it tells.
        var length: Int?
        var isCreation = false
    }
}

/// Everything the server knows; decides what becomes of each request.
struct TusState: Sendable {
    enum Plan: Sendable {
        case answer(Answer)
        /// Read the body into this upload, then ask `finish`.
        case append(String)
    }

    var settings = TusSettings()
    var uploads: [String: TusUpload] = [:]
    /// Ids in the order of creation.
    var order: [String] = []
    var log: [(method: String, target: String, status: Int)] = []
    var lastID = 0
    /// Where uploads and settings are kept for the next process; nil keeps them for this one.
    let directory: TusDirectory?

    static let creationPath = "/files/"

    /// With what a directory holds already.
    init(_ directory: TusDirectory?) throws {
        self.directory = directory
        guard let directory else { return }
        settings = try directory.settings()
        for upload in try directory.uploads() {
            uploads[upload.id] = upload
            order.append(upload.id)
            lastID = upload.number
        }
    }

    /// To be called before anybody is told what became of an upload.
    func keep(_ id: String) throws {
        if let directory, let upload = uploads[id] { try directory.keep(upload) }
    }

    // MARK: - Requests

    mutating func begin(_ call: Call) throws -> Plan {
        let plan = try plan(call)
        if case .answer(let answer) = plan { log.append((call.method, call.target, answer.status)) }
        return plan
    }

    private mutating func plan(_ call: Call) throws -> Plan {
        if call.method == "OPTIONS" { return .answer(options()) }
        if !settings.token.isEmpty, call.field("Authorization") != "Bearer \(settings.token)" {
            return .answer(refusal(401, "who are you"))
        }
        let isReading = call.method == "GET"
        if !isReading, call.field("Tus-Resumable").map({ !settings.versions.contains($0) }) ?? true {
            var answer = refusal(412, "another version")
            answer.fields.append(("Tus-Version", settings.versions.joined(separator: ",")))
            return .answer(answer)
        }
        if call.method == "POST", call.path == TusState.creationPath { return try create(call) }
        guard call.path.hasPrefix(TusState.creationPath) else { return .answer(refusal(404, "nothing is here")) }
        let id = String(call.path.dropFirst(TusState.creationPath.count))
        if !isReading, settings.locked > 0 {
            settings.locked -= 1
            return .answer(refusal(423, "locked"))
        }
        guard let upload = current(id) else { return .answer(refusal(404, "no such upload")) }
        switch upload.standing {
        case .expired: return .answer(refusal(settings.expiredStatus, "it expired"))
        case .terminated: return .answer(refusal(404, "it was terminated"))
        case .open: break
        }
        switch call.method {
        case "HEAD": return .answer(head(upload))
        case "GET": return .answer(get(call, upload))
        case "PATCH": return try patch(call, upload)
        case "DELETE" where settings.extensions.contains("termination"):
            if upload.appending != nil { return .answer(refusal(423, "locked")) }
            uploads[id]?.standing = .terminated
            try keep(id)
            return .answer(answer(204))
        default: return .answer(refusal(405, "not here"))
        }
    }

    /// An upload as it is by now.
    private mutating func current(_ id: String) -> TusUpload? {
        guard let upload = uploads[id] else { return nil }
        if let expires = upload.expires, !upload.isWhole, upload.standing == .open, expires <= Moment.now() {
            uploads[id]?.standing = .expired
        }
        return uploads[id]
    }

    private func options() -> Answer {
        if settings.optionsStatus >= 300 { return Answer(settings.optionsStatus) }
        var answer = Answer(settings.optionsStatus, fields: [("Tus-Version", settings.versions.joined(separator: ","))])
        if !settings.extensions.isEmpty {
            answer.fields.append(("Tus-Extension", settings.extensions.joined(separator: ",")))
        }
        if settings.maximumSize > 0 { answer.fields.append(("Tus-Max-Size", String(settings.maximumSize))) }
        if settings.extensions.contains("checksum") {
            answer.fields.append(("Tus-Checksum-Algorithm", settings.algorithms.joined(separator: ",")))
        }
        return answer
    }

    private mutating func create(_ call: Call) throws -> Plan {
        let length = call.field("Upload-Length").map { Int($0) }
        let defers = call.field("Upload-Defer-Length")
        switch (length, defers) {
        case (.some(nil), _), (nil, nil), (.some, .some): return .answer(refusal(400, "Upload-Length"))
        case (nil, let value?) where value != "1" || !settings.extensions.contains("creation-defer-length"):
            return .answer(refusal(400, "Upload-Defer-Length"))
        case (.some(let length?), _) where length < 0: return .answer(refusal(400, "Upload-Length"))
        case (.some(let length?), _) where settings.maximumSize > 0 && length > settings.maximumSize:
            return .answer(refusal(413, "larger than \(settings.maximumSize)"))
        default: break
        }
        lastID += 1
        let id = "u\(lastID)-\(UInt32.random(in: 0...(.max)))"
        var upload = TusUpload(
            id: id, length: length ?? nil, metadata: call.field("Upload-Metadata"),
            bytes: try directory?.bytes(of: id) ?? AppendedBytes())
        if settings.expiresAfter > 0, settings.extensions.contains("expiration") {
            upload.expires = Moment.now() + Int64(settings.expiresAfter) * 1_000_000
        }
        uploads[id] = upload
        order.append(id)
        try keep(id)
        let hasBody = call.field("Content-Length").flatMap { Int($0) }.map { $0 > 0 } ?? false
        if hasBody, settings.extensions.contains("creation-with-upload"),
            call.field("Content-Type") == TusState.contentType
        {
            uploads[id]?.appending = TusUpload.Appending(start: 0, isCreation: true)
            return .append(id)
        }
        return .answer(created(id, call))
    }

    private func created(_ id: String, _ call: Call) -> Answer {
        var answer = answer(201, uploads[id])
        let path = TusState.creationPath + id
        let place =
            switch settings.location {
            case "absolute": "http://\(call.field("Host") ?? "")\(path)"
            case "relative": id
            case "path": path
            default: settings.location
            }
        answer.fields.append(("Location", place))
        return answer
    }

    private func head(_ upload: TusUpload) -> Answer {
        var answer = answer(200, upload)
        answer.fields.append(("Upload-Offset", String(upload.bytes.count)))
        answer.fields.append(upload.length.map { ("Upload-Length", String($0)) } ?? ("Upload-Defer-Length", "1"))
        if let metadata = upload.metadata { answer.fields.append(("Upload-Metadata", metadata)) }
        answer.fields.append(("Cache-Control", "no-store"))
        return answer
    }

    static let contentType = "application/offset+octet-stream"

    private mutating func patch(_ call: Call, _ upload: TusUpload) throws -> Plan {
        if call.field("Content-Type") != TusState.contentType { return .answer(refusal(415, "Content-Type")) }
        if upload.appending != nil { return .answer(refusal(423, "locked")) }
        guard let offset = call.field("Upload-Offset").flatMap({ Int($0) }) else {
            return .answer(refusal(400, "Upload-Offset"))
        }
        if offset != upload.bytes.count { return .answer(refusal(409, "it is at \(upload.bytes.count)")) }
        var appending = TusUpload.Appending(start: offset)
        if let text = call.field("Upload-Length") {
            // "Once set the length MUST NOT be changed."
            guard upload.length == nil, let length = Int(text), length >= offset else {
                return .answer(refusal(400, "Upload-Length"))
            }
            appending.length = length
        }
        if let text = call.field("Upload-Checksum"), settings.extensions.contains("checksum") {
            guard let digest = TusDigest(text, settings.algorithms) else {
                return .answer(refusal(400, "Upload-Checksum"))
            }
            appending.digest = digest
        }
        if settings.damaged > 0 {
            settings.damaged -= 1
            appending.isDamaged = true
        }
        uploads[upload.id]?.appending = appending
        if appending.digest != nil { try keep(upload.id) }
        return .append(upload.id)
    }

    // MARK: - Bodies

    mutating func take(_ bytes: [UInt8], for id: String) throws {
        guard var appending = uploads[id]?.appending, let upload = uploads[id] else { return }
        var bytes = bytes
        if appending.isDamaged, appending.received == 0, !bytes.isEmpty { bytes[0] ^= 0xff }
        appending.digest?.update(bytes)
        appending.received += bytes.count
        var room = (appending.length ?? upload.length ?? .max) - upload.bytes.count
        if settings.accepts > 0 { room = min(room, settings.accepts - (upload.bytes.count - appending.start)) }
        try upload.bytes.append(bytes.prefix(max(0, room)))
        uploads[id]?.appending = appending
    }

    mutating func finish(_ call: Call, _ id: String) throws -> Answer {
        guard let appending = uploads[id]?.appending, let upload = uploads[id] else {
            return refusal(404, "no such upload")
        }
        uploads[id]?.appending = nil
        if let digest = appending.digest, !digest.fits {
            try upload.bytes.cut(to: appending.start)
            try keep(id)
            log.append((call.method, call.target, 460))
            return refusal(460, "the checksum is another")
        }
        if let length = appending.length { uploads[id]?.length = length }
        try keep(id)
        var answer = appending.isCreation ? created(id, call) : answer(204, uploads[id])
        answer.fields.append(("Upload-Offset", String(upload.bytes.count)))
        log.append((call.method, call.target, answer.status))
        return answer
    }

    /// The client went away: what came is kept, unless it was to be verified.
    mutating func cut(_ id: String) throws {
        guard let upload = uploads[id], upload.appending != nil else { return }
        uploads[id]?.appending = nil
        guard let start = upload.unverifiedStart else { return }
        try upload.bytes.cut(to: start)
        try keep(id)
    }

    // MARK: - Answers

    private func answer(_ status: Int, _ upload: TusUpload? = nil) -> Answer {
        var answer = Answer(status, fields: [("Tus-Resumable", "1.0.0")])
        if let upload, let expires = upload.expires, !upload.isWhole {
            answer.fields.append(("Upload-Expires", Moment.httpDate(expires)))
        }
        return answer
    }

    private func refusal(_ status: Int, _ text: String) -> Answer {
        var answer = answer(status)
        answer.body = .bytes(Array((text + "\n").utf8))
        return answer
    }

    private func get(_ call: Call, _ upload: TusUpload) -> Answer {
        guard settings.serves, upload.isWhole else { return refusal(404, "not served") }
        let count = upload.bytes.count
        guard settings.servesRanges, let range = call.field("Range").flatMap({ TusState.range($0, count) }) else {
            return Answer(200, body: .bytes(upload.bytes.bytes(in: 0..<count)))
        }
        if range.isEmpty { return Answer(416, fields: [("Content-Range", "bytes */\(count)")]) }
        return Answer(
            206, fields: [("Content-Range", "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(count)")],
            body: .bytes(upload.bytes.bytes(in: range)))
    }

    /// `bytes=0-99`; empty past the end, nil for what is ignored.
    private static func range(_ text: String, _ count: Int) -> Range<Int>? {
        guard text.hasPrefix("bytes=") else { return nil }
        let ends = text.dropFirst(6).split(separator: "-").compactMap { Int($0) }
        guard ends.count == 2, ends[0] <= ends[1] else { return nil }
        return min(ends[0], count)..<min(ends[1] + 1, count)
    }
}
