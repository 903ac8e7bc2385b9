import FXSystem

/// `POST /_control/seed`: puts things into an installation, in any shape, and says their numbers.
extension OpenTeraState {
    /// Lists under `projects`, `participants`, `types`, `sessions`, `assets`; each entry names what is not the default.
    /// The answer has the numbers in the same order.
    mutating func seed(_ body: JSONValue) throws(ControlError) -> JSONValue {
        var made: [JSONValue.Member] = []
        for member in body.members ?? [] {
            guard let entries = member.value.elements else { throw ControlError("\(member.key) is not a list") }
            var ids: [JSONValue] = []
            for entry in entries {
                let id =
                    switch member.key {
                    case "projects": try seedProject(entry)
                    case "participants": try seedParticipant(entry)
                    case "types": try seedType(entry)
                    case "sessions": try seedSession(entry)
                    case "assets": try seedAssets(entry)
                    default: throw ControlError("no such list: \(member.key)")
                    }
                ids.append(.integer(Int64(id)))
            }
            made.append(.init(member.key, .array(ids)))
        }
        return .object(made)
    }

    private mutating func seedProject(_ entry: JSONValue) throws(ControlError) -> Int {
        let project = projects.add(
            Project(site: Int(entry["site"]?.integer ?? 1), name: entry["name"]?.string ?? "Project"))
        // The project administrator of the defaults sees it unless somebody says otherwise.
        if entry["visible"]?.boolean ?? true { _ = users.update(5) { $0.projects[project.id] = "admin" } }
        if let id = fileService?.id { _ = services.update(id) { $0.projects.append(project.id) } }
        for type in types.ids { _ = types.update(type) { $0.projects.append(project.id) } }
        return project.id
    }

    private mutating func seedParticipant(_ entry: JSONValue) throws(ControlError) -> Int {
        let project = Int(entry["project"]?.integer ?? 1)
        guard projects[project] != nil else { throw ControlError("no project \(project)") }
        return participants.add(
            Participant(
                uuid: newUUID(), project: project, name: entry["name"]?.string ?? "Participant",
                isEnabled: entry["enabled"]?.boolean ?? true)
        ).id
    }

    private mutating func seedType(_ entry: JSONValue) throws(ControlError) -> Int {
        var type = SessionType(name: entry["name"]?.string ?? "Type", projects: projects.ids)
        if let id = entry["id"]?.integer { type.id = Int(id) }
        if let existing = types[type.id] { type = existing }
        // "owner", "secondary" or "none": whether files may go into sessions of this type.
        if let linked = entry["linked"]?.string {
            type.service = linked == "owner" ? fileService?.id : nil
            type.secondaryServices = linked == "secondary" ? [fileService?.id ?? 0] : []
        }
        return types.add(type).id
    }

    private mutating func seedSession(_ entry: JSONValue) throws(ControlError) -> Int {
        // One that is there gets another state, as by somebody in the browser.
        if let id = entry["id"]?.integer.map(Int.init), let state = entry["status"]?.integer {
            guard sessions[id] != nil else { throw ControlError("no session \(id)") }
            _ = sessions.update(id) { $0.status = Int(state) }
            return id
        }
        let people = entry["participants"]?.elements.map { $0.compactMap { $0.integer.map(Int.init) } } ?? [1]
        var session = SessionRecord(
            uuid: newUUID(), type: Int(entry["type"]?.integer ?? 5), name: entry["name"]?.string ?? "Session",
            start: now, status: Int(entry["status"]?.integer ?? 2), participants: people)
        if let text = entry["start"]?.string {
            guard let start = Moment.parse(text) else { throw ControlError("no moment: \(text)") }
            session.start = start
        }
        session.users = entry["users"]?.elements.map { $0.compactMap { $0.integer.map(Int.init) } } ?? []
        session.creatorUser = entry["creator_user"]?.integer.map(Int.init)
        session.creatorDevice = entry["creator_device"]?.integer.map(Int.init)
        // Several alike, for long listings.
        var id = sessions.add(session).id
        for index in 1..<max(1, Int(entry["count"]?.integer ?? 1)) {
            session.uuid = newUUID()
            session.name = "\(entry["name"]?.string ?? "Session") \(index)"
            session.start += 1_000_000
            id = sessions.add(session).id
        }
        return id
    }

    /// One asset, or `count` of them named with a number; returns the last number.
    private mutating func seedAssets(_ entry: JSONValue) throws(ControlError) -> Int {
        guard let session = entry["session"]?.integer.map(Int.init), sessions[session] != nil else {
            throw ControlError("no session \(entry["session"]?.text ?? "")")
        }
        let name = entry["name"]?.string ?? "asset"
        let content = try content(entry)
        let count = Int(entry["count"]?.integer ?? 1)
        var id = 0
        for index in 0..<count {
            var asset = AssetRecord(
                uuid: newUUID(), session: session, name: count == 1 ? name : "\(name) \(index)",
                service: entry["service"]?.string ?? fileService?.uuid ?? "")
            asset.user = Int(entry["user"]?.integer ?? 5)
            asset.type = entry["type"]?.string ?? asset.type
            switch entry["datetime"] {
            case .null?: asset.datetime = nil
            case .string(let text)?: asset.datetime = Moment.parse(text)
            default: asset.datetime = now
            }
            // An asset of another service has no file here.
            if entry["service"] == nil {
                files += 1
                asset.file = AssetRecord.File(
                    id: files, size: Int(entry["reported_size"]?.integer ?? Int64(content.count)),
                    originalName: entry["original_filename"]?.string ?? FileNames.secured(asset.name),
                    stored: entry["missing"]?.boolean == true ? nil : content, range: 0..<content.count, uploaded: now)
            }
            id = addAsset(asset).id
        }
        return id
    }

    /// `text`, `base64`, or `size` bytes of a pattern that depends on `seed`.
    private func content(_ entry: JSONValue) throws(ControlError) -> StoredBytes {
        if let text = entry["text"]?.string { return StoredBytes(Array(text.utf8)) }
        if let text = entry["base64"]?.string {
            guard let bytes = URLText.decodeBase64(text) else { throw ControlError("no base64") }
            return StoredBytes(bytes)
        }
        let size = Int(entry["size"]?.integer ?? 0)
        return StoredBytes(Pattern.bytes(size, seed: UInt64(entry["seed"]?.integer ?? 1)))
    }
}

/// Bytes without repetition, the same for the same seed: SplitMix64, eight bytes a step.
public enum Pattern {
    public static func bytes(_ count: Int, seed: UInt64) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { space, filled in
            var state = seed
            let raw = UnsafeMutableRawBufferPointer(space)
            var position = 0
            while position + 8 <= count {
                raw.storeBytes(of: next(&state), toByteOffset: position, as: UInt64.self)
                position += 8
            }
            var last = next(&state)
            while position < count {
                raw[position] = UInt8(truncatingIfNeeded: last)
                last >>= 8
                position += 1
            }
            filled = count
        }
    }

    private static func next(_ state: inout UInt64) -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
