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
            TypeCreateCommand.self, TypeCreateDirectoriesCommand.self, TypeListCommand.self, TypeShowCommand.self,
            TypeExistsCommand.self,
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
    @Option(help: ArgumentHelp("The directory.", valueName: "dir"), completion: .directory) var path: String?
    @Flag(help: "Do not ask if --path is given and readable.") var noPrompt = false
    @Option(help: ArgumentHelp("How long to wait for an answer, in seconds or as 2m (5m).", valueName: "time"))
    var timeout: String?

    var wish: PromptWish { noPrompt ? .onlyIfNeeded : .ask }

    /// The path that was given, absolute; tells when it cannot be used.
    func initialPath(_ context: CommandContext) -> String? {
        guard let given = path.map(context.absolute) else { return nil }
        if (try? RealDirectory(mapping: given)) == nil {
            context.printer.warn("\(displayed(given.utf8)) is not a directory that can be read")
        }
        return given
    }

    func patience(_ context: CommandContext) throws(CommandFailure) -> Duration? {
        try context.duration(timeout, option: "--timeout")
    }
}

extension CommandContext {
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

extension TypeEntry {
    /// What the REST service shows, and besides what only this program knows.
    var fullJSON: JSONValue {
        [
            "application": .string(application.text), "entity": .string(mapped.entity.text),
            "type": .string(mapped.name.text), "path": .text(mapped.path), "status": .string(mapped.status.rawValue),
            "policy": .string(mapped.policy.rawValue), "created_at": .time(mapped.createdAt),
            "access": .string(access.text), "files": .integer(Int64(files)), "appid": .string(application.text),
        ]
    }
}

extension MappedType {
    var title: String { "\(entity.text)/\(name.text)" }
}

/// `fxmount type create ENTITY TYPE`
struct TypeCreateCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Makes an alias for a directory; the entity too if it is new.",
        discussion: """
            With a readable --path and --no-prompt it is mapped at once. Otherwise you are asked, on a desktop with its directory
            chooser, on a terminal with a prompt; without either it is an error. An alias that is mapped already is mapped anew if
            you agree to it when you are asked.
            """)
    @OptionGroup var alias: AliasArguments
    @OptionGroup var prompt: PromptOptions
    @Option(help: ArgumentHelp("keep-versions, keep-names, append-only, write-once or read-only.", valueName: "policy"))
    var policy: String?
    @Flag(help: "Make it without a directory, to be mapped later.") var unmapped = false
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let address = try alias.address()
        let policy = try context.policy(policy)
        let desk = try ExchangeDesk(try application.id(context.surroundings), policy: policy, context)
        let present = try desk.row(address)
        // Mapping it anew without a word would be a surprise.
        if let present, unmapped || (prompt.noPrompt && present.status == .mapped) {
            throw MappingError.typeExists(present.entity, present.name)
        }
        var entry: TypeEntry
        if unmapped {
            entry = try desk.makeUnmapped(address)
        } else {
            entry = try desk.exchange.createType(
                address, initPath: prompt.initialPath(context), prompt.wish, timeout: try prompt.patience(context))
        }
        if let policy, entry.mapped.policy != policy { entry = try desk.setPolicy(policy, of: address, .refused) }
        context.printer.document(entry.fullJSON)
        let place = entry.mapped.path.map { "is now \(displayed($0.utf8))" } ?? "made, not mapped yet"
        context.printer.confirm("\(entry.mapped.title) \(place) (\(entry.mapped.policy.rawValue))")
    }
}

/// `fxmount type list`
struct TypeListCommand: ExchangeCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists aliases.")
    @Argument(help: "Only this entity's.", completion: AliasCompletion.entities) var entity: String?
    @OptionGroup var page: PageOptions
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ desk: ExchangeDesk, _ context: CommandContext) throws {
        var name: EntityName?
        if let entity { name = try TypeAddress.entity(entity) }
        let list = try desk.exchange.listTypes(of: name, try page.page())
        context.printer.document([
            "types": .array(list.types.map(\.fullJSON)), "total": .integer(Int64(list.total)),
        ])
        if list.total == 0 {
            context.printer.confirm("no types; `fxmount type create ENTITY TYPE --path DIR` makes one")
        } else {
            context.printer.table(
                ["TYPE", "STATUS", "POLICY", "ACCESS", "FILES", "PATH"],
                list.types.map { entry in
                    let type = entry.mapped
                    return [
                        type.title, type.status.rawValue, type.policy.rawValue,
                        entry.access.text.isEmpty ? "-" : entry.access.text, String(entry.files),
                        displayed((type.path ?? "-").utf8),
                    ]
                })
        }
    }
}

