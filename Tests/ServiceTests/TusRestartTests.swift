import FXSystem
import ServiceFixtures
import Testing

/// The tus service of ours with a directory of data, killed and started again: what a test of a restart relies on.
@Suite(.serialized) struct TusRestartTests {
    private static let bytes = Array("0123456789".utf8)
    private static let version = ("Tus-Resumable", "1.0.0")
    private static let content = ("Content-Type", "application/offset+octet-stream")

    /// A service whose data goes with it.
    private final class KeptService: Sendable {
        private let data: String
        let control: TusControl

        init() throws {
            data = try EngineBench.newDirectory()
            control = try TusControl(data: data)
        }

        deinit {
            control.stop()
            EngineBench.remove(data)
        }

        /// - Parameter length: `Upload-Length` or `Upload-Defer-Length`.
        func create(_ length: (String, String)) throws -> String {
            let answer = try control.http.request(
                "POST", "/files/", fields: [TusRestartTests.version, length, ("Upload-Metadata", "filename Zg==")])
            #expect(answer.status == 201)
            let location = try #require(answer["Location"])
            let path = try #require(location.firstRange(of: "/files/"))
            return String(location[path.lowerBound...])
        }

        func patch(_ target: String, _ range: Range<Int>, _ more: [(String, String)] = []) throws -> Int {
            try control.http.request(
                "PATCH", target, fields: patchFields(range) + more, body: Array(TusRestartTests.bytes[range])
            ).status
        }

        private func patchFields(_ range: Range<Int>) -> [(String, String)] {
            [TusRestartTests.version, TusRestartTests.content, ("Upload-Offset", "\(range.lowerBound)")]
        }

        /// A request that says there is more to come than this. It is under way as long as the connection is held.
        func beginPatch(_ target: String, _ range: Range<Int>, _ more: [(String, String)] = []) throws
            -> LoopbackConnection
        {
            let fields = patchFields(range) + [("Content-Length", "10")] + more
            let lines = fields.map { "\($0.0): \($0.1)\r\n" }.joined()
            let connection = try LoopbackConnection(port: control.port)
            try connection.send("PATCH \(target) HTTP/1.1\r\nHost: localhost\r\n\(lines)\r\n")
            try connection.send(Array(TusRestartTests.bytes[range]))
            let deadline = ContinuousDeadline.after(.seconds(20))
            while try control.uploads().first(where: { $0.target == target })?.offset != range.upperBound {
                if deadline.hasPassed { throw Late() }
            }
            return connection
        }

        /// What HEAD says.
        func offset(_ target: String) throws -> Int? {
            let answer = try control.http.request("HEAD", target, fields: [TusRestartTests.version])
            return answer["Upload-Offset"].flatMap { Int($0) }
        }
    }

    private struct Late: Error {}

    @Test(.timeLimit(.minutes(1))) func `what arrived of a request before a kill is there after it`() throws {
        let service = try KeptService()
        let target = try service.create(("Upload-Length", "10"))
        #expect(try service.patch(target, 0..<4) == 204)
        let connection = try service.beginPatch(target, 4..<7)
        try service.control.restart()
        withExtendedLifetime(connection) {}
        #expect(try service.offset(target) == 7)
        #expect(try service.patch(target, 7..<10) == 204)
        try service.control.restart()
        let upload = try #require(try service.control.uploads().first)
        #expect(upload.target == target && upload.isOpen && upload.isWhole && upload.filename == "f")
        #expect(upload.sha256 == sha256Text(TusRestartTests.bytes))
    }

    @Test(.timeLimit(.minutes(1))) func `what was to be verified when the service was killed is not there`() throws {
        let service = try KeptService()
        let target = try service.create(("Upload-Length", "10"))
        #expect(try service.patch(target, 0..<4) == 204)
        let connection = try service.beginPatch(
            target, 4..<7, [("Upload-Checksum", "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=")])
        try service.control.restart()
        withExtendedLifetime(connection) {}
        #expect(try service.offset(target) == 4)
        #expect(try service.patch(target, 4..<10) == 204)
    }

    @Test(.timeLimit(.minutes(1))) func `settings, lengths and ends of uploads outlive a kill, and a reset does not`()
        throws
    {
        let service = try KeptService()
        let deferred = try service.create(("Upload-Defer-Length", "1"))
        let ended = try service.create(("Upload-Length", "10"))
        let status = try service.control.http.request("DELETE", ended, fields: [TusRestartTests.version]).status
        #expect(status == 204)
        try service.control.set(["max_size": 1000])
        try service.control.restart()
        #expect(try service.control.setting("max_size") == 1000)
        let next = try service.create(("Upload-Length", "10"))
        let uploads = try service.control.uploads()
        #expect(uploads.map(\.target) == [deferred, ended, next])
        #expect(uploads.map(\.isOpen) == [true, false, true])
        #expect(uploads.map(\.length) == [nil, 10, 10])
        #expect(try service.patch(deferred, 0..<10, [("Upload-Length", "10")]) == 204)
        try service.control.restart()
        #expect(try service.control.uploads().first?.isWhole == true)
        try service.control.reset()
        try service.control.restart()
        #expect(try service.control.uploads().isEmpty)
        #expect(try service.control.setting("max_size") == 0)
    }
}
