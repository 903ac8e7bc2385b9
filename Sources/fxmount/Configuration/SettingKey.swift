internal import FXRemote
internal import FXSystem

/// The value of one configuration key.
enum SettingValue: Sendable, Equatable {
    case bool(Bool)
    case integer(Int)
    case duration(Duration)
    case size(ByteCount)
    case text(String)
    case list([String])
    /// Where a secret is; never the secret.
    case secret(SecretSource)

    var json: JSONValue {
        switch self {
        case .bool(let value): .bool(value)
        case .integer(let value): .integer(Int64(value))
        case .duration(let value): .string(value.written)
        case .size(let value): .string(value.written)
        case .text(let value): .string(value)
        case .list(let values): .array(values.map { .string($0) })
        case .secret(let source): .string("(secret from \(source.place))")
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

extension ByteCount {
    /// As `ByteCount(parsing:)` reads it: in the largest binary unit that says it exactly.
    var written: String {
        var (value, unit) = (rawValue, 0)
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        while value > 0, value.isMultiple(of: 1024), unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return "\(value)\(units[unit])"
    }
}

/// What a key may hold.
enum SettingKind: Sendable, Equatable {
    case bool
    case integer(ClosedRange<Int>)
    case duration
    case size
    case absolutePath
    /// Not empty, without control characters.
    case text
    /// http or https, without user name, password, query and fragment.
    case url
    case secret(SecretSource.Kind)
    case choice([String])
    case list

    var expected: String {
        switch self {
        case .bool: "true or false"
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .duration: "a time such as \"15s\", \"500ms\" or \"2m\""
        case .size: "a size such as \"64MiB\", \"500 MB\" or \"4096\""
        case .absolutePath: "an absolute path in quotes"
        case .text: "a text in quotes, not empty and on one line"
        case .url: "a url such as \"https://service.example.org\""
        case .secret(let kind): kind.expected
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
        case .size: ByteCount(parsing: text).map { .size($0) }
        case .absolutePath: text.hasPrefix("/") && !text.utf8.contains(0) ? .text(text) : nil
        case .text: SettingKind.isOneLine(text) ? .text(text) : nil
        case .url: (try? HTTPOrigin(text)).map { _ in .text(text) }
        case .secret(let kind): SecretSource(kind, [text], isShellText: true).map { .secret($0) }
        case .choice(let choices): choices.contains(text) ? .text(text) : nil
        // As in PATH: a glob holds no colon.
        case .list: .list(text.split(separator: ":").map(String.init))
        }
    }

    /// Not empty and without control characters, which have no place in a header or a form.
    static func isOneLine(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
    }

    /// What is wrong with `text` beyond what `expected` says; nil for nothing.
    func reason(against text: String) -> String? {
        guard self == .url else { return nil }
        do throws(HTTPOriginError) {
            _ = try HTTPOrigin(text)
            return nil
        } catch { return error.description }
    }
}

/// A key of the configuration file, its default and the variable that overrides it.
struct SettingKey: Sendable {
    var path: String
    var kind: SettingKind
    var standard: SettingValue?
    var variable: String?
    /// It stands in a table of its own inside the section: `publish = { location = … }`.
    var isNested = false

    /// The keys outside `[remotes.NAME]`.
    static let general: [SettingKey] =
        [
            SettingKey(path: "mount.allow_other", kind: .bool, standard: .bool(false), variable: "FXMOUNT_ALLOW_OTHER"),
            SettingKey(path: "mount.passthrough", kind: .bool, standard: .bool(true), variable: "FXMOUNT_PASSTHROUGH"),
            // The default of MountOptions; more come by themselves while calls wait for a disk.
            SettingKey(
                path: "mount.workers", kind: .integer(1...64), standard: .integer(4), variable: "FXMOUNT_WORKERS"),
            // Short, because the mapped directories may change behind the mount.
            SettingKey(
                path: "mount.attribute_timeout", kind: .duration, standard: .duration(.seconds(1)),
                variable: "FXMOUNT_ATTRIBUTE_TIMEOUT"),
            SettingKey(
                path: "types.default_root", kind: .absolutePath, standard: nil, variable: "FXMOUNT_DEFAULT_ROOT"),
            SettingKey(
                path: "types.staging_patterns", kind: .list, standard: nil, variable: "FXMOUNT_STAGING_PATTERNS"),
            SettingKey(
                path: "types.default_policy", kind: .choice(policies), standard: .text("keep-versions"),
                variable: "FXMOUNT_DEFAULT_POLICY"),
            SettingKey(
                path: "spool.keep", kind: .choice(["all", "none"]), standard: .text("none"),
                variable: "FXMOUNT_SPOOL_KEEP"),
            // None by default: what was read stays in the kernel's page cache as long as there is memory.
            SettingKey(path: "cache.size", kind: .size, standard: .size(.zero), variable: "FXMOUNT_CACHE_SIZE"),
        ] + serving

    static let policies = ["keep-versions", "keep-names", "append-only", "write-once", "read-only"]

    /// What it is called in its section: the part after the last dot, of a nested key all of them.
    var name: String { isNested ? path : path.split(separator: ".").last.map(String.init) ?? path }
}
