import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// Whom the transport takes for the service, with openssl(1) and the OpenTera pair as servers.
@Suite struct TLSTests {
    private let authority: TLSAuthority
    private let other: TLSAuthority

    init() throws {
        authority = try TLSAuthority("fxmount test authority")
        other = try TLSAuthority("fxmount other authority")
    }

    /// What is wrong with a certificate that was asked for with `ca_file = authority.file`.
    enum Flaw: CaseIterable, Sendable {
        case unknownAuthority, otherName, expired

        /// Of the sentence in which the TLS library says it.
        var word: String {
            switch self {
            case .unknownAuthority: "issuer"
            case .otherName: "name"
            case .expired: "expired"
            }
        }
    }

    private func certificate(with flaw: Flaw) throws -> TLSAuthority.Certificate {
        switch flaw {
        case .unknownAuthority: return try other.certificate()
        case .otherName: return try authority.certificate(for: "DNS:elsewhere.example")
        case .expired: return try authority.certificate(until: TLSAuthority.past)
        }
    }

    private enum Trust {
        case system, authorities(String), everybody
    }

    private func transport(to port: Int, trusting trust: Trust) throws -> CurlTransport {
        var options = HTTPOptions()
        switch trust {
        case .system: break
        case .authorities(let file): options.caFile = file
        case .everybody: options.insecure = true
        }
        return try CurlTransport(try HTTPOrigin("https://127.0.0.1:\(port)"), options: options)
    }

    /// One request with a secret in it, over a connection of its own.
    private func get(
        _ target: String, from peer: TLSPeer, trusting trust: Trust
    ) throws -> Result<HTTPResponse, HTTPFailure> {
        let transport = try transport(to: peer.port, trusting: trust)
        defer { transport.stop() }
        let request = HTTPRequest(
            .get, target, fields: ["Authorization": "Bearer hunter2"],
            deadlines: HTTPDeadlines(connect: .seconds(20), idle: .seconds(20), total: .seconds(30)))
        do throws(HTTPFailure) { return .success(try transport.perform(request)) } catch { return .failure(error) }
    }

    /// Why TLS said no; nil when it did not.
    private func sentence(of result: Result<HTTPResponse, HTTPFailure>) -> String? {
        if case .failure(.untrusted(let reason)) = result { return reason }
        Issue.record("\(result)")
        return nil
    }

    /// `ca_file` stands in the place of other authorities: that of the first flaw is known to this test, and not in it.
    @Test(arguments: Flaw.allCases) func `a certificate that proves nothing is refused before anything is sent`(
        flaw: Flaw
    ) throws {
        let peer = try TLSPeer(try certificate(with: flaw))
        let refused = try get("/refused", from: peer, trusting: .authorities(authority.file))
        let reason = try #require(sentence(of: refused))
        #expect(reason.contains(flaw.word), "\(reason)")
        let error = HTTPFailure.untrusted(reason).remoteError
        #expect(error == .untrustedServer(reason) && !error.isTemporary)
        // The server is in order otherwise, and was through with the first connection before it took this one.
        let taken = try get("/taken", from: peer, trusting: .everybody).get()
        #expect(taken.status == 200 && taken.body == Array("ok".utf8))
        #expect(peer.requests == ["GET /taken HTTP/1.1"])
        #expect(!peer.received.contains("/refused"))
    }

    @Test func `the authorities of ca_file are trusted, however many it has`() throws {
        let (first, second) = (try TLSPeer(try authority.certificate()), try TLSPeer(try other.certificate()))
        let both = try authority.bundle(with: other)
        #expect(try get("/1", from: first, trusting: .authorities(authority.file)).get().status == 200)
        #expect(try get("/2", from: first, trusting: .authorities(both)).get().status == 200)
        #expect(try get("/3", from: second, trusting: .authorities(both)).get().status == 200)
        #expect(first.requests == ["GET /1 HTTP/1.1", "GET /2 HTTP/1.1"])
        #expect(second.requests == ["GET /3 HTTP/1.1"])
    }

