import FXSystem
import Testing

@testable import fxmount

@Suite("Progress")
struct ProgressTests {
    private func tracker(_ samples: [(files: Int, mebibytes: UInt64, seconds: Double)]) -> ProgressTracker {
        var tracker = ProgressTracker()
        for sample in samples {
            tracker.note(
                Remaining(files: sample.files, bytes: .mebibytes(sample.mebibytes)),
                at: .milliseconds(Int64(sample.seconds * 1000)))
        }
        return tracker
    }

    @Test("Done is what went away, the whole is what was there at first and what came in addition")
    func counting() {
        let tracker = tracker([(4, 100, 0), (3, 80, 1), (5, 120, 2), (2, 60, 3)])
        #expect(tracker.files == (done: 4, total: 6))
        #expect(tracker.bytes.done == .mebibytes(80))
        #expect(tracker.bytes.total == .mebibytes(140))
    }

    @Test("A transfer that knows what is done shows the whole of it, whatever happened before the first look")
    func knownFromTheBeginning() {
        var tracker = ProgressTracker()
        tracker.note(Remaining(files: 1, bytes: .mebibytes(25), done: .mebibytes(75)), at: .milliseconds(500))
        #expect(tracker.bytes == (done: .mebibytes(75), total: .mebibytes(100)))
        #expect(tracker.fraction == 0.75)
        // The next file of a directory: as much came as went.
        tracker.note(Remaining(files: 1, bytes: .mebibytes(25), done: .mebibytes(100)), at: .seconds(1))
        #expect(tracker.bytes == (done: .mebibytes(100), total: .mebibytes(125)))
    }

    @Test("The rate is that of the last seconds, and what is left follows from it")
    func rate() {
        var steady = tracker([(1, 1000, 0)])
        #expect(steady.rate == nil, "nothing can be said at once")
        for second in 1...60 {
            steady.note(Remaining(files: 1, bytes: .mebibytes(UInt64(1000 - second * 10))), at: .seconds(second))
        }
        #expect(steady.rate == .mebibytes(10))
        #expect(steady.timeLeft == .seconds(40))
        let stuck = tracker((0...40).map { (1, 500, Double($0) / 2) })
        #expect(stuck.rate == .zero && stuck.timeLeft == nil)
    }

    @Test(
        "A line fits every width, says the most important first, and is plain ASCII",
        arguments: [0, 1, 5, 10, 20, 40, 60, 79, 80, 81, 120, 300])
    func widths(width: Int) {
        let tracker = tracker([(40, 3000, 0), (28, 1650, 2)])
        let line = ProgressLine.text(tracker, width: width)
        #expect(line.count <= max(0, width - 1))
        #expect(line.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f })
        if width >= 10 { #expect(line.contains("45%")) }
        if width >= 80 { #expect(line.contains("12/40 files") && line.contains("left")) }
        if width >= 120 { #expect(line.hasPrefix("[#############-----------------]")) }
    }

    @Test("Lines of a log and of JSON say the same")
    func others() {
        let tracker = tracker([(40, 3000, 0), (28, 1650, 2)])
        #expect(ProgressLine.plain(tracker) == "45%  1.32 GiB of 2.93 GiB  12/40 files  675 MiB/s  0:02 left")
        #expect(ProgressLine.json(tracker)["progress"]?["files"]?.integer == 12)
        #expect(ProgressLine.json(tracker)["progress"]?["seconds_left"]?.integer == 2)
    }
}
