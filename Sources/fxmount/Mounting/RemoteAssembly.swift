internal import FXRemote
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// A backend with what keeps it going.
struct AssembledRemote: Sendable {
    var backend: any Backend
    /// Ends its transport; may be called twice.
    var stop: @Sendable () -> Void = {}
}

/// Makes the backend of one configured remote: transport, secret, backend.
struct RemoteAssembly: Sendable {
    var environment: [String: String]
    /// Holds what is read of services without ranges; nil for the state directory.
    var cacheDirectory: String?
    /// Holds the stores of kind `local` that have no path.
    var stateDirectory: String
    /// The stable name of this state directory among several that write to one service.
    var writer: String

    /// Asks no network.
    /// - Throws: exit 10 or 12 for a remote that cannot be set up: its store, its certificate file, its secret.
    func make(_ settings: RemoteSettings) throws(CommandFailure) -> AssembledRemote {
        switch settings.kind {
        case .local: return AssembledRemote(backend: try store(settings))
        case .mft: return try mft(settings)
        case .opentera: return try openTera(settings)
        case .itslearning: return try itslearning(settings)
        case .s3: return try s3(settings)
        case .tus: return try tus(settings)
        }
    }

    // MARK: - local

    private func store(_ settings: RemoteSettings) throws(CommandFailure) -> LocalStore {
        let path = settings.text("path") ?? standardStore(settings.name)
        do throws(RemoteError) { return try LocalStore(path: path) } catch {
            throw CommandFailure(
                .configuration,
                "the store of the remote \"\(settings.name)\" at \(displayed(path.utf8)) cannot be used: \(error.message)",
                hint: "set remotes.\(settings.name).path to a directory you can write, whose parent exists", path: path,
                errno: error.errno)
        }
    }

    /// One store a remote; the embedded default keeps the plain name.
    private func standardStore(_ name: String) -> String {
        name == "local" ? "\(stateDirectory)/store" : "\(stateDirectory)/store-\(name)"
    }

    // MARK: - Network

    private func openTera(_ settings: RemoteSettings) throws(CommandFailure) -> AssembledRemote {
        let origin = try origin(of: settings)
        var configuration = OpenTeraConfiguration(
            username: settings.text("username") ?? "", password: try requiredSecret(of: settings))
        configuration.sessionType = settings.text("session_type")
        configuration.allowsDelete = settings.bool("delete")
        configuration.maximumBody = settings.size("max_body") ?? OpenTeraConfiguration.standardMaximumBody
        configuration.operationTimeout = operationTimeout(settings)
        let transport = try transport(to: origin, settings)
        return AssembledRemote(
            backend: OpenTeraService(
                configuration, transport: transport, basePath: origin.basePath, clock: .system),
            stop: { transport.stop() })
    }

    private func mft(_ settings: RemoteSettings) throws(CommandFailure) -> AssembledRemote {
        let origin = try origin(of: settings)
        let secret = try requiredSecret(of: settings)
        var configuration = MFTConfiguration(
            settings.hasAlternativeSecret
                ? .key(secret) : .password(username: settings.text("username") ?? "", secret),
            url: origin.root + origin.basePath,
            // Groups of two remotes are two, also when both are the same account at the same service.
            writer: "\(writer)/\(settings.name)")
        configuration.operationTimeout = operationTimeout(settings)
        let transport = try transport(to: origin, settings)
        return AssembledRemote(
            backend: MFTService(configuration, transport: transport, basePath: origin.basePath, clock: .system),
            stop: { transport.stop() })
    }

    private func itslearning(_ settings: RemoteSettings) throws(CommandFailure) -> AssembledRemote {
        let origin = try origin(of: settings)
        var configuration = ItslearningConfiguration(
            username: settings.text("username") ?? "", password: try requiredSecret(of: settings))
        func number(_ key: String) -> Int64? { settings.integer(key).map { Int64($0) } }
        configuration.extensionID = number("extension_id") ?? ItslearningConfiguration.fileExtension
        configuration.siteID = number("site_id")
        configuration.maximumFileSize =
            settings.size("max_file_size") ?? ItslearningConfiguration.standardMaximumFileSize
        configuration.operationTimeout = operationTimeout(settings)
        if let location = settings.text("publish.location").flatMap({ ItslearningPublication.Location(rawValue: $0) }),
            let user = number("publish.user_id")
        {
            configuration.publication = ItslearningPublication(
                location: location, courseID: number("publish.course_id"), userID: user,
                parentID: number("publish.parent_id"))
        }
        let transport = try transport(to: origin, settings)
        return AssembledRemote(
            backend: ItslearningService(
                configuration, transport: transport, basePath: origin.basePath, clock: .system),
            stop: { transport.stop() })
    }

    private func s3(_ settings: RemoteSettings) throws(CommandFailure) -> AssembledRemote {
        let bucket = settings.text("bucket") ?? ""
        let isPathStyle = settings.bool("path_style")
        let origin = try origin(of: settings, hostPrefix: isPathStyle ? nil : bucket)
        let configuration = S3Configuration(
            region: settings.text("region") ?? "", bucket: bucket, prefix: settings.text("prefix") ?? "",
            accessKeyID: settings.text("access_key_id") ?? "", secretAccessKey: try requiredSecret(of: settings),
            pathStyle: isPathStyle, authority: origin.authority, isEncrypted: origin.scheme == .https,
            isLocal: origin.isLoopback, allowsDelete: settings.bool("delete"), writer: writer,
            operationTimeout: operationTimeout(settings))
        let transport = try transport(to: origin, settings)
        return AssembledRemote(
            backend: S3Service(configuration, transport: transport, basePath: origin.basePath, clock: .system),
            stop: { transport.stop() })
    }

