import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// Tokens, passwords and accounts, against the pair.
@Suite struct OpenTeraBackendLoginTests {
    @Test func `all calls share one login`() throws {
        let bench = try OpenTeraBench()
        let service = try bench.service()
        let results = Monitor<[Int]>([])
        for _ in 0..<8 {
            _ = try ServiceThread(name: "caller") {
                let count = (try? service.list(.root).count) ?? -1
                results.withLock { $0.append(count) }
            }
        }
        let counts = results.wait(until: .after(.seconds(20))) { $0.count == 8 ? $0 : nil }
        #expect(counts == Array(repeating: 2, count: 8))
        #expect(try bench.pair.counter("logins") == 1)
    }

    @Test func `a token is refreshed before it ends, and one the service forgot is replaced`() throws {
        let bench = try OpenTeraBench()
        let service = try bench.service()
        _ = try service.list(.root)
        bench.time.advance(2400)
        _ = try service.list(.root)
        #expect(try bench.pair.counter("refreshes") == 1)
        #expect(try bench.pair.counter("logins") == 1)
        try bench.pair.restart()
        _ = try service.list(.root)
        #expect(try bench.pair.counter("logins") == 2)
        // Expired for the server, young for us.
        try bench.pair.set(["clock_offset": 4000])
        _ = try service.list(.root)
        #expect(try bench.pair.counter("logins") == 3)
    }

    @Test func `a wrong password is sent once, whatever is asked for`() throws {
        let bench = try OpenTeraBench()
        let service = try bench.service(password: "wrong")
        let session = try bench.pair.session("s")
        for _ in 0..<3 {
            #expect(refusal { _ = try service.list(.root) } == .credentials)
            let upload = try bench.upload("f", [1], to: session)
            #expect(refusal { _ = try service.standing(of: upload) } == .credentials)
        }
        #expect(try bench.pair.counter("failed_logins") == 1)
        service.reconsider()
        #expect(refusal { _ = try service.list(.root) } == .credentials)
        #expect(try bench.pair.counter("failed_logins") == 2)
        #expect(service.examine().map(\.verdict) == [.fails])
        #expect(try bench.pair.counter("failed_logins") == 3)
    }

    @Test func `a corrected password is used without being asked`() throws {
        let bench = try OpenTeraBench()
        let password = Monitor("wrong")
        var configuration = OpenTeraConfiguration(username: "user3") { Secret(password.withLock { $0 }) }
        configuration.sessionType = nil
        let service = try bench.service(configuration)
        #expect(refusal { _ = try service.list(.root) } == .credentials)
        password.withLock { $0 = "user3" }
        bench.time.advance(6)
        #expect(try service.list(.root).count == 2)
    }

    @Test func `the fifth refused password is the last for two minutes`() throws {
        let bench = try OpenTeraBench()
        let service = try bench.service(password: "wrong")
        for _ in 0..<5 {
            service.reconsider()
            #expect(refusal { _ = try service.list(.root) } == .credentials)
        }
        service.reconsider()
        #expect(refusal { _ = try service.list(.root) } == .accountNeeds(.lockedOut))
        #expect(try bench.pair.counter("failed_logins") == 5)
    }

    @Test(arguments: [
        ("2fa", AccountStep.secondFactor), ("2fa_setup", .secondFactorSetup), ("password_change", .passwordChange),
    ]) func `an account that needs a person is refused with what it needs`(standing: String, step: AccountStep) throws {
        let bench = try OpenTeraBench()
        try bench.pair.change(user: ["username": "user3", "standing": .string(standing), "otp": "123456"])
        let service = try bench.service()
        #expect(refusal { _ = try service.list(.root) } == .accountNeeds(step))
        #expect(refusal { _ = try service.list(.root) } == .accountNeeds(step))
        let asked = try bench.requests { _ = refusal { _ = try service.list(.root) } }
        #expect(asked.isEmpty)
    }

    @Test func `a test of the remote says what works and what would fail`() throws {
        let bench = try OpenTeraBench()
        let good = try bench.service().examine()
        #expect(good.map(\.subject) == ["credentials", "file service", "session type", "projects", "limits"])
        #expect(good.allSatisfy { $0.verdict == .works })
        let unlinked = try bench.service(sessionType: "Données Capteur").examine()
        #expect(unlinked[2].verdict == .fails)
        #expect(unlinked[2].error == .sessionTypeNotLinked("Données Capteur"))
        #expect(try bench.service(sessionType: "none").examine()[2].error == .sessionTypeUnknown("none"))
        #expect(try bench.service(sessionType: nil).examine()[2].verdict == .warning)
        let stranger = try bench.service(password: "user4", username: "user4").examine()
        #expect(stranger[0].verdict == .works)
        #expect(stranger[1].verdict == .fails)
        try bench.pair.set(["main_server": "down"])
        #expect(try bench.service().examine().map(\.verdict) == [.fails])
    }
}
