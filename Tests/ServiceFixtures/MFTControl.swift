import FXSystem

/// A MetaDefender MFT in a process of its own, and its control plane (Tests/TestServices/README.md).
public final class MFTControl: Sendable {
    public let service: ServiceProcess
    public let port: Int
    /// Straight to the service.
    public let http: LoopbackClient

    public static let base = "/vault_rest"
    public static let username = "user1"
    public static let password = "user1-secret"

    public init() throws {
        service = try ServiceProcess(["mft"])
        port = try service.port("port")
        http = LoopbackClient(port: port)
    }

    public func stop() { service.stop() }

    /// Back to the defaults: users user1, user2 and admin, nothing else.
    public func reset() throws { try http.call("POST", "/_control/reset") }

    /// `["s3_temp": true]`: names and meaning in Tests/TestServices/MFT/MFTSettings.swift.
    public func set(_ settings: JSONValue) throws { try http.call("POST", "/_control/settings", settings) }

    /// `["method": "POST", "path": "/vault_rest/transfer", "status": 500, "performed": true]`: see Faults.swift.
    public func fail(_ fault: JSONValue) throws { try http.call("POST", "/_control/faults", fault) }
    public func stopFailing() throws { try http.call("DELETE", "/_control/faults") }
    /// Faults that have not happened yet.
    public func pendingFaults() throws -> Int { Int(try http.call("GET", "/_control/faults").integer ?? -1) }

    /// Every token is dead from now on.
    public func expireTokens() throws { try http.call("POST", "/_control/expire") }

    /// `["username": "user1", "standing": "mfa", "password": "new"]`.
    public func change(user: JSONValue) throws { try http.call("POST", "/_control/user", user) }

    /// A long-lived key of a user.
    public func key(of username: String = MFTControl.username) throws -> String {
        try http.call("POST", "/_control/key", .object([.init("username", .string(username))])).string ?? ""
    }

    /// `["files": [["name": "a", "path": "in", "text": "hello"]], "folders": ["a\\b"]]`; answers the ids.
    @discardableResult
    public func seed(_ things: JSONValue) throws -> [String] {
        (try http.call("POST", "/_control/seed", things).elements ?? []).compactMap(\.string)
    }

    /// What a file of this name becomes.
    public func setOutcome(_ outcome: String, of name: String) throws {
        try http.call(
            "POST", "/_control/outcome",
            .object([.init("name", .string(name)), .init("outcome", .string(outcome))]))
    }

    /// Bytes of an uncommitted file are lost; without a range all of it.
    public func lose(_ name: String, _ range: Range<Int>? = nil) throws {
        var members: [JSONValue.Member] = [.init("name", .string(name))]
        if let range {
            members += [
                .init("from", .integer(Int64(range.lowerBound))), .init("to", .integer(Int64(range.upperBound))),
            ]
        }
        try http.call("POST", "/_control/lose", .object(members))
    }

    public struct File: Sendable {
        public var id: String
        public var group: String
        public var user: String
        public var name: String
        /// With `\`.
        public var path: String
        public var size: Int
        /// Bytes that came.
        public var held: Int
        public var isComplete: Bool
        public var state: String
        /// nil while bytes are missing.
        public var sha256: String?

        fileprivate init(_ json: JSONValue) {
            id = json["file_id"]?.string ?? ""
            group = json["group_id"]?.string ?? ""
            user = json["user"]?.string ?? ""
            name = json["name"]?.string ?? ""
            path = json["path"]?.string ?? ""
            size = Int(json["size"]?.integer ?? -1)
            held = Int(json["held"]?.integer ?? -1)
            isComplete = json["complete"]?.boolean ?? false
            state = json["state"]?.string ?? ""
            sha256 = json["sha256"]?.string
        }
    }

    public struct Group: Sendable {
        public var id: String
        public var user: String
        /// open, committed or deleted.
        public var state: String
        public var expiresAfter: String?
        public var files: [File]
    }

    public func groups(withDigests: Bool = true) throws -> [Group] {
        (try http.call("GET", "/_control/groups?sha256=\(withDigests)").elements ?? []).map { entry in
            Group(
                id: entry["group_id"]?.string ?? "", user: entry["user"]?.string ?? "",
                state: entry["state"]?.string ?? "", expiresAfter: entry["expires_after"]?.string,
                files: (entry["files"]?.elements ?? []).map(File.init))
        }
    }

    /// Committed files.
    public func files(withDigests: Bool = true) throws -> [File] {
        (try http.call("GET", "/_control/files?sha256=\(withDigests)").elements ?? []).map(File.init)
    }

    /// A request it was sent, without secrets.
    public struct Request: Sendable {
        public var number: Int
        public var method: String
        public var target: String
        /// 0 when it was given no answer.
        public var status: Int
        /// Of the body, in bytes.
        public var sent: Int
    }

    public func log(after number: Int = 0) throws -> [Request] {
        (try http.call("GET", "/_control/log?after=\(number)").elements ?? []).map { entry in
            Request(
                number: Int(entry["number"]?.integer ?? 0), method: entry["method"]?.string ?? "",
                target: entry["target"]?.string ?? "", status: Int(entry["status"]?.integer ?? 0),
                sent: Int(entry["sent"]?.integer ?? 0))
        }
    }

    /// logins, failed_logins, extensions, groups, files, chunks, mismatches, completions, commits, quiet_downloads,
    /// notified_downloads, astray (requests to the host its URLs name).
    public func counter(_ name: String) throws -> Int {
        Int(try http.call("GET", "/_control/counters")[name]?.integer ?? 0)
    }
}
