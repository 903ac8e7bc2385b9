internal import ArgumentParser
internal import FXMapping
internal import FXSystem
internal import Logging

/// The File Exchange API as one command uses it.
struct ExchangeDesk: Sendable {
    var exchange: FileExchange
    var registry: TypeRegistry
    var shared: SharedExchange
    private var events: EventLog

    /// How long a question waits when nobody said: a script without a user ends.
    static let patience = Duration.seconds(300)

    /// - Parameters:
    ///   - policy: of types that are made; nil is the configured one.
    ///   - patience: how long a question waits; nil is `patience`.
    init(
        _ application: ApplicationID, policy: Policy? = nil, patience: Duration? = nil, _ context: CommandContext
    ) throws {
        let configuration = try context.configuration()
        let directory = try context.openStateDirectory(creating: true)
        registry = try TypeRegistry(databasePath: directory.path(of: "mappings.sqlite"))
        // stderr is for the user; the reason of a refusal is in the error.
        events = EventLog(logger: Logger(label: "fxmount") { _ in SwiftLogNoOpLogHandler() })
        let patterns = try TransferAssembly.patterns(configuration.list("types.staging_patterns"))
        let configured = try context.policy(configuration.text("types.default_policy"))
        let surroundings = context.surroundings
        shared = SharedExchange(
            registry: registry, gate: try SharedGate(patterns: patterns, events: events),
            chooser: UserChooser(surroundings: surroundings), notices: DesktopNotices(surroundings: surroundings),
            settings: ExchangeSettings(
                home: surroundings.environment["HOME"] ?? "/", spoolDirectory: directory.path,
                defaultPolicy: policy ?? configured ?? .keepVersions,
                promptTimeout: patience ?? ExchangeDesk.patience, reserved: { CommandContext.mountPoints }))
        exchange = shared.exchange(for: application)
    }

    /// The rule that was broken last.
    var lastRule: String? { events.recent.last { $0.kind == "refused" }?.json["rule"]?.string }
}

/// A command that uses the File Exchange API.
protocol ExchangeCommand: RunnableCommand {
    var application: ApplicationOption { get }
    /// How long a question of it waits.
    func patience(_ context: CommandContext) throws(CommandFailure) -> Duration?
    func perform(_ desk: ExchangeDesk, _ context: CommandContext) throws
}

extension ExchangeCommand {
    func patience(_ context: CommandContext) throws(CommandFailure) -> Duration? { nil }

    func perform(_ context: CommandContext) throws {
        let desk = try ExchangeDesk(
            try application.id(context.surroundings), patience: try patience(context), context)
        do {
            try perform(desk, context)
        } catch let error as ExchangeError {
            var failure = CommandFailure(describing: error)
            if case .refused = error { failure.hint = desk.lastRule }
            throw failure
        }
    }
}

extension CommandContext {
    /// Directories a type may not overlap with.
    static var mountPoints: [ReservedDirectory] { MountTable.current().ours.map { .mountPoint($0.path) } }
}

/// Which part of a list.
struct PageOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Leave out so many entries.", valueName: "n")) var start: Int?
    @Option(help: ArgumentHelp("At most so many entries.", valueName: "n")) var size: Int?
    @Option(help: ArgumentHelp("asc or desc, by name.", valueName: "order")) var sort: String?

    func page() throws(ExchangeError) -> Page { try Page(start: start, size: size, sort: sort) }
}

/// The alias a command is about.
struct AliasArguments: ParsableArguments {
    @Argument(completion: AliasCompletion.entities) var entity: String
    @Argument(completion: AliasCompletion.types) var type: String

    func address() throws(ExchangeError) -> TypeAddress { try TypeAddress(entity: entity, type: type) }

    /// A file or directory below it, by one text with `/` between the names.
    func file(_ path: String) throws(ExchangeError) -> FileAddress { try FileAddress(try address(), path: parts(path)) }
}

/// The names of a path, empty ones included, which no operation takes.
func parts(_ path: String) -> [String] { path.split(separator: "/", omittingEmptySubsequences: false).map(String.init) }

extension FileEntry {
    static let titles = ["ACCESS", "SIZE", "MODIFIED", "NAME"]

    var row: [String] {
        let size = isDirectory ? "-" : size.description
        return [access.text.isEmpty ? "-" : access.text, size, modified.rfc3339, shownName]
    }

    private var shownName: String { displayed(name.utf8) + (isDirectory ? "/" : "") }
}
