internal import ArgumentParser
internal import FXMapping
internal import FXSystem

/// `fxmount type create-dirs ENTITY TYPE PATH`
struct TypeCreateDirectoriesCommand: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "create-dirs", abstract: "Makes directories below an alias, and the alias if it is new.",
        discussion: """
            Those that are there already are fine. Where the alias has no directory yet you are asked for one, as by `type create`.
            """)
    @OptionGroup var alias: AliasArguments
    @Argument(help: "The directories, with / between them; all that are missing are made.") var path: String
    @Option(
        help: ArgumentHelp("How long to wait for an answer, in seconds or as 2m (5m).", valueName: "time"))
    var timeout: String?
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func patience(_ context: CommandContext) throws(CommandFailure) -> Duration? {
        try context.duration(timeout, option: "--timeout")
    }

    func perform(_ desk: ExchangeDesk, _ context: CommandContext) throws {
        let entry = try desk.exchange.createTypeDirs(try alias.address(), try FolderPath(parts(path)))
        context.printer.document(entry.fullJSON)
        context.printer.confirm("\(entry.mapped.title) has \(displayed(path.utf8))")
    }
}
