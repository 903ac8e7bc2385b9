import FXSystem
import Glibc

/// An answer of a test service.
public struct LoopbackAnswer: Sendable {
    public var status: Int
    /// In the order they came.
    public var fields: [(name: String, value: String)]
    public var body: [UInt8]

    public subscript(field: String) -> String? {
        fields.first { $0.name.lowercased() == field.lowercased() }?.value
    }
    public var text: String { String(decoding: body, as: UTF8.self) }
    public var json: JSONValue? { JSONValue(parsing: text) }
}

/// Why a test service did not answer.
public struct NoAnswer: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
    init(call: String) { description = "\(call): \(unsafe String(cString: strerror(errno)))" }
}

/// The smallest HTTP client that can talk to the services of the tests: one request a connection, nothing kept, bytes
/// as they are given. It shares no code with what it tests.
public struct LoopbackClient: Sendable {
    public let port: Int
    /// Nothing takes longer.
    public var seconds = 60

    public init(port: Int) { self.port = port }

    public func get(_ target: String, fields: [(String, String)] = []) throws -> LoopbackAnswer {
        try request("GET", target, fields: fields)
    }

    /// Sends JSON and reads JSON; anything but 200…299 is an error.
    @discardableResult
    public func call(_ method: String, _ target: String, _ body: JSONValue? = nil) throws -> JSONValue {
        let fields = body == nil ? [] : [("Content-Type", "application/json")]
        let answer = try request(method, target, fields: fields, body: body.map { Array($0.text.utf8) })
        guard (200..<300).contains(answer.status) else {
            throw NoAnswer("\(method) \(target): \(answer.status) \(answer.text.prefix(500))")
        }
        return answer.json ?? .null
    }

    /// - Parameter body: sent with its Content-Length; nil sends neither.
    public func request(
        _ method: String, _ target: String, fields: [(String, String)] = [], body: [UInt8]? = nil
    ) throws -> LoopbackAnswer {
        var head = "\(method) \(target) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n"
        for (name, value) in fields { head += "\(name): \(value)\r\n" }
        if let body { head += "Content-Length: \(body.count)\r\n" }
        return try exchange(Array((head + "\r\n").utf8) + (body ?? []), isHead: method == "HEAD")
    }

    /// Sends these bytes, whatever they are, and reads one answer.
    public func exchange(_ bytes: [UInt8], isHead: Bool = false) throws -> LoopbackAnswer {
        let connection = try LoopbackConnection(port: port, seconds: seconds)
        // A service may answer and close before it has read everything: what it said counts, not the failed write.
        try? connection.send(bytes)
        return try connection.answer(isHead: isHead)
    }
}

/// One TCP connection to a test service, for what `LoopbackClient` cannot say: several requests on it, halves of
/// requests, an early end.
public final class LoopbackConnection: @unchecked Sendable {
    // `buffer` is touched by the one thread that uses a connection at a time.
    private let descriptor: Int32
    private var buffer: [UInt8] = []

    public init(port: Int, seconds: Int = 60) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        if descriptor < 0 { throw NoAnswer(call: "socket") }
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port)).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result != 0 {
            let failure = NoAnswer(call: "connect to port \(port)")
            close(descriptor)
            throw failure
        }
    }

    deinit { close(descriptor) }

    public func send(_ text: String) throws { try send(Array(text.utf8)) }

    public func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0 { throw NoAnswer(call: "send") }
            sent += count
        }
    }

    /// Says that nothing more will be sent.
    public func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Ends the connection with a reset.
    public func reset() {
        var now = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
        shutdown(descriptor, Int32(SHUT_RD))
    }

    /// Reads one answer; interim ones (100) are passed over.
    public func answer(isHead: Bool = false) throws -> LoopbackAnswer {
        while true {
            let answer = try head()
            if answer.status >= 200 { return try body(of: answer, isHead: isHead) }
        }
    }

    /// The status line and fields of the next answer, interim or not.
    public func head() throws -> LoopbackAnswer {
        while true {
            if let end = buffer.firstRange(of: Array("\r\n\r\n".utf8)) {
                let lines = String(decoding: buffer[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
                buffer.removeSubrange(..<end.upperBound)
                guard let first = lines.first, let status = first.split(separator: " ").dropFirst().first,
                    let number = Int(status)
                else { throw NoAnswer("no status line") }
                let fields = lines.dropFirst().map { line -> (String, String) in
                    let colon = line.firstIndex(of: ":") ?? line.endIndex
                    let value = line[colon...].dropFirst().drop { $0 == " " }
                    return (String(line[..<colon]), String(value))
                }
                return LoopbackAnswer(status: number, fields: fields, body: [])
            }
            if try receive() == 0 { throw NoAnswer("the connection ended before the answer") }
        }
    }

    private func body(of head: LoopbackAnswer, isHead: Bool) throws -> LoopbackAnswer {
        var answer = head
        if isHead || head.status == 204 || head.status == 304 { return answer }
        if head["Transfer-Encoding"]?.lowercased() == "chunked" {
            answer.body = try chunkedBody()
        } else if let length = head["Content-Length"].flatMap({ Int($0) }) {
            answer.body = try take(length)
        } else {
            while try receive() > 0 {}
            answer.body = buffer
            buffer = []
        }
        return answer
    }

    private func chunkedBody() throws -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let size = try line().split(separator: ";").first.flatMap { Int($0, radix: 16) }
            guard let size else { throw NoAnswer("a wrong chunk size") }
            all += try take(size)
            if size == 0 {
                while try !line().isEmpty {}
                return all
            }
            _ = try line()
        }
    }

    private func line() throws -> String {
        while true {
            if let end = buffer.firstRange(of: [13, 10]) {
                let text = String(decoding: buffer[..<end.lowerBound], as: UTF8.self)
                buffer.removeSubrange(..<end.upperBound)
                return text
            }
            if try receive() == 0 { throw NoAnswer("the connection ended in a body") }
        }
    }

    private func take(_ count: Int) throws -> [UInt8] {
        while buffer.count < count {
            if try receive() == 0 { throw NoAnswer("the connection ended after \(buffer.count) of \(count) bytes") }
        }
        defer { buffer.removeSubrange(..<count) }
        return Array(buffer[..<count])
    }

    private func receive() throws -> Int {
        let count = withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 16) { space in
            let count = recv(descriptor, space.baseAddress!, space.count, 0)
            if count > 0 { buffer.append(contentsOf: space[..<count]) }
            return count
        }
        if count < 0 { throw NoAnswer(call: "recv") }
        return count
    }
}
