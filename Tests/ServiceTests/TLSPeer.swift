import CSyscalls
import FXSystem
import Glibc
import Testing

/// openssl(1) as a TLS server on loopback: it keeps what it decrypts and gives every request the same answer.
///
/// It serves one connection after the other, so what an earlier one carried is here once a later one has its answer.
final class TLSPeer: Sendable {
    let port: Int
    private let process: Int32
    /// What the program wrote: the requests, among words of its own.
    private let heard: Monitor<[UInt8]>

    /// Seconds after which it ends by itself, should the tests have died before they could end it.
    private static let life = "120"

    /// - Parameters:
    ///   - fields: of its answer, besides those that say where it ends.
    ///   - options: of `openssl s_server`.
    init(
        _ certificate: TLSAuthority.Certificate, status: String = "200 OK", fields: [String] = [],
        options: [String] = []
    ) throws {
        // A socket and no pipe: writing to a program that has died must not end the tests.
        var ends: [Int32] = [-1, -1]
        let made = socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends)
        try #require(made == 0)
        let (ours, theirs) = (ends[0], ends[1])
        let started = TLSPeer.start(
            ["-accept", "127.0.0.1:0", "-cert", certificate.path, "-key", certificate.keyPath] + options,
            talkingTo: theirs)
        Glibc.close(theirs)
        let lines = ["HTTP/1.1 \(status)", "Content-Length: 2", "Connection: close"] + fields + ["", "ok"]
        let answer = Array(lines.joined(separator: "\r\n").utf8)
        let heard = Monitor<[UInt8]>([])
        _ = try ServiceThread(name: "tls peer") { TLSPeer.listen(on: ours, heard, answering: answer) }
        guard let port = heard.wait(until: .after(.seconds(20)), { TLSPeer.port(in: $0) }) else {
            TLSPeer.end(started)
            let text = String(decoding: heard.read { $0 }, as: UTF8.self)
            throw PeerFailure(description: "openssl s_server does not listen: \(text)")
        }
        process = started
        self.heard = heard
        self.port = port
    }

    deinit { TLSPeer.end(process) }

    /// What it decrypted, among other words.
    var received: String { String(decoding: heard.read { $0 }, as: UTF8.self) }

    /// The first lines of the requests it decrypted, in order.
    var requests: [String] {
        received.split(whereSeparator: \.isNewline).map(String.init).filter { $0.hasSuffix(" HTTP/1.1") }
    }

    private static func start(_ arguments: [String], talkingTo socket: Int32) -> Int32 {
        let null = open("/dev/null", O_WRONLY | O_CLOEXEC)
        defer { Glibc.close(null) }
        let program = ["/usr/bin/env", "timeout", life, "openssl", "s_server"] + arguments
        let argv = program.map { strdup($0) } + [nil]
        defer { argv.forEach { free($0) } }
        return Int32(cs_spawn(argv, environ, nil, socket, socket, null, .max, .max))
    }

    /// With whatever it started: all are in its process group.
    private static func end(_ process: Int32) {
        if process <= 0 { return }
        _ = cs_kill(-process, SIGKILL)
        _ = cs_wait(process, 5000)
    }

    /// `ACCEPT 127.0.0.1:36417`, once the line is there as a whole.
    private static func port(in bytes: [UInt8]) -> Int? {
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        return lines.dropLast().first { $0.hasPrefix("ACCEPT ") }?.split(separator: ":").last.flatMap { Int($0) }
    }

    /// Until the program ends.
    private static func listen(on socket: Int32, _ heard: Monitor<[UInt8]>, answering answer: [UInt8]) {
        let end = Array("\r\n\r\n".utf8)
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        var answered = 0
        while case let count = recv(socket, &bytes, bytes.count, 0), count > 0 {
            let piece = bytes.prefix(count)
            // The program's own lines end with a line feed alone.
            let requests = heard.withLock { all -> Int in
                all += piece
                let text = all
                return text.indices.filter { text[$0...].starts(with: end) }.count
            }
            while answered < requests {
                _ = answer.withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                answered += 1
            }
        }
        Glibc.close(socket)
    }
}

/// Why there is no server.
struct PeerFailure: Error, CustomStringConvertible {
    let description: String
}
