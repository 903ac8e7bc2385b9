internal import FXSystem

/// The value of one configuration key.
enum SettingValue: Sendable, Equatable {
    case bool(Bool)
    case integer(Int)
    case duration(Duration)
    case text(String)
    case list([String])

    var json: JSONValue {
        switch self {
        case .bool(let value): .bool(value)
        case .integer(let value): .integer(Int64(value))
        case .duration(let value): .string(value.written)
        case .text(let value): .string(value)
        case .list(let values): .array(values.map { .string($0) })
        }
    }

    /// As it would stand in the configuration file.
    var written: String { json.text }
}

extension Duration {
    /// As `parseDuration` reads it: whole seconds where it can, else milliseconds.
    var written: String {
        let parts = components
        let milliseconds = parts.attoseconds / 1_000_000_000_000_000
        return milliseconds == 0 ? "\(parts.seconds)s" : "\(parts.seconds * 1000 + milliseconds)ms"
    }
}

/// What a key may hold.
enum SettingKind: Sendable, Equatable {
    case bool
    case integer(ClosedRange<Int>)
    case duration
    case absolutePath
    case choice([String])
    case list

    var expected: String {
        switch self {
        case .bool: "true or false"
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .duration: "a time such as \"15s\", \"500ms\" or \"2m\""
        case .absolutePath: "an absolute path in quotes"
        case .choice(let choices): "one of " + choices.map { "\"\($0)\"" }.joined(separator: ", ")
        case .list: "a list of texts, such as [\"*.part\", \"*.tmp\"]"
        }
    }

    /// Reads a value as people write it in a flag or a variable; nil when it is not of this kind.
    func value(parsing text: String) -> SettingValue? {
        switch self {
        case .bool:
            switch text.lowercased() {
            case "1", "true", "yes", "on": .bool(true)
            case "0", "false", "no", "off": .bool(false)
            default: nil
            }
        case .integer(let range): Int(text).flatMap { range.contains($0) ? .integer($0) : nil }
        case .duration: parseDuration(text).map { .duration($0) }
        case .absolutePath: text.hasPrefix("/") ? .text(text) : nil
        case .choice(let choices): choices.contains(text) ? .text(text) : nil
        // As in PATH: a glob holds no colon.
        case .list: .list(text.split(separator: ":").map(String.init))
        }
    }
}

/// A key of the configuration file, its default and the variable that overrides it.
struct SettingKey: Sendable {
    var path: String
    var kind: SettingKind
    var standard: SettingValue?
    var variable: String?

    /// The keys outside `[remotes.NAME]`.
    static let general: [SettingKey] = [
        SettingKey(path: "mount.allow_other", kind: .bool, standard: .bool(false), variable: "FXMOUNT_ALLOW_OTHER"),
        SettingKey(path: "mount.passthrough", kind: .bool, standard: .bool(true), variable: "FXMOUNT_PASSTHROUGH"),
        // The default of MountOptions; more come by themselves while calls wait for a disk.
        SettingKey(path: "mount.workers", kind: .integer(1...64), standard: .integer(4), variable: "FXMOUNT_WORKERS"),
        // Short, because the mapped directories may change behind the mount.
        SettingKey(
            path: "mount.attribute_timeout", kind: .duration, standard: .duration(.seconds(1)),
            variable: "FXMOUNT_ATTRIBUTE_TIMEOUT"),
        SettingKey(path: "types.default_root", kind: .absolutePath, standard: nil, variable: "FXMOUNT_DEFAULT_ROOT"),
        SettingKey(path: "types.staging_patterns", kind: .list, standard: nil, variable: "FXMOUNT_STAGING_PATTERNS"),
        SettingKey(
            path: "types.default_policy", kind: .choice(policies), standard: .text("keep-versions"),
            variable: "FXMOUNT_DEFAULT_POLICY"),
        SettingKey(
            path: "spool.keep", kind: .choice(["all", "none"]), standard: .text("none"), variable: "FXMOUNT_SPOOL_KEEP"),
    ]

    /// The keys of `[remotes.NAME]`, besides `kind`.
    static let ofRemote: [SettingKey] = [
        SettingKey(path: "path", kind: .absolutePath, standard: nil),
        SettingKey(path: "commit", kind: .choice(["remote", "journal"]), standard: .text("remote")),
        SettingKey(path: "op_timeout", kind: .duration, standard: .duration(.seconds(15))),
        SettingKey(path: "connections", kind: .integer(1...64), standard: .integer(4)),
        SettingKey(path: "staging_patterns", kind: .list, standard: nil),
    ]

    static let policies = ["keep-versions", "keep-names", "append-only", "write-once", "read-only"]
    /// Kinds the design knows and this build does not carry.
    static let laterKinds = ["opentera", "mft", "itslearning", "s3", "tus"]

    /// The part after the last dot.
    var name: String { path.split(separator: ".").last.map(String.init) ?? path }
}
