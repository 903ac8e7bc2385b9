import FXSystem

/// `POST /api/assets`: `opentera.md`, 6.1.
extension OpenTeraState {
    mutating func upload(_ call: Call, _ requester: Requester) throws(Refusal) -> Answer {
        guard let type = call.field("Content-Type"), type.lowercased().hasPrefix("multipart/form-data") else {
            throw Refusal(.text(400, "Wrong content type"))
        }
        let parts: [FormPart]
        do {
            // Without NGINX in front a chunked body is seen as none.
            let isSeen = !(settings.direct && call.isChunked)
            parts = isSeen ? try Multipart.parts(of: call.body, boundary: Multipart.boundary(of: type) ?? "") : []
        } catch {
            throw Refusal(.message(413, "The data value transmitted exceeds the capacity limit."))
        }
        guard let field = parts.first(where: { $0.name == "file_asset" && $0.filename == nil }) else {
            throw Refusal(.text(400, "Missing file asset information"))
        }
        // A second one is ignored.
        guard let part = parts.first(where: { $0.name == "file" && $0.filename != nil }), let name = part.filename
        else {
            throw Refusal(.text(400, "Missing uploaded file"))
        }
        if name.isEmpty { throw Refusal(.text(400, "Missing filename")) }
        let text = String(decoding: call.body.bytes(in: field.range), as: UTF8.self)
        guard let given = JSONValue(parsing: text) else { throw Refusal(.text(400, "Invalid file_asset format")) }
        guard let wanted = given["id_session"], let title = given["asset_name"] else {
            throw Refusal(.text(400, "Missing required field(s) in asset descriptor"))
        }
        let session = try usableSession(wanted, requester)
        var asset = AssetRecord(
            uuid: newUUID(), session: session.id, name: title.string ?? title.text, service: fileService?.uuid ?? "")
        let original = FileNames.secured(name)
        asset.type = given["asset_type"]?.string ?? FileNames.type(of: original)
        asset.datetime = now
        if let stated = given["asset_datetime"], stated != .null {
            guard let moment = stated.string.flatMap(Moment.parse) else {
                throw Refusal(.text(500, "Unable to create asset: {\"message\": \"Internal Server Error\"}\n"))
            }
            asset.datetime = moment
        }
        asset.expiration = given["asset_expiration_datetime"]?.string.flatMap(Moment.parse)
        switch requester {
        case .user(let id):
            asset.user = id
            asset.participant = given["id_participant"]?.integer.map(Int.init)
            asset.device = given["id_device"]?.integer.map(Int.init)
        case .participant(let id), .restrictedParticipant(let id): asset.participant = id
        case .device(let id): asset.device = id
        }
        files += 1
        asset.file = AssetRecord.File(
            id: files, size: part.statedLength ?? part.range.count, originalName: original, stored: call.body,
            range: part.range, uploaded: now)
        count("uploads")
        return uploaded(addAsset(asset), requester)
    }

    /// FTS must have access to the session; of users nothing more is asked, whatever the documentation says.
    private func usableSession(_ wanted: JSONValue, _ requester: Requester) throws(Refusal) -> SessionRecord {
        let forbidden = Refusal(.text(403, "Session access is forbidden"))
        guard let number = wanted.integer ?? wanted.string.flatMap({ Int64($0) }), let session = sessions[Int(number)],
            fileServiceMayUse(session)
        else { throw forbidden }
        switch requester {
        case .user: break
        case .participant(let id), .restrictedParticipant(let id):
            guard session.participants.contains(id) || session.creatorParticipant == id else { throw forbidden }
        case .device(let id):
            guard session.devices.contains(id) || session.creatorDevice == id else { throw forbidden }
        }
        // Text passes the first check, and fails at the second service.
        if wanted.integer == nil {
            throw Refusal(.text(403, "Unable to create asset: \"Service can't create assets for that session\"\n"))
        }
        return session
    }

    private func uploaded(_ asset: AssetRecord, _ requester: Requester) -> Answer {
        let file: [JSONValue.Member] = [
            .init("asset_file_size", .number(of: asset.file?.size)),
            .init("asset_original_filename", .text(asset.file?.originalName)),
            .init("id_asset_file_data", .number(of: asset.file?.id)),
        ]
        let token = accessToken(asset, for: requester, asList: true)
        return .json(
            200,
            .object(
                assetMembers(asset, isFull: true) + file + urlMembers(asset)
                    + [.init("access_token", .string(token))]))
    }
}
