import FXSystem

/// The stream upload of itslearning in a process of its own, and its control plane (Tests/TestServices/README.md).
public final class ItslearningControl: Sendable {
    public let service: ServiceProcess
    public let port: Int
    public let http: LoopbackClient

    /// What the defaults hold: one partner of site 123, course 42 and user 7.
    public static let username = "partner"
    public static let password = "secret"
    public static let site: Int64 = 123
    /// Takes streamed files.
    public static let fileExtension: Int64 = 5009
    /// Does not.
    public static let otherExtension: Int64 = 5001
    public static let course: Int64 = 42
    public static let user: Int64 = 7

    public init() throws {
        service = try ServiceProcess(["itslearning"])
        port = try service.port("port")
        http = LoopbackClient(port: port)
    }

    public func stop() { service.stop() }

    /// Back to the defaults: no file, no content, other numbers for the message types.
    public func reset() throws { try http.call("POST", "/_control/reset") }

    /// `["size_limit": 1000]`: names and meaning in Tests/TestServices/Itslearning/ItslearningSettings.swift.
    public func set(_ settings: JSONValue) throws { try http.call("POST", "/_control/settings", settings) }

    /// `["operation": "UploadFile", "performed": true, "stall": true]`: see ItslearningTrouble.
    public func fail(_ fault: JSONValue) throws { try http.call("POST", "/_control/faults", fault) }
    /// Faults that have not happened yet.
    public func pendingFaults() throws -> Int { Int(try http.call("GET", "/_control/faults").integer ?? -1) }

    /// `["username": "partner", "password": "other", "sites": [123, 124]]`.
    public func change(account: JSONValue) throws { try http.call("POST", "/_control/account", account) }
    /// `["id": 5002, "name": "Essay", "streams": false]`.
    public func change(extension change: JSONValue) throws { try http.call("POST", "/_control/extension", change) }

    /// A file of the temporary area.
    public struct File: Sendable, Equatable {
        public var id: String
        public var extensionID: Int64
        public var site: Int64
        public var name: String
        public var size: Int64
        public var sha256: String
        public var contentID: String
        public var uploaded: String
        public var isConsumed: Bool
        public var isChunked: Bool
    }

    /// In the order they came.
    public func files() throws -> [File] {
        (try http.call("GET", "/_control/files").elements ?? []).map { entry in
            File(
                id: entry["id"]?.string ?? "", extensionID: entry["extension_id"]?.integer ?? 0,
                site: entry["site_id"]?.integer ?? 0, name: entry["name"]?.string ?? "",
                size: entry["size"]?.integer ?? -1, sha256: entry["sha256"]?.string ?? "",
                contentID: entry["content_id"]?.string ?? "", uploaded: entry["uploaded_at"]?.string ?? "",
                isConsumed: entry["consumed"]?.boolean ?? false, isChunked: entry["chunked"]?.boolean ?? false)
        }
    }

    public func bytes(of file: String) throws -> [UInt8] { try http.get("/_control/bytes?id=\(file)").body }

    /// What messages made.
    public struct Content: Sendable, Equatable {
        public var syncKey: String
        public var location: String
        public var course: Int64?
        public var user: Int64
        public var title: String
        public var fileName: String
        public var file: String
    }

    public func contents() throws -> [Content] {
        (try http.call("GET", "/_control/contents").elements ?? []).map { entry in
            Content(
                syncKey: entry["sync_key"]?.string ?? "", location: entry["location"]?.string ?? "",
                course: entry["course_id"]?.integer, user: entry["user_id"]?.integer ?? 0,
                title: entry["title"]?.string ?? "", fileName: entry["file_name"]?.string ?? "",
                file: entry["file_id"]?.string ?? "")
        }
    }

    public struct Request: Sendable {
        public var number: Int
        public var operation: String
        /// 0 when it was given no answer.
        public var status: Int
        /// Of the body, in bytes.
        public var sent: Int
    }

    public func log(after number: Int = 0) throws -> [Request] {
        (try http.call("GET", "/_control/log?after=\(number)").elements ?? []).map { entry in
            Request(
                number: Int(entry["number"]?.integer ?? 0), operation: entry["operation"]?.string ?? "",
                status: Int(entry["status"]?.integer ?? 0), sent: Int(entry["sent"]?.integer ?? 0))
        }
    }

    /// requests, uploads, and each operation by its name.
    public func counter(_ name: String) throws -> Int {
        Int(try http.call("GET", "/_control/counters")[name]?.integer ?? 0)
    }
}
