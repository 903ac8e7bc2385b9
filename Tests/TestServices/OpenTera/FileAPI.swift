import FXSystem

/// The file service: `opentera.md`, section 6. Paths are those behind its prefix.
extension OpenTeraState {
    mutating func fileAPI(_ call: Call, _ path: Substring) throws(Refusal) -> Answer {
        let methods = "POST, DELETE, GET, OPTIONS, HEAD"
        switch path {
        case "api/assets", "api/assets/infos":
            if call.method == "OPTIONS" {
                return Answer(200, fields: [("Content-Type", "text/html; charset=utf-8"), ("Allow", methods)])
            }
            let isFiles = path == "api/assets"
            switch call.method {
            case "POST" where isFiles: return try upload(call, try fileRequester(call))
            case "GET" where isFiles, "HEAD" where isFiles: return try download(call, try fileRequester(call))
            case "DELETE" where isFiles: return try deleteAsset(call, try fileRequester(call))
            case "GET": return try infos(call, try fileRequester(call))
            case "POST": return try postInfos(call, try fileRequester(call))
            default:
                var answer = Answer.message(405, "The method is not allowed for the requested URL.")
                answer.fields.append(("Allow", methods))
                return answer
            }
        case "doc": return .html(200, "<!DOCTYPE html>\n<html>\n<head>\n<title>FileTransferService API</title>\n")
        default: return .notFoundPage
        }
    }

    /// Tokens only, in the header (the scheme is case-sensitive), the query or a cookie; never a password.
    private func fileRequester(_ call: Call) throws(Refusal) -> Requester {
        var token = call.parameter("token") ?? call.cookie("OpenTera")
        if let field = call.field("Authorization") {
            token = field.hasPrefix("OpenTera ") ? String(field.dropFirst(9)) : nil
        }
        guard let requester = token.flatMap({ requester(of: $0) }) else {
            throw Refusal(.text(403, Words.forbidden(call)))
        }
        let isUpload = call.method == "POST" && !call.path.hasSuffix("infos")
        if case .restrictedParticipant = requester, !isUpload { throw Refusal(.text(403, Words.forbidden(call))) }
        return requester
    }

    private func granted(_ token: String, _ uuid: String, _ requester: Requester) -> Bool {
        mint.grants(token, asset: uuid, to: self.uuid(of: requester), now: now)
    }

    private static let accessHelp = "Access token proving that the requested assets can be accessed."

    // MARK: - Infos

    private func infos(_ call: Call, _ requester: Requester) throws(Refusal) -> Answer {
        let arguments = Arguments(call)
        let uuid = try arguments.required("asset_uuid", "UUID of the asset")
        let token = try arguments.required("access_token", OpenTeraState.accessHelp)
        guard granted(token, uuid, requester) else { throw Refusal(.text(403, "Access denied for that asset")) }
        guard let file = asset(uuid: uuid)?.file else { throw Refusal(.text(404, "No asset found")) }
        return .json(200, infos(uuid, file), sorted: true)
    }

    private func infos(_ uuid: String, _ file: AssetRecord.File) -> JSONValue {
        .object([
            .init("asset_file_size", .number(of: file.size)),
            .init("asset_original_filename", .string(file.originalName)), .init("asset_uuid", .string(uuid)),
            .init("id_asset_file_data", .number(of: file.id)),
        ])
    }

    private mutating func postInfos(_ call: Call, _ requester: Requester) throws(Refusal) -> Answer {
        guard let body = call.json else { throw Refusal(.text(400, "Badly formatted request")) }
        if let list = body["assets"]?.elements {
            var found: [(Int, JSONValue)] = []
            for entry in list {
                guard let uuid = entry["asset_uuid"]?.string, let token = entry["access_token"]?.string,
                    granted(token, uuid, requester)
                else { throw Refusal(.text(403, "Access denied for at least one requested asset")) }
                // Unknown ones are left out; the rest is in the order of the table.
                if let file = asset(uuid: uuid)?.file { found.append((file.id, infos(uuid, file))) }
            }
            return .json(200, .array(found.sorted { $0.0 < $1.0 }.map(\.1)), sorted: true)
        }
        guard let wanted = body["file_asset"], let uuid = wanted["asset_uuid"]?.string,
            let token = wanted["access_token"]?.string
        else { throw Refusal(.text(400, "Badly formatted request")) }
        guard granted(token, uuid, requester) else { throw Refusal(.text(403, "Access denied for that asset")) }
        guard let name = wanted["asset_original_filename"]?.string else {
            throw Refusal(.text(400, "Only original filename can be changed from here"))
        }
        guard let asset = asset(uuid: uuid), var file = asset.file else { throw Refusal(.text(404, "No asset found")) }
        // Not sanitised here.
        file.originalName = name
        _ = assets.update(asset.id) { $0.file = file }
        return .json(200, infos(uuid, file), sorted: true)
    }

    // MARK: - Download

    private func download(_ call: Call, _ requester: Requester) throws(Refusal) -> Answer {
        let arguments = Arguments(call)
        let uuid = try arguments.required("asset_uuid", "UUID of the asset")
        let token = try arguments.required("access_token", OpenTeraState.accessHelp)
        guard granted(token, uuid, requester) else { throw Refusal(.text(403, Words.assetDenied(call))) }
        guard let file = asset(uuid: uuid)?.file else { throw Refusal(.text(404, "No asset found")) }
        // A line feed in a field of the answer is more than the server can bear.
        guard let stored = file.stored, !file.originalName.contains("\n") else { return .brokenDownload }
        return Downloading.answer(call, file, stored)
    }

    // MARK: - Delete

    private mutating func deleteAsset(_ call: Call, _ requester: Requester) throws(Refusal) -> Answer {
        let arguments = Arguments(call)
        let uuid = try arguments.required("uuid", "UUID of the asset do delete")
        let token = try arguments.required(
            "access_token", "Access token proving that the requested asset can be deleted.")
        guard granted(token, uuid, requester) else { throw Refusal(.text(403, Words.assetDenied(call))) }
        guard let asset = asset(uuid: uuid), !asset.isDeleted else {
            throw Refusal(.text(400, "Unable to delete asset: \"Missing arguments\"\n"))
        }
        guard asset.service == fileService?.uuid else {
            throw Refusal(.text(403, "Unable to delete asset: \"Service can't delete assets for that session\"\n"))
        }
        // Hidden, not gone: who has an access token can still read it.
        _ = assets.update(asset.id) { $0.isDeleted = true }
        count("deletes")
        return .text(200, "")
    }
}
