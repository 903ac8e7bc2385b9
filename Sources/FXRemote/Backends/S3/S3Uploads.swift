internal import FXSystem
internal import Synchronization

/// Uploads: a small sealed file by one conditional PUT, everything else as a multipart upload.
extension S3Service {
    public func standing(of upload: Upload) throws(RemoteError) -> UploadStanding {
        let key = try layout.file(upload)
        return try perform { () throws(S3Failure) in
            if var committed = try committed(upload, key) {
                committed.hasLeftovers = upload.note != nil
                return .committed(committed)
            }
            guard let note = upload.note else { return .nothing }
            do throws(S3Failure) {
                let selection = try selection(upload, note, key)
                return .partial(plan.held(selection, size: upload.size.rawValue))
            } catch {
                if error.isMissingUpload { return .nothing }
                throw error
            }
        }
    }

    public func begin(_ upload: Upload) throws(RemoteError) -> String? {
        let key = try layout.file(upload)
        if let session = layout.session(of: key)?.prefix, completed.withLock({ $0.contains(session) }) {
            throw .sessionClosed(.complete)
        }
        if plan.isSinglePut(upload) || upload.note != nil { return nil }
        return try perform { () throws(S3Failure) in
            // Before anything is sent: the condition of the last request would find out too late.
            if upload.replaces == nil, let object = try client.head(key), object.upload != upload.id {
                throw .failed(.nameTaken)
            }
            if case .had(let claim) = try claims.take(key, for: upload.id) { try claims.purge(claim) }
            memory.forget(upload.id)
            return try client.createUpload(
                key, fields: S3Metadata.fields(of: upload, writer: client.configuration.writer))
        }
    }

    public func send(_ range: Range<UInt64>, of upload: Upload, from content: any UploadContent) throws(RemoteError) {
        let key = try layout.file(upload)
        guard let note = upload.note else { return try putWhole(range, of: upload, key, from: content) }
        guard let number = plan.number(of: range) else { throw .invalidArgument }
        let tag = try checks.verified { check throws(RemoteError) in
            let digests = try S3Digests(range, of: content, by: check, signsPayload: client.configuration.signsContents)
            do throws(S3Failure) {
                return try client.sendPart(number, of: note, key, .content(content, range), digests)
            } catch {
                if check != .md5, error.refusal?.isChecksumUnwanted ?? false { return nil }
                throw client.remoteError(error)
            }
        }
        let part = S3Part(number: number, tag: tag, size: range.upperBound - range.lowerBound)
        memory.change(upload.id) { $0.parts[number] = part }
    }

    public func commit(_ upload: Upload) throws(RemoteError) -> CommittedFile {
        let key = try layout.file(upload)
        return try perform { () throws(S3Failure) in
            var file = try finish(upload, key)
            memory.forget(upload.id)
            if let note = upload.note {
                if upload.size == .zero { try client.abortUpload(note, key) }
                // The claim on the name, which nobody has to wait for.
                file.hasLeftovers = true
            }
            return file
        }
    }

    public func discard(_ upload: Upload) throws(RemoteError) {
        let key = try layout.file(upload)
        try perform { () throws(S3Failure) in
            memory.forget(upload.id)
            if let note = upload.note { try client.abortUpload(note, key) }
            if !plan.isSinglePut(upload) { try claims.discard(key, of: upload.id) }
        }
    }

    public func unfinishedUploads() throws(RemoteError) -> [UploadID] {
        try perform { () throws(S3Failure) in
            var found: [UploadID] = []
            for claim in try claims.own(in: nil) where try !claims.uploads(under: claim).isEmpty {
                found.append(claim.upload)
            }
            return found
        }
    }

    // MARK: - Steps

    /// The object under the name, if it is what this upload made.
    private func committed(_ upload: Upload, _ key: S3Key) throws(S3Failure) -> CommittedFile? {
        guard let object = try client.head(key), object.upload == upload.id, object.size == upload.size else {
            return nil
        }
        return CommittedFile(remoteID: object.id.text, size: object.size)
    }

    private func putWhole(_ range: Range<UInt64>, of upload: Upload, _ key: S3Key, from content: any UploadContent)
        throws(RemoteError)
    {
        guard let digest = upload.sha256, range == 0..<upload.size.rawValue else { throw .invalidArgument }
        let file = try perform { () throws(S3Failure) in
            try put(upload, key, .content(content, range), digest)
        }
        memory.change(upload.id) { $0.committed = file }
    }

