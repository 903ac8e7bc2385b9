internal import ArgumentParser
internal import FXMapping
internal import FXSystem

/// `fxmount file copy ENTITY TYPE PATH TO-TYPE [TO-PATH]`
struct FileCopyCommand: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "copy", abstract: "Copies a file or directory within an entity; nothing is replaced.",
        discussion: "TO-PATH is the path of the copy itself. Without it the copy has its name at the root of TO-TYPE.")
    @OptionGroup var alias: AliasArguments
    @Argument var path: String
    @Argument(completion: AliasCompletion.types) var toType: String
    @Argument var toPath: String?
    @OptionGroup var progress: ProgressOption
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ desk: ExchangeDesk, _ context: CommandContext) throws {
        let file = try alias.file(path)
        let target = try TypeAddress(entity: alias.entity, type: toType, as: .toType)
        let names = toPath.map(parts)
        let folder = try FolderPath(names.map { Array($0.dropLast()) }, as: .toRelPath)
        let name = names?.last
        let exchange = desk.exchange
        let entry = try desk.showing(progress, context) {
            try exchange.copyFile(file, to: target.type, folder, as: name)
        }
        context.printer.document(entry.json)
        context.printer.confirm("copied to \(displayed(entry.path.utf8))")
    }
}

/// `fxmount file move ENTITY TYPE PATH TO-TYPE [TO-DIRECTORY]`
struct FileMoveCommand: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "move",
        abstract: "Moves a file or directory, under its name, within an entity; nothing is replaced.")
    @OptionGroup var alias: AliasArguments
    @Argument var path: String
    @Argument(completion: AliasCompletion.types) var toType: String
    @Argument(help: "A directory that is there; the root of TO-TYPE without it.") var toDirectory: String?
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ desk: ExchangeDesk, _ context: CommandContext) throws {
        let target = try TypeAddress(entity: alias.entity, type: toType, as: .toType)
        let folder = try FolderPath(toDirectory.map(parts), as: .toRelPath)
        let entry = try desk.exchange.moveFile(try alias.file(path), to: target.type, folder)
        context.printer.document(entry.json)
        context.printer.confirm("moved to \(displayed(entry.path.utf8))")
    }
}

/// `fxmount file rename ENTITY TYPE PATH NAME`
struct FileRenameCommand: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "rename", abstract: "Gives a file or directory another name in its directory; nothing is replaced."
    )
    @OptionGroup var alias: AliasArguments
    @Argument var path: String
    @Argument var name: String
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ desk: ExchangeDesk, _ context: CommandContext) throws {
        let entry = try desk.exchange.renameFile(try alias.file(path), to: name)
        context.printer.document(entry.json)
        context.printer.confirm("is now \(displayed(entry.path.utf8))")
    }
}

extension ExchangeDesk {
    /// Runs a transfer and shows how far it is while it takes its time.
    func showing<Result: Sendable>(
        _ progress: ProgressOption, _ context: CommandContext, _ body: @escaping @Sendable () throws -> Result
    ) throws -> Result {
        let board = shared.transfers
        let display = progress.display(context) {
            guard let running = board.all.first, running.state == .running, let total = running.total else {
                return nil
            }
            return Remaining(files: 1, bytes: total - running.done, done: running.done)
        }
        guard let display else { return try body() }
        let outcome = Monitor<Swift.Result<Result, any Error>?>(nil)
        let thread = try ServiceThread(name: "transfer") {
            let result = Swift.Result { try body() }
            outcome.withLock { $0 = result }
        }
        while true {
            if let result = outcome.wait(until: .after(ProgressDisplay.interval), { $0 }) {
                thread.join()
                display.clear()
                return try result.get()
            }
            display.tick()
        }
    }
}
