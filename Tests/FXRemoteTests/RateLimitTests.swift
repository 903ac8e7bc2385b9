import FXSystem
import Testing

@testable import FXRemote

/// A limit for all transfers of a remote together: how it is divided, and that it holds.
@Suite struct RateLimitTests {
    private static let limit = 1 << 20
    private static let slice = SharedRate.smallestSlice

    private let start = ContinuousDeadline.now()

    private func rate(_ limit: Int = RateLimitTests.limit) -> SharedRate {
        SharedRate(limit: ByteCount(UInt64(limit)), now: start)
    }

    /// `milliseconds` after the beginning.
    private func at(_ milliseconds: Int) -> ContinuousDeadline { start.advanced(by: .milliseconds(milliseconds)) }

    /// What each of `members` moves in so many milliseconds when all move as much as they may.
    private func moved(_ rate: inout SharedRate, by members: Range<Int>, in milliseconds: Int) -> [Int: Int] {
        var moved: [Int: Int] = [:]
        func spend(_ member: Int, _ now: ContinuousDeadline, _ rate: inout SharedRate) {
            while true {
                let count = rate.allowance(of: member, at: now)
                if count == 0 { return }
                moved[member, default: 0] += count
                rate.spend(count, by: member)
            }
        }
        for time in 0..<milliseconds {
            for member in members where !rate.isWaiting(member) { spend(member, at(time), &rate) }
            while let member = rate.next(at: at(time)) { spend(member, at(time), &rate) }
        }
        return moved
    }

    @Test(arguments: [1, 2, 7, 20, 132])
    func `any number of transfers together move no more than the limit, evenly`(count: Int) {
        var rate = rate()
        let moved = moved(&rate, by: 0..<count, in: 10_000)
        let all = moved.values.reduce(0, +)
        #expect(all <= 10 * Self.limit + 2 * Self.slice)
        #expect(all >= 10 * Self.limit - 2 * Self.slice)
        let shares = (0..<count).map { moved[$0] ?? 0 }
        let (least, most) = (shares.min() ?? 0, shares.max() ?? 0)
        #expect(most - least <= 2 * Self.slice, "\(shares)")
    }

    @Test func `whoever comes later has its share at once, and leaves it to the others when it goes`() {
        var rate = rate()
        let alone = moved(&rate, by: 0..<1, in: 1000)
        #expect(abs((alone[0] ?? 0) - Self.limit) <= 2 * Self.slice)
        for member in 0..<4 { _ = rate.allowance(of: member, at: at(1000)) }
        // Everybody stands in the line once: four turns later all four have had one.
        var turns: [Int] = []
        for time in 1000..<1100 {
            while let member = rate.next(at: at(time)) {
                turns.append(member)
                rate.spend(Self.slice, by: member)
                _ = rate.allowance(of: member, at: at(time))
            }
        }
        #expect(turns.count >= 4 && Set(turns.prefix(4)) == Set(0..<4), "\(turns)")
        for member in 1..<4 { rate.leave(member) }
        #expect(!rate.isWaiting(1) && rate.isWaiting(0))
        var last: [Int] = []
        for time in 1100..<1300 {
            while let member = rate.next(at: at(time)) {
                last.append(member)
                rate.spend(Self.slice, by: member)
                _ = rate.allowance(of: member, at: at(time))
            }
        }
        #expect(Set(last) == [0] && last.count >= 10, "\(last)")
    }

    @Test func `what was allowed and not moved comes back`() {
        var rate = rate()
        #expect(rate.allowance(of: 1, at: start) == Self.slice)
        #expect(rate.allowance(of: 2, at: start) == 0)
        #expect(rate.isWaiting(2))
        #expect(rate.next(at: start) == nil)
        rate.leave(1)
        #expect(rate.next(at: start) == 2)
        // A part of an allowance leaves the rest.
        rate.spend(1000, by: 2)
        #expect(rate.allowance(of: 2, at: start) == Self.slice - 1000)
    }

    @Test func `a pause saves up an eighth of a second and no more`() {
        var rate = rate()
        var count = 0
        while rate.allowance(of: 1, at: at(60_000)) > 0 {
            rate.spend(Self.slice, by: 1)
            count += Self.slice
        }
        #expect(count <= Self.limit / 8 + Self.slice)
    }

    @Test func `what was not held up is paid by those who are, for two seconds at most`() throws {
        var rate = rate()
        rate.spend(Self.limit, by: 9)
        #expect(rate.allowance(of: 1, at: start) == 0)
        #expect(rate.next(at: at(900)) == nil)
        #expect(rate.next(at: at(1000)) == 1)
        rate.spend(1 << 30, by: 9)
        #expect(rate.allowance(of: 2, at: at(1000)) == 0)
        let turn = try #require(rate.nextTurn)
        #expect(turn > at(2500) && turn < at(3100))
    }

    @Test func `what is not held up never keeps the others waiting for good`() {
        var rate = rate()
        #expect(rate.allowance(of: 1, at: start) > 0)
        rate.spend(Self.slice, by: 1)
        _ = rate.allowance(of: 1, at: start)
        var turns = 0
        for time in stride(from: 0, to: 20_000, by: 10) {
            // Twice the limit.
            rate.spend(Self.limit / 50, by: 9)
            guard rate.next(at: at(time)) == 1 else { continue }
            turns += 1
            rate.spend(Self.slice, by: 1)
            _ = rate.allowance(of: 1, at: at(time))
        }
        #expect(turns >= 8, "one in two seconds at least")
    }

