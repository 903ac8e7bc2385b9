internal import FXMapping
internal import FXServe
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// Puts the parts of `fxmount serve` together.
struct ServeAssembly: Sendable {
    let context: CommandContext
    let configuration: Configuration
    let stateDirectory: String

    /// - Throws: exit 2 for an address that is none, 10 or 12 for a token that cannot be had.
    func settings() throws -> ServeSettings {
        var settings = ServeSettings(ownerKey: try OwnerKey.of(stateDirectory: stateDirectory))
        (settings.address, settings.port) = try ServeAssembly.address(
            configuration.text("serve.listen") ?? "127.0.0.1:51983")
        settings.tls = try tls()
        if case .secret(let source)? = configuration.settings["serve.token_file"]?.value {
            settings.token = try SecretReader(environment: context.surroundings.environment).read(source)
        }
        settings.hostNames = configuration.list("serve.hosts") ?? []
        settings.askingOrigins = configuration.list("serve.origins") ?? []
        settings.payloadLimit = configuration.size("serve.payload_limit") ?? settings.payloadLimit
        settings.vintage = configuration.text("serve.codes").flatMap(Vintage.init) ?? settings.vintage
        settings.requestsPerSecond = configuration.integer("serve.requests_per_second") ?? settings.requestsPerSecond
        settings.connections = configuration.integer("serve.connections") ?? settings.connections
        settings.idleTimeout = configuration.duration("serve.idle_timeout") ?? settings.idleTimeout
        settings.promptTimeout = configuration.duration("serve.prompt_timeout") ?? settings.promptTimeout
        settings.programVersion = fxmountVersion
        return settings
    }

    private func tls() throws(CommandFailure) -> ServeSettings.TLSFiles? {
        switch (configuration.text("serve.tls_cert"), configuration.text("serve.tls_key")) {
        case (nil, nil): return nil
        case (let certificate?, let key?): return ServeSettings.TLSFiles(certificate: certificate, key: key)
        default: throw CommandFailure(.usage, "--tls-cert and --tls-key go together")
        }
    }

    /// `HOST:PORT`, `[V6]:PORT`, or a host alone.
    static func address(_ text: String) throws(CommandFailure) -> (String, UInt16) {
        let wrong = CommandFailure(
            .usage, "\(displayed(text.utf8)) is not an address to listen on",
            hint: "such as 127.0.0.1:51983 or [::1]:51983")
        let colon = text.lastIndex(of: ":")
        let hasPort = colon.map { !text.hasPrefix("[") || text[..<$0].hasSuffix("]") } ?? false
        let host = hasPort ? String(text[..<(colon ?? text.endIndex)]) : text
        var port: UInt16 = 51983
        if hasPort, let colon {
            guard let number = UInt16(text[colon...].dropFirst()) else { throw wrong }
            port = number
        }
        let bare = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        guard !bare.isEmpty, bare.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { throw wrong }
        return (bare, port)
    }

    func server(_ settings: ServeSettings, log: AccessLog) throws -> FileExchangeServer {
        let registry = try TypeRegistry(databasePath: "\(stateDirectory)/mappings.sqlite")
        let gate = try SharedGate(
            patterns: try TransferAssembly.patterns(configuration.list("types.staging_patterns")), events: EventLog())
        var exchangeSettings = ExchangeSettings(
            home: context.surroundings.environment["HOME"] ?? "/", spoolDirectory: stateDirectory,
            promptTimeout: settings.promptTimeout,
            reserved: { MountTable.current().ours.map { .mountPoint($0.path) } })
        exchangeSettings.defaultPolicy =
            configuration.text("types.default_policy").flatMap(Policy.init) ?? .keepVersions
        let exchange = SharedExchange(
            registry: registry, gate: gate, chooser: UserChooser(surroundings: context.surroundings),
            notices: QueuedNotices(DesktopNotices(surroundings: context.surroundings)), settings: exchangeSettings)
        return try FileExchangeServer(
            settings,
            FileExchangeServer.Parts(
                exchange: exchange, consents: ConsentStore(stateDirectory: stateDirectory),
                asker: ConsentPrompt(surroundings: context.surroundings), log: { log.write($0) }))
    }
}

/// One line of JSON on stderr for each request; written by a thread of its own, so that a reader who does not read holds up
/// nobody.
final class AccessLog: Sendable {
    private let lane = CallLane(name: "fx-serve-log", threads: 1, capacity: AccessLog.capacity)
    private let isSilent: Bool
    private let unwritten = Monitor(0)
    /// About 300 bytes each; beyond it lines are lost rather than requests.
    private static let capacity = 4096

    init(isSilent: Bool) { self.isSilent = isSilent }

    func write(_ line: JSONValue) {
        if isSilent { return }
        let unwritten = unwritten
        unwritten.withLock { $0 += 1 }
        let isTaken = lane.submit {
            defer { unwritten.withLock { $0 -= 1 } }
            let bytes = Array((line.text + "\n").utf8)
            _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
        }
        if !isTaken { unwritten.withLock { $0 -= 1 } }
    }

    /// Returns when every line is written, or when nobody has read for two seconds.
    func finish() { _ = unwritten.wait(until: .after(.seconds(2))) { $0 == 0 ? true : nil } }
}
