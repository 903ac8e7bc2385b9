internal import Crypto
internal import FXSystem
internal import SystemPackage

/// One verification, on a thread of its own: it asks the service and changes nothing.
struct VerificationRun: Sendable {
    let session: EntryID
    let directory: StoredDirectory
    let known: [VerificationRule.Known]
    let method: Verification.Method
    let backend: any Backend
    let staging: StagingDirectory
    let verifications: Verifications

    /// One request to a service, and one read of a disk.
    private static let pieceSize = 4 << 20
    /// A service that lists directories in a circle is not followed for ever.
    private static let deepest = 128

    static func method(reading: Bool, _ facts: BackendFacts) -> Verification.Method {
        if reading { return .content }
        return facts.listsEntries && facts.listsSessions ? .listing : .each
    }

    /// - Throws: why the service could not be asked; what was found wrong is in the report.
    func run() throws(RemoteError) {
        switch method {
        case .listing:
            var listed: [VerificationRule.Listed] = []
            try list(directory, under: [], depth: 0, into: &listed)
            let outcome = VerificationRule(known: known, listed: listed)
            verifications.update(session) { report in
                for problem in outcome.problems { report.note(problem) }
                report.unknown = outcome.unknown
                report.checked = report.files
                report.checkedBytes = report.bytes
            }
        case .each:
            try forEachFile(known) { file, content throws(RemoteError) in try sizeProblem(file, content) }
        case .content:
            try forEachFile(try listsAll ? present() : known) { file, content throws(RemoteError) in
                try contentProblem(file, content)
            }
        }
    }

    private var listsAll: Bool { backend.facts.listsEntries && backend.facts.listsSessions }

    /// Those of the files that the service lists, with the ids they have there now; the others are problems. An id that is
    /// listed no more may still be given out for a while.
    private func present() throws(RemoteError) -> [VerificationRule.Known] {
        var listed: [VerificationRule.Listed] = []
        try list(directory, under: [], depth: 0, into: &listed)
        var byID: Set<String> = []
        var byPath: [[UInt8]: String] = [:]
        for file in listed {
            byID.insert(file.remoteID)
            byPath[file.path] = file.remoteID
        }
        var present: [VerificationRule.Known] = []
        for var file in known {
            if !byID.contains(file.remoteID) {
                guard let id = byPath[file.path.bytes] else {
                    let problem = VerificationProblem(file, .missing)
                    verifications.update(session) { report in
                        report.note(problem)
                        report.checked += 1
                    }
                    continue
                }
                file.remoteID = id
            }
            present.append(file)
        }
        return present
    }

    private func list(
        _ directory: StoredDirectory, under prefix: [UInt8], depth: Int, into listed: inout [VerificationRule.Listed]
    ) throws(RemoteError) {
        if depth > VerificationRun.deepest { throw .protocolViolation }
        if !verifications.update(session, { _ in }) { throw .interrupted }
        for entry in try backend.list(directory) {
            let path = prefix + entry.name
            switch entry.kind {
            case .file(let size):
                listed.append(
                    VerificationRule.Listed(
                        path: path, size: size, sha256: entry.sha256, remoteID: entry.remoteID))
            case .directory, .session:
                // What cannot be a path here was not written here.
                guard let name = try? Name(validating: entry.name) else { continue }
                let inner = StoredDirectory(path: directory.path.appending(name), remoteID: entry.remoteID)
                try list(inner, under: path + [UInt8(ascii: "/")], depth: depth + 1, into: &listed)
            }
        }
    }

    /// Opens every file at the service. What one file says is its problem; silence of the service ends the run.
    private func forEachFile(
        _ files: [VerificationRule.Known],
        _ examine: (VerificationRule.Known, any CommittedContent) throws(RemoteError) -> VerificationProblem?
    ) throws(RemoteError) {
        for file in files {
            var problem: VerificationProblem?
            do throws(RemoteError) {
                let stored = StoredFile(
                    path: RelativePath(directory.path.components + file.path.components), remoteID: file.remoteID,
                    size: file.size, directoryID: directory.remoteID)
                problem = try examine(file, try backend.open(stored))
            } catch {
                switch error {
                case .noSuchEntry, .expired, .local(.noSuchFileOrDirectory, during: .store):
                    problem = VerificationProblem(file, .missing)
                case .changed: problem = VerificationProblem(file, .replaced)
                case .unreachable, .timedOut, .unavailable, .credentials, .noSecret, .interrupted, .draining:
                    throw error
                default: problem = VerificationProblem(file, .unreadable(error))
                }
            }
            let goesOn = verifications.update(session) { report in
                if let problem { report.note(problem) }
                report.checked += 1
                if method == .each { report.checkedBytes = report.checkedBytes + file.size }
            }
            if !goesOn { throw .interrupted }
        }
    }

