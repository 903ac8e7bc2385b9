import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// A stream service of its own and the backend against it, by real HTTP; with the whole engine above it where a test
/// wants one.
final class ItslearningBench: Sendable {
    let control: ItslearningControl
    let time = MovedTime()

    init() throws { control = try ItslearningControl() }

    static let publication = ItslearningPublication(
        location: .course, courseID: ItslearningControl.course, userID: ItslearningControl.user)

    func backend(
        password: String = ItslearningControl.password, _ adjust: (inout ItslearningConfiguration) -> Void = { _ in }
    ) throws -> ItslearningService {
        var configuration = ItslearningConfiguration(username: ItslearningControl.username) { Secret(password) }
        configuration.firstPoll = .milliseconds(1)
        adjust(&configuration)
        let transport = try CurlTransport(try HTTPOrigin("http://127.0.0.1:\(control.port)"))
        return ItslearningService(configuration, transport: transport, basePath: "", clock: time.clock)
    }

    func publishing(_ adjust: (inout ItslearningConfiguration) -> Void = { _ in }) throws -> ItslearningService {
        try backend { configuration in
            configuration.publication = ItslearningBench.publication
            adjust(&configuration)
        }
    }

    func upload(_ name: String, _ bytes: [UInt8]) throws -> Upload {
        var upload = try newUpload("s/x", bytes)
        upload.path = upload.path.parent.appending(try Name(name))
        return upload
    }

    /// Sends one file as the engine does it.
    @discardableResult
    func send(_ name: String, _ bytes: [UInt8], by backend: ItslearningService) throws -> CommittedFile {
        var driver = UploadDriver(backend)
        return try driver.send(bytes, as: try upload(name, bytes))
    }

    /// The engine over a backend, with a session `s` in it.
    final class Engine {
        let path: String
        let service: TransferService
        let session: EntryID
        var tree: RemoteTree { service.trees[0] }

        /// - Parameter path: an existing state directory, as a crash left it; nil makes a new one.
        init(
            _ bench: ItslearningBench, _ backend: ItslearningService, at path: String? = nil,
            commit: CommitMode = .remote
        ) throws {
            self.path = try path ?? EngineBench.newDirectory()
            let remote = RemoteConfiguration(
                name: try Name("its"), kind: "itslearning", backend: backend, commit: commit,
                retry: RetryPolicy(initial: .milliseconds(2), maximum: .milliseconds(20)))
            service = try TransferService(
                stateDirectory: self.path, remotes: [remote], clock: bench.time.clock)
            try service.start()
            let name = try Name("s")
            let known = service.trees[0].knownEntry(name, in: .root)
            session =
                try known?.id
                ?? service.trees[0].makeDirectory(name, in: .root, mode: 0o755, caller: EngineBench.caller).id
        }

        deinit {
            service.stop()
            EngineBench.remove(path)
        }

        func create(_ name: String) throws -> RemoteFile {
            try tree.create(
                try Name(name), in: session, mode: 0o644, flags: [.readWrite, .create], caller: EngineBench.caller
            ).1
        }

        /// As cp does it: returns when close does.
        func put(_ name: String, _ bytes: [UInt8]) throws {
            let file = try create(name)
            do { try write(bytes, at: 0, to: file) } catch {
                file.release()
                throw error
            }
            try close(file)
        }

        func write(_ bytes: [UInt8], at offset: UInt64, to file: RemoteFile) throws {
            try bytes.withUnsafeBytes { if !$0.isEmpty { _ = try file.write($0, at: offset) } }
        }

        func close(_ file: RemoteFile) throws {
            defer { file.release() }
            try wait { file.flush(caller: EngineBench.caller, $0) }
        }

        func attribute(_ attribute: String, of name: String) -> String? {
            guard let name = try? Name(name), let entry = tree.knownEntry(name, in: session) else { return nil }
            return try? tree.attribute(attribute, of: entry.id)
        }

        /// Queues a failed file again and waits for its end.
        func retry(_ name: String) throws {
            let entry = try #require(tree.knownEntry(try Name(name), in: session))
            try wait { tree.setAttribute("state", to: "retry", of: entry.id, completion: $0) }
            try settle()
        }

        /// Until everything sealed is at the service.
        func settle() throws { try wait { tree.waitUntilCommitted(below: .root, $0) } }

        private func wait(_ call: (@escaping @Sendable (Result<Void, RemoteError>) -> Void) -> WaitToken) throws {
            let outcome = Monitor<Result<Void, RemoteError>?>(nil)
            _ = call { result in outcome.withLock { $0 = result } }
            try #require(outcome.wait(until: .after(.seconds(30))) { $0 }, "it never ended").get()
        }

        /// What the disk would have after a crash at this moment, in a directory of its own.
        func snapshot() throws -> String { try EngineBench.copy(of: path) }

        /// What the receipt has of one file.
        func receipt(_ name: String) throws -> JSONValue {
            let text = try #require(tree.receipt(of: session))
            let files = JSONValue(parsing: text)?["files"]?.elements ?? []
            return try #require(files.first { $0["path"]?.string == name })
        }
    }
}
