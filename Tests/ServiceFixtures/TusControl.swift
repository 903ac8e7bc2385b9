import FXSystem
import Glibc
import Synchronization

/// A tus service in a process of its own, and its control plane (Tests/TestServices/README.md).
public final class TusControl: Sendable {
    public let port: Int
    public let http: LoopbackClient
    private let arguments: [String]
    private let running: Mutex<ServiceProcess>

    /// - Parameter data: an existing directory that uploads and settings are kept in, so that they outlive a restart.
    public init(data: String? = nil) throws {
        arguments = ["tus"] + (data.map { ["--data", $0] } ?? [])
        let service = try ServiceProcess(arguments)
        running = Mutex(service)
        port = try service.port("port")
        http = LoopbackClient(port: port)
    }

    public var service: ServiceProcess { running.withLock { $0 } }

    public func stop() { service.stop() }

    /// Ends the service at once, as a crash does, and starts it on the same port; `log` begins anew.
    public func restart() throws {
        service.signal(SIGKILL)
        service.stop()
        let next = try ServiceProcess(arguments + ["--port", "\(port)"])
        running.withLock { $0 = next }
    }

    /// No uploads, every extension.
    public func reset() throws { try http.call("POST", "/_control/reset") }

    /// `["damaged": 1]`: names and meaning in Tests/TestServices/Tus/TusSettings.swift.
    public func set(_ settings: JSONValue) throws { try http.call("POST", "/_control/settings", settings) }

    /// A number of the settings, such as how many requests are still to be refused.
    public func setting(_ name: String) throws -> Int {
        Int(try http.call("GET", "/_control/settings")[name]?.integer ?? -1)
    }

    /// Every unfinished upload has expired.
    public func expire() throws { try http.call("POST", "/_control/expire") }

    public struct Upload: Sendable {
        public var target: String
        /// Neither terminated nor expired.
        public var isOpen: Bool
        public var isWhole: Bool
        public var offset: Int
        public var length: Int?
        public var sha256: String
        public var metadata: [String: String]
        public var filename: String { metadata["filename"] ?? "" }
    }

    /// In the order of creation, those included that are gone.
    public func uploads() throws -> [Upload] {
        (try http.call("GET", "/_control/uploads").elements ?? []).map { entry in
            let metadata = (entry["metadata"]?.members ?? []).map { ($0.key, $0.value.string ?? "") }
            return Upload(
                target: entry["target"]?.string ?? "", isOpen: entry["state"]?.string == "open",
                isWhole: entry["whole"]?.boolean ?? false, offset: Int(entry["offset"]?.integer ?? 0),
                length: entry["length"]?.integer.map { Int($0) }, sha256: entry["sha256"]?.string ?? "",
                metadata: Dictionary(metadata, uniquingKeysWith: { $1 }))
        }
    }

    /// `PATCH 204` of every request so far.
    public func log() throws -> [String] {
        (try http.call("GET", "/_control/log").elements ?? []).map {
            "\($0["method"]?.string ?? "") \($0["status"]?.integer ?? 0)"
        }
    }
}
