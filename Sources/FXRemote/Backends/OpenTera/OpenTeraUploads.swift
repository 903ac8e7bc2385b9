internal import FXSystem
internal import Synchronization

/// Uploads: one request each, found again by the `asset_datetime` this program chose.
///
/// After a lost answer nobody can tell whether the service is still busy with it, so an upload that is not found is not
/// sent again before that must have come to an end, and then only after a second look.
extension OpenTeraService {
    public func begin(_ upload: Upload) throws(RemoteError) -> String? {
        memory.withLock { $0.note(upload.id, .begun) }
        try checkLinked(claim(on: upload).session)
        // Kept from the first attempt on: the time of the file may be changed between two.
        return upload.note ?? OpenTeraTime(modified: upload.modified, upload: upload.id).text
    }

    public func send(_ range: Range<UInt64>, of upload: Upload, from content: any UploadContent) throws(RemoteError) {
        guard range == 0..<upload.size.rawValue else { throw .invalidArgument }
        try send(upload) { form in
            .content(content, range, prefix: form.prefix, suffix: form.suffix)
        }
    }

    public func commit(_ upload: Upload) throws(RemoteError) -> CommittedFile {
        // An empty file has no chunk to be sent.
        if upload.size == .zero, memory.withLock({ $0[upload.id] == .begun }) {
            try send(upload) { .bytes($0.prefix + $0.suffix) }
        }
        let claim = try claim(on: upload)
        var claimed: [OpenTeraAsset] = []
        // The answer named it, which is surer than any mark.
        if case .sent(let uuid?) = memory.withLock({ $0[upload.id] }) {
            claimed = try record(of: uuid, in: claim.session, ("with_urls", "1")).map { [$0] } ?? []
            keepTokens(of: claimed)
        } else {
            claimed = try records(of: claim)
        }
        if let committed = try settle(upload, claimed) { return committed }
        memory.withLock { $0.note(upload.id, .begun) }
        throw try refusal(claimed)
    }

    public func standing(of upload: Upload) throws(RemoteError) -> UploadStanding {
        let claim = try claim(on: upload)
        if let committed = try settle(upload, records(of: claim)) { return .committed(committed) }
        let progress = memory.withLock { memory -> OpenTeraMemory.Progress in
            if let known = memory[upload.id] { return known }
            // Of an earlier run: how that ended is not known.
            let lost = OpenTeraMemory.Progress.lost(settled(upload))
            memory.note(upload.id, lost)
            return lost
        }
        // Not there yet says nothing: it is looked for once more when it can no longer come.
        if case .lost(let deadline) = progress, !deadline.hasPassed {
            throw .unavailable(retryAfter: deadline.remaining)
        }
        return .nothing
    }

    private func settled(_ upload: Upload) -> ContinuousDeadline {
        .after(OpenTeraMemory.settling(configuration.settleTime, upload.size))
    }

    // MARK: - Looking

    /// What marks this upload among all assets.
    private func claim(on upload: Upload) throws(RemoteError) -> OpenTeraClaim {
        guard let session = OpenTeraPlace(upload.directoryID)?.session, let name = upload.path.name else {
            throw .noSuchEntry
        }
        let key =
            upload.note.flatMap { OpenTeraTime($0) } ?? OpenTeraTime(modified: upload.modified, upload: upload.id)
        return OpenTeraClaim(session: session, name: try OpenTeraService.text(of: name), key: key)
    }

    private func records(of claim: OpenTeraClaim) throws(RemoteError) -> [OpenTeraAsset] {
        let service = try client.fileService().uuid
        return try records(in: claim.session) { asset, _ in
            asset.service == service && claim.isOf(asset) ? asset : nil
        }
        .assets.sorted { ($0.id ?? 0) < ($1.id ?? 0) }
    }

