internal import FXSystem

/// `fxmount remote test`: what a person has to know before the first file is sent.
extension MFTService {
    public func examine() -> [ServiceFinding] {
        // Somebody asked: a secret that was refused is tried once more.
        client.reconsider()
        let steps: [(subject: String, look: () throws(RemoteError) -> ServiceFinding)] = [
            ("credentials", credentials), ("transfers", transfers), ("files", committed),
        ]
        var findings: [ServiceFinding] = []
        for step in steps {
            do throws(RemoteError) { findings.append(try step.look()) } catch {
                findings.append(.failure(step.subject, error))
                // Without a login nothing more can be learnt; without the rest a little.
                if findings.count == 1 { return findings }
            }
        }
        return findings + [limits]
    }

    private func credentials() throws(RemoteError) -> ServiceFinding {
        let answer = try client.ask(.get, "/root_folder")
        // An answer that is no JSON comes from something else than this service.
        if answer.isSuccess {
            _ = try answer.id("folder_id")
        } else {
            throw answer.status == 401 ? .credentials : answer.error
        }
        switch (configuration.credentials, client.spelling) {
        case (.key, _): return ServiceFinding(.works, "credentials", "the API key is good")
        case (.password(let username, _), let spelling):
            let how = spelling == .colon ? ", with a colon between name and password" : ""
            return ServiceFinding(.works, "credentials", "logged in as \(username)\(how)")
        }
    }

    /// Opens an empty group under an id of its own and deletes it.
    private func transfers() throws(RemoteError) -> ServiceFinding {
        let now = client.clock.now()
        let id = MFTIdentity("test", [configuration.writer, now.rfc3339], number: 0)
        let opened = try client.ask(.get, "/transfer", [("group_id", id.dashed)])
        if !opened.isSuccess { throw opened.errorOfGroup }
        let group = try opened.id("group_id")
        let deleted = try client.ask(.delete, "/transfer", [("group_id", group)])
        if deleted.isSuccess {
            let isOwn = group == id.digits
            return ServiceFinding(
                isOwn ? .works : .warning, "transfers",
                isOwn
                    ? "a group was opened and deleted"
                    : "the service chooses ids of groups itself: an answer that is lost can leave an empty group behind"
            )
        }
        if group == id.digits { throw deleted.errorOfGroup }
        throw .fieldsDropped
    }

    private func committed() throws(RemoteError) -> ServiceFinding {
        let count = try list(StoredDirectory(path: RelativePath([MFTService.filesName]), remoteID: MFTPlace.files.text))
            .count
        return ServiceFinding(.works, "files", "\(count) entries in the root folder")
    }

    private var limits: ServiceFinding {
        ServiceFinding(
            .works, "limits",
            "chunks of \(facts.preferredChunk), four at once; the service tells of no limit and no quota before it refuses a file"
        )
    }
}
