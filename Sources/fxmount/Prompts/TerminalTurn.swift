internal import FXSystem

/// One question at a time has the terminal: two would share its input, and the second would take the first one's settings
/// of it for the user's. Any thread.
enum TerminalTurn {
    private static let isTaken = Monitor(false)

    /// False when it did not become free in time.
    static func take(until deadline: ContinuousDeadline?) -> Bool {
        isTaken.wait(until: deadline) { isTaken -> Bool? in
            if isTaken { return nil }
            isTaken = true
            return true
        } ?? false
    }

    static func giveBack() { isTaken.withLock { $0 = false } }
}
