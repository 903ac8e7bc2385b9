internal import ArgumentParser
internal import FXMapping
internal import FXSystem

/// `fxmount file …`
struct FileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "file",
        abstract: "Lists, copies, moves, writes and reads files by their alias; no mount is needed.",
        discussion: """
            A file is named by entity, type and its path below the type, with exact names: no patterns, no "..". The policy of the type
            holds, and nothing is ever deleted.

            EXAMPLES
              fxmount file put report.pdf clinic scans 2024/report.pdf
              fxmount file list clinic scans 2024
              fxmount file get clinic scans 2024/report.pdf -
              fxmount file copy clinic scans 2024/report.pdf archive report-2024.pdf
            """,
        subcommands: [
            FileListCommand.self, FileInfoCommand.self, FileAccessCommand.self, FileExistsCommand.self,
            FileMkdirCommand.self, FileCopyCommand.self, FileMoveCommand.self, FileRenameCommand.self,
            FilePutCommand.self, FileGetCommand.self,
        ])
}

/// `fxmount file list ENTITY [TYPE] [PATH]`
struct FileListCommand: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists a directory of a type; without TYPE all mapped directories of an entity.")
    @Argument(completion: AliasCompletion.entities) var entity: String
    @Argument(completion: AliasCompletion.types) var type: String?
    @Argument(help: "A directory below the type.") var path: String?
    @OptionGroup var page: PageOptions
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ desk: ExchangeDesk, _ context: CommandContext) throws {
        let page = try page.page()
        let list: FileList
        if let type {
            list = try desk.exchange.listTypeContent(
                try TypeAddress(entity: entity, type: type), try FolderPath(path.map(parts)), page)
        } else {
            list = try desk.exchange.listContent(of: try TypeAddress.entity(entity), page)
        }
        context.printer.document(list.json)
        for type in list.unavailable { context.printer.warn("\(type) is left out: its directory cannot be read") }
        if list.files.isEmpty { return context.printer.confirm("no files on this page; there are \(list.total)") }
        context.printer.table(
            FileEntry.titles + (type == nil ? ["TYPE"] : []),
            list.files.map { $0.row + (type == nil ? ["\($0.type)"] : []) })
    }
}

/// `fxmount file info ENTITY TYPE PATH`
struct FileInfoCommand: ExchangeCommand {
    static let configuration = CommandConfiguration(commandName: "info", abstract: "Shows one file or directory.")
    @OptionGroup var alias: AliasArguments
    @Argument var path: String
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ desk: ExchangeDesk, _ context: CommandContext) throws {
        let json = try desk.exchange.getFileInfo(try alias.file(path)).json
        context.printer.document(json)
        context.printer.table(["KEY", "VALUE"], StatusCommand.rows(json, under: ""))
    }
}

/// `fxmount file access ENTITY TYPE [PATH]`
struct FileAccessCommand: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "access", abstract: "Says what you may do with a file, a directory or the type itself: of r, w, x."
    )
    @OptionGroup var alias: AliasArguments
    @Argument var path: String?
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ desk: ExchangeDesk, _ context: CommandContext) throws {
        let mode: AccessMode
        if let path {
            mode = try desk.exchange.getAccessMode(try alias.file(path))
        } else {
            mode = try desk.exchange.getAccessMode(try alias.address(), .root)
        }
        context.printer.document(["access": .string(mode.text)])
        context.printer.say(mode.text.isEmpty ? "-" : mode.text)
    }
}

/// `fxmount file exists ENTITY TYPE PATH`
struct FileExistsCommand: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "exists", abstract: "Tells whether there is such a file or directory: exit 0 or 1.")
    @OptionGroup var alias: AliasArguments
    @Argument var path: String
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ desk: ExchangeDesk, _ context: CommandContext) throws {
        let exists = try desk.exchange.existsFile(try alias.file(path))
        context.printer.document(["exists": .bool(exists)])
        context.printer.confirm(exists ? "yes" : "no")
        if !exists { throw SilentExit(status: .failure) }
    }
}

/// `fxmount file mkdir ENTITY TYPE PATH`
struct FileMkdirCommand: ExchangeCommand {
    static let configuration = CommandConfiguration(commandName: "mkdir", abstract: "Makes a directory.")
    @OptionGroup var alias: AliasArguments
    @Argument var path: String
    @Flag(name: .shortAndLong, help: "Make missing directories above it too; one that is there is fine.")
    var parents = false
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ desk: ExchangeDesk, _ context: CommandContext) throws {
        let entry = try desk.exchange.createDir(try alias.file(path), parents ? .made : .required)
        context.printer.document(entry.json)
        context.printer.confirm("made \(displayed(entry.path.utf8))")
    }
}
