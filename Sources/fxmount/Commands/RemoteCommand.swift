internal import ArgumentParser
internal import FXRemote
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// `fxmount remote …`
struct RemoteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remote", abstract: "Manages the services that sessions are sent to.",
        discussion: """
            EXAMPLES
              fxmount remote add cluster --kind s3 --endpoint https://s3.example.org --bucket backup \\
                  --access-key-id me --secret-access-key-file ~/.config/fxmount/cluster.key
              fxmount remote test cluster
              fxmount remote list

            A running mount shows a change after the next mount.
            """,
        subcommands: [
            RemoteAddCommand.self, RemoteListCommand.self, RemoteShowCommand.self, RemoteTestCommand.self,
            RemoteRemoveCommand.self,
        ])
}

extension RemoteSettings {
    /// Every setting with where it comes from; secrets by their place.
    var json: JSONValue {
        [
            "name": .string(name), "kind": .string(kind.rawValue), "origin": .string(origin.text),
            "settings": .object(
                settings.sorted { $0.key < $1.key }.map { key, setting in
                    .init(key, ["value": setting.value.json, "origin": .string(setting.origin.text)])
                }),
        ]
    }
}

extension Configuration {
    /// - Throws: exit 1 when there is none of that name.
    func remote(named name: String) throws(CommandFailure) -> RemoteSettings {
        if let found = remotes.first(where: { $0.name == name }) { return found }
        throw CommandFailure(
            .failure, "there is no remote \"\(displayed(name.utf8))\"",
            hint: "there is: \(remotes.map(\.name).joined(separator: ", "))", path: path,
            errno: .noSuchFileOrDirectory)
    }
}

/// `fxmount remote list`
struct RemoteListCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the configured remotes; with --json one line each.")
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let remotes = try context.configuration().remotes
        for remote in remotes {
            context.printer.document([
                "name": .string(remote.name), "kind": .string(remote.kind.rawValue), "address": .text(remote.address),
                "commit": .text(remote.text("commit")), "secret": .text(remote.secret?.place),
                "origin": .string(remote.origin.text),
            ])
        }
        context.printer.table(
            ["NAME", "KIND", "ADDRESS", "COMMIT", "SECRET FROM", "CONFIGURED AT"],
            remotes.map { remote in
                [
                    displayed(remote.name.utf8), remote.kind.rawValue, displayed((remote.address ?? "-").utf8),
                    remote.text("commit") ?? "-", remote.secret?.place ?? "-", displayed(remote.origin.text.utf8),
                ]
            })
    }
}

/// `fxmount remote show NAME`
struct RemoteShowCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows every setting of a remote and where it comes from.")
    @Argument(help: "The remote.") var name: String
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let remote = try context.configuration().remote(named: name)
        context.printer.document(remote.json)
        let rows = [["kind", "\"\(remote.kind.rawValue)\"", displayed(remote.origin.text.utf8)]]
        context.printer.table(
            ["KEY", "VALUE", "ORIGIN"],
            rows
                + remote.settings.sorted { $0.key < $1.key }.map { key, setting in
                    [key, displayed(setting.value.written.utf8), displayed(setting.origin.text.utf8)]
                })
    }
}

/// `fxmount remote remove NAME`
struct RemoteRemoveCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Takes a remote out of the configuration file.",
        discussion: """
            Nothing it holds and nothing in the state directory is deleted: files that were not sent yet stay in the spool, and go
            on when a remote of this name is configured again. While there are such files --force is needed.
            """)
    @Argument(help: "The remote.") var name: String
    @Flag(help: "Also while files of it are not sent yet.") var force = false
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let store = try ConfigurationStore(context.surroundings, flag: context.configFlag)
        let before = try Configuration(file: store.file())
        let remote = try before.remote(named: name)
        if remote.origin == .standard {
            throw CommandFailure(
                .failure, "the remote \"local\" is there because no other is configured",
                hint: "add another, and it is gone")
        }
        let unfinished = try UnfinishedFiles.of(name, context)
        if unfinished.count > 0, !force {
            throw CommandFailure(
                .workLeft,
                "\(unfinished.sentence) of the remote \"\(name)\" \(unfinished.count == 1 ? "is" : "are") not at it yet",
                hint:
                    "mount and `fxmount wait`, or `fxmount export` them; --force removes the remote all the same and keeps them",
                path: store.path)
        }
        let text = ConfigurationEdit.removing(remote: name, from: store.text)
        guard let text, try RemoteRemoveCommand.isOnly(name, missingFrom: text, of: store) else {
            throw CommandFailure(
                .configuration, "the remote \"\(name)\" does not stand in a section of its own",
                hint: "take it out of \(displayed(store.path.utf8)) by hand", path: store.path)
        }
        try store.replace(with: text)
        context.printer.document([
            "removed": .string(name), "path": .string(store.path), "unfinished": .integer(Int64(unfinished.count)),
        ])
        context.printer.confirm("removed \(name) from \(displayed(store.path.utf8)); what it holds stays")
        if unfinished.count > 0 {
            context.printer.warn(
                "\(unfinished.sentence) stay in the state directory until a remote \"\(name)\" is back")
        }
    }

    /// True when reading the new text finds everything the old one had, but for this remote.
    private static func isOnly(
        _ name: String, missingFrom text: String, of store: ConfigurationStore
    ) throws(CommandFailure) -> Bool {
        guard let new = try? ConfigurationFile(path: store.path, text: text) else { return false }
        let prefix = "remotes.\(name)."
        let wanted = try store.file().entries.filter { !$0.key.hasPrefix(prefix) }.mapValues(\.value)
        return new.entries.mapValues(\.value) == wanted
    }
}

/// Files of a remote that a state directory still has to send.
struct UnfinishedFiles {
    var count = 0
    var bytes = ByteCount.zero

    var sentence: String { "\(count) \(count == 1 ? "file" : "files") (\(bytes))" }

    /// Asks the journal, also while a mount uses it; none without a state directory.
    static func of(_ remote: String, _ context: CommandContext) throws(CommandFailure) -> UnfinishedFiles {
        let path = try context.stateDirectoryPath() + "/journal.sqlite"
        if unsafe access(path, F_OK) != 0 { return UnfinishedFiles() }
        do throws(RemoteError) {
            let found = try JournalCheck.unfinished(path: path).first { $0.remote == (try? Name(remote)) }
            return found.map { UnfinishedFiles(count: $0.files, bytes: $0.size) } ?? UnfinishedFiles()
        } catch { throw CommandFailure(describing: error) }
    }
}
