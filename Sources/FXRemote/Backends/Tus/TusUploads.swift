public import FXSystem

/// Uploads: created, appended to, resumed.
///
/// The url of an upload is durable before its first byte. An answer to a creation that was lost leaves an upload nobody
/// knows the url of: without bytes, which no service takes for a file and which it gives up some time. Bytes go with the
/// creation only where the file is known by its path, so that sending it again makes no second one.
extension TusService {
    public func standing(of upload: Upload) throws(RemoteError) -> UploadStanding {
        guard let note = TusNote(upload.note) else { return .nothing }
        memory.forget(upload.id)
        guard let held = try client.standing(note.target), TusMetadata.fits(held.metadata, upload) else {
            return .nothing
        }
        memory.change(upload.id) { $0.expires = held.expires }
        let size = upload.size.rawValue
        if !upload.isGrowing, held.offset > size || held.length.map({ $0 != size }) ?? false {
            giveUp(note.target, of: upload)
            return .nothing
        }
        // Of a service that forgets what is whole, an upload it still knows is not in its place yet.
        if held.offset == size, held.length == size, !isAtPath(note.target) {
            return .committed(try finished(upload, CommittedFile(remoteID: note.target, size: upload.size)))
        }
        return .partial(ByteRanges(upTo: held.offset))
    }

    public func begin(_ upload: Upload) throws(RemoteError) -> String? {
        if upload.note != nil { return nil }
        let offer = try offer()
        if let limit = offer.maximumSize, upload.size > limit { throw .tooLarge(limit: limit) }
        memory.forget(upload.id)
        if goesWithCreation(upload, offer) { return nil }
        if upload.isGrowing, !offer.defersLength { throw .notSupported }
        // An empty upload would be whole when it is created, and an answer that was lost leave an empty file.
        let isDeferred = upload.isGrowing || upload.size == .zero && offer.defersLength
        return TusNote(try create(upload, isDeferred: isDeferred), isDeferred: isDeferred).text
    }

    public func send(_ range: Range<UInt64>, of upload: Upload, from content: any UploadContent) throws(RemoteError) {
        guard let note = TusNote(upload.note) else { return try sendWhole(range, of: upload, from: content) }
        try append(range, of: upload, to: note.target, from: content)
    }

    public func commit(_ upload: Upload) throws(RemoteError) -> CommittedFile {
        let held = memory[upload.id]
        if let committed = held.committed { return try finished(upload, committed) }
        // Sent whole by one request, and forgotten here since.
        guard let note = TusNote(upload.note) else { throw .expired }
        let file = CommittedFile(remoteID: note.target, size: upload.size)
        if !note.isDeferred, upload.size > .zero, held.offset == upload.size.rawValue {
            return try finished(upload, file)
        }
        guard let standing = try client.standing(note.target) else { throw .expired }
        if standing.offset != upload.size.rawValue { throw .verificationMismatch }
        switch standing.length {
        case nil: try conclude(upload, note.target, length: standing.offset)
        case standing.offset?: if isAtPath(note.target) { try conclude(upload, note.target) }
        default: throw .verificationMismatch
        }
        return try finished(upload, file)
    }

    public func discard(_ upload: Upload) throws(RemoteError) {
        memory.forget(upload.id)
        guard let note = TusNote(upload.note), try offer().terminates else { return }
        try client.terminate(note.target)
    }

    public func takeLostUploads() -> [LostUpload] { memory.takeLost() }

    public func expiry(of upload: UploadID) -> Timestamp? { memory[upload].expires }

    /// What the new file took the place of goes now, where it may; else it stays at the service under its url.
    private func finished(_ upload: Upload, _ file: CommittedFile) throws(RemoteError) -> CommittedFile {
        if let old = upload.replaces, old.remoteID != file.remoteID { try removeReplaced(old) }
        memory.forget(upload.id)
        return file
    }

    private func removeReplaced(_ old: StoredFile) throws(RemoteError) {
        // A service that knows files by their path has one of them only; one that refuses it keeps both.
        do throws(RemoteError) { try delete(old) } catch { if error.isTemporary { throw error } }
    }

    // MARK: - Creating

    /// True of a small file that one request brings.
    private func goesWithCreation(_ upload: Upload, _ offer: TusOffer) -> Bool {
        // A checksum goes with what is appended only.
        layout == .path && offer.createsWithUpload && offer.checksum == nil && !upload.isGrowing
            && upload.size > .zero && upload.size <= configuration.chunkSize
    }

    private func create(_ upload: Upload, isDeferred: Bool) throws(RemoteError) -> String {
        // As it is now: another upload may find out meanwhile.
        let known = layout
        let target = try createOnce(upload, known ?? .flat, isDeferred)
        if known != nil { return target }
        guard TusLocation.isSeaweedFS(target) else {
            learn(.flat)
            return target
        }
        // Every file would be the same one. Nothing was sent yet.
        learn(.path)
        giveUp(target, of: upload)
        return try createOnce(upload, .path, isDeferred)
    }

