internal import ArgumentParser
internal import FXMapping
internal import FXServe
internal import FXSystem
internal import SystemPackage

/// `fxmount consent …`
struct ConsentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "consent", abstract: "Says which web origins may work with files through `fxmount serve`.",
        discussion: """
            A running server obeys at once.

            EXAMPLES
              fxmount consent grant https://app.example.org --days 30
              fxmount consent list
              fxmount consent revoke https://app.example.org
            """,
        subcommands: [ConsentGrantCommand.self, ConsentListCommand.self, ConsentRevokeCommand.self])
}

extension CommandContext {
    func openConsents() throws -> ConsentStore {
        ConsentStore(stateDirectory: try openStateDirectory(creating: true).path)
    }

    func origin(_ text: String) throws(CommandFailure) -> Origin {
        guard let origin = Origin(text) else {
            throw CommandFailure(
                .usage, "\(displayed(text.utf8)) is not a web origin",
                hint: "scheme, host and port only, as in https://app.example.org or http://localhost:8080")
        }
        return origin
    }
}

/// `fxmount consent grant ORIGIN`
struct ConsentGrantCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grant", abstract: "Lets the pages of an origin work with the files of their own types.")
    @Argument(help: "Such as https://app.example.org; the port belongs to it.") var origin: String
    @Option(help: "How long it holds.") var days = ConsentStore.defaultDays
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        guard (1...ConsentStore.longestDays).contains(days) else {
            throw CommandFailure(.usage, "--days \(days): expected 1 to \(ConsentStore.longestDays)")
        }
        let consent = try context.openConsents().grant(try context.origin(origin), days: days, by: .command)
        context.printer.document(consent.json)
        context.printer.confirm(
            "pages of \(consent.origin) may work with files of application \(consent.origin.application) until \(consent.expiresAt.rfc3339)"
        )
    }
}

/// `fxmount consent list`
struct ConsentListCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists consents, expired ones too; with --json one line each.")
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let consents = try context.openConsents().all()
        for consent in consents { context.printer.document(consent.json) }
        if consents.isEmpty {
            context.printer.confirm("nobody has consent; `fxmount consent grant ORIGIN` gives it")
        } else {
            let now = WallClock.system.now()
            context.printer.table(
                ["ORIGIN", "APPLICATION", "UNTIL", "GIVEN BY"],
                consents.map {
                    [
                        $0.origin.text, $0.origin.application.text,
                        $0.expiresAt.rfc3339 + ($0.holds(at: now) ? "" : " (expired)"), $0.giver.rawValue,
                    ]
                })
        }
    }
}

/// `fxmount consent revoke ORIGIN`
struct ConsentRevokeCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Takes consent back. Types and files stay.")
    @Argument var origin: String
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let origin = try context.origin(origin)
        guard try context.openConsents().revoke(origin) else {
            throw CommandFailure(
                .failure, "\(origin) has no consent", hint: "`fxmount consent list` shows who has",
                errno: .noSuchFileOrDirectory)
        }
        context.printer.document(["revoked": .string(origin.text)])
        context.printer.confirm("\(origin) has no consent any more")
    }
}
