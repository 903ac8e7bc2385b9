internal import FXMapping
internal import FXRemote
internal import FXSystem

/// Makes the remotes that the configuration names.
enum TransferAssembly {
    /// - Throws: exit 10 for a remote that cannot be set up, what the journal and the disk say otherwise.
    static func make(
        _ configuration: Configuration, stateDirectory: String, events: EventLog
    ) throws -> TransferService {
        var remotes: [RemoteConfiguration] = []
        for settings in configuration.remotes { remotes.append(try remote(settings, configuration, stateDirectory)) }
        return try TransferService(stateDirectory: stateDirectory, remotes: remotes, events: events)
    }

    /// The patterns of temporary names in mapped types.
    static func patterns(_ texts: [String]?) throws(MappingError) -> StagingPatterns {
        guard let texts else { return .standard }
        return try StagingPatterns(texts)
    }

    private static func remote(
        _ settings: RemoteSettings, _ configuration: Configuration, _ stateDirectory: String
    ) throws -> RemoteConfiguration {
        let name = try Name(settings.name)
        let patterns = try patterns(settings.list("staging_patterns") ?? configuration.list("types.staging_patterns"))
        let path = settings.text("path") ?? standardStore(settings.name, in: stateDirectory)
        let store: LocalStore
        do throws(RemoteError) { store = try LocalStore(path: path) } catch {
            throw CommandFailure(
                .configuration,
                "the store of the remote \"\(settings.name)\" at \(displayed(path.utf8)) cannot be used: \(error.message)",
                hint: "set remotes.\(settings.name).path to a directory you can write, whose parent exists", path: path,
                errno: error.errno)
        }
        return RemoteConfiguration(
            name: name, kind: settings.kind.rawValue, backend: store,
            commit: settings.text("commit") == "journal" ? .journal : .remote,
            operationTimeout: settings.duration("op_timeout") ?? .seconds(15),
            connections: settings.integer("connections") ?? RemoteConfiguration.standardConnections,
            looksTemporary: { patterns.matches($0, parent: nil, exclusive: $1, mode: $2) })
    }

    /// One store a remote; the embedded default keeps the plain name.
    private static func standardStore(_ name: String, in directory: String) -> String {
        name == "local" ? "\(directory)/store" : "\(directory)/store-\(name)"
    }
}