    private func tus(_ settings: RemoteSettings) throws(CommandFailure) -> AssembledRemote {
        let origin = try origin(of: settings)
        // An origin has no slash at its end, but for the service `files` and `files/` may be two things.
        var configuration = TusConfiguration(
            creationPath: origin.basePath + (settings.address?.hasSuffix("/") ?? false ? "/" : ""))
        configuration.token = try secret(of: settings)
        configuration.layout = settings.text("layout").flatMap { .init(rawValue: $0) } ?? .auto
        configuration.filesPath = try filesPath(settings, origin)
        configuration.allowsDelete = settings.bool("delete")
        configuration.operationTimeout = operationTimeout(settings)
        let transport = try transport(to: origin, settings)
        return AssembledRemote(
            backend: TusService(configuration, transport: transport, origin: origin, clock: .system),
            stop: { transport.stop() })
    }

    /// The token goes to the configured service only, so the files have to be there too.
    private func filesPath(_ settings: RemoteSettings, _ origin: HTTPOrigin) throws(CommandFailure) -> String? {
        guard let text = settings.text("files_url") else { return nil }
        let key = "remotes.\(settings.name).files_url"
        do throws(HTTPOriginError) {
            let files = try HTTPOrigin(text)
            if files.root == origin.root { return files.basePath }
        } catch { throw CommandFailure(.configuration, "\(key): \(error.description)") }
        throw CommandFailure(
            .configuration, "\(key): it has to be on the same host and port as url",
            hint: "the service gets the token of the remote with each request")
    }

    private func operationTimeout(_ settings: RemoteSettings) -> Duration {
        settings.duration("op_timeout") ?? .seconds(15)
    }

    /// The url or endpoint of a remote.
    private func origin(
        of settings: RemoteSettings, hostPrefix: String? = nil
    ) throws(CommandFailure) -> HTTPOrigin {
        do throws(HTTPOriginError) {
            let origin = try HTTPOrigin(settings.address ?? "")
            return try hostPrefix.map { prefix throws(HTTPOriginError) in try origin.withHostPrefix(prefix) } ?? origin
        } catch {
            throw CommandFailure(
                .configuration, "remotes.\(settings.name).\(settings.kind.address): \(error.description)")
        }
    }

    private func transport(to origin: HTTPOrigin, _ settings: RemoteSettings) throws(CommandFailure) -> CurlTransport {
        var options = HTTPOptions()
        options.insecure = settings.bool("insecure")
        options.caFile = settings.text("ca_file")
        options.bytesPerSecond = settings.size("rate_limit")
        if let path = options.caFile { try CertificateFile.check(path, of: settings.name) }
        // Every upload, as many ranges being read, and a few listings.
        let connections = settings.integer("connections") ?? RemoteConfiguration.standardConnections
        options.maximumConnections = max(HTTPOptions.standardConnections, connections * 2 + 4)
        do throws(RemoteError) { return try CurlTransport(origin, options: options) } catch {
            throw CommandFailure(describing: error)
        }
    }

    /// How the secret is got at each login. It is taken once here, so that a mount with a wrong source does not start.
    private func secret(
        of settings: RemoteSettings
    ) throws(CommandFailure) -> (@Sendable () throws(RemoteError) -> Secret)? {
        guard let source = settings.secret else { return nil }
        let reader = SecretReader(environment: environment)
        do throws(CommandFailure) { _ = try reader.read(source) } catch {
            var failure = error
            failure.message = "the remote \"\(settings.name)\" has no secret to log in with: \(error.message)"
            throw failure
        }
        let keeper = SecretKeeper(source, reader)
        return { () throws(RemoteError) in try keeper.secret() }
    }

    private func requiredSecret(
        of settings: RemoteSettings
    ) throws(CommandFailure) -> @Sendable () throws(RemoteError) -> Secret {
        if let secret = try secret(of: settings) { return secret }
        throw CommandFailure(
            .configuration, "the remote \"\(settings.name)\" needs \(settings.kind.secret?.stem ?? "secret")_file")
    }
}

/// A file of certificates to trust instead of the system's.
enum CertificateFile {
    /// Several hundred authorities; a larger file is something else.
    private static let maximumSize = ByteCount.mebibytes(8)

    /// - Throws: exit 10 when it cannot be read or holds no certificate.
    static func check(_ path: String, of remote: String) throws(CommandFailure) {
        let what = "ca_file of the remote \"\(remote)\", \(displayed(path.utf8)),"
        do throws(Errno) {
            let file = try OwnedDescriptor.open(absolute: path, [.readOnly, .nonBlocking])
            let status = try file.status()
            guard status.isRegular, status.size < maximumSize,
                String(decoding: try file.read(Int(clamping: status.size.rawValue), at: 0), as: UTF8.self)
                    .contains("-----BEGIN CERTIFICATE-----")
            else {
                throw Errno.invalidArgument
            }
        } catch {
            let problem =
                error == .invalidArgument ? "holds no certificate in PEM form" : "cannot be read: \(error.sentence)"
            throw CommandFailure(
                .configuration, "\(what) \(problem)", hint: "it begins with -----BEGIN CERTIFICATE-----", path: path,
                errno: error)
        }
    }
}
