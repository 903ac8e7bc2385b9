internal import ArgumentParser
internal import FXSystem
internal import SystemPackage

/// `fxmount remote add NAME --kind KIND …`
struct RemoteAddCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Writes a remote into the configuration file.",
        discussion: """
            Comments and everything else in the file stay. A secret is named by its place: a file, a program that prints it
            (several words are started as they are; one text with spaces goes to /bin/sh), a variable or a systemd credential.

            EXAMPLES
              fxmount remote add cluster --kind s3 --endpoint http://127.0.0.1:8333 --bucket backup \\
                  --access-key-id me --secret-access-key-file ~/.config/fxmount/cluster.key
              fxmount remote add clinic --kind opentera --url https://clinic.example.org:40075 --username backup \\
                  --password-command pass show clinic --session-type FileTransfer
              fxmount remote add vault --kind mft --url https://vault.example.org:8010/vault_rest --username backup \\
                  --password-file ~/.config/fxmount/vault.password
            """)
    @Argument(help: "What it is called below sessions/.") var name: String
    @Option(help: ArgumentHelp("local, mft, opentera, itslearning, s3 or tus.", valueName: "kind"))
    var kind: String
    @OptionGroup var options: RemoteOptions
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let kind = try checkedKind()
        try checkName()
        let store = try ConfigurationStore(context.surroundings, flag: context.configFlag)
        let before = try Configuration(file: store.file())
        if let taken = before.remotes.first(where: { $0.name == name && $0.origin != .standard }) {
            throw CommandFailure(
                .failure, "there is a remote \"\(name)\" already, at \(displayed(taken.origin.text.utf8))",
                hint: "choose another name, or `fxmount remote remove \(name)` first", path: store.path,
                errno: .fileExists)
        }
        let values = try values(kind, context)
        let text = ConfigurationEdit.adding(remote: name, kind: kind, values, to: store.text)
        let after = try Configuration(file: ConfigurationFile(path: store.path, text: text))
        guard let added = after.remotes.first(where: { $0.name == name }) else {
            throw CommandFailure(
                .configuration, "\(displayed(store.path.utf8)) has a form that cannot be added to",
                hint: "write [remotes.\(name)] into it by hand", path: store.path)
        }
        try store.replace(with: text)
        context.printer.document(added.json)
        context.printer.confirm(
            "added \(name) to \(displayed(store.path.utf8)); `fxmount remote test \(name)` tries it")
        advise(added, isFirst: before.remotes.first?.origin == .standard, context)
    }

    private func checkedKind() throws(CommandFailure) -> RemoteKind {
        if let kind = RemoteKind(rawValue: kind) { return kind }
        let nearest = Suggestion.nearest(to: kind, in: RemoteKind.names)
        throw CommandFailure(
            .usage, "unknown kind \"\(displayed(kind.utf8))\"",
            hint: nearest.map { "did you mean \"\($0)\"?" } ?? "known: \(RemoteKind.names.joined(separator: ", "))")
    }

    private func checkName() throws(CommandFailure) {
        let isFine =
            (try? Name(name)) != nil && !name.hasPrefix(".") && !name.hasPrefix("-") && !name.contains(".")
            && SettingKind.isOneLine(name)
        if isFine { return }
        throw CommandFailure(
            .usage, "\"\(displayed(name.utf8))\" cannot be the name of a remote",
            hint: "use letters, digits, - and _: it is a directory below sessions/ and a section of the configuration")
    }

    /// - Throws: exit 2 for an option of another kind, a value that is none, or one that is missing.
    private func values(
        _ kind: RemoteKind, _ context: CommandContext
    ) throws(CommandFailure) -> [(key: String, value: SettingValue)] {
        var values: [(key: String, value: SettingValue)] = []
        for (key, option, words) in try options.given(context) {
            guard let known = kind.keys.first(where: { $0.name == key }) else {
                throw CommandFailure(
                    .usage, "a remote of kind \(kind.rawValue) has no \(option)",
                    hint: "it has: \(kind.keys.map(\.name).sorted().joined(separator: ", "))")
            }
            guard let value = RemoteAddCommand.value(of: known, words) else {
                let reason = known.kind.reason(against: words[0]) ?? "expected \(known.kind.expected)"
                throw CommandFailure(.usage, "\(option): \(reason)")
            }
            values.append((key, value))
        }
        let missing = kind.required.filter { key in !values.contains { $0.key == key } }
        let secrets = kind.secret?.names ?? []
        let isSecretMissing = kind.secret?.isRequired == true && !values.contains { secrets.contains($0.key) }
        if !missing.isEmpty || isSecretMissing {
            let options = (missing + (isSecretMissing ? ["\(kind.secret?.stem ?? "")_file"] : [])).map {
                "--" + $0.replacing("_", with: "-")
            }
            throw CommandFailure(
                .usage, "a remote of kind \(kind.rawValue) needs \(options.joined(separator: ", "))",
                hint: kind.secret?.alternative.map { "or --\($0)-file" } ?? "see `fxmount remote add --help`")
        }
        if kind == .mft, !values.contains(where: { $0.key == "username" }),
            !values.contains(where: { $0.key.hasPrefix("token_") })
        {
            throw CommandFailure(
                .usage, "a remote of kind mft needs --username beside its password",
                hint: "or --token-file with an API key in the place of both")
        }
        if values.filter({ secrets.contains($0.key) }).count > 1 {
            throw CommandFailure(.usage, "only one place of the secret can be meant", hint: "pass one of the options")
        }
        return values
    }

    private static func value(of key: SettingKey, _ words: [String]) -> SettingValue? {
        switch key.kind {
        case .list: .list(words)
        // One word with spaces is a line for the shell, as in the file.
        case .secret(.command):
            SecretSource(.command, words, isShellText: words.count == 1 && words[0].contains(" ")).map { .secret($0) }
        default: key.kind.value(parsing: words[0])
        }
    }

    /// What a user may not expect.
    private func advise(_ added: RemoteSettings, isFirst: Bool, _ context: CommandContext) {
        if isFirst, added.name != "local" {
            context.printer.warn(
                "the remote \"local\" is there only while no other is configured; to keep it: fxmount remote add local --kind local"
            )
        }
        if case .file? = added.secret, let source = added.secret {
            do throws(CommandFailure) {
                _ = try SecretReader(environment: context.surroundings.environment).read(source)
            } catch {
                context.printer.warn(error.message + (error.hint.map { "; \($0)" } ?? ""))
            }
        }
        if let path = added.text("ca_file") {
            do throws(CommandFailure) { try CertificateFile.check(path, of: added.name) } catch {
                context.printer.warn(error.message)
            }
        }
    }
}
