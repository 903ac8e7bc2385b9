import FXSystem

/// Committed files: status, content, listings, changes. `protocols/opswat-mft.md` section 4.
extension MFTState {
    private mutating func visible(_ id: String, _ call: Call) throws(Refusal) -> MFTFile {
        let user = try authorized(call)
        guard let file = files[id], file.isVisible, file.user == user.id else {
            throw Refusal(.vaultError(404, "no such file", key: "API_FILE_NOT_FOUND"))
        }
        return file
    }

    mutating func status(_ id: String, _ call: Call) throws(Refusal) -> Answer {
        let file = try visible(id, call)
        let state = availability(file)
        let approval: [JSONValue.Member] = [
            .init("administrator_approval_state", "ApprovalDisabled"),
            .init("supervisor_approval_state", "ApprovalDisabled"),
            .init("availability_state", .string(state)), .init("file_id", .string(id)),
            .init("path", .string(file.path)),
            .init("can_be_downloaded", .bool(state == "Available")), .init("is_file_owned", true),
            .init("message", nil), .init("ui_message_key", nil),
        ]
        if settings.statusVintage == "2018" {
            return .vault(
                .object(
                    approval + [
                        .init("displayed_name", .string(file.name)),
                        .init("availability", state == "Available" ? 3 : 1),
                        .init("expires", nil), .init("group_id", .string(file.group)), .init("access_mode", 1),
                        .init("date_created", .string(time(file.committed ?? 0))),
                    ]))
        }
        let isBlocked = state.hasPrefix("Blocked")
        return .vault(
            .object(
                approval + [
                    .init("name", .string(file.name)), .init("size", .number(of: served(file).size)),
                    .init("processing_state", .string(state == "Available" ? "Processed" : state)),
                    .init("can_be_deleted", true), .init("can_be_rescanned", true),
                    .init("current_approval_count", 0), .init("required_approval_count", 0),
                    .init("first_upload_time", .string(time(file.committed ?? 0))), .init("is_locked", false),
                    .init("unlock_eta", nil),
                    .init("is_sanitized", .bool(settings.sanitizes && state == "Available")),
                    .init(
                        "scan_result",
                        [
                            "workflow_result": .string(isBlocked ? "Not Allowed" : "Allowed"),
                            "blocked_reason": isBlocked ? "Infected" : nil, "actions_failed": nil,
                        ]),
                ]))
    }

    mutating func download(_ id: String, _ call: Call) throws(Refusal) -> Answer {
        let file = try visible(id, call)
        let state = availability(file)
        guard state == "Available" else { throw Refusal(.vaultError(403, "the file is \(state)")) }
        count(call.field("skip_notify") == "1" ? "quiet_downloads" : "notified_downloads")
        let (size, bytes) = served(file)
        var range = 0..<size
        var status = 200
        var fields = [
            ("Content-Type", "application/octet-stream"),
            ("Content-Disposition", "attachment; filename*=UTF-8''\(URLText.encode(file.name))"),
        ]
        if settings.ranges, let asked = call.field("Range"), asked.hasPrefix("bytes=") {
            let ends = asked.dropFirst(6).split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            if ends.count == 2, let first = ends[0], first < size {
                range = first..<min(size, (ends[1] ?? size - 1) + 1)
                status = 206
                fields.append(("Content-Range", "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)"))
            }
        }
        var answer = Answer(status, fields: fields)
        answer.body = bytes.map { .bytes(Array($0[range])) } ?? .pieces(file.content, range)
        return answer
    }

    // MARK: - Listings

    mutating func listFiles(_ kind: String, _ start: Int, _ count: Int, _ call: Call) throws(Refusal) -> Answer {
        let user = try authorized(call)
        guard ["my", "all"].contains(kind) else { throw invalid("type") }
        let wanted = call.field("AvailabilityState")?.split(separator: ",").map(String.init)
        let find =
            call.field("find")
            ?? call.field("findB64").flatMap { text in
                URLText.decodeBase64(text).map { String(decoding: $0, as: UTF8.self) }
            }
        let found = committed.compactMap { files[$0] }.filter { file in
            file.isVisible && file.user == user.id && (wanted?.contains(availability(file)) ?? true)
                && (find.map { file.name.contains($0) } ?? true)
        }
        return .vault([
            "filter_count": .number(of: found.count),
            "items": .array(found.dropFirst(start).prefix(count).map(item)), "message": nil, "ui_message_key": nil,
        ])
    }

    private func item(_ file: MFTFile) -> JSONValue {
        [
            "file_id": .string(file.id), "name": .string(file.name), "size": .number(of: served(file).size),
            "creation_date": .string(time(file.committed ?? 0)), "availability_state": .string(availability(file)),
        ]
    }

    mutating func rootFolder(_ call: Call) throws(Refusal) -> Answer {
        let user = try authorized(call)
        let id = root(of: user.id)
        return .vault([
            "availability_state": "Available", "can_update_sharing": true, "folder_id": .string(id), "name": "",
            "owner": .string(user.username), "owner_id": .number(of: user.id), "path": "",
            "folder_path_list": [["folder_id": .string(id), "name": "", "path": ""]],
        ])
    }

