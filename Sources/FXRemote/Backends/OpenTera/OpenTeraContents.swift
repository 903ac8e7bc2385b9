internal import FXSystem
internal import Synchronization

/// Reading and removing committed files.
extension OpenTeraService {
    public func open(_ file: StoredFile) throws(RemoteError) -> any CommittedContent {
        guard let uuid = OpenTeraPlace(file.remoteID)?.asset else { throw .noSuchEntry }
        return OpenTeraContent(
            service: self, uuid: uuid, session: OpenTeraPlace(file.directoryID)?.session, size: file.size)
    }

    /// Every upload is an asset of its own.
    public func contentMark(_ remoteID: String) -> String? { OpenTeraPlace(remoteID)?.asset }

    /// Takes the file out of every listing; the service keeps the bytes on its disk.
    public func delete(_ file: StoredFile) throws(RemoteError) {
        guard configuration.allowsDelete else { throw .notSupported }
        guard let uuid = OpenTeraPlace(file.remoteID)?.asset else { throw .noSuchEntry }
        try remove(uuid, in: OpenTeraPlace(file.directoryID)?.session)
    }

    /// Succeeds when it is gone, whoever did it.
    func remove(_ uuid: String, in session: Int64?) throws(RemoteError) {
        let answer: OpenTeraAnswer
        do throws(RemoteError) {
            answer = try askFile(uuid, in: session) { token throws(RemoteError) in
                let body: JSONValue = ["uuid": .string(uuid), "access_token": .string(token.reveal())]
                return try client.fileRequest(.delete, "/api/assets", body: body)
            }
        } catch {
            // Without a record there is no access token.
            if error == .noSuchEntry { return access.withLock { $0.drop(uuid) } }
            throw error
        }
        if !answer.response.isSuccess, try record(of: uuid, in: session, ("with_only_token", "1")) != nil {
            throw answer.error
        }
        // The file service would go on serving it with the token kept here.
        access.withLock { $0.drop(uuid) }
    }
}
