import FXSystem
import ServiceFixtures
import Testing

/// The fault proxy itself, in front of the OpenTera pair: what a rule says happens, once, and nothing else.
@Suite struct ProxyTests {
    private let pair: OpenTeraControl
    private let proxy: ProxyControl

    init() throws {
        pair = try OpenTeraControl()
        proxy = try ProxyControl(before: pair.port)
    }

    private var client: LoopbackClient {
        var client = proxy.http
        client.seconds = 5
        return client
    }

    @Test func `without a rule everything passes and is counted`() throws {
        for _ in 0..<3 { #expect(try client.get("/about").status == 200) }
        let log = try proxy.finishedLog()
        #expect(log.map(\.number) == [1, 2, 3])
        #expect(log.allSatisfy { $0.status == 200 && $0.upstreamStatus == 200 && !$0.isTreated })
    }

    @Test func `a status is given as often as asked and nothing is forwarded`() throws {
        try proxy.rule(["method": "GET", "status": 503, "times": 2, "fields": ["Retry-After": "1"]])
        let first = try client.get("/about")
        #expect(first.status == 503 && first["Retry-After"] == "1")
        #expect(try client.get("/about").status == 503)
        #expect(try client.get("/about").status == 200)
        #expect(try pair.log().count == 1)
        #expect(try proxy.pendingRules() == 0)
    }

    @Test func `a dropped answer was carried out`() throws {
        try proxy.rule(["number": 2, "drop_answer": true])
        #expect(try client.get("/about").status == 200)
        #expect(throws: NoAnswer.self) { try client.get("/about") }
        #expect(try client.get("/about").status == 200)
        #expect(try pair.log().map(\.status) == [200, 200, 200])
        #expect(try proxy.finishedLog().map(\.status) == [200, 0, 200])
    }

    @Test(arguments: [0, 1, 50, 200]) func `a request that is cut does not arrive`(offset: Int) throws {
        try proxy.rule(["cut_request_after": .integer(Int64(offset))])
        let body = [UInt8](repeating: 65, count: 1000)
        #expect(throws: NoAnswer.self) { try client.request("POST", "/file/api/assets", body: body) }
        #expect(try pair.log().isEmpty)
        #expect(try client.get("/about").status == 200)
    }

    @Test(arguments: [false, true]) func `an answer is cut where it was said`(resets: Bool) throws {
        try proxy.rule(["cut_response_after": 20, "reset": .bool(resets)])
        #expect(throws: NoAnswer.self) { try client.get("/about") }
        #expect(try proxy.finishedLog().first?.received == 20)
        #expect(try pair.log().count == 1)
    }

    @Test(arguments: [-3, 3]) func `a wrong length is told`(difference: Int) throws {
        let right = try client.get("/about").body.count
        try proxy.rule(["wrong_length": .integer(Int64(difference))])
        if difference > 0 {
            #expect(throws: NoAnswer.self) { try client.get("/about") }
        } else {
            #expect(try client.get("/about").body.count == right + difference)
        }
    }

    @Test(arguments: ["stall", "stall_answer"]) func `what stalls is never answered`(kind: String) throws {
        try proxy.rule(.object([.init(kind, true)]))
        var impatient = proxy.http
        impatient.seconds = 1
        #expect(throws: NoAnswer.self) { try impatient.get("/about") }
        #expect(try pair.log().count == (kind == "stall" ? 0 : 1))
        #expect(try client.get("/about").status == 200)
    }

    @Test func `a round trip is added to a connection and to each request on it`() throws {
        try proxy.set(["round_trip_milliseconds": 100])
        let clock = ContinuousClock()
        let connection = try LoopbackConnection(port: proxy.port)
        let request = "GET /about HTTP/1.1\r\nHost: x\r\n\r\n"
        let first = try clock.measure {
            try connection.send(request)
            #expect(try connection.answer().status == 200)
        }
        let second = try clock.measure {
            try connection.send(request)
            #expect(try connection.answer().status == 200)
        }
        #expect(first >= .milliseconds(199))
        #expect(second >= .milliseconds(99))
    }

    @Test func `a slow body takes its time`() throws {
        try proxy.rule(["response_bytes_per_second": 1000])
        let size = try client.get("/_control/settings").body.count
        let taken = try #require(try proxy.finishedLog().first).received
        #expect(size > 0 && taken > size)
        try proxy.rule(["response_bytes_per_second": 1000])
        let duration = try ContinuousClock().measure { _ = try client.get("/_control/settings") }
        #expect(duration >= .milliseconds(taken * 9 / 10))
    }

    @Test func `while it is down connections end, and afterwards they do not`() throws {
        try proxy.set(["down": true])
        #expect(throws: NoAnswer.self) { try client.get("/about") }
        try proxy.set(["down": false])
        #expect(try client.get("/about").status == 200)
    }

    @Test func `an unknown word in a rule is refused`() throws {
        #expect(throws: NoAnswer.self) { try proxy.rule(["drop_anwser": true]) }
    }
}
