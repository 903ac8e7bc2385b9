import FXSystem

/// One connection of a client and the one to the upstream that belongs to it. A thread for each direction.
final class ProxyConnection: Sendable {
    /// A request whose answer is awaited.
    private struct Awaited: Sendable {
        var number: Int
        var method: String
        var rule: ProxyRule?
    }

    private let state: Monitor<ProxyState>
    private let number: Int
    private let client: Socket
    private let toClient: Outlet
    private let roundTrip: Duration
    private let links: ProxyLinks
    private let awaited = Monitor<[Awaited]>([])
    /// Where requests go, when there was one.
    private let upstream = Monitor<Outlet?>(nil)

    init(_ client: Socket, number: Int, state: Monitor<ProxyState>, links: ProxyLinks) throws {
        self.state = state
        self.number = number
        self.client = client
        roundTrip = .milliseconds(state.withLock { $0.roundTripMilliseconds })
        self.links = links
        toClient = try Outlet(client, delay: roundTrip / 2, link: links.toClients)
    }

    /// Ends both connections; what was not delivered is lost.
    func cut(withReset: Bool) {
        client.end(withReset: withReset)
        upstream.withLock { $0 }?.cut(withReset: withReset)
    }

    // MARK: - Requests

    /// Carries requests until the client or the upstream ends.
    func run() {
        defer { leave() }
        // A new connection takes a round trip of its own before the first byte can travel.
        pause(roundTrip)
        let inlet = Inlet(client)
        while let bytes = inlet.head() {
            guard let head = RequestHead(bytes) else { return cut(withReset: false) }
            let (number, rule) = state.withLock { $0.begin(head, connection: self.number) }
            if let rule {
                pause(.milliseconds(rule.delayMilliseconds))
                if rule.stalls { return stall(number) }
                if let status = rule.status {
                    guard answer(status, rule, head, inlet) else { return end(number, rule) }
                    note(number, status: status)
                    continue
                }
            }
            guard let toUpstream = upstream.withLock({ $0 }) ?? connectToUpstream() else {
                // Nobody listens: what a client of the upstream itself would see is a connection that ends.
                return end(number, rule)
            }
            awaited.withLock { $0.append(Awaited(number: number, method: head.method, rule: rule)) }
            var meter = Meter(limit: rule?.cutRequestAfter, bytesPerSecond: rule?.requestBytesPerSecond)
            var isWhole = bytes.withUnsafeBytes { meter.pass($0, toUpstream.send) }
            if isWhole {
                do throws(Inlet.Broken) {
                    try inlet.body(head.framing) { meter.pass($0, toUpstream.send) }
                } catch {
                    isWhole = false
                }
            }
            state.withLock { $0.note(number) { $0.sent = meter.passed } }
            if meter.hasReachedLimit { return end(number, rule) }
            // The client went away in the middle, or the upstream did; of the latter the answer may still come.
            if !isWhole {
                return
            }
        }
    }

    /// The client sends no more; what it awaits still comes.
    private func leave() {
        // A kept-back answer will never come.
        let waiting = awaited.withLock { $0 }
        let isIdle = waiting.allSatisfy { $0.rule?.stallsAnswer == true }
        if isIdle {
            for exchange in waiting { state.withLock { $0.end(exchange.number) } }
            toClient.end()
        }
        upstream.withLock { $0 }?.end(half: !isIdle)
    }

    private func end(_ number: Int, _ rule: ProxyRule?) {
        state.withLock { $0.end(number) }
        toClient.end(withReset: rule?.resets ?? false)
        upstream.withLock { $0 }?.end(withReset: rule?.resets ?? false)
    }

    /// Reads what still comes and answers nothing, until the client goes.
    private func stall(_ number: Int) {
        let inlet = Inlet(client)
        try? inlet.body(.untilEnd) { _ in true }
        state.withLock { $0.end(number) }
    }

