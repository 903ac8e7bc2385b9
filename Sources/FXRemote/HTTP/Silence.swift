internal import CCurl
internal import FXSystem
internal import Glibc

/// How long nothing has moved on a connection. A value.
///
/// What libcurl reads and writes is known at once. What it has written may lie in the kernel for long; while nothing
/// else happens, the kernel is asked eight times in the limit whether the other side has taken some of it.
struct Silence {
    private let limit: Duration
    private var last: ContinuousDeadline
    private var sampled: ContinuousDeadline
    private var bytes: UInt64?

    init(limit: Duration, now: ContinuousDeadline) {
        self.limit = limit
        last = now
        sampled = now
    }

    mutating func moved(at now: ContinuousDeadline) {
        last = now
        sampled = now
        bytes = nil
    }

    var nextLook: ContinuousDeadline { min(last.advanced(by: limit), sampled.advanced(by: limit / 8)) }
    func wantsSample(at now: ContinuousDeadline) -> Bool { sampled.advanced(by: limit / 8) <= now }
    func isOver(at now: ContinuousDeadline) -> Bool { last.advanced(by: limit) <= now }

    /// - Parameter bytes: all that this connection ever moved; nil when it is not known.
    mutating func sample(_ bytes: UInt64?, at now: ContinuousDeadline) {
        sampled = now
        if let before = self.bytes, let bytes, bytes != before { last = now }
        self.bytes = bytes
    }
}

/// What the kernel counts on a connection.
enum SocketCount {
    /// Bytes that were acknowledged by the other side, and bytes that came from it.
    static func bytes(of easy: borrowing EasyHandle) -> UInt64? {
        var socket: curl_socket_t = -1
        guard unsafe fx_curl_get_socket(easy.raw, &socket) == CURLE_OK, socket >= 0 else { return nil }
        // struct tcp_info of linux/tcp.h; glibc's own is older and shorter.
        let (acknowledged, received, length) = (120, 128, 136)
        var info = [UInt8](repeating: 0, count: length)
        var count = socklen_t(length)
        guard unsafe getsockopt(socket, Int32(IPPROTO_TCP), TCP_INFO, &info, &count) == 0, count >= length else {
            return nil
        }
        return unsafe info.withUnsafeBytes { bytes in
            unsafe bytes.loadUnaligned(fromByteOffset: acknowledged, as: UInt64.self)
                &+ bytes.loadUnaligned(fromByteOffset: received, as: UInt64.self)
        }
    }
}
