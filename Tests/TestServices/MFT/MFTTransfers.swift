import FXSystem

/// Group transfers, steps 1 to 5 and their ends: `protocols/opswat-mft.md` section 3.
extension MFTState {
    // MARK: - Groups

    mutating func openGroup(_ call: Call) throws(Refusal) -> Answer {
        let user = try authorized(call)
        if user.standing == .uploaderGroup {
            throw Refusal(
                .vaultError(
                    400, "The user is in none or in several uploader groups",
                    key: "UPLOAD_FILE_UPLOADER_GROUP_IS_REQUIRED"))
        }
        var id = MFTState.newID()
        if let asked = call.field("group_id"), !settings.ignoresClientIDs {
            guard let given = MFTState.id(asked) else { throw invalid("group_id") }
            if let known = groups[given] {
                guard known.user == user.id else { throw Refusal(.vaultError(403, "not the owner of the transfer")) }
                guard known.standing == .open, settings.duplicates == "same" else {
                    throw Refusal(.vaultError(400, "the transfer exists"))
                }
            }
            id = given
        }
        if groups[id] == nil {
            groups[id] = MFTGroup(id: id, user: user.id)
            count("groups")
        }
        return .vault([
            "group_id": .string(id),
            "owner": [
                "email": .string(user.username + "@example.org"), "first_name": .string(user.username),
                "last_name": "User", "username": .string(user.username), "is_impersonated": false,
            ],
            "shared_with": [],
        ])
    }

    /// The open group a request is about, of its owner.
    private mutating func openGroup(of call: Call, _ user: MFTUser) throws(Refusal) -> MFTGroup {
        guard let id = call.field("group_id").flatMap({ MFTState.id($0) }) else { throw invalid("group_id") }
        guard let group = groups[id] else { throw closed }
        if group.user != user.id {
            throw Refusal(.vaultError(403, "the user is not authorized to alter the transfer"))
        }
        if group.standing != .open { throw closed }
        return group
    }

    private var closed: Refusal {
        Refusal(.vaultError(settings.closedGroupStatus, "the transfer is not open"))
    }

    mutating func completeGroup(_ call: Call) throws(Refusal) -> Answer {
        let user = try authorized(call)
        count("completions")
        var group = try openGroup(of: call, user)
        if let life = call.field("expires_after") {
            if call.field("expires") != nil || !MFTState.isLifetime(life) { throw invalid("expires_after") }
            group.expiresAfter = life
        }
        if hasUnfinished(group) {
            throw Refusal(.vaultError(400, "a file of the transfer is not complete"))
        }
        group.standing = .committed
        groups[group.id] = group
        count("commits")
        for id in group.files { commit(id) }
        return .vault(["files": .array(group.files.map { urls($0, group.id) })])
    }

    private func hasUnfinished(_ group: MFTGroup) -> Bool { group.files.contains { files[$0]?.isComplete != true } }

    mutating func commit(_ id: String) {
        guard let file = files[id] else { return }
        let place = folder(at: file.path, of: file.user)
        let moment = now
        files[id]?.committed = moment
        files[id]?.folder = place
        committed.append(id)
    }

    /// URLs of another port than this one's: a client must not believe them.
    private func urls(_ file: String, _ group: String) -> JSONValue {
        let here = "http://127.0.0.1:\(otherPort)"
        return [
            "file_id": .string(file), "group_id": .string(group),
            "file_url": .string("\(here)/vault_rest/file/\(file)"),
            "status_url": .string("\(here)/vault_rest/file/status/\(file)"),
            "web_url": .string("http://127.0.0.1:\(port)/#/file/\(file)"),
            "folder_url": .string("http://127.0.0.1:\(port)/#/folder/\(files[file]?.folder ?? "")"),
        ]
    }

