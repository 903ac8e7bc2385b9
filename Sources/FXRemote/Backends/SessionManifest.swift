public import FXSystem

/// The files of a completed session, in path order.
public struct SessionManifest: Sendable, Equatable {
    public struct File: Sendable, Equatable {
        /// Within the session.
        public var path: RelativePath
        public var size: ByteCount
        /// nil of a file that was not written here, when the service does not tell.
        public var sha256: SHA256Digest?
        public var modified: Timestamp
        public var committed: Timestamp
        /// The service's own id of it.
        public var remoteID: String?
    }

    public var session: Name
    /// Where it is.
    public var directory: StoredDirectory
    public var files: [File]
    /// How long the service is to keep them (`facts.limitsSessionLife`); nil leaves that to the service.
    public var lifetime: Lifetime?

    /// `{"session":…,"files":[…]}`. A path that is not UTF-8 has its exact bytes in `path_hex` besides.
    public var json: JSONValue {
        .object([
            .init("format", 1), .init("session", .string(session.description)),
            .init("files", .array(files.map(\.json))),
        ])
    }
}

extension SessionManifest.File {
    var json: JSONValue {
        var members: [JSONValue.Member] = [.init("path", .string(path.description))]
        if path.description.utf8.elementsEqual(path.bytes) == false {
            members.append(.init("path_hex", .string(hexadecimal(path.bytes))))
        }
        members += [
            .init("size", .bytes(size)), .init("sha256", .text(sha256?.text)), .init("mtime", .time(modified)),
            .init("committed", .time(committed)),
        ]
        return .object(members)
    }
}