    /// An answer of the proxy's own; false ends the connection.
    private func answer(_ status: Int, _ rule: ProxyRule, _ head: RequestHead, _ inlet: Inlet) -> Bool {
        if !rule.isEarly {
            if head.expectsContinue {
                _ = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8).withUnsafeBytes { toClient.send($0) }
            }
            guard (try? inlet.body(head.framing) { _ in true }) != nil else { return false }
        }
        // The answer to a HEAD has no body, whatever its length says.
        let body = head.method == "HEAD" ? "" : rule.body
        var text = "HTTP/1.1 \(status) By the proxy\r\nContent-Length: \(body.utf8.count)\r\n"
        for (name, value) in rule.fields { text += "\(name): \(value)\r\n" }
        text += (rule.isEarly ? "Connection: close\r\n\r\n" : "\r\n") + body
        let isSent = Array(text.utf8).withUnsafeBytes { toClient.send($0) }
        if rule.isEarly {
            toClient.end(half: true)
            try? inlet.body(.untilEnd) { _ in true }
        }
        return isSent && !rule.isEarly
    }

    private func note(_ number: Int, status: Int) {
        state.withLock { state in
            state.note(number) { $0.status = status }
            state.end(number)
        }
    }

    private func connectToUpstream() -> Outlet? {
        let port = state.withLock { $0.upstreamPort }
        guard let socket = Socket.connected(to: port),
            let outlet = try? Outlet(socket, delay: roundTrip / 2, link: links.toUpstream)
        else { return nil }
        upstream.withLock { $0 = outlet }
        do {
            _ = try ServiceThread(name: "proxy-answers") { self.carryAnswers(from: socket) }
        } catch {
            return nil
        }
        return outlet
    }

    // MARK: - Answers

    private func carryAnswers(from socket: Socket) {
        let inlet = Inlet(socket)
        var lastRule: ProxyRule?
        while let bytes = inlet.head() {
            guard let head = ResponseHead(bytes), let exchange = awaited.withLock({ $0.first }) else { break }
            let rule = exchange.rule
            lastRule = rule
            state.withLock { $0.note(exchange.number) { $0.upstreamStatus = head.status } }
            let keeps = rule?.dropsAnswer == true || rule?.stallsAnswer == true
            var meter = Meter(limit: rule?.cutResponseAfter, bytesPerSecond: rule?.responseBytesPerSecond)
            let outlet = keeps ? nil : toClient
            let send = { (piece: UnsafeRawBufferPointer) -> Bool in outlet?.send(piece) ?? true }
            var sentHead = bytes
            if let wrong = rule?.wrongLength, case .length(let length)? = head.head.framing {
                sentHead = head.head.stating(length: max(0, length + wrong))
            }
            var isWhole = sentHead.withUnsafeBytes { (head: UnsafeRawBufferPointer) -> Bool in meter.pass(head, send) }
            if isWhole {
                do throws(Inlet.Broken) {
                    try inlet.body(head.framing(answering: exchange.method)) { piece in meter.pass(piece, send) }
                } catch {
                    isWhole = false
                }
            }
            if head.status < 200, head.status != 101 { continue }
            state.withLock { state in
                state.note(exchange.number) { entry in
                    entry.received = meter.passed
                    if !keeps, !meter.hasReachedLimit { entry.status = head.status }
                }
            }
            if rule?.stallsAnswer == true { return }
            state.withLock { $0.end(exchange.number) }
            if !isWhole || keeps || meter.hasReachedLimit || rule?.wrongLength != nil { break }
            awaited.withLock { _ = $0.removeFirst() }
            lastRule = nil
        }
        for exchange in awaited.withLock({ $0 }) { state.withLock { $0.end(exchange.number) } }
        toClient.end(withReset: lastRule?.resets ?? false)
        socket.end()
    }
}

/// Counts what passes, at a pace and up to a limit.
struct Meter {
    let limit: Int?
    let bytesPerSecond: Int?
    private(set) var passed = 0
    private(set) var hasReachedLimit = false

    init(limit: Int?, bytesPerSecond: Int?) {
        self.limit = limit
        self.bytesPerSecond = bytesPerSecond
        hasReachedLimit = limit == 0
    }

    /// Slow bodies come in twentieths of a second.
    private static let slicesPerSecond = 20

    /// False when nothing more may pass or `send` fails.
    mutating func pass(_ bytes: UnsafeRawBufferPointer, _ send: (UnsafeRawBufferPointer) -> Bool) -> Bool {
        if hasReachedLimit { return false }
        var rest = bytes
        if let limit, passed + bytes.count >= limit {
            rest = UnsafeRawBufferPointer(rebasing: bytes[..<(limit - passed)])
            hasReachedLimit = true
        }
        while !rest.isEmpty {
            var piece = rest
            if let bytesPerSecond {
                let slice = max(1, bytesPerSecond / Meter.slicesPerSecond)
                piece = UnsafeRawBufferPointer(rebasing: rest.prefix(slice))
            }
            if !send(piece) { return false }
            passed += piece.count
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(piece.count))
            if let bytesPerSecond { pause(.seconds(1) * piece.count / max(1, bytesPerSecond)) }
        }
        return !hasReachedLimit
    }
}