/// `fxmount type show ENTITY TYPE`
struct TypeShowCommand: ExchangeCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Shows one alias.")
    @OptionGroup var alias: AliasArguments
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ desk: ExchangeDesk, _ context: CommandContext) throws {
        let json = try desk.exchange.listType(try alias.address()).fullJSON
        context.printer.document(json)
        context.printer.table(["KEY", "VALUE"], StatusCommand.rows(json, under: ""))
    }
}

/// `fxmount type exists ENTITY TYPE`
struct TypeExistsCommand: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "exists", abstract: "Tells whether an alias exists, mapped or not: exit 0 or 1.")
    @OptionGroup var alias: AliasArguments
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ desk: ExchangeDesk, _ context: CommandContext) throws {
        let exists = try desk.exchange.existsType(try alias.address())
        context.printer.document(["exists": .bool(exists)])
        context.printer.confirm(exists ? "yes" : "no")
        if !exists { throw SilentExit(status: .failure) }
    }
}

/// `fxmount type update ENTITY TYPE`
struct TypeUpdateCommand: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "update", abstract: "Maps an alias to another directory, or gives it another policy.",
        discussion: "You are asked for the directory unless --path and --no-prompt say it. The old one stays as it is.")
    @OptionGroup var alias: AliasArguments
    @OptionGroup var prompt: PromptOptions
    @Option(help: ArgumentHelp("A policy at least as strict as now.", valueName: "policy")) var policy: String?
    @Flag(help: "Allow a policy that protects less.") var weaken = false
    @Flag(help: "Take the directory away from the alias.") var unmap = false
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ desk: ExchangeDesk, _ context: CommandContext) throws {
        let address = try alias.address()
        var entry = try desk.exchange.listType(address)
        let newPolicy = try context.policy(policy)
        let patience = try prompt.patience(context)
        if unmap {
            entry = try desk.unmap(address)
        } else if prompt.path != nil {
            entry = try desk.exchange.createType(
                address, initPath: prompt.initialPath(context), prompt.wish, timeout: patience)
        } else if newPolicy == nil {
            // A policy alone says everything; without one the question is where to.
            entry = try desk.exchange.updateType(address, timeout: patience)
        }
        if let newPolicy { entry = try desk.setPolicy(newPolicy, of: address, weaken ? .allowed : .refused) }
        context.printer.document(entry.fullJSON)
        let type = entry.mapped
        context.printer.confirm(
            "\(type.title) is now \(displayed((type.path ?? "not mapped").utf8)) (\(type.policy.rawValue))")
    }
}

/// `fxmount type delete ENTITY TYPE`
struct TypeDeleteCommand: ExchangeCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Forgets an alias. Its directory and everything in it stay.")
    @OptionGroup var alias: AliasArguments
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ desk: ExchangeDesk, _ context: CommandContext) throws {
        let address = try alias.address()
        let old = try desk.exchange.listType(address)
        try desk.exchange.deleteType(address)
        context.printer.document(["deleted": old.fullJSON])
        let kept = old.mapped.path.map { "; \(displayed($0.utf8)) stays as it is" } ?? ""
        context.printer.confirm("forgot \(old.mapped.title)\(kept)")
    }
}

/// What the command line can do with types and the File Exchange API has no word for.
extension ExchangeDesk {
    func row(_ type: TypeAddress) throws(ExchangeError) -> MappedType? {
        do throws(ExchangeError) { return try exchange.listType(type).mapped } catch {
            if case .noSuchType = error { return nil }
            throw error
        }
    }

    func makeUnmapped(_ type: TypeAddress) throws -> TypeEntry {
        do throws(MappingError) { _ = try registry.createEntity(type.entity, in: exchange.application) } catch {
            if error != .entityExists(type.entity) { throw error }
        }
        try registry.createType(
            type.type, of: type.entity, in: exchange.application, policy: shared.settings.defaultPolicy)
        return try exchange.listType(type)
    }

    func unmap(_ type: TypeAddress) throws -> TypeEntry {
        try registry.setPath(nil, ofType: type.type, of: type.entity, in: exchange.application)
        return try exchange.listType(type)
    }

    func setPolicy(
        _ policy: Policy, of type: TypeAddress, _ weakening: TypeRegistry.Weakening
    ) throws -> TypeEntry {
        try registry.setPolicy(
            policy, ofType: type.type, of: type.entity, in: exchange.application, weakening: weakening)
        return try exchange.listType(type)
    }
}
