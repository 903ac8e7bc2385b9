import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// Listens on loopback: plain HTTP/1.1, or TLS that answers plain HTTP with a redirect as NGINX does.
struct Front: Sendable {
    /// Answers one request.
    typealias Responder = HTTP1Channel.Responder

    let certificate: Certificate?
    let connections = Connections()

    /// Serves until the task is cancelled.
    func serve(port: Int, _ responder: @escaping Responder, ready: @escaping @Sendable (Int) -> Void) async throws {
        var logger = Logger(label: "test-services")
        logger.logLevel = .error
        let setup = FrontChannel(
            base: HTTP1Channel(responder: responder), tls: try certificate?.context(), connections: connections)
        let server = Server(
            childChannelSetup: setup, configuration: ServerConfiguration(address: .hostname("127.0.0.1", port: port)),
            onServerRunning: { channel in ready(channel.localAddress?.port ?? 0) },
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logger)
        try await server.run()
    }
}

/// The open connections, so that a restart can end them.
final class Connections: Sendable {
    private let open = Mutex<[ObjectIdentifier: any Channel]>([:])

    func add(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        open.withLock { $0[id] = channel }
        channel.closeFuture.whenComplete { _ in _ = self.open.withLock { $0.removeValue(forKey: id) } }
    }

    func closeAll(except kept: any Channel) {
        let channels = open.withLock { Array($0.values) }
        for channel in channels where channel !== kept { channel.close(promise: nil) }
    }
}

private struct FrontChannel: ServerChildChannel {
    let base: HTTP1Channel
    let tls: NIOSSLContext?
    let connections: Connections

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        connections.add(channel)
        return channel.eventLoop.makeCompletedFuture {
            guard let tls else { return }
            try channel.pipeline.syncOperations.addHandler(PlainRequestRefusal())
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls))
        }.flatMap { base.setup(channel: channel, logger: logger) }
    }

    func handle(value: HTTP1Channel.Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}

/// Answers plain HTTP on the TLS port with 301 to https, as NGINX is configured to.
private final class PlainRequestRefusal: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private var plain: ByteBuffer?

    /// The first byte of a TLS record that starts a handshake (RFC 8446 section 5.1).
    private static let handshake: UInt8 = 22

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if plain == nil, bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) == PlainRequestRefusal.handshake {
            context.fireChannelRead(data)
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
            return
        }
        var all = plain ?? ByteBuffer()
        all.writeBuffer(&bytes)
        plain = all
        let text = String(buffer: all)
        guard text.contains("\r\n\r\n") else { return }
        let target = text.split(separator: " ").dropFirst().first ?? "/"
        let host = text.split(separator: "\r\n").first { $0.lowercased().hasPrefix("host:") }?.dropFirst(5) ?? ""
        let page = nginxPage("301 Moved Permanently")
        let answer =
            "HTTP/1.1 301 Moved Permanently\r\nServer: \(nginxVersion)\r\nContent-Type: text/html\r\n"
            + "Content-Length: \(page.utf8.count)\r\nConnection: close\r\n"
            + "Location: https://\(host.drop { $0 == " " })\(target)\r\n\r\n\(page)"
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer))).whenComplete { _ in
            channel.close(promise: nil)
        }
    }
}

let nginxVersion = "nginx/1.22.1"

/// The page NGINX shows for a status of its own.
func nginxPage(_ status: String) -> String {
    "<html>\r\n<head><title>\(status)</title></head>\r\n<body>\r\n<center><h1>\(status)</h1></center>\r\n"
        + "<hr><center>\(nginxVersion)</center>\r\n</body>\r\n</html>\r\n"
}
