internal import FXSystem

/// What is known of assets: the tokens that open them, and their sizes, which never change. A value with a bound.
///
/// An access token is good for one asset and 30 minutes; after a restart of the server none is. Ours are forgotten
/// earlier, so that one taken from here lasts as long as a request.
struct OpenTeraAccess: Sendable {
    /// What to ask for, when there is no token.
    enum Question: Sendable, Equatable {
        case asset
        /// All of the session in one request: several of it were asked for one by one.
        case session(Int64)
    }

    private struct Entry {
        var token: Secret?
        var received: Timestamp
        var size: ByteCount?
    }

    private var entries: [String: Entry] = [:]
    private var misses: [Int64: Int] = [:]

    /// In seconds: 25 minutes.
    static let life: Int64 = 25 * 60
    /// About 500 bytes each, so 10 MB.
    static let limit = 20_000
    /// A fourth file of a session promises more of them.
    static let missesUntilSession = 4
    /// Sessions whose misses are counted.
    static let sessionLimit = 1000

    func token(of uuid: String, now: Timestamp) -> Secret? {
        guard let entry = entries[uuid], let token = entry.token else { return nil }
        return (0..<OpenTeraAccess.life).contains(now.seconds - entry.received.seconds) ? token : nil
    }

    func size(of uuid: String) -> ByteCount? { entries[uuid]?.size }

    mutating func keep(_ token: Secret, of uuid: String, now: Timestamp) {
        makeRoom(for: uuid, now)
        entries[uuid, default: Entry(received: now)].token = token
        entries[uuid]?.received = now
    }

    mutating func keep(size: ByteCount, of uuid: String, now: Timestamp) {
        makeRoom(for: uuid, now)
        entries[uuid, default: Entry(received: now)].size = size
    }

    mutating func drop(_ uuid: String) { entries[uuid] = nil }
    mutating func dropToken(of uuid: String) { entries[uuid]?.token = nil }

    /// Counts a missing token of a file of a session.
    mutating func question(in session: Int64?) -> Question {
        guard let session else { return .asset }
        if misses.count >= OpenTeraAccess.sessionLimit { misses = [:] }
        let count = (misses[session] ?? 0) + 1
        misses[session] = count < OpenTeraAccess.missesUntilSession ? count : 0
        return count < OpenTeraAccess.missesUntilSession ? .asset : .session(session)
    }

    private mutating func makeRoom(for uuid: String, _ now: Timestamp) {
        if entries.count < OpenTeraAccess.limit || entries[uuid] != nil { return }
        entries = entries.filter { (0..<OpenTeraAccess.life).contains(now.seconds - $0.value.received.seconds) }
        if entries.count >= OpenTeraAccess.limit { entries = [:] }
    }
}