    mutating func folderContent(
        _ id: String, _ start: Int, _ count: Int, _ call: Call, find: Bool = false
    ) throws(Refusal) -> Answer {
        let user = try authorized(call)
        guard let folder = folders[id] else { throw Refusal(.vaultError(404, "no such folder")) }
        guard folder.user == user.id else { throw Refusal(.vaultError(403, "the folder belongs to another user")) }
        if find, call.field("find") == nil, call.field("findB64") == nil { throw invalid("find") }
        let wanted = call.field("find") ?? ""
        let inner = folders.values.filter { $0.parent == id && (!find || $0.name.contains(wanted)) }
            .sorted { ($0.created, $0.id) < ($1.created, $1.id) }
        let held = committed.compactMap { files[$0] }.filter {
            $0.folder == id && $0.isVisible && (!find || $0.name.contains(wanted))
        }
        let total = inner.count + held.count
        let all: [(folder: MFTFolder?, file: MFTFile?)] = inner.map { ($0, nil) } + held.map { (nil, $0) }
        let page = all.dropFirst(start).prefix(count)
        if settings.folderShape == "vault" || find {
            return .vault([
                "message": nil, "ui_message_key": nil, "filter_count": .number(of: total),
                "files": .array(page.compactMap { $0.file.map(item) }),
                "folders": .array(
                    page.compactMap(\.folder).map {
                        [
                            "folder_id": .string($0.id), "name": .string($0.name), "path": .string(path(of: $0.id)),
                            "creation_date": .string(time($0.created)),
                        ]
                    }),
            ])
        }
        return .vault([
            "totalCount": .number(of: total),
            "items": .array(
                page.map { entry in
                    let moment = time(entry.folder?.created ?? entry.file?.committed ?? 0)
                    return [
                        "id": .string(entry.folder?.id ?? entry.file?.id ?? ""),
                        "name": .string(entry.folder?.name ?? entry.file?.name ?? ""),
                        "type": .string(entry.folder == nil ? "file" : "folder"), "parentFolderId": .string(id),
                        "creationDate": .string(moment), "lastModifiedDate": .string(moment),
                    ]
                }),
        ])
    }

    // MARK: - Changes

    mutating func makeFolder(_ call: Call) throws(Refusal) -> Answer {
        let user = try authorized(call)
        guard let name = call.json?["name"]?.string, !name.isEmpty else { throw invalid("name") }
        let path = call.json?["path"]?.string ?? ""
        let id = folder(at: path.isEmpty ? name : path + "\\" + name, of: user.id)
        return .vault([
            "message": nil, "ui_message_key": nil, "folder_guid": .string(id), "folder_name": .string(name),
        ])
    }

    mutating func renameFile(_ call: Call) throws(Refusal) -> Answer {
        _ = try authorized(call)
        guard let id = call.json?["file_id"]?.string, let name = call.json?["new_file_name"]?.string,
            files[id]?.isVisible == true
        else { throw Refusal(.vaultError(400, "no such file", key: "API_FILE_NOT_FOUND")) }
        files[id]?.name = name
        return .vault(["message": nil, "ui_message_key": nil])
    }

    mutating func renameFolder(_ call: Call) throws(Refusal) -> Answer {
        _ = try authorized(call)
        guard let id = call.json?["folder_id"]?.string, let name = call.json?["new_folder_name"]?.string,
            folders[id] != nil
        else { throw Refusal(.vaultError(400, "no such folder")) }
        folders[id]?.name = name
        return .vault(["message": nil, "ui_message_key": nil])
    }

    mutating func moveFiles(_ call: Call) throws(Refusal) -> Answer {
        let user = try authorized(call)
        let ids = (call.json?["files"]?.elements ?? []).compactMap { $0["file_id"]?.string }
        guard let path = call.json?["new_path"]?.string, !ids.isEmpty, areVisible(ids)
        else {
            throw Refusal(
                .vault([["message": "no such file", "ui_message_key": "API_FILE_UPDATE_NO_FILE_FOUND"]], status: 400))
        }
        let target = folder(at: path, of: user.id)
        for id in ids {
            files[id]?.folder = target
            files[id]?.path = path
        }
        return .vault([])
    }

    private func areVisible(_ ids: [String]) -> Bool { ids.allSatisfy { files[$0]?.isVisible == true } }

    mutating func deleteFile(_ id: String, _ call: Call) throws(Refusal) -> Answer {
        let user = try authorized(call)
        guard let file = files[id], file.isVisible else {
            throw Refusal(.vaultError(404, "no such file", key: "API_CANNOTDELETEFILENOTFOUND"))
        }
        if file.user != user.id, user.username != "admin" { throw Refusal(.vaultError(403, "not the owner")) }
        mark(id)
        return .vault(["message": nil, "ui_message_key": nil])
    }

    /// Gone for everybody; its bytes go later.
    private mutating func mark(_ id: String) {
        let moment = now
        files[id]?.deleted = moment
        marked.append(id)
    }

    mutating func deleteFiles(_ call: Call) throws(Refusal) -> Answer {
        let user = try authorized(call)
        var done: Int64 = 0
        var results: [JSONValue] = []
        for id in (call.json?.elements ?? []).compactMap(\.string) {
            let isGood = files[id].map { $0.isVisible && $0.user == user.id } ?? false
            if isGood {
                mark(id)
                done += 1
            }
            results.append(["file_id": .string(id), "success": .bool(isGood)])
        }
        return .vault(["success_counter": .integer(done), "items": .array(results)])
    }
}
