import FXSystem
import ServiceFixtures
import Synchronization
import Testing

@testable import FXRemote

/// An OpenTera pair of its own and the backend against it, by real HTTP.
struct OpenTeraBench: Sendable {
    let pair: OpenTeraControl
    let time = MovedTime()
    /// So short that a test can wait for it.
    static let settleTime = Duration.milliseconds(300)

    init() throws { pair = try OpenTeraControl() }

    func service(
        password: String = OpenTeraControl.password, username: String = OpenTeraControl.username,
        sessionType: String? = OpenTeraControl.sessionType, allowsDelete: Bool = false,
        maximumBody: ByteCount = OpenTeraConfiguration.standardMaximumBody
    ) throws -> OpenTeraService {
        var configuration = OpenTeraConfiguration(username: username) { Secret(password) }
        configuration.sessionType = sessionType
        configuration.allowsDelete = allowsDelete
        configuration.maximumBody = maximumBody
        configuration.settleTime = OpenTeraBench.settleTime
        return try service(configuration)
    }

    func service(_ configuration: OpenTeraConfiguration) throws -> OpenTeraService {
        let transport = try CurlTransport(try HTTPOrigin("http://127.0.0.1:\(pair.port)"))
        return OpenTeraService(configuration, transport: transport, basePath: "", clock: time.clock)
    }

    /// A directory of the service.
    func place(_ path: String, _ id: String) throws -> StoredDirectory {
        StoredDirectory(path: try RelativePath(path), remoteID: id)
    }

    func session(_ number: Int) throws -> StoredDirectory { try place("p/q/s", "session/\(number)") }

    func upload(_ name: String, _ bytes: [UInt8], to session: Int, replaces: StoredFile? = nil) throws -> Upload {
        var upload = try newUpload("p/q/s/x", bytes, replaces: replaces)
        upload.path = upload.path.parent.appending(try Name(name))
        upload.directoryID = "session/\(session)"
        return upload
    }

    /// What the pair was asked since, without its control plane.
    func requests(_ body: () throws -> Void) throws -> [String] {
        let last = try pair.log().last?.number ?? 0
        try body()
        return try pair.log(after: last).map { $0.method + " " + ($0.target.split(separator: "?").first ?? "") }
    }
}

/// The system's time, and what a test adds to it.
final class MovedTime: Sendable {
    private let offset = Mutex<Int64>(0)

    func advance(_ seconds: Int64) { offset.withLock { $0 += seconds } }

    var clock: WallClock {
        WallClock { [self] in
            var now = WallClock.system.now()
            now.seconds += offset.withLock { $0 }
            return now
        }
    }
}

extension OpenTeraService {
    /// What the engine does with one sealed upload.
    @discardableResult
    func deliver(_ upload: inout Upload, _ bytes: [UInt8], attempts: Int = 10) throws -> CommittedFile {
        var isKnown = false
        for attempt in 1... {
            do {
                if isKnown {
                    if case .committed(let file) = try standing(of: upload) { return file }
                    upload.note = nil
                }
                isKnown = true
                upload.note = try begin(upload)
                if !bytes.isEmpty { try send(0..<UInt64(bytes.count), of: upload, from: Bytes(bytes: bytes)) }
                return try commit(upload)
            } catch {
                if !error.isTemporary || attempt >= attempts { throw error }
                // The service's own wish, which the engine honours as well.
                if let wait = error.retryAfter { _ = Monitor(()).wait(until: .after(wait)) { _ -> Void? in nil } }
            }
        }
        throw RemoteError.interrupted
    }

    func names(in directory: StoredDirectory) throws -> [String] {
        try list(directory).map { String(decoding: $0.name, as: UTF8.self) }
    }

    func stored(_ name: String, in session: StoredDirectory) throws -> StoredFile {
        let entry = try #require(try list(session).first { $0.name == Array(name.utf8) })
        guard case .file(let size) = entry.kind else { throw RemoteError.isDirectory }
        return StoredFile(
            path: session.path.appending(try Name("x")), remoteID: entry.remoteID, size: size,
            directoryID: session.remoteID)
    }
}

/// A call that ends with an error of a remote.
func refusal(_ body: () throws -> Void) -> RemoteError? {
    do { try body() } catch { return error as? RemoteError }
    return nil
}
