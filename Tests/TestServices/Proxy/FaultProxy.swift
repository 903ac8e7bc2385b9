import FXSystem
import Glibc

/// A proxy on loopback in front of one upstream, also on loopback, which fails by rule; see Tests/TestServices/README.md.
/// Plain threads and blocking sockets: without a rule it costs two copies and nothing else.
public final class FaultProxy: Sendable {
    public let port: Int
    public let controlPort: Int
    let state: Monitor<ProxyState>
    private let open = Monitor<[Int: ProxyConnection]>([:])
    private let links = ProxyLinks()

    /// More connections at once wait to be accepted: far more than a client may open.
    private static let mostConnections = 512

    public init(upstreamPort: Int, port: Int, controlPort: Int) throws {
        state = Monitor(ProxyState(upstreamPort: upstreamPort))
        let (listener, listenerPort) = try Socket.listening(on: port)
        let (controls, controlsPort) = try Socket.listening(on: controlPort)
        self.port = listenerPort
        self.controlPort = controlsPort
        _ = try ServiceThread(name: "proxy") { self.acceptClients(listener) }
        _ = try ServiceThread(name: "proxy-control") { self.acceptControls(controls) }
    }

    /// Every connection made from now on is slower by so much.
    public func addRoundTrip(milliseconds: Int) { state.withLock { $0.roundTripMilliseconds = milliseconds } }

    /// All connections together carry no more than that in each direction.
    public func limit(bytesPerSecond: Int) {
        links.toClients.bytesPerSecond = bytesPerSecond
        links.toUpstream.bytesPerSecond = bytesPerSecond
    }

    private func acceptClients(_ listener: Socket) {
        while let client = listener.accepted() {
            let (number, isDown) = state.withLock { state in
                state.connections += 1
                return (state.connections, state.isDown)
            }
            guard !isDown, let connection = try? ProxyConnection(client, number: number, state: state, links: links)
            else {
                client.end(withReset: true)
                continue
            }
            _ = open.wait { open -> Bool? in
                guard open.count < FaultProxy.mostConnections else { return nil }
                open[number] = connection
                return true
            }
            do {
                _ = try ServiceThread(name: "proxy-requests") {
                    connection.run()
                    _ = self.open.withLock { $0.removeValue(forKey: number) }
                }
            } catch {
                connection.cut(withReset: true)
                _ = open.withLock { $0.removeValue(forKey: number) }
            }
        }
    }

    /// Ends every connection.
    func cutAll(withReset: Bool) {
        for connection in open.withLock({ Array($0.values) }) { connection.cut(withReset: withReset) }
    }

    private func acceptControls(_ listener: Socket) {
        while let client = listener.accepted() {
            do { _ = try ServiceThread(name: "proxy-control") { self.control(client) } } catch { client.end() }
        }
    }

    /// One control request a connection.
    private func control(_ client: Socket) {
        let inlet = Inlet(client)
        guard let bytes = inlet.head(), let head = RequestHead(bytes) else { return }
        var body: [UInt8] = []
        try? inlet.body(head.framing) { piece in
            body.append(contentsOf: piece)
            return true
        }
        var call = Call(method: head.method, target: head.target, fields: [])
        call.body = StoredBytes(body)
        var status = 200
        var answer = JSONValue.null
        do throws(ControlError) {
            answer = try control(call)
        } catch {
            status = 400
            answer = .string(error.sentence)
        }
        let text = answer.text
        let answerHead =
            "HTTP/1.1 \(status) Control\r\nContent-Type: application/json\r\nContent-Length: \(text.utf8.count)\r\n"
            + "Connection: close\r\n\r\n"
        _ = Array((answerHead + text).utf8).withUnsafeBytes { client.send($0) }
        client.finishSending()
        // Its other end closes first, so that no port is left waiting here.
        try? inlet.body(.untilEnd) { _ in true }
    }
}
