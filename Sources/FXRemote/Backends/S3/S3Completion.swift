internal import FXSystem
internal import Synchronization

/// Sessions as a whole: manifests and giving up.
extension S3Service {
    /// Somebody else completes the same session at the same moment; more often than that it is something else.
    private static let mergeAttempts = 16

    public func complete(_ manifest: SessionManifest) throws(RemoteError) {
        let session = try layout.directory(manifest.directory)
        let writer = client.configuration.writer
        let own = S3Manifest(manifest.json, writer: writer)
        try perform { () throws(S3Failure) in
            try client.put(layout.manifest(of: session, writer: writer), own.bytes, fields: S3Manifest.fields)
            try merge(own, session)
            if let name = layout.session(of: session + "x")?.name { try client.put(layout.complete(name), []) }
        }
        completed.withLock { completed in
            if completed.count >= S3Service.completedLimit { completed = [] }
            completed.insert(session)
        }
    }

    /// Writes the manifests of all writers into one, unless another writer did so in between: then again.
    private func merge(_ own: S3Manifest, _ session: S3Key) throws(S3Failure) {
        let place = layout.mergedManifest(of: session)
        for _ in 0..<S3Service.mergeAttempts {
            let before = try client.head(place)
            var manifests = [own]
            var others: [S3Key] = []
            try client.pages(of: layout.manifests(of: session), delimited: false) { others += $0.items.map(\.id.key) }
            for other in others where other != layout.manifest(of: session, writer: own.writer) {
                guard let (bytes, _, _) = try client.get(other) else { continue }
                guard let manifest = S3Manifest(parsing: bytes) else { throw .failed(.protocolViolation) }
                manifests.append(manifest)
            }
            let condition = before.map { object in object.id.tag.map { S3Condition.holds($0) } } ?? .absent
            do throws(S3Failure) {
                try client.put(
                    place, S3Manifest(merging: manifests).bytes, if: try conditions.work() ? condition : nil,
                    fields: S3Manifest.fields)
                return
            } catch { if !error.isPreconditionFailed { throw error } }
        }
        throw .failed(.unavailable(retryAfter: nil))
    }

    /// Aborts the uploads of this writer and gives its claims back; nothing that is committed is touched.
    public func abort(_ session: StoredDirectory) throws(RemoteError) {
        let prefix = try layout.directory(session)
        try perform { () throws(S3Failure) in
            for claim in try claims.own(in: prefix) {
                try claims.purge(claim)
                try claims.release(claim.key, of: claim.upload)
            }
        }
    }
}

/// The files of a session as a document. Pure.
struct S3Manifest: Sendable, Equatable {
    /// Who wrote it; several, separated by commas, when it is merged.
    var writer: String
    var session: String
    var files: [JSONValue]

    static let fields = [(name: "Content-Type", value: "application/json")]

    init(_ json: JSONValue, writer: String) {
        self.writer = writer
        session = json["session"]?.string ?? ""
        files = (json["files"]?.elements ?? []).map { file in
            guard case .object(let members) = file else { return file }
            return .object(members + [.init("writer", .string(writer))])
        }
    }

    /// nil when it is none.
    init?(parsing bytes: [UInt8]) {
        guard let json = JSONValue(parsing: String(decoding: bytes, as: UTF8.self)),
            let writer = json["writer"]?.string, let files = json["files"]?.elements
        else { return nil }
        self.writer = writer
        session = json["session"]?.string ?? ""
        self.files = files
    }

    /// All files in the order of their paths; of one path the one committed last.
    init(merging manifests: [S3Manifest]) {
        writer = manifests.map(\.writer).sorted().joined(separator: ",")
        session = manifests.first?.session ?? ""
        var byPath: [String: JSONValue] = [:]
        for file in manifests.flatMap(\.files) {
            let path = file["path"]?.string ?? ""
            // RFC 3339 in UTC: the order of the texts is that of the times.
            if let other = byPath[path], (other["committed"]?.string ?? "") >= (file["committed"]?.string ?? "") {
                continue
            }
            byPath[path] = file
        }
        files = byPath.sorted { $0.key < $1.key }.map(\.value)
    }

    var bytes: [UInt8] {
        let json: JSONValue = [
            "format": 1, "session": .string(session), "writer": .string(writer), "files": .array(files),
        ]
        return Array((json.text + "\n").utf8)
    }
}