    @Test func `the next turn is when there is something, and never without anybody in the line`() throws {
        var rate = rate()
        #expect(rate.nextTurn == nil)
        _ = rate.allowance(of: 1, at: start)
        #expect(rate.nextTurn == nil)
        _ = rate.allowance(of: 2, at: start)
        let turn = try #require(rate.nextTurn)
        #expect(turn >= start && turn <= at(1))
        #expect(rate.next(at: turn.advanced(by: .milliseconds(1))) == 2)
    }

    @Test func `a slice grows with the limit, up to what libcurl asks for at once`() {
        var slow = rate(1)
        #expect(slow.allowance(of: 1, at: start) == SharedRate.smallestSlice)
        var fast = rate(8 << 20)
        #expect(fast.allowance(of: 1, at: start) == (8 << 20) / 64)
        var fastest = rate(1 << 40)
        #expect(fastest.allowance(of: 1, at: start) == SharedRate.largestSlice)
    }
}

/// The same over connections. Only that it takes long enough: how much longer is the machine's matter.
@Suite struct RateLimitTransferTests {
    private static let part = 250_000

    private func transport(to server: ScriptedServer) throws -> CurlTransport {
        var options = HTTPOptions()
        options.bytesPerSecond = ByteCount(1_000_000)
        return try server.transport(options)
    }

    /// Does all of them at once and waits.
    private func perform(_ requests: [HTTPRequest], _ transport: CurlTransport) throws -> Duration {
        let began = ContinuousDeadline.now()
        let outcomes = requests.map { request in
            let outcome = Outcome()
            transport.start(request) { outcome.take($0) }
            return outcome
        }
        for outcome in outcomes { #expect(try outcome.first().response?.status == 200) }
        return began.elapsed
    }

    private func upload(_ bytes: [UInt8]) -> HTTPRequest {
        HTTPRequest(.put, "/", body: .content(BytesContent(bytes), 0..<UInt64(bytes.count)))
    }

    @Test func `uploads side by side take as long as one of all their bytes`() throws {
        let server = try ScriptedServer { _ in answer("200 OK") }
        let bodies = (0..<6).map { [UInt8](repeating: UInt8($0), count: Self.part) }
        let taken = try perform(bodies.map(upload), try transport(to: server))
        #expect(taken >= .milliseconds(900), "\(taken)")
        let received = Dictionary(grouping: server.received.map(\.body)) { $0.first }
        for body in bodies { #expect(received[body.first] == [body]) }
    }

    @Test func `many small uploads are under the limit as well`() throws {
        let server = try ScriptedServer { _ in answer("200 OK") }
        let body = [UInt8](repeating: 7, count: 10_000)
        let taken = try perform([HTTPRequest](repeating: upload(body), count: 150), try transport(to: server))
        #expect(taken >= .milliseconds(900), "\(taken)")
        #expect(server.received.count == 150 && server.received.allSatisfy { $0.body == body })
    }

    @Test func `downloads side by side take as long as one of all their bytes`() throws {
        let text = String(repeating: "x", count: Self.part)
        let server = try ScriptedServer { _ in answer("200 OK", [], text) }
        let sinks = (0..<6).map { _ in CountingSink() }
        let requests = sinks.map { HTTPRequest(.get, "/", sink: $0) }
        let taken = try perform(requests, try transport(to: server))
        #expect(taken >= .milliseconds(900), "\(taken)")
        #expect(sinks.allSatisfy { $0.count == Self.part })
    }

    @Test func `a question is not held up by files`() throws {
        let server = try ScriptedServer { request in
            answer("200 OK", [], request.line.hasPrefix("GET") ? String(repeating: "y", count: 300_000) : "")
        }
        let transport = try transport(to: server)
        let upload = Outcome()
        let call = transport.start(self.upload([UInt8](repeating: 1, count: 30_000_000))) { upload.take($0) }
        let answered = try transport.outcome(HTTPRequest(.get, "/list"))
        #expect(answered.response?.body.count == 300_000)
        // The file would be half a minute on its way.
        #expect(upload.count == 0)
        call.cancel()
        #expect(try upload.first().failure == .cancelled)
    }

    @Test func `a sink that refuses a piece ends the exchange, and a transfer that waits can be cancelled`() throws {
        let text = String(repeating: "x", count: 1_000_000)
        let server = try ScriptedServer { _ in answer("200 OK", [], text) }
        let transport = try transport(to: server)
        let refusing = CountingSink(refusesFrom: 300_000)
        #expect(try transport.outcome(HTTPRequest(.get, "/", sink: refusing)).failure == .refusedBody)
        #expect(refusing.count >= 300_000 && refusing.count < 1_000_000)
        let outcome = Outcome()
        let slow = CountingSink()
        let call = transport.start(HTTPRequest(.get, "/", sink: slow)) { outcome.take($0) }
        #expect(slow.waits(for: 100_000))
        call.cancel()
        #expect(try outcome.first().failure == .cancelled)
        // What it had is free again.
        #expect(try transport.outcome(HTTPRequest(.get, "/", sink: CountingSink())).response?.status == 200)
    }
}

/// Counts what comes.
final class CountingSink: HTTPSink {
    private let state = Monitor(0)
    private let refusesFrom: Int

    init(refusesFrom: Int = .max) { self.refusesFrom = refusesFrom }

    var count: Int { state.withLock { $0 } }

    /// False when so much has not come within twenty seconds.
    func waits(for count: Int) -> Bool {
        state.wait(until: .after(.seconds(20))) { $0 >= count ? true : nil } ?? false
    }

    func begin(status: Int, fields: HTTPFields) -> Bool { true }

    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        state.withLock { count in
            count += bytes.count
            return count < refusesFrom
        }
    }
}
