internal import FXSystem

/// Where everything is in the bucket, below the configured prefix.
///
/// ```
/// PREFIX/<session>/<path>                                  committed files, and nothing else
/// PREFIX/<session>/<directory>/                            an empty object, so that an empty directory is listed
/// PREFIX/<session>/.fxmount/manifest-<writer>.json         what one writer completed
/// PREFIX/<session>/.fxmount/manifest.json                  the manifests of all writers in one
/// PREFIX/<session>/.fxmount/replaced/<path>/@<upload>      what an upload took the place of
/// PREFIX/.fxmount/complete/<session>                       an empty object: the session has a manifest
/// PREFIX/.fxmount/claims/<sha256 of the key>               who is sending a large file of that name
/// PREFIX/.fxmount/conditional                              an empty object that shows if conditional writes work
/// ```
struct S3Layout: Sendable, Equatable {
    /// Empty, or with a slash at its end.
    let root: S3Key

    /// The component that holds what is ours.
    static let own = ".fxmount"

    init(prefix: String) {
        let parts = prefix.split(separator: "/")
        root = S3Key(parts.isEmpty ? "" : parts.joined(separator: "/") + "/")
    }

    // MARK: - Files and directories

    /// With a slash at its end; the prefix itself for the root.
    func directory(_ path: RelativePath) -> S3Key { path.isRoot ? root : root + path.bytes + "/" }

    func directory(_ directory: StoredDirectory) throws(RemoteError) -> S3Key {
        guard let id = directory.remoteID else { return self.directory(directory.path) }
        return try self.directory(id: id)
    }

    func file(_ upload: Upload) throws(RemoteError) -> S3Key {
        guard let name = upload.path.name, upload.path.components.count > 1 else { throw .needsSession }
        let above = try upload.directoryID.map { id throws(RemoteError) in try directory(id: id) }
        let key = (above ?? directory(upload.path.parent)) + name.bytes
        try check(key)
        return key
    }

    /// What `remoteID` names; without an entity tag in it the path says where the file is.
    func file(_ file: StoredFile) throws(RemoteError) -> S3ObjectID {
        if let id = S3ObjectID(text: file.remoteID), id.tag != nil { return id }
        guard let name = file.path.name else { throw .isDirectory }
        let above = try file.directoryID.map { id throws(RemoteError) in try directory(id: id) }
        return S3ObjectID(key: (above ?? directory(file.path.parent)) + name.bytes, tag: nil)
    }

    func check(_ key: S3Key) throws(RemoteError) {
        if key.bytes.count > S3Key.maximumLength { throw .unrepresentableName }
    }

    private func directory(id: String) throws(RemoteError) -> S3Key {
        guard let key = S3Key(encoded: id), key == root || key.bytes.last == UInt8(ascii: "/") else {
            throw .invalidArgument
        }
        return key
    }

    // MARK: - What is ours

    /// The prefix of the session a key is in, and its name; nil when the key is not in one.
    func session(of key: S3Key) -> (prefix: S3Key, name: [UInt8])? {
        guard key.starts(with: root) else { return nil }
        let name = key.bytes.dropFirst(root.bytes.count).prefix { $0 != UInt8(ascii: "/") }
        if name.isEmpty || root.bytes.count + name.count == key.bytes.count { return nil }
        return (root + name + "/", Array(name))
    }

    func own(in session: S3Key) -> S3Key { session + "\(S3Layout.own)/" }
    func manifests(of session: S3Key) -> S3Key { own(in: session) + "manifest-" }
    func manifest(of session: S3Key, writer: String) -> S3Key { manifests(of: session) + "\(writer).json" }
    func mergedManifest(of session: S3Key) -> S3Key { own(in: session) + "manifest.json" }

    /// Where the content goes that an upload takes the place of.
    func replaced(_ key: S3Key, by upload: UploadID) throws(RemoteError) -> S3Key {
        guard let session = session(of: key) else { throw .needsSession }
        let rest = key.bytes.dropFirst(session.prefix.bytes.count)
        let place = own(in: session.prefix) + "replaced/" + rest + "/@\(upload.text)"
        if place.bytes.count <= S3Key.maximumLength { return place }
        return own(in: session.prefix) + "replaced/\(SHA256Digest(hashing: Array(rest)).text)/@\(upload.text)"
    }

    var complete: S3Key { root + "\(S3Layout.own)/complete/" }
    func complete(_ session: [UInt8]) -> S3Key { complete + session }
    var claims: S3Key { root + "\(S3Layout.own)/claims/" }
    func claim(_ key: S3Key) -> S3Key { claims + SHA256Digest(hashing: key.bytes).text }
    var conditional: S3Key { root + "\(S3Layout.own)/conditional" }
}
