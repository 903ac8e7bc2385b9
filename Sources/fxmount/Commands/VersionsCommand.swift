internal import ArgumentParser
internal import FXMapping
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// `fxmount versions …`
struct VersionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "versions", abstract: "Shows and brings back what was in a file before.",
        discussion: """
            PATH is a file in a mount, or the real file in a mapped directory; no mount is needed. A version is named after the
            path, as a second argument or as PATH@VERSION; without one the newest is meant.

            EXAMPLES
              fxmount versions list ~/fx/types/clinic/scans/report.txt
              fxmount versions show ~/scans/report.txt > old.txt
              fxmount versions restore ~/scans/report.txt
            """,
        subcommands: [VersionsListCommand.self, VersionsShowCommand.self, VersionsRestoreCommand.self])
}

/// A file of a type, with the directory it really lies in.
struct VersionedFile: Sendable {
    var type: MappedType
    /// The mapped directory.
    var root: String
    var path: RelativePath
    /// As given.
    var shown: String
    var stamp: VersionStamp?

    /// - Parameters:
    ///   - text: absolute; may end in `@VERSION`.
    ///   - version: an argument of its own.
    init(_ text: String, version: String?, _ application: ApplicationOption, _ context: CommandContext) throws {
        var path = context.absolute(text)
        if let version {
            guard let parsed = VersionStamp(version.hasPrefix("@") ? String(version.dropFirst()) : version) else {
                throw VersionedFile.noSuchVersion(version, path)
            }
            stamp = parsed
        } else if let at = path.lastIndex(of: "@"), let parsed = VersionStamp(String(path[path.index(after: at)...])) {
            stamp = parsed
            path = String(path[..<at])
        }
        shown = path
        var id = try application.id(context.surroundings)
        var database = try context.stateDirectoryPath()
        if let entry = MountTable.current().ourMount(holding: path) {
            // The mount knows whose types it shows and where they are kept.
            let status = try LiveMount(path: entry.path, access: context.mountAccess()).status()
            if let shownApplication = status["application"]?.string, application.app == nil {
                id = try ApplicationID(shownApplication)
            }
            if let directory = status["state_directory"]?.string { database = directory }
            let parts = path.dropFirst(entry.path.count).split(separator: "/").map(String.init)
            guard parts.count >= 4, parts[0] == "types" else {
                throw CommandFailure(.usage, "\(displayed(path.utf8)) is not a file of a type", path: path)
            }
            let registry = try VersionedFile.registry(database)
            type = try registry.type(try TypeName(parts[2]), of: try EntityName(parts[1]), in: id)
            guard let root = type.path else {
                throw CommandFailure(.failure, "\(type.title) is not mapped", path: path, errno: .init(rawValue: ENXIO))
            }
            self.root = root
            self.path = try VersionedFile.relative(parts.dropFirst(3).joined(separator: "/"), path)
        } else {
            let real = VersionedFile.real(path)
            let types = try VersionedFile.registry(database).types(in: id).compactMap { type in
                type.path.map { (type, VersionedFile.real($0 + "/.")) }
            }
            let holders = types.filter { real.hasPrefix($0.1 + "/") }
            guard let holder = holders.max(by: { $0.1.utf8.count < $1.1.utf8.count }), let root = holder.0.path else {
                throw CommandFailure(
                    .failure, "\(displayed(path.utf8)) is in no mapped directory of application \(id.text)",
                    hint: "`fxmount type list` shows them; --app chooses another application", path: path)
            }
            type = holder.0
            self.root = root
            self.path = try VersionedFile.relative(String(real.dropFirst(holder.1.count + 1)), path)
        }
    }

    func store() throws(CommandFailure) -> VersionStore {
        do throws(Errno) {
            return try VersionStore(root: try OwnedDescriptor.open(absolute: root, [.pathOnly, .directory]))
        } catch {
            throw CommandFailure(error, "cannot open the mapped directory", path: root, status: .failure)
        }
    }

    func versions() throws(CommandFailure) -> [Version] {
        let store = try store()
        do throws(Errno) { return try store.list(path) } catch {
            throw CommandFailure(error, "cannot list the versions of", path: shown, status: .failure)
        }
    }

    /// The version that was asked for; the newest when none was.
    func version() throws(CommandFailure) -> Version {
        let versions = try versions()
        guard let stamp else {
            if let newest = versions.first { return newest }
            throw CommandFailure(
                .failure, "\(displayed(shown.utf8)) has no versions", path: shown, errno: .noSuchFileOrDirectory)
        }
        guard let version = versions.first(where: { $0.stamp == stamp }) else {
            throw VersionedFile.noSuchVersion(stamp.text, shown)
        }
        return version
    }

