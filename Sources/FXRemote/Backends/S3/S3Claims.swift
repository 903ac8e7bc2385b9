internal import FXSystem

/// Who sends a large file of which name: one small object for each, made only if there is none.
///
/// A small file is put under its name by one conditional request, and the service sees to it that of two writers one is
/// refused. A multipart upload is different: its name shows up at the end only, anybody may have begun one, and the
/// service tells neither who it was nor what metadata it will have. So a writer claims the name first, keeps the claim
/// until the file is there, and two things follow:
///
/// * of two writers of a large file the second one hears of it before it has sent anything;
/// * an upload of that name that began after the claim is the claimant's own, so after a lost answer to
///   CreateMultipartUpload it may be aborted. Nobody aborts any other.
///
/// A claim whose writer is gone for good holds up its name for a day; then, if the name has no unfinished upload, the
/// next writer takes it over.
struct S3Claims: Sendable {
    struct Claim: Sendable, Equatable {
        var key: S3Key
        var writer: String
        var upload: UploadID
        /// By the service's clock.
        var since: Timestamp?
        var tag: String?
    }

    enum Outcome: Sendable, Equatable {
        /// It was made now: no upload has begun under it.
        case taken
        /// This upload has had it before, and may have begun under it.
        case had(Claim)
    }

    let client: S3Client
    let conditions: S3Conditions
    /// Judges the age of a claim.
    let clock: WallClock

    private static let patience: Duration = .seconds(24 * 3600)

    /// - Throws: `.nameTaken` when another writer has it.
    func take(_ key: S3Key, for upload: UploadID) throws(S3Failure) -> Outcome {
        let bytes = document(key, upload)
        let place = client.layout.claim(key)
        if try conditions.work() {
            do throws(S3Failure) {
                try client.put(place, bytes, if: .absent)
                return .taken
            } catch { if !error.isPreconditionFailed { throw error } }
        }
        guard let claim = try read(place) else {
            // It went away in between, or the service has no conditions.
            try client.put(place, bytes, if: try conditions.work() ? .absent : nil)
            return .taken
        }
        if claim.upload == upload { return .had(claim) }
        // Another upload of our own may still be under way: it keeps what it has, and the claim is the new one's.
        if claim.writer != client.configuration.writer, try !isAbandoned(claim) { throw .failed(.nameTaken) }
        let condition = claim.tag.map { S3Condition.holds($0) }
        do throws(S3Failure) { try client.put(place, bytes, if: try conditions.work() ? condition : nil) } catch {
            throw error.isPreconditionFailed ? .failed(.nameTaken) : error
        }
        return .taken
    }

    /// Gives a claim back; succeeds when it is not ours any more.
    func release(_ key: S3Key, of upload: UploadID) throws(S3Failure) {
        let place = client.layout.claim(key)
        guard let claim = try read(place), claim.upload == upload else { return }
        try remove(claim, place)
    }

    private func remove(_ claim: Claim, _ place: S3Key) throws(S3Failure) {
        try client.delete(place, if: try conditions.work() ? claim.tag.map { .holds($0) } : nil)
    }

    /// Gives a claim of ours back and aborts what was begun under it; succeeds when it is not ours any more.
    ///
    /// A later upload of our own may take the claim over at any moment, and begins only after that. So what was listed
    /// while the claim was still the same is of none but this one, and nothing else is aborted.
    func discard(_ key: S3Key, of upload: UploadID) throws(S3Failure) {
        let place = client.layout.claim(key)
        guard let claim = try read(place), claim.upload == upload else { return }
        let begun = try uploads(under: claim)
        if !begun.isEmpty {
            guard let now = try read(place), now.upload == upload, now.tag == claim.tag else { return }
            for unfinished in begun { try client.abortUpload(unfinished.id, key) }
        }
        try remove(claim, place)
    }

    /// Aborts what was begun under a claim of ours: the answer that had its id may have been lost.
    func purge(_ claim: Claim) throws(S3Failure) {
        for unfinished in try uploads(under: claim) { try client.abortUpload(unfinished.id, claim.key) }
    }

    /// The claims of this writer, of one session or all.
    func own(in session: S3Key?) throws(S3Failure) -> [Claim] {
        var places: [S3Key] = []
        try client.pages(of: client.layout.claims, delimited: false) { places += $0.items.map(\.id.key) }
        var claims: [Claim] = []
        for place in places {
            guard let claim = try read(place), claim.writer == client.configuration.writer else { continue }
            if session.map({ claim.key.starts(with: $0) }) ?? true { claims.append(claim) }
        }
        return claims
    }

    /// Unfinished uploads of exactly this name that began under the claim. Times are the service's, in seconds.
    func uploads(under claim: Claim) throws(S3Failure) -> [S3Unfinished] {
        guard let since = claim.since else { return [] }
        return try client.unfinishedUploads(below: claim.key).filter { unfinished in
            guard unfinished.key == claim.key, let initiated = unfinished.initiated else { return false }
            return initiated.seconds >= since.seconds
        }
    }

    private func isAbandoned(_ claim: Claim) throws(S3Failure) -> Bool {
        guard let since = claim.since, clock.now().seconds - since.seconds > S3Claims.patience.components.seconds
        else { return false }
        return try client.unfinishedUploads(below: claim.key).allSatisfy { $0.key != claim.key }
    }

    private func read(_ place: S3Key) throws(S3Failure) -> Claim? {
        guard let (bytes, tag, since) = try client.get(place) else { return nil }
        let json = JSONValue(parsing: String(decoding: bytes, as: UTF8.self))
        guard let key = json?["key"]?.string.flatMap({ S3Key(encoded: $0) }), let writer = json?["writer"]?.string,
            let upload = json?["upload"]?.string
        else { throw .failed(.protocolViolation) }
        return Claim(key: key, writer: writer, upload: UploadID(upload), since: since, tag: tag)
    }

    private func document(_ key: S3Key, _ upload: UploadID) -> [UInt8] {
        let json: JSONValue = [
            "format": 1, "key": .string(key.encoded), "writer": .string(client.configuration.writer),
            "upload": .string(upload.text),
        ]
        return Array((json.text + "\n").utf8)
    }
}
