public import FXSystem
internal import Synchronization

/// A backend that fails by script and count, and is the backend it wraps otherwise.
public final class FaultyService: Backend {
    public enum Call: String, Sendable, Hashable, CaseIterable {
        case makeDirectory, standing, begin, send, commit, adopt, open, complete, abort, rename, setModified, list,
            discard, delete, space
    }

    public enum Fault: Sendable {
        /// The service never heard of the call.
        case refuse(RemoteError)
        /// The service did it; the answer got lost.
        case loseAnswer(RemoteError)
        /// Nothing comes back until `thaw`; then the service does it.
        case hang
    }

    public enum Moment: Sendable, Hashable {
        case before, after
    }

    private struct Freezer {
        var frozen: Set<Call> = []
        /// How often it has thawed; a hanging call waits for the next time.
        var thaws = 0
        var held = 0
        var isStopped = false
    }

    private struct Script {
        var counts: [Call: Int] = [:]
        var faults: [Call: [Int: Fault]] = [:]
        var total = 0
    }

    private let wrapped: any Backend
    private let script = Mutex(Script())
    /// What is held up; waited on by the calls themselves.
    private let freezer = Monitor(Freezer())
    private let observe: @Sendable (Call, Moment) -> Void

    /// - Parameter observe: runs on the calling thread around each call, for pictures of the disk and for holding
    ///   calls up.
    public init(_ wrapped: any Backend, observe: @escaping @Sendable (Call, Moment) -> Void = { _, _ in }) {
        self.wrapped = wrapped
        self.observe = observe
    }

    public var facts: BackendFacts { wrapped.facts }

    /// Lets the `number`th call of a kind fail, counted from 1 since the start.
    public func inject(_ fault: Fault, at call: Call, number: Int) {
        script.withLock { $0.faults[call, default: [:]][number] = fault }
    }

    /// Holds calls up, now and later, as a service does that was stopped (SIGSTOP).
    public func freeze(_ calls: Set<Call> = Set(Call.allCases)) { freezer.withLock { $0.frozen = calls } }

    /// Lets everything go on.
    public func thaw() {
        freezer.withLock { freezer in
            freezer.frozen = []
            freezer.thaws += 1
        }
    }

    /// How many calls are held up at this moment.
    public var held: Int { freezer.withLock { $0.held } }

    /// Ends what is held up with an error, now and later, as a transport does that is stopped.
    public func stopTransport() { freezer.withLock { $0.isStopped = true } }

    private func holdUp(_ call: Call, hangs: Bool) throws(RemoteError) {
        let thaws: Int? = freezer.withLock { freezer in
            guard hangs || freezer.frozen.contains(call) else { return nil }
            freezer.held += 1
            return freezer.thaws
        }
        guard let thaws else { return }
        let isStopped: Bool? = freezer.wait { freezer in
            if freezer.isStopped, hangs || freezer.frozen.contains(call) { return true }
            return freezer.frozen.contains(call) || hangs && freezer.thaws == thaws ? nil : false
        }
        freezer.withLock { $0.held -= 1 }
        if isStopped == true { throw .interrupted }
    }

    /// How often a call was made.
    public func count(of call: Call) -> Int { script.withLock { $0.counts[call] ?? 0 } }

    private func run<Result>(_ call: Call, _ body: () throws(RemoteError) -> Result) throws(RemoteError) -> Result {
        observe(call, .before)
        let fault = script.withLock { script in
            let number = (script.counts[call] ?? 0) + 1
            script.counts[call] = number
            return script.faults[call]?[number]
        }
        var hangs = false
        if case .hang = fault { hangs = true }
        try holdUp(call, hangs: hangs)
        if case .refuse(let error) = fault { throw error }
        let result = try body()
        observe(call, .after)
        if case .loseAnswer(let error) = fault { throw error }
        return result
    }

    public func prepare() throws(RemoteError) { try wrapped.prepare() }
    public func space() throws(RemoteError) -> FileSystemSpace {
        try run(.space) { () throws(RemoteError) in try wrapped.space() }
    }
    public func unfinishedUploads() throws(RemoteError) -> [UploadID] { try wrapped.unfinishedUploads() }

    public func makeDirectory(_ path: RelativePath, in parent: StoredDirectory) throws(RemoteError) -> String {
        try run(.makeDirectory) { () throws(RemoteError) in try wrapped.makeDirectory(path, in: parent) }
    }
    public func standing(of upload: Upload) throws(RemoteError) -> UploadStanding {
        try run(.standing) { () throws(RemoteError) in try wrapped.standing(of: upload) }
    }
    public func begin(_ upload: Upload) throws(RemoteError) -> String? {
        try run(.begin) { () throws(RemoteError) in try wrapped.begin(upload) }
    }
    public func send(_ range: Range<UInt64>, of upload: Upload, from content: any UploadContent) throws(RemoteError) {
        try run(.send) { () throws(RemoteError) in try wrapped.send(range, of: upload, from: content) }
    }
    public func prepareCommit(_ upload: Upload) throws(RemoteError) -> String? { try wrapped.prepareCommit(upload) }
    public func commit(_ upload: Upload) throws(RemoteError) -> CommittedFile {
        try run(.commit) { () throws(RemoteError) in try wrapped.commit(upload) }
    }
    public func adopt(_ upload: Upload, _ content: any UploadContent) throws(RemoteError) -> CommittedFile {
        try run(.adopt) { () throws(RemoteError) in try wrapped.adopt(upload, content) }
    }
    public func open(_ file: StoredFile) throws(RemoteError) -> any CommittedContent {
        try run(.open) { () throws(RemoteError) in try wrapped.open(file) }
    }
    public func complete(_ manifest: SessionManifest) throws(RemoteError) {
        try run(.complete) { () throws(RemoteError) in try wrapped.complete(manifest) }
    }
    public func abort(_ session: StoredDirectory) throws(RemoteError) {
        try run(.abort) { () throws(RemoteError) in try wrapped.abort(session) }
    }
    public func rename(_ path: RelativePath, to newPath: RelativePath, aside: UploadID) throws(RemoteError) {
        try run(.rename) { () throws(RemoteError) in try wrapped.rename(path, to: newPath, aside: aside) }
    }
    public func setModified(_ path: RelativePath, _ time: Timestamp) throws(RemoteError) {
        try run(.setModified) { () throws(RemoteError) in try wrapped.setModified(path, time) }
    }
    public func list(_ directory: StoredDirectory) throws(RemoteError) -> [ListedEntry] {
        try run(.list) { () throws(RemoteError) in try wrapped.list(directory) }
    }
    public func takeLostUploads() -> [LostUpload] { wrapped.takeLostUploads() }
    public func expiry(of upload: UploadID) -> Timestamp? { wrapped.expiry(of: upload) }
    public func discard(_ upload: Upload) throws(RemoteError) {
        try run(.discard) { () throws(RemoteError) in try wrapped.discard(upload) }
    }
    public func delete(_ file: StoredFile) throws(RemoteError) {
        try run(.delete) { () throws(RemoteError) in try wrapped.delete(file) }
    }
    public func links(to file: StoredFile) -> FileLinks? { wrapped.links(to: file) }
    public func contentMark(_ remoteID: String) -> String? { wrapped.contentMark(remoteID) }
    public func processing(of file: StoredFile) throws(RemoteError) -> FileProcessing {
        try wrapped.processing(of: file)
    }
    public func reconsider() { wrapped.reconsider() }
    public func examine() -> [ServiceFinding] { wrapped.examine() }
}