    /// `DD:HH:MM[:SS]`.
    static func isLifetime(_ text: String) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 3 || parts.count == 4, !parts.contains(nil) else { return false }
        let numbers = parts.compactMap { $0 }
        return (0...10_675_199).contains(numbers[0]) && (0...23).contains(numbers[1]) && (0...59).contains(numbers[2])
            && (numbers.count == 3 || (0...59).contains(numbers[3]))
    }

    mutating func deleteGroup(_ call: Call) throws(Refusal) -> Answer {
        let user = try authorized(call)
        let group = try openGroup(of: call, user)
        groups[group.id]?.standing = .deleted
        for id in group.files { files[id] = nil }
        return .vaultSuccess
    }

    // MARK: - Files

    mutating func openFile(_ call: Call) throws(Refusal) -> Answer {
        let user = try authorized(call)
        let group = try openGroup(of: call, user)
        guard let method = call.field("transfer_method"), ["Stream", "Chunk"].contains(method) else {
            throw invalid("transfer_method")
        }
        guard let size = call.field("file_size").flatMap({ Int($0) }), size >= 0 else { throw invalid("file_size") }
        guard let name = call.field("file_name"), !name.isEmpty, !name.contains(where: { "\\/:".contains($0) }) else {
            throw invalid("file_name")
        }
        let path = call.field("path") ?? ""
        if path.contains("/") { throw invalid("path") }
        if settings.maximumFile > 0, size > settings.maximumFile {
            throw Refusal(
                .vaultError(400, "the file is larger than allowed", key: "UPLOAD_FILE_MAX_FILE_SIZE_EXCEEDED"))
        }
        if settings.quota > 0, used(by: user.id) + size > settings.quota {
            throw Refusal(.vaultError(400, "the quota is exceeded", key: "UPLOAD_FILE_QUOTA_EXCEEDED"))
        }
        var id = MFTState.newID()
        if let asked = call.field("file_id"), !settings.ignoresClientIDs {
            guard let given = MFTState.id(asked) else { throw invalid("file_id") }
            id = given
            if group.files.contains(given) || deletedFiles.contains(given) || files[given] != nil {
                guard let known = files[given], known.group == group.id, !known.isComplete, known.name == name,
                    known.size == size, known.path == path, settings.duplicates == "same"
                else { throw Refusal(.vaultError(400, "the file id is in use")) }
                return .vault(["file_id": .string(given)])
            }
        }
        files[id] = MFTFile(
            id: id, group: group.id, user: user.id, name: name, path: path, size: size, isChunked: method == "Chunk")
        groups[group.id]?.files.append(id)
        count("files")
        return .vault(["file_id": .string(id)])
    }

    private mutating func openFile(of call: Call) throws(Refusal) -> MFTFile {
        let user = try authorized(call)
        let group = try openGroup(of: call, user)
        guard let id = call.field("file_id").flatMap({ MFTState.id($0) }) else { throw invalid("file_id") }
        guard let file = files[id], file.group == group.id else {
            throw Refusal(.vaultError(400, "no such file in the transfer", key: "API_FILE_NOT_FOUND"))
        }
        return file
    }

    /// - Parameter md5: of the body, lower-case hexadecimal.
    mutating func putChunk(_ call: Call, md5: String?) throws(Refusal) -> Answer {
        let file = try openFile(of: call)
        if file.isComplete { throw Refusal(.vaultError(400, "the file is complete")) }
        let count = call.body.count
        if count > settings.maximumChunk {
            throw Refusal(.vaultError(settings.tooLargeStatus, "the chunk is too large"))
        }
        var start = file.content.end
        if let text = call.field("chunk_offset") {
            guard let offset = Int(text), offset >= 0 else { throw invalid("chunk_offset") }
            start = offset
        } else if file.isChunked {
            throw invalid("chunk_offset")
        }
        if start + count > file.size { throw Refusal(.vaultError(400, "the chunk reaches past the end of the file")) }
        if settings.s3Temp, count < settings.minimumChunk, start + count < file.size {
            throw Refusal(.vaultError(400, "the chunk is smaller than the minimum"))
        }
        if let told = call.field("chunk_checksum"), told.lowercased() != md5 {
            self.count("mismatches")
            throw Refusal(.vaultError(settings.mismatchStatus, "the checksum does not match"))
        }
        if settings.resends == "refuse", file.content.overlaps(start..<start + max(count, 1)) {
            throw Refusal(.vaultError(400, "the chunk is there already"))
        }
        self.count("chunks")
        files[file.id]?.content.put(call.body, at: start)
        return .vaultSuccess
    }

    mutating func completeFile(_ call: Call) throws(Refusal) -> Answer {
        let file = try openFile(of: call)
        if file.isComplete {
            if settings.repeatedCompletionStatus == 200 { return .vaultSuccess }
            throw Refusal(.vaultError(settings.repeatedCompletionStatus, "the file is complete"))
        }
        if file.content.hasHoles(upTo: file.size) { throw Refusal(.vaultError(400, "bytes of the file are missing")) }
        files[file.id]?.isComplete = true
        return .vaultSuccess
    }

    mutating func deleteFileOfGroup(_ call: Call) throws(Refusal) -> Answer {
        let file = try openFile(of: call)
        groups[file.group]?.files.removeAll { $0 == file.id }
        files[file.id] = nil
        deletedFiles.insert(file.id)
        return .vaultSuccess
    }
}
