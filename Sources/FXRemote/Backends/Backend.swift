public import FXSystem
internal import SystemPackage

/// A service that keeps files in sessions. Small on purpose: retry, faults and logging are decorators of it.
///
/// Calls may block and come from several threads, for one upload from one thread at a time. Paths start with the
/// session's name. A call that throws may still have happened; `standing(of:)` tells.
public protocol Backend: Sendable {
    var facts: BackendFacts { get }

    /// Makes sure the service can be used; called once before everything else.
    func prepare() throws(RemoteError)

    /// Makes a session or a directory in one. Succeeds when it exists. Returns the service's own id for a session.
    func makeDirectory(_ path: RelativePath) throws(RemoteError) -> String

    /// What the service holds of an upload, exactly.
    func standing(of upload: Upload) throws(RemoteError) -> UploadStanding

    /// Starts an upload or goes on with it.
    func begin(_ upload: Upload) throws(RemoteError)

    /// Sends one chunk; true success means the service acknowledged it.
    func send(_ range: Range<UInt64>, of upload: Upload, from content: any UploadContent) throws(RemoteError)

    /// Makes the file visible under its path, whole and verified. What was there before is kept until then.
    func commit(_ upload: Upload) throws(RemoteError) -> CommittedFile

    /// Opens what the service holds under a path.
    func open(_ path: RelativePath) throws(RemoteError) -> any CommittedContent

    /// Makes a session final. Succeeds when it already is, with the same files.
    func complete(_ manifest: SessionManifest) throws(RemoteError)

    /// Gives a session up; what it holds stays.
    func abort(_ session: Name) throws(RemoteError)

    func space() throws(RemoteError) -> FileSystemSpace

    // Optional; the facts say which work. By default each refuses.

    /// Takes the file behind `content` itself. Throws `.notSupported`, with nothing changed, when it cannot be done.
    func adopt(_ upload: Upload, _ content: any UploadContent) throws(RemoteError) -> CommittedFile
    /// Renames a committed file or a directory; a replaced file is kept aside. Succeeds when it has already happened.
    /// - Parameter aside: names what is kept of a replaced file.
    func rename(_ path: RelativePath, to newPath: RelativePath, aside: UploadID) throws(RemoteError)
    func setModified(_ path: RelativePath, _ time: Timestamp) throws(RemoteError)
    /// Unfinished uploads the service still holds.
    func unfinishedUploads() throws(RemoteError) -> [UploadID]
}

extension Backend {
    public func adopt(_ upload: Upload, _ content: any UploadContent) throws(RemoteError) -> CommittedFile {
        throw .notSupported
    }
    public func rename(_ path: RelativePath, to newPath: RelativePath, aside: UploadID) throws(RemoteError) {
        throw .notSupported
    }
    public func setModified(_ path: RelativePath, _ time: Timestamp) throws(RemoteError) { throw .notSupported }
    public func unfinishedUploads() throws(RemoteError) -> [UploadID] { [] }
}

/// One sealed content on its way to one path.
public struct Upload: Sendable, Equatable {
    public var id: UploadID
    /// Session, directories, file name.
    public var path: RelativePath
    public var size: ByteCount
    public var sha256: SHA256Digest
    public var modified: Timestamp

    public init(id: UploadID, path: RelativePath, size: ByteCount, sha256: SHA256Digest, modified: Timestamp) {
        self.id = id
        self.path = path
        self.size = size
        self.sha256 = sha256
        self.modified = modified
    }
}

/// How far a service has come with an upload.
public enum UploadStanding: Sendable, Equatable {
    case nothing
    /// So many bytes from the start are held.
    case partial(ByteCount)
    case committed(CommittedFile)
}

/// A file the service has whole and verified.
public struct CommittedFile: Sendable, Equatable {
    /// The service's own id.
    public var remoteID: String
    public var size: ByteCount

    public init(remoteID: String, size: ByteCount) {
        self.remoteID = remoteID
        self.size = size
    }
}

/// The bytes of an upload; readable any number of times, so that a retry is possible by type.
public protocol UploadContent: Sendable {
    /// What tells whether another name is the same file; nil when it is no local file.
    var identity: FileIdentity? { get }
    /// Fills `buffer` from `offset`, short only at the end.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int
    /// Gives the file a further name in `directory`, never replacing. Throws `.notSupported` when it is no local file.
    func link(as name: Name, in directory: borrowing OwnedDescriptor) throws(RemoteError)
}

/// The bytes of a committed file.
public protocol CommittedContent: Sendable {
    /// Fills `buffer` from `offset`, short only at the end. Any thread.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int
}

extension CommittedContent {
    /// Copies everything into an empty file; returns the size. Local contents override it with something cheaper.
    func copy(to target: borrowing OwnedDescriptor) throws(RemoteError) -> ByteCount {
        if let local = self as? any LocalContent { return try local.cloneContent(to: target) }
        return try copyThroughMemory(to: target)
    }

    private func copyThroughMemory(to target: borrowing OwnedDescriptor) throws(RemoteError) -> ByteCount {
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        var position: UInt64 = 0
        while true {
            var count = 0
            try unsafe buffer.withUnsafeMutableBufferPointer { space throws(RemoteError) in
                let raw = UnsafeMutableRawBufferPointer(space)
                count = try unsafe read(into: raw, at: position)
                do throws(Errno) {
                    try unsafe target.write(UnsafeRawBufferPointer(rebasing: raw[..<count]), at: position)
                } catch {
                    throw RemoteError.local(error, during: .spool)
                }
            }
            if count == 0 { return ByteCount(position) }
            position += UInt64(count)
        }
    }
}

/// Content in a local file, which the kernel can copy or share.
protocol LocalContent {
    func cloneContent(to target: borrowing OwnedDescriptor) throws(RemoteError) -> ByteCount
}

/// The files of a completed session, in path order.
public struct SessionManifest: Sendable, Equatable {
    public struct File: Sendable, Equatable {
        /// Within the session.
        public var path: RelativePath
        public var size: ByteCount
        public var sha256: SHA256Digest
        public var modified: Timestamp
        public var committed: Timestamp
    }

    public var session: Name
    public var files: [File]

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
            .init("size", .bytes(size)), .init("sha256", .string(sha256.text)), .init("mtime", .time(modified)),
            .init("committed", .time(committed)),
        ]
        return .object(members)
    }
}
