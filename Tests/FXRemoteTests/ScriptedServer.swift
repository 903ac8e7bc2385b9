import FXSystem
import Glibc
import Synchronization
import Testing

@testable import FXRemote

/// A server on loopback that does exactly what a test tells it, down to the byte: one thread a connection.
final class ScriptedServer: Sendable {
    typealias Script = @Sendable (ScriptedConnection, _ index: Int) -> Void

    private struct State {
        var threads: [WorkerThread] = []
        var connections: [ScriptedConnection] = []
        var received: [ReceivedRequest] = []
        var isStopping = false
    }

    let host: String
    let port: UInt16
    private let listener: Int32
    private let acceptor: WorkerThread
    private let shared: Shared

    /// What the accepting thread holds; not the server itself, so that dropping it ends everything.
    private final class Shared: Sendable {
        let state = Monitor(State())
    }

    /// - Parameter receiveBuffer: what the kernel takes in advance for each connection, in bytes; nil leaves it to the
    ///   kernel, which may take tens of MiB.
    init(host: String = "127.0.0.1", receiveBuffer: Int32? = nil, _ script: @escaping Script) throws {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        try #require(socket >= 0)
        var one: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        // Connections have it of the listening socket (tcp(7)).
        if var size = receiveBuffer {
            setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        inet_pton(AF_INET, host, &address.sin_addr)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(socket, generic, length) == 0 && listen(socket, 512) == 0
                    && getsockname(socket, generic, &length) == 0
            }
        }
        try #require(bound)
        self.host = host
        port = UInt16(bigEndian: address.sin_port)
        listener = socket
        let shared = Shared()
        self.shared = shared
        acceptor = try WorkerThread(name: "test server") {
            var index = 0
            while case let peer = accept(socket, nil, nil), peer >= 0 {
                let connection = ScriptedConnection(peer) { request in
                    shared.state.withLock { $0.received.append(request) }
                }
                let number = index
                index += 1
                let thread = try? WorkerThread(name: "test peer") {
                    script(connection, number)
                    connection.close()
                }
                let isStopping = shared.state.withLock { state in
                    state.connections.append(connection)
                    if let thread { state.threads.append(thread) }
                    return state.isStopping
                }
                if isStopping { connection.interrupt() }
            }
        }
    }

    /// Answers every request of every connection.
    convenience init(answering answer: @escaping @Sendable (ReceivedRequest) -> String) throws {
        try self.init { connection, _ in
            while let request = connection.request() { connection.send(answer(request)) }
        }
    }

    deinit { stop() }

    func stop() {
        let isFirst = shared.state.withLock { state in
            defer { state.isStopping = true }
            return !state.isStopping
        }
        if !isFirst { return }
        shutdown(listener, Int32(SHUT_RDWR))
        acceptor.join()
        Glibc.close(listener)
        let (connections, threads) = shared.state.withLock { ($0.connections, $0.threads) }
        for connection in connections { connection.interrupt() }
        for thread in threads { thread.join() }
    }

    /// Everything that was received, in order.
    var received: [ReceivedRequest] { shared.state.withLock { $0.received } }
    var connectionCount: Int { shared.state.withLock { $0.connections.count } }
    var origin: HTTPOrigin {
        get throws { try HTTPOrigin("http://\(host):\(port)") }
    }

    func transport(_ options: HTTPOptions = HTTPOptions()) throws -> CurlTransport {
        try CurlTransport(try origin, options: options)
    }
}

struct ReceivedRequest: Sendable, Equatable {
    var line: String
    var fields: [String]
    var body: [UInt8] = []

    subscript(name: String) -> String? {
        fields.first { $0.lowercased().hasPrefix(name.lowercased() + ":") }
            .map { String($0.dropFirst(name.count + 1).drop { $0 == " " }) }
    }
}

/// The server's end of a connection.
final class ScriptedConnection: Sendable {
    private let socket: Mutex<Int32>
    private let pending = Mutex<[UInt8]>([])
    private let record: @Sendable (ReceivedRequest) -> Void

    init(_ socket: Int32, _ record: @escaping @Sendable (ReceivedRequest) -> Void) {
        self.socket = Mutex(socket)
        self.record = record
    }

    private var descriptor: Int32 { socket.withLock { $0 } }

    /// The next request with its body; nil when the other side has ended.
    func request() -> ReceivedRequest? {
        guard var request = head() else { return nil }
        let count = request["Content-Length"].flatMap { Int($0) } ?? 0
        guard let body = take(count) else { return nil }
        request.body = body
        record(request)
        return request
    }

    /// Line and fields only; the body stays where it is.
    func head() -> ReceivedRequest? {
        var bytes: [UInt8] = []
        while !bytes.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            guard let byte = take(1) else { return nil }
            bytes += byte
        }
        var lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n").map(String.init)
        return ReceivedRequest(line: lines.removeFirst(), fields: lines)
    }

    /// Exactly `count` bytes; nil when there are not so many.
    func take(_ count: Int) -> [UInt8]? {
        while pending.withLock({ $0.count }) < count {
            var buffer = [UInt8](repeating: 0, count: 64 << 10)
            let got = recv(descriptor, &buffer, buffer.count, 0)
            if got <= 0 { return nil }
            pending.withLock { $0 += buffer.prefix(got) }
        }
        return pending.withLock { bytes in
            defer { bytes.removeFirst(count) }
            return Array(bytes.prefix(count))
        }
    }

    @discardableResult
    func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count <= 0 { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Waits until the other side ends.
    func waitForEnd() {
        var byte: UInt8 = 0
        while recv(descriptor, &byte, 1, 0) > 0 {}
    }

    func close() {
        socket.withLock { socket in
            if socket >= 0 { Glibc.close(socket) }
            socket = -1
        }
    }

    /// Ends it so that the other side learns of it as of a crash.
    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    /// Ends a `recv` of another thread.
    func interrupt() { socket.withLock { _ = shutdown($0, Int32(SHUT_RDWR)) } }
}

func answer(_ status: String, _ fields: [String] = [], _ body: String = "") -> String {
    (["HTTP/1.1 \(status)", "Content-Length: \(body.utf8.count)"] + fields + ["", body]).joined(separator: "\r\n")
}

/// Waits for an outcome, at most twenty seconds.
final class Outcome: Sendable {
    private let results = Monitor<[Result<HTTPResponse, HTTPFailure>]>([])

    func take(_ result: Result<HTTPResponse, HTTPFailure>) { results.withLock { $0.append(result) } }

    var count: Int { results.withLock { $0.count } }

    func first() throws -> Result<HTTPResponse, HTTPFailure> {
        try #require(results.wait(until: .after(.seconds(20))) { $0.first }, "no completion")
    }
}

extension Result where Success == HTTPResponse, Failure == HTTPFailure {
    var failure: HTTPFailure? { if case .failure(let failure) = self { failure } else { nil } }
    var response: HTTPResponse? { try? get() }
}

extension CurlTransport {
    /// One exchange, waited for.
    func outcome(_ request: HTTPRequest) throws -> Result<HTTPResponse, HTTPFailure> {
        let outcome = Outcome()
        start(request) { outcome.take($0) }
        return try outcome.first()
    }
}
