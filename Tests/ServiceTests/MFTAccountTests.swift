import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// Logging in, tokens and what stands between a client and the service.
@Suite struct MFTAccountTests {
    @Test func `the spelling of a login that works is remembered`() throws {
        let bench = try MFTBench()
        try bench.vault.set(["accepts_lines": false])
        let backend = bench.backend()
        _ = try bench.session("monday", of: backend)
        #expect(try bench.vault.counter("failed_logins") == 1)
        try bench.vault.expireTokens()
        _ = try bench.session("tuesday", of: backend)
        #expect(try bench.vault.counter("failed_logins") == 1)
        #expect(backend.examine().first?.sentence.contains("colon") == true)
    }

    @Test(arguments: ["vault", "reference"])
    func `a refused password is tried once in each spelling`(shape: String) throws {
        let bench = try MFTBench()
        try bench.vault.set(.object([.init("login_shape", .string(shape))]))
        let backend = bench.backend("user1", "wrong")
        for _ in 0..<3 { #expect(throws: RemoteError.credentials) { try bench.session("monday", of: backend) } }
        #expect(try bench.vault.counter("logins") == 2)
        // Somebody says that it was put right at the service.
        try bench.vault.change(user: ["username": "user1", "password": "wrong"])
        backend.reconsider()
        _ = try bench.session("monday", of: backend)
    }

    @Test(arguments: ["vault", "reference"])
    func `both shapes of a login, with and without a zone, are understood`(shape: String) throws {
        let bench = try MFTBench()
        try bench.vault.set(.object([.init("login_shape", .string(shape)), .init("times_end_with_z", false)]))
        _ = try bench.session("monday", of: bench.backend())
        #expect(try bench.vault.counter("logins") == 1)
    }

    @Test func `a second factor, an old password and a missing directory are three things`() throws {
        let bench = try MFTBench()
        try bench.vault.change(user: ["username": "user1", "standing": "mfa"])
        #expect(throws: RemoteError.accountNeeds(.apiKey)) { try bench.session("a", of: bench.backend()) }
        #expect(RemoteError.accountNeeds(.apiKey).message.contains("token_file"))
        try bench.vault.change(user: ["username": "user1", "standing": "stale"])
        #expect(throws: RemoteError.credentials) { try bench.session("a", of: bench.backend()) }
        try bench.vault.change(user: ["username": "user1", "standing": "normal"])
        try bench.vault.set(["directory_down": true])
        let backend = bench.backend()
        #expect(throws: RemoteError.unavailable(retryAfter: nil)) { try bench.session("a", of: backend) }
        try bench.vault.set(["directory_down": false])
        _ = try bench.session("a", of: backend)
    }

    @Test func `an API key needs no login, and a dead one is EACCES`() throws {
        let bench = try MFTBench()
        let backend = bench.backend(key: try bench.vault.key())
        let session = try bench.session("monday", of: backend)
        try bench.send("a", [1], in: session, of: backend)
        #expect(try bench.vault.counter("logins") == 0)
        try bench.vault.expireTokens()
        for _ in 0..<2 { #expect(throws: RemoteError.credentials) { try bench.session("tuesday", of: backend) } }
    }

    @Test func `a token is extended before it ends`() throws {
        let bench = try MFTBench()
        try bench.vault.set(["token_seconds": 1000])
        let backend = bench.backend()
        let session = try bench.session("monday", of: backend)
        bench.ahead.withLock { $0 = 700 }
        try bench.send("a", [1], in: session, of: backend)
        #expect(try bench.vault.counter("extensions") == 1)
        #expect(try bench.vault.counter("logins") == 1)
        // Where that does not work, a login does.
        try bench.vault.fail(["method": "PUT", "path": "/vault_rest/token", "status": 400])
        bench.ahead.withLock { $0 = 25_000 }
        try bench.send("b", [1], in: session, of: backend)
        #expect(try bench.vault.counter("logins") == 2)
    }

    @Test func `a proxy that drops fields with underscores is named in one sentence`() throws {
        let bench = try MFTBench()
        let backend = bench.backend()
        #expect(backend.examine().map(\.verdict) == [.works, .works, .works, .works])
        #expect(try bench.openGroups().isEmpty)
        try bench.vault.set(["strips_underscores": true])
        #expect(throws: RemoteError.fieldsDropped) { try bench.session("monday", of: backend) }
        let finding = try #require(backend.examine().first { $0.verdict == .fails })
        #expect(finding.sentence.contains("underscores"))
        #expect(!finding.sentence.contains("\n"))
    }

    @Test func `a service that chooses ids itself can be used`() throws {
        let bench = try MFTBench()
        try bench.vault.set(["ignores_client_ids": true])
        let backend = bench.backend()
        let session = try bench.session("monday", of: backend)
        try bench.send("a", [1], in: session, of: backend)
        #expect(try bench.openGroups().count == 1)
        #expect(backend.examine().contains { $0.verdict == .warning && $0.subject == "transfers" })
    }

    @Test func `what a header field cannot carry is refused as a name`() throws {
        let names = try MFTBench().backend().facts.names
        for text in ["a\\b", "a:b", " a", "a ", "a\nb", "a\rb", "a\u{7f}", "\u{1}"] {
            let name = try Name(text)
            #expect(throws: RemoteError.unrepresentableName) { try names.check(name, depth: 1) }
        }
        #expect(throws: RemoteError.unrepresentableName) {
            try names.check(try Name(validating: [0x61, 0xff]), depth: 1)
        }
        for text in ["a b", "é", "名", "a;b=\"c\"", ".", "..."] where text != "." {
            try names.check(try Name(text), depth: 1)
        }
    }
}
