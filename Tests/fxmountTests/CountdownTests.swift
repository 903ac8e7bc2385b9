import Testing

@testable import fxmount

@Suite struct CountdownTests {
    private func text(_ seconds: Int64) -> String? {
        // 2026-01-31T00:00:00Z
        Countdown(until: "2026-01-31T00:00:00.123456Z", now: 1_769_817_600 - seconds)?.text
    }

    @Test func `a countdown has its two largest units`() {
        #expect(text(13 * 86_400 + 4 * 3600 + 59) == "13 d 4 h")
        #expect(text(86_400) == "1 d")
        #expect(text(3600 + 61) == "1 h 1 min")
        #expect(text(3600 + 1) == "1 h")
        #expect(text(61) == "1 min 1 s")
        #expect(text(40) == "40 s")
        #expect(text(0) == "over" && text(-5) == "over")
        #expect(Countdown(until: "soon", now: 0) == nil)
    }
}
