internal import ArgumentParser
internal import FXSystem

/// `fxmount config …`
struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Shows and checks the configuration.",
        discussion: """
            EXAMPLES
              fxmount config show --origin
              fxmount config check --config ./new.toml
            """,
        subcommands: [Show.self, Check.self, Path.self])

    struct Show: RunnableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows every setting in force.")
        @Flag(help: "Say where each value comes from.") var origin = false
        @OptionGroup var common: CommonOptions

        func perform(_ context: CommandContext) throws {
            let configuration = try context.configuration()
            var rows: [(key: String, setting: Setting)] = configuration.settings.map { ($0.key, $0.value) }
            for remote in configuration.remotes {
                rows.append(
                    ("remotes.\(remote.name).kind", Setting(value: .text(remote.kind.rawValue), origin: remote.origin)))
                rows += remote.settings.map { ("remotes.\(remote.name).\($0.key)", $0.value) }
            }
            rows.sort { $0.key < $1.key }
            context.printer.document(
                .object(
                    rows.map { row in
                        .init(
                            row.key,
                            origin
                                ? ["value": row.setting.value.json, "origin": .string(row.setting.origin.text)]
                                : row.setting.value.json)
                    }))
            context.printer.table(
                ["KEY", "VALUE"] + (origin ? ["ORIGIN"] : []),
                rows.map { row in
                    [displayed(row.key.utf8), displayed(row.setting.value.written.utf8)]
                        + (origin ? [displayed(row.setting.origin.text.utf8)] : [])
                })
        }
    }

    struct Check: RunnableCommand {
        static let configuration = CommandConfiguration(abstract: "Checks the configuration; exit 10 when it is wrong.")
        @OptionGroup var common: CommonOptions

        func perform(_ context: CommandContext) throws {
            let configuration = try context.configuration()
            context.printer.document([
                "ok": true, "path": .text(configuration.path),
                "remotes": .array(configuration.remotes.map { .string($0.name) }),
            ])
            let place = configuration.path.map { displayed($0.utf8) } ?? "no configuration file, defaults only"
            context.printer.say("ok: \(place)")
        }
    }

    struct Path: RunnableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows where the configuration is looked for.")
        @OptionGroup var common: CommonOptions

        func perform(_ context: CommandContext) throws {
            let candidates = context.surroundings.configurationCandidates(flag: context.configFlag).paths
            let used = try context.surroundings.configurationFile(flag: context.configFlag)?.path
            let state = try context.stateDirectoryPath()
            context.printer.document([
                "used": .text(used), "candidates": .array(candidates.map { .string($0) }), "state": .string(state),
            ])
            context.printer.table(
                ["WHAT", "PATH"],
                candidates.map { [$0 == used ? "configuration (used)" : "configuration", displayed($0.utf8)] }
                    + [["state", displayed(state.utf8)]])
        }
    }
}
