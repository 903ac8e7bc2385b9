import FXSystem
import Glibc

/// Where bytes leave the proxy: at once, or after a time, in order. Waiting limits no bandwidth: a queue holds what is
/// on its way.
final class Outlet: Sendable {
    private struct Line: Sendable {
        var pieces: [Piece] = []
        var queued = 0
        var hasEnded = false
    }

    private enum Piece: Sendable {
        case bytes([UInt8], ContinuousDeadline)
        case end(ContinuousDeadline, isReset: Bool, isHalf: Bool)

        var due: ContinuousDeadline {
            switch self {
            case .bytes(_, let due), .end(let due, _, _): due
            }
        }
    }

    private let socket: Socket
    private let delay: Duration
    private let link: Link
    private let line = Monitor(Line())

    /// In bytes: a second at 128 MiB/s, far more than a round trip holds on loopback.
    private static let bound = 128 << 20

    /// - Parameters:
    ///   - delay: what every byte waits; zero waits for nothing.
    ///   - link: what it shares with the other connections in this direction.
    init(_ socket: Socket, delay: Duration, link: Link) throws {
        self.socket = socket
        self.delay = delay
        self.link = link
        guard delay > .zero else { return }
        let line = line
        _ = try ServiceThread(name: "proxy-delay") { Outlet.deliver(from: line, to: socket) }
    }

    /// False when the connection is gone.
    func send(_ bytes: UnsafeRawBufferPointer) -> Bool {
        link.pass(bytes.count)
        if delay == .zero { return socket.send(bytes) }
        if bytes.isEmpty { return true }
        let piece = Piece.bytes(Array(bytes), .after(delay))
        return line.wait { line -> Bool? in
            if line.hasEnded { return false }
            guard line.queued < Outlet.bound else { return nil }
            line.queued += bytes.count
            line.pieces.append(piece)
            return true
        } ?? false
    }

    /// Ends the connection, or its sending half, behind what was sent.
    func end(withReset isReset: Bool = false, half isHalf: Bool = false) {
        if delay == .zero { return Outlet.end(socket, isReset: isReset, isHalf: isHalf) }
        let due = ContinuousDeadline.after(delay)
        line.withLock { $0.pieces.append(.end(due, isReset: isReset, isHalf: isHalf)) }
    }

    /// Ends the connection now; what is still queued is lost.
    func cut(withReset: Bool) { socket.end(withReset: withReset) }

    private static func end(_ socket: Socket, isReset: Bool, isHalf: Bool) {
        if isHalf { socket.finishSending() } else { socket.end(withReset: isReset) }
    }

    private static func deliver(from line: Monitor<Line>, to socket: Socket) {
        while true {
            let next = line.wait { line -> Piece? in line.pieces.isEmpty ? nil : line.pieces.removeFirst() }
            guard let next else { return }
            pause(next.due.remaining)
            switch next {
            case .bytes(let bytes, _):
                let isOpen = bytes.withUnsafeBytes { socket.send($0) }
                line.withLock { line in
                    line.queued -= bytes.count
                    if !isOpen { line.hasEnded = true }
                }
                if !isOpen { return }
            case .end(_, let isReset, let isHalf):
                end(socket, isReset: isReset, isHalf: isHalf)
                line.withLock { $0.hasEnded = true }
                return
            }
        }
    }
}

/// Waits on this thread.
func pause(_ duration: Duration) {
    if duration <= .zero { return }
    let parts = duration.components
    var wanted = timespec(tv_sec: Int(parts.seconds), tv_nsec: Int(parts.attoseconds / 1_000_000_000))
    var left = timespec()
    while nanosleep(&wanted, &left) != 0 && errno == EINTR { wanted = left }
}