    /// The last byte is there and none follows.
    private func sizeProblem(
        _ file: VerificationRule.Known, _ content: any CommittedContent
    ) throws(RemoteError) -> VerificationProblem? {
        if let known = content.knownSize {
            return known == file.size ? nil : VerificationProblem(file, .size(known))
        }
        let size = file.size.rawValue
        let last = size == 0 ? 0 : size - 1
        let count = try read(content, 2, at: last).count
        let wanted = size == 0 ? 0 : 1
        return count == wanted ? nil : VerificationProblem(file, count > wanted ? .larger : .smaller)
    }

    private func contentProblem(
        _ file: VerificationRule.Known, _ content: any CommittedContent
    ) throws(RemoteError) -> VerificationProblem? {
        var content = content
        if !backend.facts.readsRanges, let whole = content as? any FetchedContent {
            content = try BroughtContent(whole, size: content.knownSize ?? file.size, in: staging)
        }
        var hasher = SHA256()
        var position: UInt64 = 0
        while true {
            let bytes = try read(content, VerificationRun.pieceSize, at: position)
            if bytes.isEmpty { break }
            hasher.update(data: bytes)
            position += UInt64(bytes.count)
            let count = UInt64(bytes.count)
            let goesOn = verifications.update(session) { $0.checkedBytes = $0.checkedBytes + ByteCount(count) }
            if !goesOn { throw .interrupted }
            // More than was sent: no need to bring all of it.
            if position > file.size.rawValue { break }
        }
        if position != file.size.rawValue { return VerificationProblem(file, .size(ByteCount(position))) }
        let found = SHA256Digest(hasher)
        return file.sha256.map { $0 == found } ?? true ? nil : VerificationProblem(file, .digest(found))
    }

    private func read(
        _ content: any CommittedContent, _ count: Int, at offset: UInt64
    ) throws(RemoteError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var got = 0
        try unsafe bytes.withUnsafeMutableBufferPointer { buffer throws(RemoteError) in
            got = try unsafe content.read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
        }
        bytes.removeLast(count - got)
        return bytes
    }
}

extension RemoteTree {
    /// Compares a session with what its service holds; ends with `.verificationMismatch` when something is not as it was
    /// committed. `verification(of:)` tells what.
    /// - Parameter reading: brings every file back and hashes it.
    /// - Throws: `.notSupported` when the service gives nothing back.
    func verify(_ id: EntryID, reading: Bool, _ token: WaitToken) throws(RemoteError) {
        if !backend.facts.readsBack { throw .notSupported }
        let (directory, known) = try state.withLock { state throws(RemoteError) in
            guard state.index[id]?.session != nil else { throw RemoteError.invalidArgument }
            let known = state.sentFiles(of: id).map {
                VerificationRule.Known(path: $0.path, size: $0.size, sha256: $0.sha256, remoteID: $0.remoteID)
            }
            return (state.directory(id), known)
        }
        let method: Verification.Method = VerificationRun.method(reading: reading, backend.facts)
        try verifications.begin(id, Verification(method, of: known, started: services.clock.now()))
        let run = VerificationRun(
            session: id, directory: directory, known: known, method: method, backend: backend,
            staging: services.staging, verifications: verifications)
        do throws(RemoteError) {
            // It ends by itself, and `Verifications.stop` waits for it.
            _ = try WorkerThread(name: "fx-verify") { [self] in finish(run, token) }
        } catch {
            verifications.end(id)
            throw error
        }
    }

    private func finish(_ run: VerificationRun, _ token: WaitToken) {
        let id = run.session
        var result: Result<Void, RemoteError> = .success(())
        do throws(RemoteError) {
            try run.run()
            verifications.update(id) { report in
                report.state = .done
                if report.problemCount > 0 { result = .failure(.verificationMismatch) }
            }
        } catch {
            verifications.update(id) { $0.state = .failed(error) }
            result = .failure(error)
        }
        let now = services.clock.now()
        verifications.update(id) { $0.ended = now }
        let problems = verifications.report(of: id)?.problemCount ?? 0
        record(
            "session_verified", run.directory.path,
            [.init("files", .integer(Int64(run.known.count))), .init("problems", .integer(Int64(problems)))])
        // Whoever waits may stop the service, which waits for this thread.
        verifications.end(id)
        waits.finish(token, result)
    }
}
