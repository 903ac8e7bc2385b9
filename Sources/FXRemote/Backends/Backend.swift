public import FXSystem

/// A service that keeps files in sessions. Small on purpose: retry, faults and logging are decorators of it.
///
/// Calls may block and come from several threads. For one upload they come from one thread at a time, except `send`:
/// up to `facts.parallelChunks` of those run at once. Paths start with the session, or with the directories above it
/// (`facts.sessionDepth`). A call that throws may still have happened; `standing(of:)` and `list` tell.
///
/// Remote ids are the service's own, opaque to everybody else: a session's number, an object's key, an upload's URL.
/// They are kept in the journal and given back, so a backend needs no memory of its own to go on after a crash.
///
/// `begin`, `send` and `commit` throw `.expired` when the service has forgotten the unfinished upload: it is then begun
/// again without a note. With `facts.parallelChunks` above 1 a chunk may be sent again at any time and takes the place of
/// what was sent before under the same range.
public protocol Backend: Sendable {
    var facts: BackendFacts { get }

    /// Looks at what is on this machine; called once before everything else. Never asks a network: a mount comes up with
    /// a service that is down.
    func prepare() throws(RemoteError)

    /// Makes a session or a directory in one. Succeeds when it exists. Returns the service's own id.
    func makeDirectory(_ path: RelativePath, in parent: StoredDirectory) throws(RemoteError) -> String

    /// What the service holds of an upload, exactly. Asked before anything is sent again.
    func standing(of upload: Upload) throws(RemoteError) -> UploadStanding

    /// Starts an upload, or goes on with it when it has a note or was begun before; the note is nil after `standing`
    /// said `.nothing`.
    /// - Returns: what must be known to go on after a crash, such as an upload id; it is durable before the first `send`
    ///   and comes back as `upload.note`. nil changes nothing.
    func begin(_ upload: Upload) throws(RemoteError) -> String?

    /// Sends one chunk of `facts.chunk(at:)`, cut off at the end of the file; of a service that takes chunks in order it
    /// may begin in the middle of one. Success means the service acknowledged it.
    func send(_ range: Range<UInt64>, of upload: Upload, from content: any UploadContent) throws(RemoteError)

    /// The next thing that must be durable on the way to the end, such as an id the service gave the bytes; asked after
    /// everything was sent, again and again until it says nothing new. What it returns is kept as the note of `begin` is,
    /// and is in `upload.note` the next time. For services whose last steps must not be repeated blindly.
    func prepareCommit(_ upload: Upload) throws(RemoteError) -> String?

    /// Makes the file visible under its path, whole and verified. What was there before is kept until then. Of a file
    /// that shrank while it was written the service may have chunks past `upload.size`: they do not belong to it.
    func commit(_ upload: Upload) throws(RemoteError) -> CommittedFile

    /// Opens what the service holds.
    func open(_ file: StoredFile) throws(RemoteError) -> any CommittedContent

    /// Makes a session final. Succeeds when it already is, with the same files.
    func complete(_ manifest: SessionManifest) throws(RemoteError)

    /// Gives a session up; what it holds stays.
    func abort(_ session: StoredDirectory) throws(RemoteError)

    func space() throws(RemoteError) -> FileSystemSpace

    // Optional; the facts say which work. By default each refuses.

    /// Everything directly in a directory (`facts.listsEntries`). Names are as the service has them, in any shape.
    func list(_ directory: StoredDirectory) throws(RemoteError) -> [ListedEntry]
    /// Takes the file behind `content` itself. Throws `.notSupported`, with nothing changed, when it cannot be done.
    func adopt(_ upload: Upload, _ content: any UploadContent) throws(RemoteError) -> CommittedFile
    /// Renames a committed file or a directory; a replaced file is kept aside. Succeeds when it has already happened.
    /// - Parameter aside: names what is kept of a replaced file.
    func rename(_ path: RelativePath, to newPath: RelativePath, aside: UploadID) throws(RemoteError)
    func setModified(_ path: RelativePath, _ time: Timestamp) throws(RemoteError)
    /// Unfinished uploads of this state directory that the service still holds.
    func unfinishedUploads() throws(RemoteError) -> [UploadID]
    /// Forgets an unfinished upload of our own that will never be finished, or what a committed one left
    /// (`CommittedFile.hasLeftovers`), whose file stays. Succeeds when there is nothing.
    func discard(_ upload: Upload) throws(RemoteError)
    /// Uploads the service may have without anybody here knowing where, since their answer was lost; each is told once.
    func takeLostUploads() -> [LostUpload]
    /// When the service gives an unfinished upload up, as it said last; from memory.
    func expiry(of upload: UploadID) -> Timestamp?
    /// From memory and configuration; never with a URL the service told, which is data.
    func links(to file: StoredFile) -> FileLinks?
    /// What tells the content with a remote id from every other the service ever had or will have, such as the id itself
    /// when it has an entity tag in it; nil when it may be one content today and another tomorrow.
    func contentMark(_ remoteID: String) -> String?
    /// Removes a committed file (`facts.deletesCommitted`, which the configuration allows explicitly).
    func delete(_ file: StoredFile) throws(RemoteError)
    /// What the service makes of a file of a complete session (`facts.processesFiles`).
    func processing(of file: StoredFile) throws(RemoteError) -> FileProcessing
    /// Forgets what a person has to put right and now may have: refused credentials are tried once more.
    /// Said by `fxmount retry`; never waits.
    func reconsider()
    /// Looks at the service as `fxmount remote test` shows it: in order, stopping where nothing more can be learnt.
    func examine() -> [ServiceFinding]
}

extension Backend {
    public func prepareCommit(_ upload: Upload) throws(RemoteError) -> String? { nil }
    public func list(_ directory: StoredDirectory) throws(RemoteError) -> [ListedEntry] { throw .notSupported }
    public func adopt(_ upload: Upload, _ content: any UploadContent) throws(RemoteError) -> CommittedFile {
        throw .notSupported
    }
    public func rename(_ path: RelativePath, to newPath: RelativePath, aside: UploadID) throws(RemoteError) {
        throw .notSupported
    }
    public func setModified(_ path: RelativePath, _ time: Timestamp) throws(RemoteError) { throw .notSupported }
    public func unfinishedUploads() throws(RemoteError) -> [UploadID] { [] }
    public func discard(_ upload: Upload) throws(RemoteError) {}
    public func takeLostUploads() -> [LostUpload] { [] }
    public func expiry(of upload: UploadID) -> Timestamp? { nil }
    public func links(to file: StoredFile) -> FileLinks? { nil }
    public func contentMark(_ remoteID: String) -> String? { nil }
    public func delete(_ file: StoredFile) throws(RemoteError) { throw .notSupported }
    public func processing(of file: StoredFile) throws(RemoteError) -> FileProcessing { throw .notSupported }
    public func reconsider() {}
    public func examine() -> [ServiceFinding] { [] }
}
