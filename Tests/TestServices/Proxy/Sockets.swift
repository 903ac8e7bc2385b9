import Glibc

/// A TCP connection; the last owner closes it.
final class Socket: Sendable {
    let descriptor: Int32

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Ends both directions; threads blocked in it go on.
    func end(withReset: Bool = false) {
        if withReset { lingerForNothing() }
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    /// The close of this socket, by its last owner, is a reset.
    func lingerForNothing() {
        var now = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    }

    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Everything, or false when the connection is gone.
    func send(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = Glibc.send(descriptor, bytes.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return false }
            sent += count
        }
        return true
    }

    private func withoutDelay() {
        var yes: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func loopback(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port)).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        return address
    }

    private static func make() throws -> Socket {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        if descriptor < 0 { throw ServiceFailure("no socket: errno \(errno)") }
        return Socket(descriptor)
    }

    /// nil when nobody listens.
    static func connected(to port: Int) -> Socket? {
        guard let socket = try? make() else { return nil }
        var address = loopback(port)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket.descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result != 0 { return nil }
        socket.withoutDelay()
        return socket
    }

    /// Port 0 takes a free one.
    static func listening(on port: Int) throws -> (socket: Socket, port: Int) {
        let socket = try make()
        var yes: Int32 = 1
        setsockopt(socket.descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = loopback(port)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(socket.descriptor, generic, size) == 0 && listen(socket.descriptor, 512) == 0
                    && getsockname(socket.descriptor, generic, &size) == 0
            }
        }
        if !result { throw ServiceFailure("cannot listen on port \(port): errno \(errno)") }
        return (socket, Int(UInt16(bigEndian: address.sin_port)))
    }

    func accepted() -> Socket? {
        while true {
            let descriptor = accept(self.descriptor, nil, nil)
            if descriptor >= 0 {
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
                let socket = Socket(descriptor)
                socket.withoutDelay()
                return socket
            }
            if errno != EINTR && errno != ECONNABORTED { return nil }
        }
    }
}

/// Reads messages from a connection, on one thread.
final class Inlet {
    private let socket: Socket
    private let space = UnsafeMutableRawBufferPointer.allocate(byteCount: Inlet.capacity, alignment: 16)
    private var start = 0
    private var end = 0

    /// In bytes; large, so that a piece costs more than its handling.
    private static let capacity = 512 << 10
    /// A longer head is none, in bytes.
    private static let longestHead = 64 << 10

    init(_ socket: Socket) { self.socket = socket }

    deinit { space.deallocate() }

    /// What a body did when it did not end as it said.
    enum Broken: Error { case ended, stopped }

    /// The next head with its empty line; nil at the end of the connection.
    func head() -> [UInt8]? {
        var looked = start
        while true {
            let found = Multipart.find(
                [13, 10, 13, 10], in: UnsafeRawBufferPointer(rebasing: space[..<end]), from: looked)
            if let found {
                defer { start = found + 4 }
                return Array(space[start..<found + 4])
            }
            looked = max(start, end - 3)
            if end - start > Inlet.longestHead { return nil }
            let moved = start
            if !fill() { return nil }
            if start != moved { looked -= moved - start }
        }
    }

    /// Gives the pieces of a body to `take`, which answers whether to go on.
    func body(_ framing: Framing, _ take: (UnsafeRawBufferPointer) -> Bool) throws(Broken) {
        switch framing {
        case .nothing: break
        case .length(let count): try pass(count, take)
        case .untilEnd:
            while start < end || fill() { if !pass(upTo: .max, take) { throw .stopped } }
        case .chunked:
            while true {
                let line = try line()
                let size = Int(String(decoding: line.prefix { $0 != 13 && $0 != 59 }, as: UTF8.self), radix: 16)
                guard let size else { throw .ended }
                if !line.withUnsafeBytes(take) { throw .stopped }
                if size > 0 {
                    try pass(size + 2, take)
                    continue
                }
                while true {
                    let trailer = try self.line()
                    if !trailer.withUnsafeBytes(take) { throw .stopped }
                    if trailer.count == 2 { return }
                }
            }
        }
    }

    private func pass(_ count: Int, _ take: (UnsafeRawBufferPointer) -> Bool) throws(Broken) {
        var left = count
        while left > 0 {
            if start == end, !fill() { throw .ended }
            let size = min(left, end - start)
            if !pass(upTo: size, take) { throw .stopped }
            left -= size
        }
    }

    private func pass(upTo limit: Int, _ take: (UnsafeRawBufferPointer) -> Bool) -> Bool {
        let size = min(limit, end - start)
        defer { start += size }
        return take(UnsafeRawBufferPointer(rebasing: space[start..<start + size]))
    }

    /// With its line end.
    private func line() throws(Broken) -> [UInt8] {
        while true {
            let found = Multipart.find([13, 10], in: UnsafeRawBufferPointer(rebasing: space[..<end]), from: start)
            if let found {
                defer { start = found + 2 }
                return Array(space[start..<found + 2])
            }
            if end - start > Inlet.longestHead || !fill() { throw .ended }
        }
    }

    /// False at the end of the connection.
    private func fill() -> Bool {
        if start == end {
            start = 0
            end = 0
        } else if end == space.count {
            space.baseAddress!.copyMemory(from: space.baseAddress! + start, byteCount: end - start)
            end -= start
            start = 0
        }
        while true {
            let count = recv(socket.descriptor, space.baseAddress! + end, space.count - end, 0)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return false }
            end += count
            return true
        }
    }
}
