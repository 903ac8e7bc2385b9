internal import Glibc

/// Tells systemd how the service is doing: sd_notify(3) over the datagram socket in NOTIFY_SOCKET.
///
/// Without the variable nothing is sent. Any thread may call.
struct ServiceNotifier: Sendable {
    private let socketPath: String?

    init(environment: [String: String]) { socketPath = environment["NOTIFY_SOCKET"] }

    func ready(status: String) { send("READY=1\nSTATUS=\(status)\nMAINPID=\(getpid())") }
    func status(_ text: String) { send("STATUS=\(text)") }
    func stopping(status: String) { send("STOPPING=1\nSTATUS=\(status)") }
    /// Asks for `seconds` more before systemd loses patience.
    func extend(seconds: Int64) { send("EXTEND_TIMEOUT_USEC=\(seconds * 1_000_000)") }

    /// A lost notification is not worth a failure: systemd's own timeouts act then.
    private func send(_ message: String) {
        guard let socketPath, socketPath.first == "/" || socketPath.first == "@" else { return }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(socketPath.utf8)
        // Room for the path and a NUL in sun_path (unix(7)).
        guard bytes.count < 108 else { return }
        // "@" stands for the NUL of an abstract address.
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { _ = close(descriptor) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let text = Array(message.utf8)
        _ = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe text.withUnsafeBytes {
                    unsafe sendto(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL), address, length)
                }
            }
        }
    }
}
