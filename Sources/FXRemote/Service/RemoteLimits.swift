public import FXSystem

/// What can be known of a remote before anything is sent to it: the lines of `.fxmount/limits.json`, both ways.
public struct RemoteLimits: Sendable, Equatable {
    public var name: String
    public var maximumFileSize: ByteCount?
    public var names: BackendFacts.NameRules
    /// How many directories are above a session.
    public var sessionDepth: Int
    /// There are directories in sessions.
    public var makesDirectories: Bool
    /// The room the spool has left.
    public var spoolSpace: ByteCount?
    /// A file may be larger than the spool's room: what was acknowledged is given up while the rest is written.
    public var passesThroughSpool: Bool

    /// nil when it is not such a line.
    public init?(_ json: JSONValue) {
        guard let name = json["name"]?.string else { return nil }
        self.name = name
        maximumFileSize = json["maximum_file_size"]?.integer.map { ByteCount(UInt64(clamping: $0)) }
        names = BackendFacts.NameRules(json["names"] ?? .null)
        sessionDepth = Int(json["session_depth"]?.integer ?? 0)
        makesDirectories = json["makes_directories"]?.boolean ?? true
        spoolSpace = json["spool_space"]?.integer.map { ByteCount(UInt64(clamping: $0)) }
        passesThroughSpool = json["passes_through_spool"]?.boolean ?? false
    }
}

extension BackendFacts.NameRules {
    /// Every rule, for those who look at names before they are used.
    var json: JSONValue {
        func list(_ names: [Name]) -> JSONValue { .array(names.map { .string($0.description) }) }
        return [
            "maximum_length": .integer(Int64(maximumLength)), "utf8": .bool(mustBeUTF8),
            "outer_spaces": .bool(keepsOuterSpaces),
            "excluded_bytes": .array(excludedBytes.map { .integer(Int64($0)) }),
            "reserved_for_sessions": list(reservedForSessions), "reserved_in_sessions": list(reservedInSessions),
        ]
    }

    init(_ json: JSONValue) {
        self.init()
        func list(_ key: String) -> [Name] {
            (json[key]?.elements ?? []).compactMap { $0.string.flatMap { try? Name($0) } }
        }
        maximumLength = json["maximum_length"]?.integer.map(Int.init) ?? maximumLength
        mustBeUTF8 = json["utf8"]?.boolean ?? false
        keepsOuterSpaces = json["outer_spaces"]?.boolean ?? true
        excludedBytes = (json["excluded_bytes"]?.elements ?? []).compactMap {
            $0.integer.flatMap { UInt8(exactly: $0) }
        }
        reservedForSessions = list("reserved_for_sessions")
        reservedInSessions = list("reserved_in_sessions")
    }
}
