import FXSystem
import Testing

@testable import FXRemote

/// The login as a dialogue: question, expected action.
@Suite struct OpenTeraLoginTests {
    private let password = Secret("right")

    private func at(_ seconds: Int64) -> Timestamp { Timestamp(seconds: 1_800_000_000 + seconds) }

    private func token(_ text: String, at seconds: Int64, life: Int64 = 3600) throws -> OpenTeraToken {
        var token = try #require(OpenTeraToken(text, received: at(seconds)))
        token.life = life
        return token
    }

    private func loggedIn(_ token: OpenTeraToken) -> OpenTeraLogin {
        var login = OpenTeraLogin()
        _ = login.next(now: token.received, since: 0)
        login.end(.loggedIn(token), now: token.received)
        return login
    }

    @Test func `the first call logs in and the second waits for it`() throws {
        var login = OpenTeraLogin()
        #expect(login.next(now: at(0), since: 0) == .logIn)
        #expect(login.next(now: at(0), since: 0) == .wait)
        let token = try token("t", at: 1)
        login.end(.loggedIn(token), now: at(1))
        #expect(login.next(now: at(1), since: 0) == .use(token))
    }

    @Test func `a token is refreshed by one caller when about two thirds of its life are over`() throws {
        let token = try token("t", at: 0)
        var login = loggedIn(token)
        #expect(login.next(now: at(2339), since: 1) == .use(token))
        #expect(login.next(now: at(2340), since: 1) == .refresh(token))
        #expect(login.next(now: at(2340), since: 1) == .wait)
        let fresh = try self.token("u", at: 2341, life: 1800)
        login.end(.loggedIn(fresh), now: at(2341))
        #expect(login.next(now: at(2341), since: 1) == .use(fresh))
        #expect(login.next(now: at(2341 + 1170), since: 2) == .refresh(fresh))
    }

    @Test func `a refresh that failed is followed by a login`() throws {
        let token = try token("t", at: 0)
        var login = loggedIn(token)
        #expect(login.next(now: at(2400), since: 1) == .refresh(token))
        login.end(.notRefreshed, now: at(2400))
        #expect(login.next(now: at(2400), since: 1) == .logIn)
    }

    @Test func `a token under an upload is not refreshed, which would kill it, but followed by a second login`() throws
    {
        let token = try token("t", at: 0)
        var login = loggedIn(token)
        #expect(login.next(now: at(2400), since: 1, isHeld: true) == .logIn)
    }

    @Test func `an upload that takes long gets a token that lasts`() throws {
        let token = try token("t", at: 0, life: 1800)
        var login = loggedIn(token)
        #expect(login.next(now: at(300), since: 1, lasting: 90) == .use(token))
        #expect(login.next(now: at(300), since: 1, lasting: 2000) == .logIn)
        // There is none that lasts longer than a fresh one.
        var again = loggedIn(try self.token("u", at: 300, life: 1800))
        #expect(again.next(now: at(301), since: 1, lasting: 9000) != .logIn)
    }

    @Test func `an expired token and one from the future are replaced by a login`() throws {
        var login = loggedIn(try token("t", at: 0))
        #expect(login.next(now: at(3600), since: 1) == .logIn)
        var early = loggedIn(try token("t", at: 0))
        #expect(early.next(now: at(-10), since: 1) == .logIn)
    }

    @Test func `a token the service does not know is replaced, unless that has happened already`() throws {
        let old = try token("t", at: 0)
        var login = loggedIn(old)
        login.reject(old)
        #expect(login.next(now: at(1), since: 1) == .logIn)
        let new = try token("u", at: 1)
        login.end(.loggedIn(new), now: at(1))
        login.reject(old)
        #expect(login.next(now: at(1), since: 2) == .use(new))
    }

    @Test func `a refused password is not sent again`() throws {
        var login = OpenTeraLogin()
        _ = login.next(now: at(0), since: 0)
        login.end(.refused(.credentials, password), now: at(0))
        for second in Int64(0)..<4 { #expect(login.next(now: at(second), since: 1) == .fail(.credentials)) }
        // The file may hold another one now.
        #expect(login.next(now: at(6), since: 1) == .readPassword)
        login.passwordIs(password, now: at(6))
        #expect(login.next(now: at(6), since: 1) == .fail(.credentials))
        #expect(login.next(now: at(12), since: 1) == .readPassword)
        login.passwordIs(Secret("corrected"), now: at(12))
        #expect(login.next(now: at(12), since: 1) == .logIn)
    }

    @Test func `somebody who asks gets one more try, and after five the lock is waited for`() throws {
        var login = OpenTeraLogin()
        for attempt in 1...5 {
            #expect(login.next(now: at(0), since: attempt - 1) == .logIn)
            login.end(.refused(.credentials, password), now: at(0))
            login.reconsider()
        }
        #expect(login.next(now: at(1), since: 5) == .fail(.accountNeeds(.lockedOut)))
        login.reconsider()
        #expect(login.next(now: at(119), since: 5) == .fail(.accountNeeds(.lockedOut)))
        #expect(login.next(now: at(120), since: 5) == .logIn)
    }

    @Test func `who waited for a login that failed gets its error, and who comes later tries anew`() {
        var login = OpenTeraLogin()
        #expect(login.next(now: at(0), since: 0) == .logIn)
        login.end(.failed(.unreachable), now: at(1))
        #expect(login.next(now: at(1), since: 0) == .fail(.unreachable))
        #expect(login.next(now: at(1), since: 1) == .logIn)
    }

    @Test(arguments: [
        ("2fa", RemoteError.accountNeeds(.secondFactor)), ("2fa_setup", .accountNeeds(.secondFactorSetup)),
        ("password_change", .accountNeeds(.passwordChange)),
    ]) func `an answer of 200 without a token is a step only a person can take`(reason: String, error: RemoteError) {
        let response = HTTPResponse.json(["message": "…", "reason": .string(reason)])
        let answer = OpenTeraAnswer(response: response, now: at(0))
        #expect(OpenTeraClient.outcome(ofLogin: answer, with: password) == .refused(error, password))
    }

    @Test func `the other answers to a login`() throws {
        func outcome(_ response: HTTPResponse) -> OpenTeraLogin.Outcome {
            OpenTeraClient.outcome(ofLogin: OpenTeraAnswer(response: response, now: at(0)), with: password)
        }
        #expect(outcome(.text(401, "Unauthorized")) == .refused(.credentials, password))
        #expect(outcome(.json(["version_latest": "2"], status: 426)) == .refused(.accountNeeds(.newerClient), password))
        #expect(outcome(.text(502, "<html>")) == .failed(.unavailable(retryAfter: nil)))
        #expect(outcome(.json(["message": "hello"])) == .failed(.protocolViolation))
        #expect(outcome(.text(200, "<html>welcome</html>")) == .failed(.protocolViolation))
        #expect(outcome(.json(["user_token": "two words"])) == .failed(.protocolViolation))
        #expect(outcome(.json(["user_token": "abc"])) == .loggedIn(try token("abc", at: 0)))
    }
}
