import Testing

@testable import FXFuse

@Suite struct AttentionTests {
    /// Runs `count` requests that come after `look` or `sleep` nanoseconds; the ways that were taken.
    private func run(
        _ attention: inout Attention, _ count: Int, look: UInt64, sleep: UInt64
    ) -> [Attention.Way] {
        (0..<count).map { _ in
            let way = attention.choose()
            attention.waited(way == .look ? look : sleep, in: way)
            return way
        }
    }

    @Test func whatBringsRequestsSoonerIsDone() {
        var attention = Attention(mayLook: true)
        _ = run(&attention, 100, look: 10_000, sleep: 30_000)
        #expect(run(&attention, 500, look: 10_000, sleep: 30_000).allSatisfy { $0 == .look })
        attention = Attention(mayLook: true)
        _ = run(&attention, 100, look: 10_000, sleep: 5_000)
        #expect(run(&attention, 500, look: 10_000, sleep: 5_000).allSatisfy { $0 == .sleep })
    }

    @Test func lookingHasToBeClearlyBetter() {
        var attention = Attention(mayLook: true)
        _ = run(&attention, 100, look: 10_000, sleep: 11_000)
        #expect(run(&attention, 500, look: 10_000, sleep: 11_000).allSatisfy { $0 == .sleep })
    }

    @Test func aChangeIsNoticed() {
        var attention = Attention(mayLook: true)
        _ = run(&attention, 2_000, look: 10_000, sleep: 5_000)
        _ = run(&attention, 20 * Attention.period, look: 10_000, sleep: 40_000)
        let ways = run(&attention, Attention.period, look: 10_000, sleep: 40_000)
        #expect(ways.count { $0 == .look } == Attention.period - Attention.trial)
    }

    @Test func afterAPauseItSleepsAndThePauseCountsForNothing() {
        var attention = Attention(mayLook: true)
        #expect(attention.choose() == .sleep)
        attention.waited(1_000_000_000, in: .sleep)
        _ = run(&attention, 100, look: 10_000, sleep: 30_000)
        #expect(attention.choose() == .look)
        attention.waited(Attention.longestGap + 1, in: .look)
        #expect(attention.choose() == .sleep)
        attention.waited(1_000, in: .sleep)
        #expect(attention.choose() == .look)
    }

    @Test func onASingleProcessorItNeverLooks() {
        var attention = Attention(mayLook: false)
        #expect(run(&attention, 5_000, look: 1, sleep: 100_000).allSatisfy { $0 == .sleep })
    }
}
