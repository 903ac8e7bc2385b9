import FXSystem
import Synchronization

@testable import FXRemote

/// A service over a network in memory: its contents come in pieces, from a thread of its own, and fail by script.
final class ReadableService: Backend {
    enum Fault: Sendable {
        /// Ends after so many bytes of the range.
        case cut(after: UInt64, RemoteError)
        /// Gives so many bytes and then nothing until it is cancelled or `thaw` is called.
        case stall(after: UInt64)
        /// Says it has ended when it has not.
        case short(after: UInt64)
    }

    private struct State {
        var requests: [Range<UInt64>] = []
        var faults: [Int: Fault] = [:]
        var running = 0
        var mostRunning = 0
        var isHeld = false
    }

    let facts: BackendFacts
    let memory: InMemoryService
    private let state = Monitor(State())

    init(adjust: (inout BackendFacts) -> Void = { _ in }) {
        memory = InMemoryService { facts in
            facts.isRemote = true
            facts.listsEntries = true
            adjust(&facts)
        }
        facts = memory.facts
    }

    /// Every range that was asked for, in order.
    var requests: [Range<UInt64>] { state.withLock { $0.requests } }
    var mostRunning: Int { state.withLock { $0.mostRunning } }
    var running: Int { state.withLock { $0.running } }

    /// What the `number`th request from now, counted from 1, meets.
    func inject(_ fault: Fault, at number: Int = 1) {
        state.withLock { $0.faults[$0.requests.count + number] = fault }
    }

    /// Holds every request up until `thaw`.
    func freeze() { state.withLock { $0.isHeld = true } }
    var isFrozen: Bool { state.withLock { $0.isHeld } }
    func thaw() { state.withLock { $0.isHeld = false } }

    func open(_ file: StoredFile) throws(RemoteError) -> any CommittedContent {
        let content = try memory.open(file)
        let tag = ReadableService.tag(content, file.size.rawValue)
        return Content(service: self, content: content, size: file.size.rawValue, file: file, tag: tag)
    }

    /// An id with a `#` in it is said to be one content for all time.
    func contentMark(_ remoteID: String) -> String? { remoteID.contains("#") ? remoteID : nil }

    /// Some bytes of a content stand for all of them.
    private static func tag(_ content: any CommittedContent, _ size: UInt64) -> [UInt8] {
        ((try? content.bytes(64)) ?? []) + ((try? content.bytes(64, at: size - min(size, 63))) ?? [])
    }

    private struct Content: FetchedContent {
        let service: ReadableService
        let content: any CommittedContent
        let size: UInt64
        let file: StoredFile
        let tag: [UInt8]

        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
            try unsafe content.read(into: buffer, at: offset)
        }

        func fetch(
            _ range: Range<UInt64>, into sink: any ByteSink,
            _ completion: @escaping @Sendable (Result<Void, RemoteError>) -> Void
        ) -> Fetch {
            let isCancelled = Monitor(false)
            let service = service
            let fault = service.begin(range)
            do {
                _ = try WorkerThread(name: "test-fetch") {
                    let result = service.deliver(self, range, sink, fault, isCancelled)
                    service.state.withLock { $0.running -= 1 }
                    completion(result)
                }
            } catch { completion(.failure(.unavailable(retryAfter: nil))) }
            return Fetch {
                isCancelled.withLock { $0 = true }
                // Wakes who is held.
                service.state.withLock { _ in }
            }
        }
    }

    private func begin(_ range: Range<UInt64>) -> Fault? {
        state.withLock { state in
            state.requests.append(range)
            state.running += 1
            state.mostRunning = max(state.mostRunning, state.running)
            return state.faults[state.requests.count]
        }
    }

    private func deliver(
        _ content: Content, _ range: Range<UInt64>, _ sink: any ByteSink, _ fault: Fault?, _ isCancelled: Monitor<Bool>
    ) -> Result<Void, RemoteError> {
        func hold() -> Bool {
            state.wait { state in
                if isCancelled.withLock({ $0 }) { return false }
                return state.isHeld ? nil : true
            } ?? false
        }
        if !hold() { return .failure(.interrupted) }
        if !facts.readsRanges, range != 0..<content.size { return .failure(.protocolViolation) }
        // Pinned, as an entity tag does it: other bytes are another content.
        guard let now = try? memory.open(content.file), ReadableService.tag(now, content.size) == content.tag else {
            return .failure(.changed)
        }
        // A prime: pieces end anywhere.
        let step: UInt64 = 60_013
        var position = range.lowerBound
        var hasStalled = false
        while position < range.upperBound {
            var end = min(position + step, range.upperBound)
            switch fault {
            case .cut(let count, let error):
                if position - range.lowerBound >= count { return .failure(error) }
                end = min(end, range.lowerBound + count)
            case .short(let count):
                if position - range.lowerBound >= count { return .success(()) }
                end = min(end, range.lowerBound + count)
            case .stall(let count):
                if position - range.lowerBound >= count, !hasStalled {
                    hasStalled = true
                    freeze()
                    if !hold() { return .failure(.interrupted) }
                }
            case nil: break
            }
            guard let piece = try? now.bytes(Int(end - position), at: position) else { return .failure(.changed) }
            let isTaken = unsafe piece.withUnsafeBytes { unsafe sink.receive($0) }
            if !isTaken { return .failure(.interrupted) }
            position = end
        }
        return .success(())
    }

    // MARK: - The rest is the memory's

    func prepare() throws(RemoteError) {}
    func makeDirectory(_ path: RelativePath, in parent: StoredDirectory) throws(RemoteError) -> String {
        try memory.makeDirectory(path, in: parent)
    }
    func standing(of upload: Upload) throws(RemoteError) -> UploadStanding { try memory.standing(of: upload) }
    func begin(_ upload: Upload) throws(RemoteError) -> String? { try memory.begin(upload) }
    func send(_ range: Range<UInt64>, of upload: Upload, from content: any UploadContent) throws(RemoteError) {
        try memory.send(range, of: upload, from: content)
    }
    func commit(_ upload: Upload) throws(RemoteError) -> CommittedFile { try memory.commit(upload) }
    func complete(_ manifest: SessionManifest) throws(RemoteError) { try memory.complete(manifest) }
    func abort(_ session: StoredDirectory) throws(RemoteError) { try memory.abort(session) }
    func space() throws(RemoteError) -> FileSystemSpace { try memory.space() }
    func list(_ directory: StoredDirectory) throws(RemoteError) -> [ListedEntry] { try memory.list(directory) }
    func discard(_ upload: Upload) throws(RemoteError) { try memory.discard(upload) }
    func delete(_ file: StoredFile) throws(RemoteError) { try memory.delete(file) }
}
