internal import FXRemote
internal import FXSystem

/// One `[remotes.NAME]`, checked.
struct RemoteSettings: Sendable, Equatable {
    var name: String
    var origin: SettingOrigin
    var kind: RemoteKind
    /// By key name, defaults included.
    var settings: [String: Setting]

    func text(_ key: String) -> String? { if case .text(let text)? = settings[key]?.value { text } else { nil } }
    func list(_ key: String) -> [String]? { if case .list(let list)? = settings[key]?.value { list } else { nil } }
    func bool(_ key: String) -> Bool { if case .bool(let value)? = settings[key]?.value { value } else { false } }
    func duration(_ key: String) -> Duration? {
        if case .duration(let value)? = settings[key]?.value { value } else { nil }
    }
    func size(_ key: String) -> ByteCount? { if case .size(let value)? = settings[key]?.value { value } else { nil } }
    func integer(_ key: String) -> Int? { if case .integer(let value)? = settings[key]?.value { value } else { nil } }

    /// Where its secret is; nil when it has none.
    var secret: SecretSource? {
        for key in kind.secret?.names ?? [] {
            if case .secret(let source)? = settings[key]?.value { return source }
        }
        return nil
    }

    /// Where the remote is, for a person.
    var address: String? { text(kind.address) }

    /// What there is when nothing is configured.
    static var standard: RemoteSettings {
        RemoteSettings(name: "local", origin: .standard, kind: .local, settings: defaults(of: .local))
    }

    private static func defaults(of kind: RemoteKind) -> [String: Setting] {
        var settings: [String: Setting] = [:]
        for key in kind.keys { settings[key.name] = key.standard.map { Setting(value: $0, origin: .standard) } }
        return settings
    }
}

extension RemoteSettings {
    /// True when the secret that is given is the second of the two that the kind knows: a token and not a password.
    var hasAlternativeSecret: Bool {
        guard let stem = kind.secret?.alternative else { return false }
        return SecretKey(stem: stem, isRequired: true).names.contains { settings[$0] != nil }
    }

    /// Reads what stands in `[remotes.NAME]`.
    /// - Throws: exit 10 with the line of what is wrong or missing.
    init(
        reading name: String, _ entries: [String: ConfigurationFile.Entry], of file: ConfigurationFile
    ) throws(CommandFailure) {
        let table = "remotes.\(name)"
        let line = file.tables[table] ?? nil
        guard (try? Name(name)) != nil, !name.hasPrefix(".") else {
            throw file.wrong(
                table, line, "\"\(displayed(name.utf8))\" cannot be the name of a directory under sessions/")
        }
        let kind = try RemoteSettings.kind(of: name, entries["kind"], of: file)
        var settings = RemoteSettings.defaults(of: kind)
        for (key, entry) in entries.sorted(by: { $0.key < $1.key }) where key != "kind" {
            guard let known = kind.keys.first(where: { $0.name == key }) else {
                throw RemoteSettings.stranger(key, entry, in: table, kind, of: file)
            }
            settings[key] = try file.setting(known, "\(table).\(key)", entry)
        }
        self.init(
            name: name, origin: .file(path: file.path, line: line), kind: kind, settings: settings)
        try checkWhole(table, line, of: file)
    }

    private static func kind(
        of name: String, _ entry: ConfigurationFile.Entry?, of file: ConfigurationFile
    ) throws(CommandFailure) -> RemoteKind {
        let table = "remotes.\(name)"
        guard case .text(let text)? = entry?.value else {
            throw file.wrong(
                table, entry?.line ?? file.tables[table] ?? nil,
                "the remote \"\(name)\" needs a kind: \(RemoteKind.names.joined(separator: ", "))",
                hint: "kind = \"local\" keeps files on this machine")
        }
        guard let kind = RemoteKind(rawValue: text) else {
            throw file.unknown("kind \"\(displayed(text.utf8))\"", text, entry?.line, RemoteKind.names)
        }
        return kind
    }

