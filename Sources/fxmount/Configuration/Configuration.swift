internal import FXSystem

/// Where a setting comes from; the order is the precedence.
enum SettingOrigin: Sendable, Equatable {
    case standard
    case file(path: String, line: Int?)
    case variable(String)
    case flag(String)

    var text: String {
        switch self {
        case .standard: "default"
        case .file(let path, let line): line.map { "\(path):\($0)" } ?? path
        case .variable(let name): name
        case .flag(let name): name
        }
    }
}

/// A value and where it comes from.
struct Setting: Sendable, Equatable {
    var value: SettingValue
    var origin: SettingOrigin
}

/// Everything configured, after flag > variable > file > default.
struct Configuration: Sendable, Equatable {
    /// The file that was read; nil without one.
    var path: String?
    /// By dotted path; keys without a value are absent.
    var settings: [String: Setting] = [:]
    /// Never empty: `local` when no remote is configured.
    var remotes: [RemoteSettings] = []

    /// - Parameter flags: values of command-line flags by dotted path, as written.
    /// - Throws: exit 10 for a wrong file or variable, exit 2 for a wrong flag.
    init(
        file: ConfigurationFile?, environment: [String: String] = [:], flags: [String: String] = [:]
    ) throws(CommandFailure) {
        path = file?.path
        for key in SettingKey.general {
            settings[key.path] = key.standard.map { Setting(value: $0, origin: .standard) }
        }
        if let file { try read(file) }
        for key in SettingKey.general {
            if let variable = key.variable, let text = environment[variable] {
                guard let value = key.kind.value(parsing: text) else {
                    throw CommandFailure(
                        .configuration, "\(variable)=\(displayed(text.utf8)): expected \(key.kind.expected)",
                        hint: "correct or unset the environment variable \(variable)")
                }
                settings[key.path] = Setting(value: value, origin: .variable(variable))
            }
            if let text = flags[key.path] {
                guard let value = key.kind.value(parsing: text) else {
                    throw CommandFailure(.usage, "\(key.name)=\(displayed(text.utf8)): expected \(key.kind.expected)")
                }
                settings[key.path] = Setting(value: value, origin: .flag("-o \(key.name)"))
            }
        }
        if remotes.isEmpty { remotes = [.standard] }
        remotes.sort { $0.name < $1.name }
    }

    func bool(_ path: String) -> Bool { if case .bool(let value)? = settings[path]?.value { value } else { false } }
    func text(_ path: String) -> String? { if case .text(let value)? = settings[path]?.value { value } else { nil } }
    func list(_ path: String) -> [String]? { if case .list(let value)? = settings[path]?.value { value } else { nil } }
    func integer(_ path: String) -> Int? { if case .integer(let value)? = settings[path]?.value { value } else { nil } }
    func size(_ path: String) -> ByteCount? { if case .size(let value)? = settings[path]?.value { value } else { nil } }
    func duration(_ path: String) -> Duration? {
        if case .duration(let value)? = settings[path]?.value { value } else { nil }
    }

    private mutating func read(_ file: ConfigurationFile) throws(CommandFailure) {
        let known = SettingKey.general.map(\.path)
        let sections = Set(known.map { String($0.prefix { $0 != "." }) } + ["remotes"])
        for (table, line) in file.tables.sorted(by: { $0.key < $1.key }) {
            let parts = table.split(separator: ".", maxSplits: 2)
            let isRemote =
                parts.count == 2 && parts[0] == "remotes" || Configuration.isNestedTable(parts.map(String.init))
            if !isRemote, !sections.contains(table) {
                throw file.unknown("section [\(table)]", table, line, sections)
            }
        }
        var byRemote: [String: [String: ConfigurationFile.Entry]] = [:]
        for (path, entry) in file.entries.sorted(by: { $0.key < $1.key }) {
            let parts = path.split(separator: ".", maxSplits: 2).map(String.init)
            if parts.count == 3, parts[0] == "remotes" {
                byRemote[parts[1], default: [:]][parts[2]] = entry
            } else if let key = SettingKey.general.first(where: { $0.path == path }) {
                settings[path] = try file.setting(key, path, entry)
            } else {
                throw file.unknown("key \"\(path)\"", path, entry.line, known)
            }
        }
        for (table, _) in file.tables where table.hasPrefix("remotes.") {
            if Configuration.isNestedTable(table.split(separator: ".", maxSplits: 2).map(String.init)) { continue }
            let name = String(table.dropFirst("remotes.".count))
            byRemote[name] = byRemote[name] ?? [:]
        }
        for (name, entries) in byRemote.sorted(by: { $0.key < $1.key }) {
            remotes.append(try RemoteSettings(reading: name, entries, of: file))
        }
    }
}

extension Configuration {
    /// A table inside a remote's section that some kind has.
    private static func isNestedTable(_ parts: [String]) -> Bool {
        parts.count == 3 && parts[0] == "remotes"
            && RemoteKind.allCases.contains { kind in
                kind.keys.contains { $0.isNested && $0.name.hasPrefix(parts[2] + ".") }
            }
    }
}

extension ConfigurationFile {
    /// The value of `entry` if it is of the kind that `key` wants.
    func setting(_ key: SettingKey, _ path: String, _ entry: Entry) throws(CommandFailure) -> Setting {
        let value: SettingValue? =
            switch (key.kind, entry.value) {
            case (.bool, .bool(let flag)): .bool(flag)
            case (.integer(let range), .integer(let number)): range.contains(number) ? .integer(number) : nil
            case (.duration, .text(let text)), (.size, .text(let text)), (.absolutePath, .text(let text)),
                (.choice, .text(let text)), (.text, .text(let text)), (.url, .text(let text)),
                (.secret, .text(let text)):
                key.kind.value(parsing: text)
            case (.secret(let kind), .list(let values)):
                ConfigurationFile.texts(values).flatMap { SecretSource(kind, $0, isShellText: false) }
                    .map { .secret($0) }
            case (.list, .list(let values)):
                ConfigurationFile.texts(values).map { .list($0) }
            default: nil
            }
        guard let value else {
            var reason = "expected \(key.kind.expected)"
            if case .text(let text) = entry.value { reason = key.kind.reason(against: text) ?? reason }
            throw wrong(path, entry.line, "\(path): \(reason)")
        }
        return Setting(value: value, origin: .file(path: self.path, line: entry.line))
    }

    /// nil when one of them is no text.
    private static func texts(_ values: [RawValue]) -> [String]? {
        let texts = values.compactMap { if case .text(let text) = $0 { text } else { nil as String? } }
        return texts.count == values.count ? texts : nil
    }

    func wrong(_ key: String, _ line: Int?, _ message: String, hint: String? = nil) -> CommandFailure {
        let place = line.map { "\(displayed(path.utf8)):\($0)" } ?? displayed(path.utf8)
        return CommandFailure(.configuration, "\(place): \(message)", hint: hint, path: path)
    }

    func unknown(
        _ what: String, _ word: String, _ line: Int?, _ known: some Sequence<String>
    ) -> CommandFailure {
        let nearest = Suggestion.nearest(to: word, in: known)
        return wrong(
            word, line, "unknown \(what)",
            hint: nearest.map { "did you mean \"\($0)\"?" } ?? "known: \(known.sorted().joined(separator: ", "))")
    }
}