    private func createOnce(
        _ upload: Upload, _ layout: TusConfiguration.Layout, _ isDeferred: Bool
    ) throws(RemoteError) -> String {
        try noting(upload) { () throws(TusFailure) in
            let (target, response) = try client.create(
                at: creationTarget(of: upload, layout), length: isDeferred ? nil : upload.size,
                metadata: TusMetadata.field(of: upload))
            note(response, of: upload.id)
            return target
        }
    }

    private func sendWhole(_ range: Range<UInt64>, of upload: Upload, from content: any UploadContent)
        throws(RemoteError)
    {
        // Begun by a run that knew more of the service than this one does.
        guard layout == .path, range == 0..<upload.size.rawValue else { throw .expired }
        let target = try noting(upload) { () throws(TusFailure) in
            let (target, response) = try client.create(
                at: creationTarget(of: upload, .path), length: upload.size, metadata: TusMetadata.field(of: upload),
                body: .content(content, range))
            note(response, of: upload.id)
            return target
        }
        do throws(RemoteError) {
            let accepted = memory[upload.id].offset ?? 0
            if accepted < range.upperBound {
                try append(accepted..<range.upperBound, of: upload, to: target, from: content)
            }
        } catch {
            giveUp(target, of: upload)
            throw error
        }
        memory.change(upload.id) { $0.committed = CommittedFile(remoteID: target, size: upload.size) }
    }

    /// Records a creation whose answer was lost.
    private func noting(_ upload: Upload, _ body: () throws(TusFailure) -> String) throws(RemoteError) -> String {
        do throws(TusFailure) { return try body() } catch {
            if case .lost = error { noteLost(upload, "an upload that was created, but whose url never came") }
            throw error.error
        }
    }

    /// Ends an upload that nobody goes on with, if the service lets us; else it gives it up by itself some time.
    private func giveUp(_ target: String, of upload: Upload) {
        do throws(RemoteError) {
            if try offer().terminates { try client.terminate(target) }
        } catch {
            noteLost(upload, "the upload \(target), which is not needed; it could not be terminated: \(error.message)")
        }
    }

    private func noteLost(_ upload: Upload, _ sentence: String) {
        memory.note(
            LostUpload(
                upload: upload.id, path: upload.path,
                sentence:
                    "the remote may have \(sentence); it is known there as \(TusMetadata.upload) \(upload.id.text)"))
    }

    private func note(_ response: HTTPResponse, of upload: UploadID) {
        let offset = response.fields["Upload-Offset"].flatMap { UInt64($0) }
        let expires = client.expiry(response)
        memory.change(upload) { held in
            held.offset = offset
            held.expires = expires ?? held.expires
        }
    }

    // MARK: - Appending

    /// How often one piece is sent again after the service found its checksum wrong.
    private static let checksumRepeats = 2
    /// How often an offset may be said to be wrong and found to be right.
    private static let conflictRepeats = 2

    private func append(
        _ range: Range<UInt64>, of upload: Upload, to target: String, from content: any UploadContent
    ) throws(RemoteError) {
        let offer = try offer()
        var (position, mismatches, conflicts) = (range.lowerBound, 0, 0)
        while position < range.upperBound {
            let piece = position..<range.upperBound
            let checksum = try offer.checksum.map { method throws(RemoteError) in try method.field(piece, of: content) }
            let response = try client.append(.content(content, piece), at: position, to: target, checksum: checksum)
            switch response.status {
            case 200..<300:
                note(response, of: upload.id)
                guard let offset = memory[upload.id].offset, offset > position, offset <= range.upperBound else {
                    throw .protocolViolation
                }
                position = offset
            case 409:
                let offset = try offset(of: target, atLeast: position)
                if offset == position { conflicts += 1 }
                // Another request of ours may be under way there.
                if conflicts > TusService.conflictRepeats { throw .unavailable(retryAfter: nil) }
                position = offset
                memory.change(upload.id) { $0.offset = offset }
            case 460:
                mismatches += 1
                if mismatches > TusService.checksumRepeats { throw .verificationMismatch }
            default: throw client.refusal(response)
            }
        }
    }

    /// What the service has after it found an offset wrong: more than was known, because an answer was lost.
    private func offset(of target: String, atLeast position: UInt64) throws(RemoteError) -> UInt64 {
        guard let held = try client.standing(target) else { throw .expired }
        // It has lost bytes: the next attempt begins with what it has.
        if held.offset < position { throw .unavailable(retryAfter: nil) }
        return held.offset
    }

    /// Tells the service that an upload is whole.
    private func conclude(_ upload: Upload, _ target: String, length: UInt64? = nil) throws(RemoteError) {
        let response = try client.append(.none, at: upload.size.rawValue, to: target, length: length)
        if !response.isSuccess { throw client.refusal(response) }
    }
}