    /// Makes the whole file by one request, if the name is still as it was expected.
    private func put(_ upload: Upload, _ key: S3Key, _ body: HTTPBody, _ digest: SHA256Digest) throws(S3Failure)
        -> CommittedFile
    {
        try settle(upload, key) { condition throws(S3Failure) in
            try client.put(
                key, body, digest: digest, if: condition,
                fields: S3Metadata.fields(of: upload, writer: client.configuration.writer))
        }
    }

    private func finish(_ upload: Upload, _ key: S3Key) throws(S3Failure) -> CommittedFile {
        if let done = memory[upload.id].committed { return done }
        if upload.size == .zero { return try put(upload, key, .none, .empty) }
        if let note = upload.note { return try assemble(upload, note, key) }
        // It was sent whole in an earlier run.
        guard let committed = try committed(upload, key) else { throw .failed(.verificationMismatch) }
        return committed
    }

    private func assemble(_ upload: Upload, _ note: String, _ key: S3Key) throws(S3Failure) -> CommittedFile {
        let remembered = plan.selection(size: upload.size.rawValue, held: [], sent: memory[upload.id].parts)
        do throws(S3Failure) {
            let selection = try remembered.contains(nil) ? selection(upload, note, key) : remembered
            let parts = selection.compactMap { $0 }
            if parts.count < selection.count { throw .failed(.verificationMismatch) }
            _ = try settle(upload, key) { condition throws(S3Failure) in
                try client.completeUpload(note, key, parts, if: condition)
            }
        } catch {
            // An earlier answer may have been lost.
            if error.isMissingUpload, let committed = try committed(upload, key) { return committed }
            // What was remembered of the parts may be wrong; the service is asked the next time.
            if client.remoteError(error) == .verificationMismatch { memory.forget(upload.id) }
            throw error
        }
        // AWS may answer before it has looked at everything: only what can be seen counts.
        guard let committed = try committed(upload, key) else { throw .failed(.verificationMismatch) }
        return committed
    }

    private func selection(_ upload: Upload, _ note: String, _ key: S3Key) throws(S3Failure) -> [S3Part?] {
        let held = try client.parts(of: note, key)
        return plan.selection(size: upload.size.rawValue, held: held, sent: memory[upload.id].parts)
    }

    /// Lets `write` happen on the condition that the name is free, or has the content that is to be replaced; keeps that
    /// content aside first.
    private func settle(
        _ upload: Upload, _ key: S3Key, _ write: (S3Condition?) throws(S3Failure) -> String?
    ) throws(S3Failure) -> CommittedFile {
        func attempt(_ condition: S3Condition) throws(S3Failure) -> CommittedFile {
            if case .holds(let tag) = condition {
                try keep(S3ObjectID(key: key, tag: tag), size: upload.replaces?.size, by: upload.id)
            }
            // Who does not say it in the answer says it when asked.
            var tag = try write(try conditions.work() ? condition : nil)
            if tag == nil { tag = try client.head(key)?.id.tag }
            return CommittedFile(remoteID: S3ObjectID(key: key, tag: tag).text, size: upload.size)
        }
        do throws(S3Failure) { return try attempt(try condition(upload, key)) } catch {
            guard error.isPreconditionFailed || error.isMissingObject else { throw error }
            // The name is not as expected: perhaps because this upload is there already.
            guard let object = try client.head(key) else {
                // Somebody removed what was to be replaced; then nothing is lost by putting the new content there.
                if upload.replaces != nil { return try attempt(.absent) }
                // SeaweedFS: a directory has the name.
                throw .failed(.nameTaken)
            }
            if object.upload == upload.id, object.size == upload.size {
                return CommittedFile(remoteID: object.id.text, size: object.size)
            }
            throw .failed(upload.replaces == nil ? .nameTaken : .changed)
        }
    }

    /// How the name is expected to be; where the service keeps to no conditions it is looked up instead.
    private func condition(_ upload: Upload, _ key: S3Key) throws(S3Failure) -> S3Condition {
        let expected = upload.replaces.flatMap { S3ObjectID(text: $0.remoteID)?.tag }
        if try conditions.work(), expected != nil || upload.replaces == nil {
            return expected.map { .holds($0) } ?? .absent
        }
        guard let object = try client.head(key) else { return .absent }
        if upload.replaces == nil || (expected != nil && object.id.tag != expected) {
            throw .refused(S3Refusal(status: 412, code: "PreconditionFailed"))
        }
        return object.id.tag.map { .holds($0) } ?? .absent
    }
}