    /// A key this kind does not have: a secret in the open, a key of another kind, or a mistyped one.
    private static func stranger(
        _ key: String, _ entry: ConfigurationFile.Entry, in table: String, _ kind: RemoteKind,
        of file: ConfigurationFile
    ) -> CommandFailure {
        let path = "\(table).\(key)"
        if SecretKey.bare.contains(key) {
            let keys = SecretKey(stem: key, isRequired: true).names.joined(separator: ", ")
            return file.wrong(
                path, entry.line, "\(path): a secret has no place in the configuration file",
                hint:
                    "put it into a file of its own with mode 600 and name that: \(key)_file = \"/path\"; or one of \(keys)"
            )
        }
        let others = RemoteKind.allCases.filter { other in other.keys.contains { $0.name == key } }.map(\.rawValue)
        if !others.isEmpty {
            return file.wrong(
                path, entry.line,
                "\(path): only remotes of kind \(others.joined(separator: ", ")) have this key; this one is of kind \(kind.rawValue)",
                hint:
                    "keys of kind \(kind.rawValue): \((kind.keys.map(\.name) + ["kind"]).sorted().joined(separator: ", "))"
            )
        }
        return file.unknown("key \"\(path)\"", key, entry.line, kind.keys.map(\.name) + ["kind"])
    }

    /// `publish` is whole or not there.
    private func checkPublication(_ table: String, _ line: Int?, of file: ConfigurationFile) throws(CommandFailure) {
        let example = "publish = { location = \"Course\", course_id = 42, user_id = 7 }"
        let given = kind.keys.filter { $0.isNested && settings[$0.name] != nil }
        if given.isEmpty { return }
        var missing = ["location", "user_id"].filter { settings["publish.\($0)"] == nil }
        let isCourse = text("publish.location") == ItslearningPublication.Location.course.rawValue
        if isCourse, settings["publish.course_id"] == nil { missing.append("course_id") }
        if !missing.isEmpty {
            throw file.wrong(
                "\(table).publish", line, "\(table).publish needs \(missing.joined(separator: ", "))", hint: example)
        }
        if !isCourse, settings["publish.course_id"] != nil {
            throw file.wrong(
                "\(table).publish", line, "\(table).publish has a course_id and its location is no course",
                hint: example)
        }
    }

    /// Under a limit below that some of the transfers would stand still for so long that services give them up.
    private func checkRate(_ table: String, _ line: Int?, of file: ConfigurationFile) throws(CommandFailure) {
        guard let rate = size("rate_limit") else { return }
        let connections = integer("connections") ?? RemoteConfiguration.standardConnections
        // Reading takes as many at once, whatever `connections` is.
        let most = max(connections, HTTPOptions.parallelReads)
        let least = ByteCount(HTTPOptions.slowestTransfer.rawValue * UInt64(most))
        if rate >= least { return }
        throw file.wrong(
            "\(table).rate_limit", line,
            "\(table).rate_limit: \(rate.written) a second is too little for \(most) transfers at once",
            hint: "at least \"\(least.written)\"; without the key there is no limit")
    }

    /// What can only be said of all keys together.
    private func checkWhole(_ table: String, _ line: Int?, of file: ConfigurationFile) throws(CommandFailure) {
        let missing = kind.required.filter { settings[$0] == nil }
        if !missing.isEmpty {
            throw file.wrong(
                table, line,
                "the remote \"\(name)\" of kind \(kind.rawValue) needs \(missing.joined(separator: ", "))",
                hint: "add to [\(table)]: \(missing.map { "\($0) = \"…\"" }.joined(separator: ", "))")
        }
        if let secret = kind.secret {
            let given = secret.names.filter { settings[$0] != nil }
            if given.count > 1 {
                throw file.wrong(
                    table, line,
                    "the remote \"\(name)\" has \(given.joined(separator: " and ")): only one can be meant",
                    hint: "keep one of them")
            }
            if given.isEmpty, secret.isRequired {
                throw file.wrong(
                    table, line, "the remote \"\(name)\" of kind \(kind.rawValue) needs \(secret.stem)_file",
                    hint: "or one of \(secret.names.dropFirst().joined(separator: ", "))")
            }
        }
        if kind == .mft, !hasAlternativeSecret, text("username") == nil {
            throw file.wrong(
                table, line, "the remote \"\(name)\" of kind \(kind.rawValue) needs username beside its password",
                hint: "or token_file with an API key in the place of both")
        }
        if kind == .itslearning { try checkPublication(table, line, of: file) }
        try checkRate(table, line, of: file)
        if kind == .local, bool("delete") {
            throw file.wrong(
                "\(table).delete", line, "\(table).delete: a store of kind local never removes anything",
                hint: "leave the key out")
        }
        if bool("insecure"), text("ca_file") != nil {
            throw file.wrong(
                "\(table).insecure", line,
                "the remote \"\(name)\" has ca_file and insecure = true: only one can be meant",
                hint: "ca_file is the safe one")
        }
    }
}
