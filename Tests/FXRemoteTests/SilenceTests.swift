import FXSystem
import Testing

@testable import FXRemote

/// When nothing moves on a connection: what counts as nothing, and that it ends.
@Suite struct SilenceTests {
    private let start = ContinuousDeadline.now()

    private func at(_ seconds: Int) -> ContinuousDeadline { start.advanced(by: .seconds(seconds)) }

    @Test func `it is over when nothing was heard for the limit`() {
        var silence = Silence(limit: .seconds(8), now: start)
        #expect(!silence.isOver(at: at(7)) && silence.isOver(at: at(8)))
        silence.moved(at: at(5))
        #expect(!silence.isOver(at: at(12)) && silence.isOver(at: at(13)))
    }

    @Test func `the kernel is asked eight times in the limit, counted from what moved last`() {
        var silence = Silence(limit: .seconds(8), now: start)
        #expect(!silence.wantsSample(at: start) && silence.wantsSample(at: at(1)))
        #expect(silence.nextLook == at(1))
        silence.sample(100, at: at(1))
        #expect(!silence.wantsSample(at: at(1)) && silence.nextLook == at(2))
        silence.moved(at: at(4))
        #expect(!silence.wantsSample(at: at(4)) && silence.nextLook == at(5))
        for second in 5...11 { silence.sample(100, at: at(second)) }
        #expect(silence.nextLook == at(12) && silence.isOver(at: at(12)))
    }

    @Test func `what the other side takes out of the kernel is no silence`() {
        var silence = Silence(limit: .seconds(8), now: start)
        for second in 1...20 {
            silence.sample(UInt64(second) * 1000, at: at(second))
            #expect(!silence.isOver(at: at(second)))
        }
        for second in 21...27 { silence.sample(20_000, at: at(second)) }
        #expect(!silence.isOver(at: at(27)) && silence.isOver(at: at(28)))
    }

    @Test func `what is not known is no movement, and the first count is compared with nothing`() {
        var silence = Silence(limit: .seconds(8), now: start)
        silence.sample(nil, at: at(1))
        silence.sample(100, at: at(2))
        silence.sample(nil, at: at(3))
        silence.sample(200, at: at(4))
        #expect(silence.isOver(at: at(8)))
        // Another connection may have counted before.
        silence.moved(at: at(8))
        silence.sample(50, at: at(9))
        #expect(!silence.isOver(at: at(15)) && silence.isOver(at: at(16)))
    }
}

/// The same on connections. `longestSilence` is short here; what the backends allow is a minute and more.
@Suite struct SilentConnectionTests {
    private static let limit = Duration.seconds(1)

    private func transport(to server: ScriptedServer) throws -> CurlTransport {
        var options = HTTPOptions()
        options.longestSilence = Self.limit
        return try server.transport(options)
    }

    /// Of the server: little, so that it is the server that takes the bytes and not its kernel.
    private static let receiveBuffer: Int32 = 256 << 10
    /// Far more than the sockets of both sides hold then.
    private static let body = [UInt8](repeating: 7, count: 16 << 20)

    private var upload: HTTPRequest {
        HTTPRequest(.put, "/", body: .content(BytesContent(Self.body), 0..<UInt64(Self.body.count)))
    }

    @Test func `a body of which nothing more is taken ends the exchange`() throws {
        let door = Door()
        let server = try ScriptedServer(receiveBuffer: Self.receiveBuffer) { connection, _ in
            guard connection.head() != nil, connection.take(1 << 20) != nil else { return }
            door.wait()
        }
        defer { door.open() }
        let transport = try transport(to: server)
        let began = ContinuousDeadline.now()
        #expect(try transport.outcome(upload).failure == .timedOut(isSent: true))
        #expect(began.elapsed >= Self.limit)
        #expect(server.connectionCount == 1)
    }

    @Test func `a body that was taken and is not answered ends the exchange`() throws {
        let door = Door()
        let server = try ScriptedServer { connection, _ in
            guard connection.request() != nil else { return }
            door.wait()
        }
        defer { door.open() }
        let request = HTTPRequest(.put, "/", body: .bytes([1, 2, 3]))
        #expect(try transport(to: server).outcome(request).failure == .timedOut(isSent: true))
        #expect(server.received.count == 1)
    }

    @Test func `an answer that stops in the middle ends the exchange`() throws {
        let door = Door()
        let server = try ScriptedServer { connection, _ in
            guard connection.request() != nil else { return }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nten bytes.")
            door.wait()
        }
        defer { door.open() }
        let sink = CountingSink()
        let outcome = try transport(to: server).outcome(HTTPRequest(.get, "/", sink: sink))
        #expect(outcome.failure == .timedOut(isSent: true))
        #expect(sink.count == 10 && server.connectionCount == 1)
    }

    @Test func `after a silence the next request has another connection`() throws {
        let door = Door()
        let server = try ScriptedServer { connection, index in
            while connection.request() != nil {
                if index == 0 { door.wait() }
                connection.send(answer("200 OK"))
            }
        }
        defer { door.open() }
        let transport = try transport(to: server)
        #expect(try transport.outcome(HTTPRequest(.get, "/")).failure == .timedOut(isSent: true))
        #expect(try transport.outcome(HTTPRequest(.get, "/")).response?.status == 200)
        #expect(server.connectionCount == 2)
    }

    /// Twice the limit in all.
    @Test func `a body that is taken slowly does not end`() throws {
        let server = try ScriptedServer(receiveBuffer: Self.receiveBuffer) { connection, _ in
            guard connection.head() != nil else { return }
            for _ in 0..<16 {
                guard connection.take(Self.body.count / 16) != nil else { return }
                pause(milliseconds: 125)
            }
            connection.send(answer("200 OK"))
            connection.waitForEnd()
        }
        let began = ContinuousDeadline.now()
        #expect(try transport(to: server).outcome(upload).response?.status == 200)
        #expect(began.elapsed >= Self.limit * 2)
        #expect(server.connectionCount == 1)
    }

    @Test func `an answer that comes slowly does not end`() throws {
        let server = try ScriptedServer { connection, _ in
            guard connection.request() != nil else { return }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n")
            for _ in 0..<16 {
                pause(milliseconds: 125)
                connection.send("x")
            }
            connection.waitForEnd()
        }
        let sink = CountingSink()
        #expect(try transport(to: server).outcome(HTTPRequest(.get, "/", sink: sink)).response?.status == 200)
        #expect(sink.count == 16)
    }

    @Test func `whoever waits for its turn under a limit is not silent`() throws {
        var options = HTTPOptions()
        options.longestSilence = .milliseconds(300)
        // A turn each every two seconds.
        options.bytesPerSecond = ByteCount(32 << 10)
        let server = try ScriptedServer { _ in answer("200 OK") }
        let transport = try server.transport(options)
        let bytes = [UInt8](repeating: 7, count: 32 << 10)
        let outcomes = (0..<4).map { _ in
            let outcome = Outcome()
            transport.start(
                HTTPRequest(.put, "/", body: .content(BytesContent(bytes), 0..<UInt64(bytes.count)))
            ) { outcome.take($0) }
            return outcome
        }
        for outcome in outcomes { #expect(try outcome.first().response?.status == 200) }
    }
}

/// Keeps threads of a server until a test is through with them, for half a minute at most.
private final class Door: Sendable {
    private let isOpen = Monitor(false)

    func open() { isOpen.withLock { $0 = true } }
    func wait() { _ = isOpen.wait(until: .after(.seconds(30))) { $0 ? true : nil } }
}
