import FXSystem
import ServiceFixtures
import Synchronization
import Testing

@testable import FXRemote

/// The backend of a vault without anything in between, and what a test wants of it.
final class MFTBench: Sendable {
    let vault: MFTControl
    let transport: CurlTransport
    /// Added to the clock of the backend, in seconds.
    let ahead = Mutex<Int64>(0)

    init() throws {
        vault = try MFTControl()
        transport = try CurlTransport(try HTTPOrigin("http://127.0.0.1:\(vault.port)"))
    }

    deinit { transport.stop() }

    func backend(
        _ username: String = MFTControl.username, _ password: String? = nil, key: String? = nil,
        chunk: ByteCount = .mebibytes(5)
    ) -> MFTService {
        let secret = password ?? "\(username)-secret"
        var configuration = MFTConfiguration(
            key.map { key in .key { Secret(key) } } ?? .password(username: username) { Secret(secret) },
            url: "http://127.0.0.1:\(vault.port)\(MFTControl.base)", writer: "bench/\(username)")
        configuration.settleTime = .milliseconds(50)
        let clock = WallClock { [self] in
            let now = WallClock.system.now()
            return Timestamp(seconds: now.seconds + ahead.withLock { $0 }, nanoseconds: now.nanoseconds)
        }
        return MFTService(
            configuration, transport: transport, basePath: MFTControl.base, clock: clock, chunk: chunk)
    }

    static func path(_ text: String) throws -> RelativePath { try RelativePath(text) }

    func session(_ name: String, of backend: MFTService) throws -> StoredDirectory {
        let path = try MFTBench.path(name)
        return StoredDirectory(path: path, remoteID: try backend.makeDirectory(path, in: .root))
    }

    func upload(_ name: String, _ bytes: [UInt8], in session: StoredDirectory) throws -> Upload {
        var upload = try newUpload("x", bytes)
        upload.path = session.path.appending(try Name(name))
        upload.directoryID = session.remoteID
        return upload
    }

    @discardableResult
    func send(_ name: String, _ bytes: [UInt8], in session: StoredDirectory, of backend: MFTService) throws
        -> StoredFile
    {
        let upload = try upload(name, bytes, in: session)
        var driver = UploadDriver(backend)
        let committed = try driver.send(bytes, as: upload)
        return StoredFile(
            path: upload.path, remoteID: committed.remoteID, size: committed.size, directoryID: session.remoteID)
    }

    func manifest(_ session: StoredDirectory, _ files: [StoredFile], lasting life: Lifetime? = nil) throws
        -> SessionManifest
    {
        let now = Timestamp(seconds: 0)
        return SessionManifest(
            session: try #require(session.path.name), directory: session,
            files: files.map {
                SessionManifest.File(
                    path: $0.path, size: $0.size, sha256: nil, modified: now, committed: now, remoteID: $0.remoteID)
            }, lifetime: life)
    }

    /// The answers to completing requests.
    func completions() throws -> [Int] {
        try vault.log().filter { $0.method == "POST" && $0.target == "/vault_rest/transfer" }.map(\.status)
    }

    func openGroups() throws -> [MFTControl.Group] { try vault.groups().filter { $0.state != "deleted" } }
}
