internal import ArgumentParser
internal import FXMapping
internal import FXSystem
internal import Glibc

/// `fxmount type …`
struct TypeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "type", abstract: "Manages aliases for local directories.",
        discussion: """
            EXAMPLES
              fxmount type create clinic scans --path ~/scans --no-prompt --policy keep-versions
              fxmount type list
              fxmount type update clinic scans --policy write-once
            """,
        subcommands: [
            TypeCreateCommand.self, TypeListCommand.self, TypeShowCommand.self, TypeExistsCommand.self,
            TypeUpdateCommand.self,
            TypeDeleteCommand.self,
        ])
}

/// Whose types.
struct ApplicationOption: ParsableArguments {
    @Option(help: ArgumentHelp("The application whose types these are (FXMOUNT_APP; default local).", valueName: "id"))
    var app: String?

    func id(_ surroundings: Surroundings) throws(MappingError) -> ApplicationID {
        try ApplicationID(app ?? surroundings.environment["FXMOUNT_APP"] ?? "local")
    }
}

/// How a directory is asked for.
struct PromptOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The directory.", valueName: "dir")) var path: String?
    @Flag(help: "Do not ask if --path is given and readable.") var noPrompt = false
    @Option(help: ArgumentHelp("How long to wait for an answer, in seconds or as 2m.", valueName: "time")) var timeout:
        String?

    /// The directory to map, after asking where the rules say so.
    func directory(for what: String, mapped: String?, _ context: CommandContext) throws(CommandFailure) -> String {
        let given = path.map(context.absolute)
        let isReadable = given.map { (try? RealDirectory(mapping: $0)) != nil } ?? false
        let decision = PromptDecision(
            path: given, isReadable: isReadable, promptIsAllowed: !noPrompt, mapped: mapped,
            home: context.surroundings.environment["HOME"] ?? "/")
        switch decision {
        case .map(let directory): return directory
        case .ask(let preselected):
            if let given, !isReadable {
                context.printer.warn("\(displayed(given.utf8)) is not a directory that can be read")
            }
            let prompt = DirectoryPrompt(
                surroundings: context.surroundings, timeout: try context.duration(timeout, option: "--timeout"))
            return try prompt.ask(for: what, preselected: preselected)
        }
    }
}

extension CommandContext {
    /// The registry of the state directory, which is made if missing.
    func openRegistry() throws -> TypeRegistry {
        let directory = try openStateDirectory(creating: true)
        return try TypeRegistry(databasePath: directory.path(of: "mappings.sqlite"))
    }

    /// Directories a type may not overlap with.
    var reservedDirectories: [ReservedDirectory] { MountTable.current().ours.map { .mountPoint($0.path) } }

    func policy(_ text: String?) throws(CommandFailure) -> Policy? {
        guard let text else { return nil }
        guard let policy = Policy(rawValue: text) else {
            throw CommandFailure(
                .usage, "unknown policy \"\(displayed(text.utf8))\"",
                hint: Suggestion.nearest(to: text, in: SettingKey.policies).map { "did you mean \"\($0)\"?" }
                    ?? "known: \(SettingKey.policies.joined(separator: ", "))")
        }
        return policy
    }
}

extension MappedType {
    func json(_ application: ApplicationID) -> JSONValue {
        [
            "application": .string(application.text), "entity": .string(entity.text), "type": .string(name.text),
            "path": .text(path), "status": .string(status.rawValue), "policy": .string(policy.rawValue),
            "created_at": .time(createdAt),
        ]
    }

    var title: String { "\(entity.text)/\(name.text)" }
}

/// `fxmount type create ENTITY TYPE`
struct TypeCreateCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Makes an alias for a directory; the entity too if it is new.",
        discussion: """
            With a readable --path and --no-prompt it is mapped at once. Otherwise you are asked, on a desktop with its directory
            chooser, on a terminal with a prompt; without either it is an error.
            """)
    @Argument var entity: String
    @Argument var type: String
    @OptionGroup var prompt: PromptOptions
    @Option(help: ArgumentHelp("keep-versions, keep-names, append-only, write-once or read-only.", valueName: "policy"))
    var policy: String?
    @Flag(help: "Make it without a directory, to be mapped later.") var unmapped = false
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let application = try application.id(context.surroundings)
        let (entity, name) = (try EntityName(entity), try TypeName(type))
        let configured = try context.configuration().text("types.default_policy")
        let policy = try context.policy(policy ?? configured) ?? .keepVersions
        let registry = try context.openRegistry()
        if try registry.exists(name, of: entity, in: application) { throw MappingError.typeExists(entity, name) }
        let title = "\(entity.text)/\(name.text)"
        let path = unmapped ? nil : try prompt.directory(for: title, mapped: nil, context)
        do throws(MappingError) { try registry.createEntity(entity, in: application) } catch {
            if error != .entityExists(entity) { throw error }
        }
        let made = try registry.createType(
            name, of: entity, in: application, path: path, policy: policy, clearOf: context.reservedDirectories)
        context.printer.document(made.json(application))
        let place = made.path.map { "is now \(displayed($0.utf8))" } ?? "made, not mapped yet"
        context.printer.confirm("\(title) \(place) (\(made.policy.rawValue))")
    }
}

