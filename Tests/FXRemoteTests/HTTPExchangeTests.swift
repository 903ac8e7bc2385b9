import FXSystem
import Glibc
import Synchronization
import Testing

@testable import FXRemote

@Suite struct HTTPExchangeTests {
    @Test func `A connection is used again`() throws {
        let server = try ScriptedServer { request in answer("200 OK", [], request.line) }
        let transport = try server.transport()
        for number in 0..<20 {
            let response = try transport.perform(HTTPRequest(.get, "/a/\(number)?q=%20"))
            #expect(String(decoding: response.body, as: UTF8.self) == "GET /a/\(number)?q=%20 HTTP/1.1")
        }
        #expect(server.connectionCount == 1)
    }

    @Test func `Every method goes out as it is called, with its length and nothing that was not asked for`() throws {
        let server = try ScriptedServer { _ in answer("200 OK") }
        let transport = try server.transport()
        for method in [HTTPMethod.get, .head, .put, .post, .patch, .delete, .options] {
            _ = try transport.perform(HTTPRequest(method, "/x"))
            _ = method == .head ? nil : try transport.perform(HTTPRequest(method, "/y", body: .bytes([1, 2, 3])))
        }
        let lines = server.received.map(\.line)
        let plain = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"].flatMap { name in
            name == "HEAD" ? ["HEAD /x HTTP/1.1"] : ["\(name) /x HTTP/1.1", "\(name) /y HTTP/1.1"]
        }
        #expect(lines == plain)
        for request in server.received {
            #expect(request["Expect"] == nil && request["Accept-Encoding"] == nil && request["Cookie"] == nil)
            #expect(request["Transfer-Encoding"] == nil && request["Content-Type"] == nil)
            let takesBody = ["PUT", "POST", "PATCH"].contains { request.line.hasPrefix($0) }
            let expected = request.body.isEmpty ? (takesBody ? "0" : nil) : "3"
            #expect(request["Content-Length"] == expected, "\(request.line)")
        }
    }

    @Test func `A target is sent to the byte: nothing is tidied up, nothing leaves the host`() throws {
        let server = try ScriptedServer { _ in answer("200 OK") }
        let transport = try server.transport()
        let targets = ["//evil.example/x", "/a/../b/./c", "/@evil.example", "/?a=b&c=http://evil.example/", "/%2F%00"]
        for target in targets { _ = try transport.perform(HTTPRequest(.get, target)) }
        #expect(server.received.map(\.line) == targets.map { "GET \($0) HTTP/1.1" })
        #expect(server.received.allSatisfy { $0["Host"] == "127.0.0.1:\(server.port)" })
    }

    @Test(arguments: [
        HTTPRequest(.get, "nowhere"), HTTPRequest(.get, "/a b"), HTTPRequest(.get, "/a\r\nX: y"),
        HTTPRequest(.get, "/é"), HTTPRequest(.get, "/a#b"), HTTPRequest(.get, "/", fields: ["X": "a\r\nY: b"]),
        HTTPRequest(.get, "/", fields: ["X": "a\nb"]), HTTPRequest(.get, "/", fields: ["X": "a\u{0}b"]),
        HTTPRequest(.get, "/", fields: ["X: y\r\nZ": "a"]), HTTPRequest(.get, "/", fields: ["": "a"]),
        HTTPRequest(.post, "/", fields: ["content-length": "7"]),
        HTTPRequest(.post, "/", fields: ["Transfer-Encoding": "chunked"]),
    ])
    func `A request that could be read as two is not sent`(_ request: HTTPRequest) throws {
        let server = try ScriptedServer { _ in answer("200 OK") }
        let transport = try server.transport()
        guard case .failure(.unsendable) = try transport.outcome(request) else {
            Issue.record("sent")
            return
        }
        #expect(server.received.isEmpty)
    }

    @Test func `Fields arrive as they were given, empty ones too`() throws {
        let server = try ScriptedServer { _ in
            answer("200 OK", ["X-Twice: 1", "x-twice:  2 ", "X-Folded: a", "  b", "X-Empty:"], "ok")
        }
        let transport = try server.transport()
        let fields: HTTPFields = ["X-Empty": "", "Authorization": "Bearer abc", "X-Utf8": "ä", "User-Agent": "mine"]
        let response = try transport.perform(HTTPRequest(.get, "/", fields: fields))
        let request = try #require(server.received.first)
        #expect(request["X-Empty"] == "" && request["Authorization"] == "Bearer abc" && request["X-Utf8"] == "ä")
        #expect(request["User-Agent"] == "mine")
        #expect(response.fields.values(of: "X-Twice") == ["1", "2"])
        #expect(response.fields["x-folded"] == "a b" && response.fields["X-EMPTY"] == "")
    }

    @Test func `A redirect is an answer`() throws {
        let other = try ScriptedServer { _ in answer("200 OK", [], "elsewhere") }
        let server = try ScriptedServer { _ in
            answer("302 Found", ["Location: http://127.0.0.1:\(other.port)/"], "moved")
        }
        let response = try server.transport().perform(HTTPRequest(.get, "/", fields: ["Authorization": "secret"]))
        #expect(response.status == 302 && response.body == Array("moved".utf8))
        #expect(other.connectionCount == 0)
    }

    @Test func `Cookies are forgotten and passwords are not looked up`() throws {
        let server = try ScriptedServer { _ in
            answer("401 Unauthorized", ["Set-Cookie: a=b", "WWW-Authenticate: Basic"])
        }
        let transport = try server.transport()
        _ = try transport.perform(HTTPRequest(.get, "/"))
        _ = try transport.perform(HTTPRequest(.get, "/"))
        #expect(server.received.count == 2)
        #expect(server.received.allSatisfy { $0["Cookie"] == nil && $0["Authorization"] == nil })
    }

    @Test func `A chunked answer and one that ends with the connection are read whole`() throws {
        let server = try ScriptedServer { connection, index in
            while connection.request() != nil {
                if index == 0 {
                    connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n")
                    connection.send("X-Trailer: ignored\r\n\r\n")
                    connection.close()
                } else {
                    connection.send("HTTP/1.1 200 OK\r\n\r\nuntil the end")
                    connection.close()
                }
            }
        }
        let transport = try server.transport()
        let first = try transport.perform(HTTPRequest(.get, "/"))
        #expect(first.body == Array("abcde".utf8) && first.fields["X-Trailer"] == nil)
        #expect(try transport.perform(HTTPRequest(.get, "/")).body == Array("until the end".utf8))
    }

    @Test func `Interim answers are passed over`() throws {
        let server = try ScriptedServer { connection, _ in
            while connection.request() != nil {
                connection.send("HTTP/1.1 102 Processing\r\nX-A: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n")
                connection.send(answer("201 Created", ["X-B: 2"]))
            }
        }
        let response = try server.transport().perform(HTTPRequest(.put, "/", body: .bytes([1])))
        #expect(response.status == 201 && response.fields["X-A"] == nil && response.fields["X-B"] == "2")
    }

    @Test func `Leave to send is waited for only when it is asked for`() throws {
        let server = try ScriptedServer { connection, _ in
            guard let head = connection.head(), head["Expect"] == "100-continue" else { return }
            connection.send("HTTP/1.1 100 Continue\r\n\r\n")
            guard connection.take(2 << 20) != nil else { return }
            connection.send(answer("200 OK"))
            connection.waitForEnd()
        }
        let body = HTTPBody.bytes([UInt8](repeating: 7, count: 2 << 20))
        let request = HTTPRequest(.put, "/", fields: ["Expect": "100-continue"], body: body)
        #expect(try server.transport().perform(request).status == 200)
    }

    @Test func `A body of a prefix, a range and a suffix arrives in that order`() throws {
        let server = try ScriptedServer { _ in answer("200 OK") }
        let bytes = pattern(3_000_000)
        let body = HTTPBody.content(BytesContent(bytes), 1000..<2_500_000, prefix: [1, 2], suffix: [3])
        _ = try server.transport().perform(HTTPRequest(.post, "/", body: body))
        #expect(server.received.first?.body == [1, 2] + bytes[1000..<2_500_000] + [3])
    }

    @Test func `A content that cannot be read ends the exchange with its own error`() throws {
        let server = try ScriptedServer { _ in answer("200 OK") }
        let body = HTTPBody.content(BytesContent([1, 2, 3], failsAt: 0), 0..<3)
        let failed = try server.transport().outcome(HTTPRequest(.put, "/", body: body))
        #expect(failed.failure == .unreadable(.quotaExceeded))
        // The length was promised: a content that has shrunk cannot be sent.
        let short = try server.transport().outcome(HTTPRequest(.put, "/", body: .content(BytesContent([1]), 0..<3)))
        guard case .unreadable = short.failure else {
            Issue.record("\(short)")
            return
        }
    }
}

/// Bytes in memory as the content of an upload.
struct BytesContent: UploadContent {
    let bytes: [UInt8]
    let failsAt: UInt64?

    init(_ bytes: [UInt8], failsAt: UInt64? = nil) {
        self.bytes = bytes
        self.failsAt = failsAt
    }

    var identity: FileIdentity? { nil }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(RemoteError) -> Int {
        if let failsAt, offset >= failsAt { throw .quotaExceeded }
        if offset >= UInt64(bytes.count) { return 0 }
        let piece = bytes[Int(offset)...].prefix(buffer.count)
        buffer.copyBytes(from: piece)
        return piece.count
    }

    func link(as name: Name, in directory: borrowing OwnedDescriptor) throws(RemoteError) { throw .notSupported }
}
