import FXMapping
import FXSystem
import Testing

@testable import FXServe

@Suite("Who asks")
struct AccessRuleTests {
    private let rule = AccessRule(
        hosts: ["localhost", "127.0.0.1", "[::1]", "agent.example.org"], port: 51983, token: nil,
        ownerKey: Secret("owner-key"))

    @Test(
        "An origin is a scheme, a host and a port, and nothing else",
        arguments: [
            ("https://app.example.org", "https://app.example.org", "app.example.org"),
            ("HTTPS://App.Example.ORG:443", "https://app.example.org", "app.example.org"),
            ("http://app.example.org:8080", "http://app.example.org:8080", "app.example.org"),
            ("http://[::1]:80", "http://[::1]", "[::1]"), ("null", nil, nil), ("https://", nil, nil), ("", nil, nil),
            ("file://x", nil, nil), ("https://a/b", nil, nil), ("https://u@a", nil, nil), ("https://a:0", nil, nil),
            ("https://a:99999", nil, nil), ("https://.a", nil, nil), ("https://a b", nil, nil),
            ("https://ä.org", nil, nil),
            ("https://a\u{0}b", nil, nil), ("moz-extension://abc", nil, nil), ("https://a:80:80", nil, nil),
        ] as [(String, String?, String?)])
    func origins(header: String, text: String?, application: String?) {
        #expect(Origin(header)?.text == text)
        #expect(Origin(header)?.application.text == application)
    }

    @Test(
        "Only names of this server are answered to",
        arguments: [
            ("127.0.0.1:51983", true), ("localhost:51983", true), ("LOCALHOST:51983", true), ("[::1]:51983", true),
            ("agent.example.org:51983", true), ("evil.example.org:51983", false), ("127.0.0.1", false),
            ("127.0.0.1:80", false), ("127.0.0.2:51983", false), ("", false), ("127.0.0.1:51983:1", false),
            ("localhost.evil.org:51983", false),
        ])
    func hosts(header: String, isOurs: Bool) {
        let passes = (try? rule.checkHost(header)) != nil
        #expect(passes == isOurs)
    }

    @Test("The owner's key opens nothing for pages of others")
    func ownerKey() throws {
        var credentials = Credentials(host: "localhost:51983", bearer: "owner-key")
        #expect(try rule.visitor(credentials) == .owner(nil))
        credentials.namedApplication = "app.example.org"
        #expect(try rule.visitor(credentials) == .owner(try ApplicationID("app.example.org")))
        credentials.origin = "http://localhost:51983"
        #expect(try rule.visitor(credentials) == .owner(try ApplicationID("app.example.org")))
        credentials.origin = "https://evil.example.org"
        #expect(throws: Refusal.self) { try rule.visitor(credentials) }
        credentials.origin = nil
        credentials.bearer = "owner-kex"
        #expect(throws: Refusal.self) { try rule.visitor(credentials) }
    }

    @Test("With a token nobody gets in without it")
    func token() throws {
        var strict = rule
        strict.token = Secret("token")
        var credentials = Credentials(host: "localhost:51983", origin: "https://app.example.org")
        #expect(throws: Refusal(.unauthorized, "a bearer token is needed")) { try strict.visitor(credentials) }
        credentials.bearer = "tokem"
        #expect(throws: Refusal(.unauthorized, "a bearer token is needed")) { try strict.visitor(credentials) }
        credentials.bearer = "token"
        #expect(try strict.visitor(credentials) == .page(try #require(Origin("https://app.example.org"))))
    }

    @Test("No origin, or one that is no page's, is refused")
    func originIsNeeded() {
        for origin in [nil, "null", "app.example.org"] {
            let refusal = #expect(throws: Refusal.self) {
                try rule.visitor(Credentials(host: "localhost:51983", origin: origin))
            }
            #expect(refusal?.condition == .originRefused)
        }
    }

    @Test(
        "What a form or a link can send without asking is refused",
        arguments: [
            ("application/json", nil, "cors", CrossSiteRule.Body.json, nil),
            ("application/json; charset=utf-8", nil, nil, .json, nil),
            ("text/plain", "t1c-js", nil, .json, .unsupportedMediaType), (nil, nil, nil, .json, .unsupportedMediaType),
            ("application/x-www-form-urlencoded", nil, nil, .json, .unsupportedMediaType),
            ("application/json", nil, "navigate", .json, .originRefused),
            ("application/json", nil, "no-cors", .json, .originRefused),
            ("multipart/form-data; boundary=b", "t1c-js", "cors", .form, nil),
            ("multipart/form-data; boundary=b", nil, nil, .form, .originRefused),
            ("multipart/form-data; boundary=b", "", nil, .form, .originRefused),
            ("application/json", "t1c-js", nil, .form, .unsupportedMediaType),
        ] as [(String?, String?, String?, CrossSiteRule.Body, Condition?)])
    func crossSite(type: String?, token: String?, mode: String?, body: CrossSiteRule.Body, condition: Condition?) {
        let credentials = Credentials(contentType: type, csrfToken: token, fetchMode: mode)
        do {
            try CrossSiteRule.check(credentials, expecting: body)
            #expect(condition == nil)
        } catch {
            #expect(error.condition == condition)
        }
    }

    @Test("Others than this machine need TLS and a token")
    func listening() {
        var settings = ServeSettings(ownerKey: Secret("k"))
        #expect(settings.objection == nil)
        for address in ["127.0.0.5", "::1", "localhost"] {
            settings.address = address
            #expect(settings.objection == nil, "\(address)")
        }
        for address in ["0.0.0.0", "::", "192.168.1.1", "host.example.org"] {
            settings.address = address
            #expect(settings.objection?.contains("TLS") == true, "\(address)")
        }
        settings.tls = .init(certificate: "/c", key: "/k")
        #expect(settings.objection?.contains("token") == true)
        settings.token = Secret("t")
        #expect(settings.objection == nil)
        settings.askingOrigins = ["example.org"]
        #expect(settings.objection?.contains("origin") == true)
    }

    @Test("A bucket gives what it holds, then refuses, and fills up with time")
    func bucket() {
        let start = ContinuousDeadline.now()
        var bucket = RequestBucket(rate: 10, now: start)
        let taken = (0..<20).count { _ in bucket.take(rate: 10, now: start) == nil }
        #expect(taken == 10)
        #expect(bucket.take(rate: 10, now: start.advanced(by: .milliseconds(350))) == nil)
        let later = (0..<20).count { _ in bucket.take(rate: 10, now: start.advanced(by: .milliseconds(350))) == nil }
        #expect(later == 2)
        let full = (0..<50).count { _ in bucket.take(rate: 10, now: start.advanced(by: .seconds(60))) == nil }
        #expect(full == 10)
    }
}
