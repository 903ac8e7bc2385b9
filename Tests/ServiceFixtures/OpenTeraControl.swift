import FXSystem

/// An OpenTera pair in a process of its own, and its control plane (Tests/TestServices/README.md).
public final class OpenTeraControl: Sendable {
    public let service: ServiceProcess
    public let port: Int
    /// Straight to the pair; with TLS the control plane cannot be reached through it.
    public let http: LoopbackClient

    /// What the defaults hold: an administrator of projects 1 and 2.
    public static let username = "user3"
    public static let password = "user3"
    /// A session type of the defaults that may be used for files.
    public static let sessionType = "FileTransfer"

    public init() throws {
        service = try ServiceProcess(["opentera"])
        port = try service.port("port")
        http = LoopbackClient(port: port)
    }

    public func stop() { service.stop() }

    /// Back to the defaults: two visible projects, three participants, no session.
    public func reset() throws { try http.call("POST", "/_control/reset") }

    /// `["body_limit": 1000]`: names and meaning in Tests/TestServices/OpenTera/Settings.swift.
    public func set(_ settings: JSONValue) throws { try http.call("POST", "/_control/settings", settings) }

    /// `["method": "POST", "path": "/file/", "status": 504, "performed": true]`: see Faults.swift.
    public func fail(_ fault: JSONValue) throws { try http.call("POST", "/_control/faults", fault) }
    public func stopFailing() throws { try http.call("DELETE", "/_control/faults") }
    /// Faults that have not happened yet.
    public func pendingFaults() throws -> Int { Int(try http.call("GET", "/_control/faults").integer ?? -1) }

    /// New keys: every user token and access token is dead, and every connection ends.
    public func restart(downMilliseconds: Int = 0) throws {
        try http.call(
            "POST", "/_control/restart", .object([.init("down_milliseconds", .integer(Int64(downMilliseconds)))]))
    }

    /// `["username": "user3", "standing": "2fa", "otp": "123456"]`.
    public func change(user: JSONValue) throws { try http.call("POST", "/_control/user", user) }

    /// Puts things in: `["sessions": [["name": "s", "participants": [1]]]]`; see Seeding.swift. The answer has their ids.
    @discardableResult
    public func seed(_ things: JSONValue) throws -> JSONValue { try http.call("POST", "/_control/seed", things) }

    /// A session of a type that takes files, on participant 1; returns its number.
    public func session(_ name: String, participant: Int = 1, type: Int = 5) throws -> Int {
        let ids = try seed([
            "sessions": [
                [
                    "name": .string(name), "participants": [.integer(Int64(participant))],
                    "type": .integer(Int64(type)), "creator_user": 5,
                ]
            ]
        ])
        return Int(ids["sessions"]?.elements?.first?.integer ?? 0)
    }

    /// An asset as the pair holds it.
    public struct Asset: Sendable {
        public var id: Int
        public var uuid: String
        public var session: Int
        public var name: String
        /// Of the bytes it has, whatever it reports; nil without a file.
        public var size: Int?
        public var sha256: String?
        public var datetime: String?
        public var isDeleted: Bool
    }

    /// Every asset, the deleted ones too.
    public func allAssets(withDigests: Bool = true) throws -> [Asset] {
        let list = try http.call("GET", "/_control/assets?sha256=\(withDigests)").elements ?? []
        return list.map { entry in
            Asset(
                id: Int(entry["id_asset"]?.integer ?? 0), uuid: entry["asset_uuid"]?.string ?? "",
                session: Int(entry["id_session"]?.integer ?? 0), name: entry["asset_name"]?.string ?? "",
                size: entry["size"]?.integer.map(Int.init), sha256: entry["sha256"]?.string,
                datetime: entry["asset_datetime"]?.string, isDeleted: entry["deleted"]?.boolean ?? false)
        }
    }

    /// What is listed.
    public func assets(of session: Int? = nil) throws -> [Asset] {
        try allAssets().filter { !$0.isDeleted && (session == nil || $0.session == session) }
    }

    public struct Session: Sendable {
        public var id: Int
        public var name: String
        public var status: Int
        public var participants: [Int]
        public var isDeleted: Bool
    }

    public func sessions() throws -> [Session] {
        (try http.call("GET", "/_control/sessions").elements ?? []).map { entry in
            Session(
                id: Int(entry["id_session"]?.integer ?? 0), name: entry["session_name"]?.string ?? "",
                status: Int(entry["session_status"]?.integer ?? -1),
                participants: (entry["session_participants"]?.elements ?? [])
                    .compactMap { $0["id_participant"]?.integer.map(Int.init) },
                isDeleted: entry["deleted"]?.boolean ?? false)
        }
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

    /// logins, password_checks, failed_logins, refreshes, uploads, deletes, most_uploads_under_way, requests.
    public func counter(_ name: String) throws -> Int {
        Int(try http.call("GET", "/_control/counters")[name]?.integer ?? 0)
    }
}