    @Test func `without ca_file only the system's authorities are trusted`() throws {
        let peer = try TLSPeer(try authority.certificate())
        let refused = try get("/refused", from: peer, trusting: .system)
        #expect(sentence(of: refused)?.contains(Flaw.unknownAuthority.word) == true)
        #expect(try get("/taken", from: peer, trusting: .authorities(authority.file)).get().status == 200)
        #expect(peer.requests == ["GET /taken HTTP/1.1"])
    }

    @Test func `a ca_file that is gone or holds no certificate trusts nobody`() throws {
        let peer = try TLSPeer(try authority.certificate())
        for file in [authority.file + ".gone", authority.keyFile] {
            let refused = try get("/refused", from: peer, trusting: .authorities(file))
            #expect(sentence(of: refused) != nil)
        }
        #expect(try get("/taken", from: peer, trusting: .authorities(authority.file)).get().status == 200)
        #expect(peer.requests == ["GET /taken HTTP/1.1"])
    }

    @Test func `a server with nothing newer than TLS 1.1 is refused, whoever is trusted`() throws {
        // OpenSSL does not even offer it above this security level.
        let peer = try TLSPeer(
            try authority.certificate(), options: ["-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"])
        for trust in [Trust.authorities(authority.file), .everybody] {
            let refused = try get("/refused", from: peer, trusting: trust)
            #expect(sentence(of: refused) != nil)
        }
        #expect(peer.requests.isEmpty)
    }

    @Test func `a redirect is an answer, also to a server that is trusted`() throws {
        let elsewhere = try TLSPeer(try authority.certificate())
        let peer = try TLSPeer(
            try authority.certificate(), status: "307 Temporary Redirect",
            fields: ["Location: https://127.0.0.1:\(elsewhere.port)/moved"])
        let answer = try get("/here", from: peer, trusting: .authorities(authority.file)).get()
        #expect(answer.status == 307)
        #expect(answer.fields["Location"] == "https://127.0.0.1:\(elsewhere.port)/moved")
        #expect(try get("/direct", from: elsewhere, trusting: .authorities(authority.file)).get().status == 200)
        #expect(peer.requests == ["GET /here HTTP/1.1"])
        #expect(elsewhere.requests == ["GET /direct HTTP/1.1"])
    }

    // MARK: - A whole service

    private func service(at port: Int, trusting trust: Trust) throws -> OpenTeraService {
        var configuration = OpenTeraConfiguration(username: OpenTeraControl.username) {
            Secret(OpenTeraControl.password)
        }
        configuration.sessionType = OpenTeraControl.sessionType
        return OpenTeraService(
            configuration, transport: try transport(to: port, trusting: trust), basePath: "", clock: .system)
    }

    @Test func `a service that signed its own certificate gets the password from who trusts it only`() throws {
        let directory = try EngineBench.newDirectory()
        defer { EngineBench.remove(directory) }
        let pair = try ServiceProcess(["opentera", "--tls", directory])
        defer { pair.stop() }
        let port = try pair.port("port")
        let file = try #require(pair.ready["ca_file"]?.string)
        let control = try transport(to: port, trusting: .authorities(file))
        func requests() throws -> [JSONValue] {
            let answer = try control.perform(HTTPRequest(.get, "/_control/log"))
            return try #require(JSONValue(parsing: String(decoding: answer.body, as: UTF8.self))?.elements)
        }
        for trust in [Trust.system, .authorities(authority.file)] {
            let wary = try service(at: port, trusting: trust)
            let error = refusal { _ = try wary.list(.root) }
            guard case .untrustedServer? = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
        }
        // nginx answers plain http with a redirect to the same place by https.
        let plain = try CurlTransport(try HTTPOrigin("http://127.0.0.1:\(port)"))
        let moved = try plain.perform(HTTPRequest(.get, "/api/x", fields: ["Authorization": "Bearer hunter2"]))
        #expect(moved.status == 301 && moved.fields["Location"] == "https://127.0.0.1:\(port)/api/x")
        #expect(try requests().isEmpty)
        #expect(try service(at: port, trusting: .authorities(file)).list(.root).count == 2)
        #expect(try requests().count > 0)
        #expect(try service(at: port, trusting: .everybody).list(.root).count == 2)
    }
}