    /// Ends an upload that has arrived whole: removes what it replaces, and what of it arrived twice, where removing is
    /// allowed. Without that they stay, under further names.
    /// - Returns: nil when none of them has the right size.
    private func settle(_ upload: Upload, _ claimed: [OpenTeraAsset]) throws(RemoteError) -> CommittedFile? {
        var whole: [OpenTeraAsset] = []
        for asset in claimed {
            if try size(of: asset) == upload.size { whole.append(asset) }
        }
        guard let kept = whole.first else { return nil }
        if configuration.allowsDelete {
            let replaced = upload.replaces.flatMap { OpenTeraPlace($0.remoteID)?.asset }
            let others = claimed.map(\.uuid) + [replaced].compactMap { $0 }
            for other in others where other != kept.uuid {
                do throws(RemoteError) { try remove(other, in: kept.session) } catch {
                    // The new content is there; that an old one may not be removed is no reason to send it again.
                    if error.isTemporary { throw error }
                }
            }
        }
        memory.withLock { $0.note(upload.id, nil) }
        return CommittedFile(remoteID: OpenTeraPlace.asset(kept.uuid).text, size: upload.size)
    }

    /// nil while the file service has no bytes for it.
    private func size(of asset: OpenTeraAsset) throws(RemoteError) -> ByteCount? {
        if let known = access.withLock({ $0.size(of: asset.uuid) }) { return known }
        let answer = try askFile(asset.uuid, in: asset.session) { token throws(RemoteError) in
            let one: JSONValue = ["asset_uuid": .string(asset.uuid), "access_token": .string(token.reveal())]
            return try client.fileRequest(.post, "/api/assets/infos", body: ["assets": [one]])
        }
        let files = try answer.list(OpenTeraAssetFile.init)
        keepSizes(of: files)
        return files.first { $0.uuid == asset.uuid }?.size
    }

    /// What an acknowledged upload that is not there, or not whole, means.
    private func refusal(_ claimed: [OpenTeraAsset]) throws(RemoteError) -> RemoteError {
        if claimed.isEmpty { return .verificationMismatch }
        // Each attempt would leave one more broken file where none can be removed.
        if !configuration.allowsDelete { return .protocolViolation }
        for asset in claimed { try remove(asset.uuid, in: asset.session) }
        return .verificationMismatch
    }

    // MARK: - Sending

    private func send(_ upload: Upload, _ body: (OpenTeraForm) -> HTTPBody) throws(RemoteError) {
        let claim = try claim(on: upload)
        let form = OpenTeraForm(
            session: claim.session, name: claim.name, key: claim.key, upload: upload.id, digest: upload.sha256)
        var request = try client.fileRequest(.post, "/api/assets")
        request.body = body(form)
        request.fields.set("Content-Type", form.contentType)
        // A refusal for the size then comes before the bytes are sent, and is not lost with the connection.
        if request.body.count >= OpenTeraService.askFirst { request.fields.set("Expect", "100-continue") }
        // The front waits 60 s for the file service; its answer to that has to arrive here.
        request.deadlines = HTTPDeadlines(idle: .seconds(90), total: nil)
        takeTurn()
        defer { turn.withLock { $0 = false } }
        try perform(request, of: upload)
    }

    /// 1 MiB: below that asking first costs more than sending twice.
    private static let askFirst: UInt64 = 1 << 20

    /// One upload at a time: two would only stand in each other's way, and in every reader's.
    private func takeTurn() {
        _ = turn.wait { isTaken -> Bool? in
            if isTaken { return nil }
            isTaken = true
            return true
        }
    }

    private func perform(_ request: HTTPRequest, of upload: Upload) throws(RemoteError) {
        // A slow line of 256 KiB/s, and the time the service takes.
        let seconds = Int64(clamping: request.body.count / (256 << 10)) + 90
        let answer: OpenTeraAnswer
        do throws(OpenTeraSendFailure) { answer = try client.sendHolding(request, lasting: seconds) } catch {
            if error.mayHaveArrived { noteLost(upload) }
            throw error.error
        }
        switch answer.status {
        case 200..<300:
            let asset = answer.value.flatMap { OpenTeraAsset($0) }
            keepTokens(of: [asset].compactMap { $0 })
            memory.withLock { $0.note(upload.id, .sent(asset?.uuid)) }
        // Below the limit that was configured: where the server's own is, it does not say.
        case 413: throw .tooLarge(limit: nil)
        case 408, 500...599:
            noteLost(upload)
            throw answer.error
        default: throw answer.error
        }
    }

    private func noteLost(_ upload: Upload) {
        let lost = OpenTeraMemory.Progress.lost(settled(upload))
        memory.withLock { $0.note(upload.id, lost) }
    }
}
