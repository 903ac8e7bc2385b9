internal import FXSystem

/// How a limit is divided among all who move bytes in one direction. A value.
///
/// Time fills a store of bytes at the limit, and who moves some takes them out. While it is empty everybody stands in
/// one line and gets a slice in turn: each of N moves at an N-th of the limit, however fast its connection is, and is
/// back at the front after N slices. libcurl's own limits are for one transfer each, and make one whose share became
/// smaller stop until its last seconds fit the new share, which is long enough to look like a dead connection.
struct SharedRate {
    /// The number of a `CurlSlot`.
    typealias Member = Int

    /// Bytes a second.
    private let limit: Double
    /// What one turn is worth, in bytes.
    private let slice: Int
    /// Below zero after more was moved than there was.
    private var available: Double
    private var filled: ContinuousDeadline
    /// When somebody had a turn the last time.
    private var lastTurn: ContinuousDeadline
    private var line: [Member] = []
    /// Taken out of the store and not moved yet.
    private var granted: [Member: Int] = [:]

    /// libcurl hands out no larger piece of a body (CURL_MAX_WRITE_SIZE).
    static let smallestSlice = 16 << 10
    /// libcurl asks for no more of a body at once (`CurlSetter.bufferBytes`).
    static let largestSlice = 256 << 10
    /// Turns a second at which a slice grows: rare enough to cost nothing, often enough to be smooth.
    private static let turnsPerSecond = 64.0
    /// What a pause saves up for whoever comes next, in seconds of the limit: nobody sees a burst of that length.
    private static let burst = 0.125
    /// What may be owed at most, in seconds of the limit, for what was not held up: a listing stops no file for longer.
    private static let longestDebt = 2.0

    /// - Parameter limit: bytes a second; 0 counts as 1.
    init(limit: ByteCount, now: ContinuousDeadline) {
        self.limit = max(1, Double(limit.rawValue))
        let wanted = min(self.limit / SharedRate.turnsPerSecond, Double(SharedRate.largestSlice))
        slice = max(SharedRate.smallestSlice, Int(wanted))
        available = Double(slice)
        filled = now
        lastTurn = now
    }

    /// What `member` may move now, in bytes; 0 puts it into the line, if it does not stand there yet.
    mutating func allowance(of member: Member, at now: ContinuousDeadline) -> Int {
        if let granted = granted[member] { return granted }
        fill(until: now)
        if line.isEmpty, available > 0 { return grant(member, at: now) }
        if !line.contains(member) { line.append(member) }
        return 0
    }

    /// What was moved, in bytes: of an allowance, more than it, or without one.
    mutating func spend(_ count: Int, by member: Member) {
        let rest = (granted.removeValue(forKey: member) ?? 0) - count
        if rest > 0 { granted[member] = rest } else { available += Double(rest) }
        available = max(available, -max(Double(slice), limit * SharedRate.longestDebt))
    }

    /// Whose turn it is, with an allowance; nil while nobody waits or nothing is there. What is not held up may use up the
    /// whole limit for any time: now and then somebody has a turn all the same.
    mutating func next(at now: ContinuousDeadline) -> Member? {
        fill(until: now)
        guard let first = line.first, available > 0 || now >= latestTurn else { return nil }
        line.removeFirst()
        _ = grant(first, at: now)
        return first
    }

    /// Gives back what `member` did not move, and its place in the line.
    mutating func leave(_ member: Member) {
        line.removeAll { $0 == member }
        available += Double(granted.removeValue(forKey: member) ?? 0)
    }

    func isWaiting(_ member: Member) -> Bool { line.contains(member) }

    /// When the first in the line has its turn; nil while nobody waits.
    var nextTurn: ContinuousDeadline? {
        if line.isEmpty { return nil }
        return available > 0 ? filled : min(latestTurn, filled.advanced(by: .seconds((1 - available) / limit)))
    }

    private var latestTurn: ContinuousDeadline { lastTurn.advanced(by: .seconds(SharedRate.longestDebt)) }

    private mutating func grant(_ member: Member, at now: ContinuousDeadline) -> Int {
        lastTurn = now
        granted[member] = slice
        available -= Double(slice)
        return slice
    }

    private mutating func fill(until now: ContinuousDeadline) {
        let seconds = now.duration(since: filled) / .seconds(1)
        if seconds <= 0 { return }
        available = min(max(Double(slice), limit * SharedRate.burst), available + seconds * limit)
        filled = now
    }
}