    private static func registry(_ directory: String) throws -> TypeRegistry {
        let directory = try StateDirectory(opening: directory, creating: false)
        return try TypeRegistry(databasePath: directory.path(of: "mappings.sqlite"))
    }

    private static func noSuchVersion(_ text: String, _ path: String) -> CommandFailure {
        CommandFailure(
            .failure, "\(displayed(path.utf8)) has no version \(displayed(text.utf8))",
            hint: "`fxmount versions list` shows those there are", path: path, errno: .noSuchFileOrDirectory)
    }

    private static func relative(_ text: String, _ path: String) throws(CommandFailure) -> RelativePath {
        do throws(NameError) { return try RelativePath(text) } catch {
            throw CommandFailure(.usage, "\(displayed(path.utf8)) is not a file of a type", path: path)
        }
    }

    /// The path with symbolic links resolved, all but the last name: that is the file itself.
    private static func real(_ path: String) -> String {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        let (parent, last) = (parts.dropLast().joined(separator: "/"), parts.last.map(String.init) ?? "")
        guard let resolved = unsafe realpath(parent.isEmpty ? "/" : parent, nil) else { return path }
        defer { unsafe free(resolved) }
        let directory = unsafe String(cString: resolved)
        if last == "." { return directory }
        return (directory == "/" ? "" : directory) + "/" + last
    }
}

extension Version {
    var json: JSONValue {
        [
            "version": .string(id), "time": .time(stamp.madeAt), "size": .bytes(size), "modified": .time(modified),
            "mode": .string(String(mode & 0o7777, radix: 8)), "owner": .integer(Int64(owner)),
            "group": .integer(Int64(group)),
        ]
    }
}

/// `fxmount versions list PATH`
struct VersionsListCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the versions of a file, newest first.")
    @Argument(help: "A file.") var path: String
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let file = try VersionedFile(path, version: nil, application, context)
        let versions = try file.versions()
        context.printer.document(["path": .string(file.shown), "versions": .array(versions.map(\.json))])
        if versions.isEmpty {
            context.printer.confirm("\(displayed(file.shown.utf8)) has no versions")
        } else {
            context.printer.table(
                ["VERSION", "KEPT", "SIZE", "MODIFIED"],
                versions.map { [$0.id, $0.stamp.madeAt.rfc3339, $0.size.description, $0.modified.rfc3339] })
        }
    }
}

/// `fxmount versions show PATH [VERSION]`
struct VersionsShowCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Writes the content of a version to stdout; with --json what is known of it.")
    @Argument(help: "A file, or PATH@VERSION.") var path: String
    @Argument var version: String?
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let file = try VersionedFile(path, version: version, application, context)
        let version = try file.version()
        if context.printer.isJSON { return context.printer.document(version.json) }
        let store = try file.store()
        do throws(Errno) {
            let content = try store.open(version)
            var offset: UInt64 = 0
            while true {
                let part = try content.read(1 << 20, at: offset)
                if part.isEmpty { return }
                if !context.printer.write(part) { return }
                offset += UInt64(part.count)
            }
        } catch {
            throw CommandFailure(error, "cannot read version \(version.id) of", path: file.shown, status: .failure)
        }
    }
}

/// `fxmount versions restore PATH [VERSION]`
struct VersionsRestoreCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Puts a version back as the file; what is in the file now becomes a version.",
        discussion: "Refused (exit 13) where the policy of the type does not let files change.")
    @Argument(help: "A file, or PATH@VERSION.") var path: String
    @Argument var version: String?
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let file = try VersionedFile(path, version: version, application, context)
        switch file.type.policy {
        case .keepVersions, .keepNames: break
        case .appendOnly, .writeOnce, .readOnly:
            throw CommandFailure(
                .policy, "\(file.type.title) is \(file.type.policy.rawValue): its files do not change",
                hint: "`fxmount versions show` writes a version somewhere else", path: file.shown, errno: .notPermitted)
        }
        let version = try file.version()
        let store = try file.store()
        let replaced: Version?
        do throws(Errno) { replaced = try store.restore(version) } catch {
            throw CommandFailure(error, "cannot restore version \(version.id) of", path: file.shown, status: .failure)
        }
        context.printer.document([
            "path": .string(file.shown), "restored": version.json, "replaced": replaced?.json ?? .null,
        ])
        let kept = replaced.map { "; what it held is version \($0.id)" } ?? ""
        context.printer.confirm("restored \(displayed(file.shown.utf8)) from \(version.id)\(kept)")
    }
}
