import FXSystem

/// Which call a request is.
extension MFTState {
    /// One request, carried out.
    /// - Parameter md5: of its body, when it has a checksum.
    mutating func perform(_ call: Call, md5: String?) -> Answer {
        purge()
        var call = call
        if settings.stripsUnderscores { call.fields.removeAll { $0.name.contains("_") } }
        guard call.path.hasPrefix(MFTState.base + "/") else { return .vaultError(404, "not found") }
        let parts = call.path.dropFirst(MFTState.base.count + 1).split(separator: "/").map(String.init)
        do throws(Refusal) {
            return try answer(call, parts, md5)
        } catch {
            return error.answer
        }
    }

    private mutating func answer(_ call: Call, _ parts: [String], _ md5: String?) throws(Refusal) -> Answer {
        switch (call.method, parts.first ?? "", parts.count) {
        case ("GET", "version", 1): return .vault(["version": "3.11.4"])
        case ("GET", "authenticate", 1): return try authenticate(call)
        case ("DELETE", "authenticate", 1): return try logOut(call)
        case ("PUT", "token", 1): return try extend(call)
        case ("POST", "token", 1): return try makeKey(call)
        case ("GET", "tokens", 3): return try listKeys(call, Int(parts[1]) ?? 0, Int(parts[2]) ?? 0)
        // The diode spellings are POSTs; nothing else differs.
        case ("GET", "transfer", 1), ("POST", "transfer_diode", 1): return try openGroup(call)
        case ("POST", "transfer", 1): return try completeGroup(call)
        case ("DELETE", "transfer", 1): return try deleteGroup(call)
        case ("GET", "transfer_file", 1), ("POST", "transfer_file_diode", 1): return try openFile(call)
        case ("PATCH", "transfer_file", 1), ("POST", "transfer_file_chunk_diode", 1):
            return try putChunk(call, md5: md5)
        case ("POST", "transfer_file", 1): return try completeFile(call)
        case ("DELETE", "transfer_file", 1): return try deleteFileOfGroup(call)
        case ("GET", "file", 3) where parts[1] == "status": return try status(parts[2], call)
        case ("GET", "file", 2): return try download(parts[1], call)
        case ("DELETE", "file", 2): return try deleteFile(parts[1], call)
        case ("DELETE", "files", 1): return try deleteFiles(call)
        case ("GET", "files", 4): return try listFiles(parts[1], Int(parts[2]) ?? 0, Int(parts[3]) ?? 0, call)
        case ("GET", "root_folder", 1): return try rootFolder(call)
        case ("GET", "folder_content", 4):
            return try folderContent(parts[1], Int(parts[2]) ?? 0, Int(parts[3]) ?? 0, call)
        case ("GET", "folder_search", 4):
            return try folderContent(parts[1], Int(parts[2]) ?? 0, Int(parts[3]) ?? 0, call, find: true)
        case ("POST", "folder", 1): return try makeFolder(call)
        case ("PUT", "rename_file", 1): return try renameFile(call)
        case ("PUT", "rename_folder", 1): return try renameFolder(call)
        case ("PUT", "move_files", 1): return try moveFiles(call)
        case ("POST", "create_archive_download", 1):
            _ = try authorized(call)
            let count = call.json?["file_ids"]?.elements?.count ?? 0
            return .vault(["archive": ["guid": .string(MFTState.newID()), "total_file_count": .number(of: count)]])
        default: return .vaultError(404, "not found")
        }
    }
}
