import FXSystem
import ServiceFixtures
import Testing

/// Rules 2, 3, 4, 5 and 10 of opentera.md section 8: log-in and tokens.
///
/// The service's clock goes on while a test runs, on a busy machine for seconds: what must still hold is looked at a
/// minute before its end.
@Suite struct OpenTeraLoginTests {
    private let pair: OpenTeraControl

    init() throws { pair = try OpenTeraControl() }

    private func infos(_ client: OpenTeraClient) throws -> LoopbackAnswer {
        try client.get("/file/api/assets/infos?asset_uuid=x&access_token=y")
    }

    private func isDead(_ client: OpenTeraClient) throws {
        let main = try client.get("/api/user/versions")
        #expect(main.status == 401)
        #expect(main.text == "Unauthorized")
        #expect(main["Content-Type"] == "text/html; charset=utf-8")
        let files = try infos(client)
        #expect(files.status == 403)
        #expect(files.text == "\"Forbidden\"\n")
    }

    private func isAlive(_ client: OpenTeraClient) throws {
        #expect(try client.get("/api/user/versions").status == 200)
        #expect(try infos(client).text == "\"Access denied for that asset\"\n")
    }

    @Test(arguments: ["2fa", "2fa_setup", "password_change"]) func `a login that is not enough has no token`(
        standing: String
    ) throws {
        try pair.change(user: ["username": "user3", "standing": .string(standing)])
        let answer = try OpenTeraClient.login(pair, "user3", "user3")
        #expect(answer.status == 200)
        #expect(answer.json?["reason"]?.string == standing)
        #expect(answer.json?["user_token"] == nil)
        let basic = try pair.http.get("/api/user/versions", fields: [OpenTeraClient.basic("user3", "user3")])
        #expect(basic.status == 401)
        #expect(basic.json?["message"] != nil)
    }

    @Test func `a second factor needs the cookie of the login and the right code`() throws {
        try pair.change(user: ["username": "user3", "standing": "2fa", "otp": "424242"])
        let answer = try OpenTeraClient.login(pair, "user3", "user3")
        let cookie = String(try #require(answer["Set-Cookie"]).prefix { $0 != ";" })
        let target = "/api/user/login/2fa?otp_code="
        #expect(try pair.http.get(target + "424242").status == 401)
        let wrong = try pair.http.get(target + "000000", fields: [("Cookie", cookie)])
        #expect(wrong.status == 401 && wrong.text == "\"Invalid OTP code\"\n")
        let right = try pair.http.get(target + "424242", fields: [("Cookie", cookie)])
        #expect(right.json?["user_token"]?.string != nil)
    }

    @Test func `five wrong passwords lock out the right one for two minutes`() throws {
        for _ in 0..<5 { #expect(try OpenTeraClient.login(pair, "user3", "bad").status == 401) }
        #expect(try OpenTeraClient.login(pair, "user3", "user3").text == "Unauthorized")
        #expect(try pair.counter("failed_logins") == 6)
        try pair.set(["clock_offset": 60])
        #expect(try OpenTeraClient.login(pair, "user3", "user3").status == 401)
        try pair.set(["clock_offset": 121])
        #expect(try OpenTeraClient.login(pair, "user3", "user3").status == 200)
    }

    @Test func `a known client of another major version is refused`() throws {
        func login(_ version: String, _ name: String = "OpenTeraPlus") throws -> LoopbackAnswer {
            try OpenTeraClient.login(
                pair, "user3", "user3", fields: [("X-Client-Name", name), ("X-Client-Version", version)])
        }
        #expect(try login("1.0.0").json?["version_error"] == nil)
        #expect(try login("1.2.0").json?["user_token"] != nil)
        #expect(try login("2.0.0").status == 426)
        #expect(try login("9.0.0", "fxmount").status == 200)
    }

    @Test func `an unknown argument of a login is refused`() throws {
        let answer = try OpenTeraClient.login(pair, "user3", "user3", query: "?foo=1")
        #expect(answer.status == 400 && answer.json?["message"]?.string == "Unknown arguments: foo")
    }

    @Test func `a refresh kills the old token on both services`() throws {
        let old = try OpenTeraClient(pair)
        let answer = try old.get("/api/user/refresh_token")
        var new = old
        new.token = try #require(answer.json?["refresh_token"]?.string)
        try isDead(old)
        try isAlive(new)
        #expect(try old.get("/api/user/refresh_token").status == 401)
        try pair.set(["clock_offset": 1740])
        try isAlive(new)
        try pair.set(["clock_offset": 1801])
        try isDead(new)
    }

    @Test func `a token of a login lives an hour`() throws {
        let client = try OpenTeraClient(pair)
        try pair.set(["clock_offset": 3540])
        try isAlive(client)
        try pair.set(["clock_offset": 3601])
        try isDead(client)
    }

    @Test func `log-out and restart kill tokens`() throws {
        let first = try OpenTeraClient(pair)
        #expect(try first.get("/api/user/logout").text == "\"User logged out.\"\n")
        try isDead(first)
        let second = try OpenTeraClient(pair)
        try pair.restart()
        try isDead(second)
    }

    @Test func `a password opens MAIN and never the file service`() throws {
        let basic = OpenTeraClient.basic("user3", "user3")
        #expect(try pair.http.get("/api/user/versions", fields: [basic]).status == 200)
        #expect(try pair.http.get("/file/api/assets/infos?asset_uuid=x&access_token=y", fields: [basic]).status == 403)
        #expect(try pair.http.get("/api/user/refresh_token", fields: [basic]).status == 401)
    }

    @Test func `a token in the query or a cookie is for the file service only`() throws {
        let client = try OpenTeraClient(pair)
        let infos = "/file/api/assets/infos?asset_uuid=x&access_token=y"
        #expect(try pair.http.get("/api/user/versions?token=\(client.token)").status == 401)
        let query = try pair.http.get("\(infos)&token=\(client.token)")
        #expect(query.text == "\"Access denied for that asset\"\n")
        let cookie = try pair.http.get(infos, fields: [("Cookie", "a=b; OpenTera=\(client.token)")])
        #expect(cookie.text == "\"Access denied for that asset\"\n")
        let bearer = ("Authorization", "Bearer \(client.token)")
        #expect(try pair.http.get("/api/user/versions", fields: [bearer]).status == 401)
        #expect(try pair.http.get(infos, fields: [bearer]).status == 403)
    }

    @Test func `texts are French when that is asked for`() throws {
        let french = ("Accept-Language", "fr-CA,fr;q=0.9")
        let login = try OpenTeraClient.login(pair, "user3", "bad", fields: [french])
        #expect(login.text == "Non autorisé")
        #expect(try pair.http.get("/file/api/assets", fields: [french]).text == "\"Acc\\u00e8s refus\\u00e9\"\n")
    }
}
