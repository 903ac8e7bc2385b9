internal import FXSystem
internal import Synchronization

/// Files of an open group: announced with their size, sent in chunks in any order, completed.
///
/// No call tells which bytes of a file the service holds; the ranges in the journal are the ledger. A chunk may be sent
/// again at any time. The note is the file's id at the service.
extension MFTService {
    public func begin(_ upload: Upload) throws(RemoteError) -> String? {
        let group = try group(of: upload)
        if let note = upload.note {
            // All of it was there before: then it may have been completed too.
            if upload.acknowledged.contains(0..<upload.size.rawValue) {
                memory.withLock { $0[upload.id].mayBeComplete = true }
            }
            return note
        }
        var refusal = RemoteError.protocolViolation
        for _ in 0..<MFTService.idsOfFile {
            let id = identity(of: upload)
            let fields = [
                ("group_id", group), ("file_id", id.dashed), ("transfer_method", "Chunk"),
                ("file_size", String(upload.size.rawValue)), ("file_name", try name(of: upload)),
                ("path", MFTService.folder(of: upload)),
            ]
            let answer = try client.ask(.get, "/transfer_file", fields)
            if answer.isSuccess { return try answer.id("file_id") }
            refusal = answer.errorOfGroup
            guard case .rejected = refusal else { throw refusal }
            // The id is used up, by a lost answer or by a file that was taken back: that one goes, and the next is taken.
            try remove(id.dashed, from: group)
            memory.withLock { $0[upload.id].number += 1 }
        }
        throw refusal
    }

    /// After a lost answer, after a mismatch, after chunks that were refused, and one more.
    private static let idsOfFile = 4

    public func send(_ range: Range<UInt64>, of upload: Upload, from content: any UploadContent) throws(RemoteError) {
        let group = try group(of: upload)
        guard let file = upload.note else { throw .expired }
        let fields = [
            ("group_id", group), ("file_id", file), ("chunk_offset", String(range.lowerBound)),
            ("chunk_checksum", hexadecimal(try content.md5(of: range))),
            ("Content-Type", "application/octet-stream"),
        ]
        let answer = try client.ask(
            .patch, "/transfer_file", fields, body: .content(content, range), deadlines: MFTService.chunkDeadlines)
        if answer.isSuccess { return memory.withLock { $0[upload.id].refusals = 0 } }
        throw try refusal(of: answer, file, group, upload)
    }

    /// A line of 1 Mbit/s still gets a byte through in that time.
    private static let chunkDeadlines = HTTPDeadlines(idle: .seconds(60))

    /// A chunk that was garbled on the way and a file the service does not know any more are both 400: the chunk is sent
    /// again, then the file is begun anew, then it has failed.
    private func refusal(
        of answer: MFTAnswer, _ file: String, _ group: String, _ upload: Upload
    ) throws(RemoteError) -> RemoteError {
        let error = answer.errorOfGroup
        switch error {
        case .rejected(status: 400, saying: _), .noSuchEntry: break
        default: return error
        }
        enum Step { case again, anew, give }
        let step = memory.withLock { memory -> Step in
            memory[upload.id].refusals += 1
            if memory[upload.id].refusals <= MFTService.chunkRefusals { return .again }
            memory[upload.id].refusals = 0
            memory[upload.id].restarts += 1
            if memory[upload.id].restarts > MFTService.restarts { return .give }
            memory[upload.id].number += 1
            return .anew
        }
        switch step {
        case .again: return .unavailable(retryAfter: nil)
        case .give: return error
        case .anew:
            try remove(file, from: group)
            return .expired
        }
    }

    private static let chunkRefusals = 2
    private static let restarts = 2

    public func commit(_ upload: Upload) throws(RemoteError) -> CommittedFile {
        let group = try group(of: upload)
        guard let file = upload.note else { throw .expired }
        let mayBeComplete = memory.withLock { memory in
            defer { memory[upload.id].mayBeComplete = true }
            return memory[upload.id].mayBeComplete
        }
        let answer = try client.ask(.post, "/transfer_file", [("group_id", group), ("file_id", file)])
        if !answer.isSuccess {
            // It ended before, and the answer was lost; or it did not, and the service has lost a chunk. Nothing tells
            // the two apart before the group is complete, and the bytes here are not given up on a guess.
            if answer.status == 400, mayBeComplete {
                try takeBack(file, from: group, upload)
                throw .expired
            }
            let error = answer.errorOfGroup
            if !error.isTemporary { memory.withLock { $0[upload.id].mayBeComplete = false } }
            // It acknowledged every chunk, and has lost one.
            if case .rejected(status: 400, saying: _) = error { throw .verificationMismatch }
            throw error
        }
        if let old = MFTPlace(upload.replaces?.remoteID)?.file, old != file { try remove(old, from: group) }
        memory.withLock { $0.forget(upload.id) }
        return CommittedFile(remoteID: MFTPlace.file(file).text, size: upload.size)
    }

    public func standing(of upload: Upload) throws(RemoteError) -> UploadStanding {
        upload.note == nil ? .nothing : .partial(upload.acknowledged)
    }

    /// Takes a file out of its open group, so that the group can be completed without it.
    public func discard(_ upload: Upload) throws(RemoteError) {
        guard let group = MFTPlace(upload.directoryID)?.group else { return }
        // Without a note its answer may have been lost.
        try takeBack(upload.note ?? identity(of: upload).dashed, from: group, upload)
    }

    /// The next attempt has another id: this one is used up.
    private func takeBack(_ file: String, from group: String, _ upload: Upload) throws(RemoteError) {
        try remove(file, from: group)
        memory.withLock { memory in
            memory[upload.id].number += 1
            memory[upload.id].mayBeComplete = false
        }
    }

    /// Succeeds when it is gone, or its group is.
    private func remove(_ file: String, from group: String) throws(RemoteError) {
        let answer = try client.ask(.delete, "/transfer_file", [("group_id", group), ("file_id", file)])
        if answer.isSuccess || [400, 403, 404].contains(answer.status) { return }
        throw answer.error
    }

    // MARK: - What an upload is there

    private func group(of upload: Upload) throws(RemoteError) -> String {
        guard let group = MFTPlace(upload.directoryID)?.group else { throw .noSuchEntry }
        return group
    }

    private func identity(of upload: Upload) -> MFTIdentity {
        let number = memory.withLock { $0[upload.id].number }
        return MFTIdentity("file", [upload.id.text], number: number)
    }

    private func name(of upload: Upload) throws(RemoteError) -> String {
        guard let name = upload.path.name else { throw .invalidArgument }
        return String(decoding: name.bytes, as: UTF8.self)
    }

    /// The folder, from the session down, in the service's spelling: without the session in it, files of one name in two
    /// sessions would be in each other's way.
    static func folder(of upload: Upload) -> String {
        upload.path.parent.components.map { String(decoding: $0.bytes, as: UTF8.self) }.joined(separator: "\\")
    }
}
