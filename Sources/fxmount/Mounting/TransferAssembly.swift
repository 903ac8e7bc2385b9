internal import FXMapping
internal import FXRemote
internal import FXSystem
internal import Logging

/// Makes the remotes that the configuration names.
enum TransferAssembly {
    /// - Throws: exit 10 or 12 for a remote that cannot be set up, what the journal and the disk say otherwise.
    static func make(
        _ configuration: Configuration, _ assembly: RemoteAssembly, events: EventLog
    ) throws -> TransferService {
        for warning in RemoteWarning.all(in: configuration) {
            events.record(
                "insecure_remote", level: .warning,
                [.init("remote", .string(warning.remote)), .init("warning", .string(warning.sentence))])
        }
        var remotes: [RemoteConfiguration] = []
        do {
            for settings in configuration.remotes { remotes.append(try remote(settings, configuration, assembly)) }
            return try TransferService(
                stateDirectory: assembly.stateDirectory, remotes: remotes,
                keeping: configuration.text("spool.keep").flatMap(SpoolKeeping.init(rawValue:)) ?? .none,
                cacheDirectory: assembly.cacheDirectory, cache: try cache(configuration, assembly), events: events)
        } catch {
            for remote in remotes { remote.stopTransport() }
            throw error
        }
    }

    /// nil when nothing that is read is kept, which is the default.
    private static func cache(
        _ configuration: Configuration, _ assembly: RemoteAssembly
    ) throws -> ReadCacheConfiguration? {
        guard let size = configuration.size("cache.size"), size > .zero else { return nil }
        return ReadCacheConfiguration(size: size, name: try Name("read-\(assembly.writer)"))
    }

    /// The patterns of temporary names in mapped types.
    static func patterns(_ texts: [String]?) throws(MappingError) -> StagingPatterns {
        guard let texts else { return .standard }
        return try StagingPatterns(texts)
    }

    private static func remote(
        _ settings: RemoteSettings, _ configuration: Configuration, _ assembly: RemoteAssembly
    ) throws -> RemoteConfiguration {
        let patterns = try patterns(configuration.stagingPatterns(of: settings))
        let assembled = try assembly.make(settings)
        return RemoteConfiguration(
            name: try Name(settings.name), kind: settings.kind.rawValue,
            address: [settings.address, settings.text("bucket")].compactMap(\.self).joined(separator: " "),
            backend: assembled.backend,
            commit: settings.text("commit") == "journal" ? .journal : .remote,
            operationTimeout: settings.duration("op_timeout") ?? .seconds(15),
            listingTTL: settings.duration("listing_ttl") ?? RemoteConfiguration.standardListingTTL,
            connections: settings.integer("connections"), stopTransport: assembled.stop,
            looksTemporary: { patterns.matches($0, parent: nil, exclusive: $1, mode: $2) })
    }
}

extension Configuration {
    /// Which names look temporary in the sessions of a remote; nil means the standard ones.
    func stagingPatterns(of remote: RemoteSettings) -> [String]? {
        remote.list("staging_patterns") ?? list("types.staging_patterns")
    }
}

/// Something about a remote its user should hear of at each mount.
struct RemoteWarning: Sendable, Equatable {
    var remote: String
    var sentence: String

    static func all(in configuration: Configuration) -> [RemoteWarning] { configuration.remotes.compactMap { of($0) } }

    static func of(_ settings: RemoteSettings) -> RemoteWarning? {
        guard let origin = settings.address.flatMap({ try? HTTPOrigin($0) }) else { return nil }
        if settings.bool("insecure"), origin.scheme == .https {
            return RemoteWarning(
                remote: settings.name,
                sentence:
                    "the remote \"\(settings.name)\" has insecure = true: anybody on the way can pretend to be \(origin.host) and read the credentials; ca_file is the safe way to trust its certificate"
            )
        }
        // An S3 secret signs requests and is not sent.
        if origin.scheme == .http, settings.secret != nil, settings.kind != .s3, !origin.isLoopback {
            return RemoteWarning(
                remote: settings.name,
                sentence:
                    "the remote \"\(settings.name)\" is reached by plain http: the credentials go over the network unencrypted"
            )
        }
        return nil
    }
}
