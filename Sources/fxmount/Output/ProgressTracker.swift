internal import FXSystem

/// What is still to be sent, at one moment.
struct Remaining: Sendable, Equatable {
    var files: Int
    var bytes: ByteCount
    /// What was done since the beginning; nil where only what is left can be seen.
    var done: ByteCount?
}

/// How far a wait is; a value, so that tests can say what time it is.
struct ProgressTracker: Sendable {
    /// How far back the rate looks: long enough to be steady, short enough to notice a stop.
    private static let window = Duration.seconds(10)
    /// Samples kept in the window, two a second.
    private static let maximumSamples = 32

    private var last: Remaining?
    private(set) var files = (done: 0, total: 0)
    private(set) var bytes = (done: ByteCount.zero, total: ByteCount.zero)
    private var samples: [(time: Duration, done: ByteCount)] = []

    /// - Parameter time: since the start.
    mutating func note(_ remaining: Remaining, at time: Duration) {
        if let last {
            files.done += max(0, last.files - remaining.files)
            bytes.done = bytes.done + (last.bytes - remaining.bytes)
        }
        // Known, it counts: much may be done before the first look, and what comes in addition hides what went away.
        if let done = remaining.done { bytes.done = done }
        last = remaining
        // What came in addition, and what is sent again, makes the whole larger.
        files.total = files.done + remaining.files
        bytes.total = bytes.done + remaining.bytes
        samples.append((time, bytes.done))
        samples.removeAll { time - $0.time > ProgressTracker.window }
        if samples.count > ProgressTracker.maximumSamples { samples.removeFirst() }
    }

    var isEmpty: Bool { files.total == 0 && bytes.total == .zero }

    /// From 0 to 1; by files where there are no bytes to count.
    var fraction: Double {
        if bytes.total > .zero { return Double(bytes.done.rawValue) / Double(bytes.total.rawValue) }
        return files.total > 0 ? Double(files.done) / Double(files.total) : 0
    }

    /// Bytes in a second; nil when it is too early to tell.
    var rate: ByteCount? {
        guard let first = samples.first, let last = samples.last else { return nil }
        let seconds = (last.time - first.time) / .seconds(1)
        guard seconds >= 0.9 else { return nil }
        return ByteCount(UInt64(Double((last.done - first.done).rawValue) / seconds))
    }

    /// nil while nothing moves.
    var timeLeft: Duration? {
        guard let rate, rate > .zero else { return nil }
        return .seconds(Int64(Double((bytes.total - bytes.done).rawValue) / Double(rate.rawValue)))
    }
}

/// The words for a progress. Pure.
enum ProgressLine {
    /// One line of at most `width` columns, ASCII only: what does not fit is left out, the least important first.
    static func text(_ tracker: ProgressTracker, width: Int) -> String {
        var parts = parts(tracker)
        func joined() -> String { parts.joined(separator: "  ") }
        // The last column stays free: writing into it wraps on some terminals.
        let room = width - 1
        while parts.count > 1, joined().count > room { parts.removeLast() }
        let text = joined()
        if text.count > room { return "" }
        let barWidth = min(30, room - text.count - 4)
        return barWidth < 8 ? text : "[\(bar(tracker.fraction, barWidth))]  \(text)"
    }

    /// A line of a log.
    static func plain(_ tracker: ProgressTracker) -> String { parts(tracker).joined(separator: "  ") }

    /// The most important first.
    private static func parts(_ tracker: ProgressTracker) -> [String] {
        [
            "\(min(100, Int(tracker.fraction * 100)))%", "\(tracker.bytes.done) of \(tracker.bytes.total)",
            "\(tracker.files.done)/\(tracker.files.total) files", tracker.rate.map { "\($0)/s" },
            tracker.timeLeft.map { "\(clock($0)) left" },
        ].compactMap(\.self)
    }

    static func json(_ tracker: ProgressTracker) -> JSONValue {
        [
            "progress": [
                "files": .integer(Int64(tracker.files.done)), "files_total": .integer(Int64(tracker.files.total)),
                "bytes": .bytes(tracker.bytes.done), "bytes_total": .bytes(tracker.bytes.total),
                "bytes_per_second": tracker.rate.map { .bytes($0) } ?? .null,
                "seconds_left": tracker.timeLeft.map { .integer($0.components.seconds) } ?? .null,
            ]
        ]
    }

    private static func bar(_ fraction: Double, _ width: Int) -> String {
        let full = min(width, max(0, Int(fraction * Double(width))))
        return String(repeating: "#", count: full) + String(repeating: "-", count: width - full)
    }

    /// `0:42`, `12:05`, `3:07:00`.
    private static func clock(_ time: Duration) -> String {
        let seconds = time.components.seconds
        func padded(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60)
        return hours > 0
            ? "\(hours):\(padded(minutes)):\(padded(seconds % 60))" : "\(minutes):\(padded(seconds % 60))"
    }
}