/// `fxmount type list`
struct TypeListCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists aliases; with --json one line each.")
    @Argument(help: "Only this entity's.") var entity: String?
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let application = try application.id(context.surroundings)
        let entity = try entity.map { try EntityName($0) }
        let types = try context.openRegistry().types(in: application, entity: entity)
        for type in types { context.printer.document(type.json(application)) }
        if types.isEmpty {
            context.printer.confirm("no types; `fxmount type create ENTITY TYPE --path DIR` makes one")
        } else {
            context.printer.table(
                ["TYPE", "STATUS", "POLICY", "PATH"],
                types.map { [$0.title, $0.status.rawValue, $0.policy.rawValue, displayed(($0.path ?? "-").utf8)] })
        }
    }
}

/// `fxmount type show ENTITY TYPE`
struct TypeShowCommand: RunnableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Shows one alias.")
    @Argument var entity: String
    @Argument var type: String
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let application = try application.id(context.surroundings)
        let found = try context.openRegistry().type(try TypeName(type), of: try EntityName(entity), in: application)
        let json = found.json(application)
        context.printer.document(json)
        context.printer.table(["KEY", "VALUE"], StatusCommand.rows(json, under: ""))
    }
}

/// `fxmount type exists ENTITY TYPE`
struct TypeExistsCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exists", abstract: "Tells whether an alias exists, mapped or not: exit 0 or 1.")
    @Argument var entity: String
    @Argument var type: String
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let application = try application.id(context.surroundings)
        let exists = try context.openRegistry().exists(try TypeName(type), of: try EntityName(entity), in: application)
        context.printer.document(["exists": .bool(exists)])
        context.printer.confirm(exists ? "yes" : "no")
        if !exists { throw SilentExit(status: .failure) }
    }
}

/// `fxmount type update ENTITY TYPE`
struct TypeUpdateCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "update", abstract: "Maps an alias to another directory, or gives it another policy.",
        discussion: "The old directory and what is in it stay as they are.")
    @Argument var entity: String
    @Argument var type: String
    @OptionGroup var prompt: PromptOptions
    @Option(help: ArgumentHelp("A policy at least as strict as now.", valueName: "policy")) var policy: String?
    @Flag(help: "Allow a policy that protects less.") var weaken = false
    @Flag(help: "Take the directory away from the alias.") var unmap = false
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let application = try application.id(context.surroundings)
        let (entity, name) = (try EntityName(entity), try TypeName(type))
        let registry = try context.openRegistry()
        var type = try registry.type(name, of: entity, in: application)
        // A policy alone says everything; without one the question is where to.
        let asksForPath = prompt.path != nil || (policy == nil && !unmap)
        let newPolicy = try context.policy(policy)
        let path = asksForPath ? try prompt.directory(for: type.title, mapped: type.path, context) : nil
        if unmap || asksForPath {
            type = try registry.setPath(
                path, ofType: name, of: entity, in: application, clearOf: context.reservedDirectories)
        }
        if let newPolicy {
            type = try registry.setPolicy(
                newPolicy, ofType: name, of: entity, in: application, weakening: weaken ? .allowed : .refused)
        }
        context.printer.document(type.json(application))
        context.printer.confirm(
            "\(type.title) is now \(displayed((type.path ?? "not mapped").utf8)) (\(type.policy.rawValue))")
    }
}

/// `fxmount type delete ENTITY TYPE`
struct TypeDeleteCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Forgets an alias. Its directory and everything in it stay.")
    @Argument var entity: String
    @Argument var type: String
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let application = try application.id(context.surroundings)
        let (entity, name) = (try EntityName(entity), try TypeName(type))
        let registry = try context.openRegistry()
        let old = try registry.type(name, of: entity, in: application)
        try registry.deleteType(name, of: entity, in: application)
        context.printer.document(["deleted": old.json(application)])
        let kept = old.path.map { "; \(displayed($0.utf8)) stays as it is" } ?? ""
        context.printer.confirm("forgot \(old.title)\(kept)")
    }
}
