internal import CLinux
internal import FXSystem
internal import Glibc
internal import Synchronization

/// Shows on stderr how far a wait is: one line that is drawn again on a terminal; elsewhere, when asked for, lines of
/// text, or of JSON with `--json`. Nothing of it goes to stdout.
///
/// Used by one thread; a signal takes the line away and ends the process as if it had not been caught.
final class ProgressDisplay: Sendable {
    private enum Style: Sendable { case line, text, json }
    private struct State {
        var tracker = ProgressTracker()
        var isDrawn = false
        var lastPlain: Duration?
    }

    /// How often to look; drawing more often tells nobody more.
    static let interval = Duration.milliseconds(500)
    /// Between two lines of a log.
    private static let plainInterval = Duration.seconds(5)

    private let style: Style
    private let sample: @Sendable () -> Remaining?
    private let start = ContinuousClock.now
    private let state = Mutex(State())

    /// - Parameters:
    ///   - isWanted: `--progress` was given, so that it is shown where there is no terminal too.
    ///   - sample: what is left now; nil when nobody says.
    /// - Returns: nil when nothing is to be shown.
    init?(
        _ printer: Printer, environment: [String: String], isWanted: Bool,
        sample: @escaping @Sendable () -> Remaining?
    ) {
        let isTerminal = isatty(STDERR_FILENO) == 1 && environment["TERM"] != "dumb"
        if printer.isJSON {
            guard isWanted else { return nil }
            style = .json
        } else if isTerminal, printer.volume != .quiet {
            style = .line
        } else if isWanted {
            style = .text
        } else {
            return nil
        }
        self.sample = sample
        guard style == .line else { return }
        TerminationSignals.block()
        try? TerminationSignals.handle { [self] signal, _ in
            clear()
            ProgressDisplay.die(of: signal)
        }
    }

    /// Looks and shows. Called from time to time while something is waited for.
    func tick() {
        guard let remaining = sample() else { return }
        let time = ContinuousClock.now - start
        let text: String? = state.withLock { state in
            state.tracker.note(remaining, at: time)
            if state.tracker.isEmpty { return nil }
            switch style {
            case .line:
                state.isDrawn = true
                return "\r" + ProgressLine.text(state.tracker, width: ProgressDisplay.width) + "\u{1b}[K"
            case .text, .json:
                if let last = state.lastPlain, time - last < ProgressDisplay.plainInterval { return nil }
                state.lastPlain = time
                return style == .json
                    ? ProgressLine.json(state.tracker).text + "\n" : "fxmount: \(ProgressLine.plain(state.tracker))\n"
            }
        }
        if let text { ProgressDisplay.write(text) }
    }

    /// Takes the line away; what is printed next begins where it was.
    func clear() {
        let wasDrawn = state.withLock { state in
            defer { state.isDrawn = false }
            return state.isDrawn
        }
        if wasDrawn { ProgressDisplay.write("\r\u{1b}[K") }
    }

    /// The columns of the terminal; 80 when it does not tell.
    private static var width: Int {
        var size = winsize()
        let isKnown = unsafe ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        return isKnown ? Int(size.ws_col) : 80
    }

    private static func write(_ text: String) {
        let bytes = Array(text.utf8)
        _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    private static func die(of number: Int32) {
        signal(number, SIG_DFL)
        var set = sigset_t()
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, number)
        unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
        raise(number)
    }
}

extension LiveMount {
    /// What is left to send at or below a path in this mount, as its attributes tell.
    func remaining(below path: String) -> Remaining? {
        let names = ["user.fxmount.progress", "user.fxmount.files"]
        guard let found = try? access.attributes(names, of: path) else { return nil }
        let numbers = (found[names[0]] ?? "").split(separator: "/").compactMap { UInt64($0) }
        guard numbers.count == 2 else { return nil }
        let unsent = (found[names[1]] ?? "").split(separator: " ").reduce(0) { sum, word in
            let parts = word.split(separator: "=")
            guard parts.count == 2, parts[0] == "queued" || parts[0] == "uploading" else { return sum }
            return sum + (Int(parts[1]) ?? 0)
        }
        return Remaining(files: unsent, bytes: ByteCount(numbers[1]) - ByteCount(numbers[0]))
    }

    /// What is left to send in all of it.
    func remaining() -> Remaining? {
        guard let remotes = (try? status())?["remotes"]?.elements else { return nil }
        var sum = Remaining(files: 0, bytes: .zero)
        for remote in remotes {
            sum.files += Int(remote["pending"]?["files"]?.integer ?? 0)
            sum.bytes = sum.bytes + ByteCount(UInt64(clamping: remote["pending"]?["bytes"]?.integer ?? 0))
        }
        return sum
    }
}
