internal import FXSystem
internal import Synchronization

/// Uploads: one request each. What was sent without an answer is sent again from the start, and kept in mind: the service
/// has it under an id nobody knows, for 14 days.
extension ItslearningService {
    public func standing(of upload: Upload) throws(RemoteError) -> UploadStanding {
        guard let note = ItslearningNote(upload.note) else { return .nothing }
        let isFailed = note.messageID != nil && memory.withLock { $0[upload.id].failedMessage } == note.messageID
        // The note has to stay, so this is never "nothing".
        guard note.isUsable(at: client.clock.now()), !isFailed else { return .partial(ByteRanges()) }
        return .partial(ByteRanges(upTo: upload.size.rawValue))
    }

    public func begin(_ upload: Upload) throws(RemoteError) -> String? {
        _ = try ItslearningService.text(of: upload)
        if configuration.publication != nil { _ = try messageType() }
        let now = client.clock.now()
        guard var note = ItslearningNote(upload.note) else {
            return ItslearningNote(attempt: client.newName(), began: now).text
        }
        let progress = memory.withLock { $0[upload.id] }
        let isFailed = note.messageID != nil && progress.failedMessage == note.messageID
        if note.isUsable(at: now), !isFailed { return nil }
        note.beginAnew(
            attempt: client.newName(), now: now, mayHaveArrived: progress.refusedAttempt != note.attempt)
        memory.withLock { memory in
            memory[upload.id].failedMessage = nil
            memory[upload.id].intent = nil
        }
        return note.text
    }

    public func send(_ range: Range<UInt64>, of upload: Upload, from content: any UploadContent) throws(RemoteError) {
        guard range == 0..<upload.size.rawValue else { throw .invalidArgument }
        try stream(upload) { frame in .content(content, range, prefix: frame.prefix, suffix: frame.suffix) }
    }

    private func stream(_ upload: Upload, _ body: (ItslearningFrame) -> HTTPBody) throws(RemoteError) {
        guard let note = ItslearningNote(upload.note) else { throw .invalidArgument }
        let name = try ItslearningService.text(of: upload)
        do throws(ItslearningFailure) {
            let id = try client.upload(name, attempt: note.attempt, body)
            let now = client.clock.now()
            memory.withLock { memory in
                memory[upload.id].sent = (note.attempt, id, now)
                memory[upload.id].serviceFailures = 0
            }
        } catch {
            if !error.mayHaveArrived { memory.withLock { $0[upload.id].refusedAttempt = note.attempt } }
            throw meaning(of: error, upload)
        }
    }

    /// What a failure of one file means: the service's words are not published, so whether it refuses this file or every
    /// file is found out by sending it one that nothing is wrong with.
    private func meaning(of failure: ItslearningFailure, _ upload: Upload) -> RemoteError {
        let words: String
        switch failure.fault {
        case .client(let said): words = said
        case .service(let said):
            let count = memory.withLock { memory in
                memory[upload.id].serviceFailures += 1
                return memory[upload.id].serviceFailures
            }
            if count < ItslearningService.patience { return failure.error }
            words = said
        default: return failure.error
        }
        if let refusal = trialRefusal() { return .wrongExtension(configuration.extensionID, refusal) }
        return .refusedContent(words)
    }

    /// How often one file is sent while the service says that it failed itself: what it refuses can be told in those
    /// words too.
    private static let patience = 5

    /// What the service says to a file that nothing is wrong with; nil when it takes it, or cannot be asked now.
    private func trialRefusal() -> String? {
        if let known = memory.withLock({ $0.trial }), !known.until.hasPassed { return known.refusal }
        let refusal: String?
        do throws(ItslearningFailure) {
            _ = try sendTrial()
            refusal = nil
        } catch {
            switch error.fault {
            case .client(let words), .service(let words): refusal = words
            default: return nil
            }
        }
        memory.withLock { $0.trial = (refusal, .after(.seconds(600))) }
        return refusal
    }

    /// Sends a file of a few bytes, which goes by itself after 14 days.
    func sendTrial() throws(ItslearningFailure) -> String {
        let bytes = Array("A test of fxmount.\n".utf8)
        return try client.upload("fxmount-test.txt", attempt: client.newName()) { frame in
            .bytes(frame.prefix + bytes + frame.suffix)
        }
    }

    // MARK: - The end

    public func prepareCommit(_ upload: Upload) throws(RemoteError) -> String? {
        guard var note = ItslearningNote(upload.note) else { throw .unavailable(retryAfter: nil) }
        if note.fileID == nil {
            // An empty file has no chunk to be sent.
            if upload.size == .zero { try stream(upload) { .bytes($0.prefix + $0.suffix) } }
            guard let sent = memory.withLock({ $0[upload.id].sent }), sent.attempt == note.attempt else {
                throw .unavailable(retryAfter: nil)
            }
            note.fileID = sent.fileID
            note.uploaded = sent.time
            return note.text
        }
        guard let publication = configuration.publication else { return nil }
        return try publish(upload, &note, publication)
    }

    public func commit(_ upload: Upload) throws(RemoteError) -> CommittedFile {
        guard let note = ItslearningNote(upload.note), let id = note.fileID else { throw .unavailable(retryAfter: nil) }
        var file = CommittedFile(remoteID: id, size: upload.size)
        if configuration.publication == nil {
            file.expires = note.expires
        } else {
            file.details = try outcome(upload, note)
        }
        file.details += [.init("uploaded_at", .time(note.uploaded)), .init("attempt", .string(note.attempt))]
        if !note.orphans.isEmpty {
            let count = Int64(note.orphans.count + note.forgotten)
            file.details += [
                .init("orphans", .array(note.orphans.map(\.shown))), .init("orphan_count", .integer(count)),
            ]
        }
        memory.withLock { $0.forget(upload.id) }
        return file
    }

    /// The file's name as the service hears it.
    static func text(of upload: Upload) throws(RemoteError) -> String {
        guard let name = upload.path.name else { throw .noSuchEntry }
        let text = String(decoding: name.bytes, as: UTF8.self)
        guard text.utf8.elementsEqual(name.bytes) else { throw .unrepresentableName }
        return text
    }
}
