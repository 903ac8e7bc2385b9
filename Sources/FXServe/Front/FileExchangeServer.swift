public import FXMapping
public import FXSystem
internal import HummingbirdCore
internal import HummingbirdTLS
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Synchronization
internal import SystemPackage

/// The File Exchange API over HTTP. Made once, run once.
public final class FileExchangeServer: Sendable {
    /// What a server works on.
    public struct Parts: Sendable {
        public var exchange: SharedExchange
        public var consents: ConsentStore
        /// Asks the user for consent.
        public var asker: any ConsentAsker
        /// Gets one line of JSON for each request; must not wait.
        public var log: @Sendable (JSONValue) -> Void

        public init(
            exchange: SharedExchange, consents: ConsentStore, asker: any ConsentAsker,
            log: @escaping @Sendable (JSONValue) -> Void
        ) {
            self.exchange = exchange
            self.consents = consents
            self.asker = asker
            self.log = log
        }
    }

    /// Why it does not start, for a person.
    public struct StartFailure: Error, Sendable {
        public var sentence: String
        /// Another process has the address.
        public var isInUse = false
    }

    private let settings: ServeSettings
    private let parts: Parts
    private let running = Mutex<Running?>(nil)

    private struct Running: Sendable {
        var shutDown: @Sendable () async throws -> Void
        var desk: Desk
    }

    public init(_ settings: ServeSettings, _ parts: Parts) throws(StartFailure) {
        if let objection = settings.objection { throw StartFailure(sentence: objection) }
        self.settings = settings
        self.parts = parts
    }

    /// Serves until `stop` was called and what ran then has ended, or the stop timeout has passed.
    /// - Parameter ready: gets the port once connections are accepted.
    public func run(ready: @escaping @Sendable (UInt16) -> Void) async throws {
        let tls = try settings.tls.map { try FileExchangeServer.tlsConfiguration($0) }
        let desk = Desk(settings, parts)
        let front = Front(desk: desk, settings: settings)
        let base = HTTP1Channel(
            responder: { request, writer, channel in try await front.respond(to: request, writer, channel) },
            configuration: HTTP1Channel.Configuration(idleTimeout: settings.idleTimeout.timeAmount))
        if let tls {
            try await serve(try TLSChannel(base, tlsConfiguration: tls), desk, ready)
        } else {
            try await serve(base, desk, ready)
        }
    }

    /// Takes no more connections and lets running requests end. Any thread; returns at once.
    public func stop() {
        guard let running = running.withLock({ $0 }) else { return }
        running.desk.stop()
        Task { try await running.shutDown() }
    }

    private func serve(
        _ channel: some ServerChildChannel, _ desk: Desk, _ ready: @escaping @Sendable (UInt16) -> Void
    ) async throws {
        var logger = Logger(label: "fxmount.serve")
        // Each request has a line of its own.
        logger.logLevel = .error
        let group = MultiThreadedEventLoopGroup(numberOfThreads: FileExchangeServer.eventLoops)
        let server = Server(
            childChannelSetup: channel,
            configuration: ServerConfiguration(
                address: .hostname(settings.address, port: Int(settings.port)),
                availableConnectionsDelegate: MaximumAvailableConnections(settings.connections, logger: logger)),
            onServerRunning: { channel in
                let port = UInt16(clamping: channel.localAddress?.port ?? 0)
                desk.opened(port: port)
                ready(port)
            }, eventLoopGroup: group, logger: logger)
        running.withLock { $0 = Running(shutDown: { try await server.shutdownGracefully() }, desk: desk) }
        let stopTimeout = settings.stopTimeout
        let result = await FileExchangeServer.result {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await server.run() }
                // Cancelling the server's task closes what is still open.
                tasks.addTask {
                    try await desk.stopped()
                    try await Task.sleep(for: stopTimeout)
                }
                try await tasks.next()
                tasks.cancelAll()
            }
        }
        running.withLock { $0 = nil }
        desk.close()
        try? await group.shutdownGracefully()
        try result.get()
    }

    private static func result(_ body: () async throws -> Void) async -> Result<Void, any Error> {
        do {
            return .success(try await body())
        } catch is CancellationError {
            return .success(())
        } catch let error as IOError {
            let reason = Errno(rawValue: error.errnoCode)
            return .failure(
                StartFailure(
                    sentence: "cannot listen there: \(reason)", isInUse: reason == .addressInUse))
        } catch { return .failure(error) }
    }

    /// They parse and copy only; blocking calls have threads of their own.
    private static let eventLoops = 2

    private static func tlsConfiguration(_ files: ServeSettings.TLSFiles) throws -> TLSConfiguration {
        do {
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: try NIOSSLCertificate.fromPEMFile(files.certificate).map { .certificate($0) },
                privateKey: .privateKey(try NIOSSLPrivateKey(file: files.key, format: .pem)))
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["http/1.1"]
            return configuration
        } catch {
            throw StartFailure(sentence: "the certificate or its key cannot be used: \(error)")
        }
    }
}

extension Duration {
    var timeAmount: TimeAmount {
        .nanoseconds(Int64(components.seconds) * 1_000_000_000 + components.attoseconds / 1_000_000_000)
    }
}
