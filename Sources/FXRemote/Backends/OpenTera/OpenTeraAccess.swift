internal import FXSystem

/// What is known of assets: the tokens that open them, and their sizes, which never change. A value with bounds.
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

    private struct Token {
        var secret: Secret
        var received: Timestamp
    }

    /// 16 bytes in the place of a uuid's 80: two hashes, keyed by the process. Two assets of one key are not met with.
    private struct Key: Hashable {
        private let first: Int
        private let second: Int

        init(_ uuid: String) {
            func hash(_ seed: UInt8) -> Int {
                var hasher = Hasher()
                hasher.combine(seed)
                hasher.combine(uuid)
                return hasher.finalize()
            }
            (first, second) = (hash(0), hash(1))
        }
    }

    private var tokens: [String: Token] = [:]
    private var sizes: [Key: ByteCount] = [:]
    private var misses: [Int64: Int] = [:]
    private var largeSessions: Set<Int64> = []

    /// In seconds: 25 minutes.
    static let life: Int64 = 25 * 60
    /// Tokens; about 500 bytes each, so 10 MB.
    static let limit = 20_000
    /// Sizes; 24 bytes each and as many again that are free in the table, so 13 MB for several sessions of 100,000.
    static let sizeLimit = 390_000
    /// A fourth file of a session promises more of them.
    static let missesUntilSession = 4
    /// Sessions whose misses are counted, and sessions that are known to be large.
    static let sessionLimit = 1000

    // MARK: - Tokens

    func token(of uuid: String, now: Timestamp) -> Secret? {
        guard let token = tokens[uuid] else { return nil }
        return OpenTeraAccess.isAlive(token, now) ? token.secret : nil
    }

    mutating func keep(_ token: Secret, of uuid: String, now: Timestamp) {
        makeRoom(for: uuid, now)
        tokens[uuid] = Token(secret: token, received: now)
    }

    mutating func dropToken(of uuid: String) { tokens[uuid] = nil }

    private mutating func makeRoom(for uuid: String, _ now: Timestamp) {
        if tokens.count < OpenTeraAccess.limit || tokens[uuid] != nil { return }
        tokens = tokens.filter { OpenTeraAccess.isAlive($0.value, now) }
        if tokens.count >= OpenTeraAccess.limit { tokens = [:] }
    }

    private static func isAlive(_ token: Token, _ now: Timestamp) -> Bool {
        (0..<life).contains(now.seconds - token.received.seconds)
    }

    // MARK: - Sizes

    func size(of uuid: String) -> ByteCount? { sizes[Key(uuid)] }

    mutating func keep(size: ByteCount, of uuid: String) {
        let key = Key(uuid)
        // What is forgotten here is asked for again.
        if sizes.count >= OpenTeraAccess.sizeLimit, sizes[key] == nil { sizes = [:] }
        sizes[key] = size
    }

    /// The asset is gone.
    mutating func drop(_ uuid: String) {
        tokens[uuid] = nil
        sizes[Key(uuid)] = nil
    }

    // MARK: - Sessions

    /// Counts a missing token of a file of a session. The tokens of a large session are asked for one by one: most of
    /// them would be forgotten before they are used.
    mutating func question(in session: Int64?) -> Question {
        guard let session, !isLarge(session) else { return .asset }
        if misses.count >= OpenTeraAccess.sessionLimit { misses = [:] }
        let count = (misses[session] ?? 0) + 1
        misses[session] = count < OpenTeraAccess.missesUntilSession ? count : 0
        return count < OpenTeraAccess.missesUntilSession ? .asset : .session(session)
    }

    /// Notes how many assets a session has.
    mutating func note(_ count: Int, in session: Int64) {
        if count <= OpenTeraAccess.limit {
            largeSessions.remove(session)
            return
        }
        if largeSessions.count >= OpenTeraAccess.sessionLimit { largeSessions = [] }
        largeSessions.insert(session)
    }

    /// True when a session had more assets than tokens are kept for.
    func isLarge(_ session: Int64) -> Bool { largeSessions.contains(session) }
}
