import FXSystem

/// One request, as the log keeps it.
struct LoggedRequest: Sendable {
    var number: Int
    var method: String
    var target: String
    var status: Int
    /// In bytes.
    var sent: Int
}

/// Everything an OpenTera pair knows. One request at a time changes it.
struct OpenTeraState: Sendable {
    var settings = OpenTeraSettings()
    var sites = Table<Site>()
    var projects = Table<Project>()
    var users = Table<User>()
    var participants = Table<Participant>()
    var devices = Table<Device>()
    var types = Table<SessionType>()
    var services = Table<ServiceRecord>()
    var sessions = Table<SessionRecord>()
    var assets = Table<AssetRecord>()
    var mint = TokenMint()
    var pendingLogins: [String: PendingLogin] = [:]
    var faults: [Fault] = []
    var log: [LoggedRequest] = []
    var counters: [String: Int] = [:]
    var files = 0
    /// Until when the file service does nothing else, on the monotonic clock.
    var parsesUntil = ContinuousDeadline.now()
    /// Until when nothing answers, after a restart.
    var restartsUntil = ContinuousDeadline.now()
    private var uuids = 0
    private var indexByUUID: [String: Int] = [:]
    private var assetsBySession: [Int: [Int]] = [:]

    /// A login that waits for a code or for a new password, by its `session` cookie.
    struct PendingLogin: Sendable {
        var user: Int
        var end: Int64
        var attempts = 0
    }

    /// Older requests are forgotten: more than any test makes.
    static let longestLog = 200_000

    init() { addDefaults() }

    var now: Int64 { Moment.now() + Int64(settings.clockOffset) * 1_000_000 }

    mutating func count(_ what: String, _ amount: Int = 1) { counters[what, default: 0] += amount }

    /// Numbers in the shape of a version 4 uuid, so that runs are alike.
    mutating func newUUID() -> String {
        uuids += 1
        let digits = String(uuids, radix: 16)
        let tail = String(repeating: "0", count: 12 - digits.count) + digits
        let head = String(0x9E37_79B9 &* UInt32(truncatingIfNeeded: uuids), radix: 16)
        return String(repeating: "0", count: 8 - head.count) + head + "-4f6c-4a3b-8d21-" + tail
    }

    // MARK: - Assets

    mutating func addAsset(_ asset: AssetRecord) -> AssetRecord {
        let added = assets.add(asset)
        indexByUUID[added.uuid] = added.id
        assetsBySession[added.session, default: []].append(added.id)
        return added
    }

    func asset(uuid: String) -> AssetRecord? { indexByUUID[uuid].flatMap { assets[$0] } }

    func assets(of session: Int) -> [AssetRecord] {
        (assetsBySession[session] ?? []).compactMap { assets[$0] }.filter { !$0.isDeleted }
    }

    func assetCount(of session: Int) -> Int { assets(of: session).count }

    // MARK: - Who may see what

    /// The role of a user in a project: "admin", "user" or none.
    func role(of user: User, in project: Int) -> String? {
        guard let record = projects[project] else { return nil }
        if user.isSuperAdmin || user.sites[record.site] == "admin" { return "admin" }
        return user.projects[project]
    }

    /// Its creator, its users, and anyone with a role in the project of its first participant.
    func mayRead(_ session: SessionRecord, _ user: User) -> Bool {
        if session.isDeleted { return false }
        if user.isSuperAdmin || session.creatorUser == user.id || session.users.contains(user.id) { return true }
        guard let first = session.participants.first, let participant = participants[first] else { return false }
        return role(of: user, in: participant.project) != nil
    }

    var fileService: ServiceRecord? { services.first { $0.key == "FileTransferService" } }

    /// Whether the file service itself has access to a session: by its type, or because it made it.
    func fileServiceMayUse(_ session: SessionRecord) -> Bool {
        guard let id = fileService?.id, !session.isDeleted else { return false }
        let type = types[session.type]
        return type?.service == id || type?.secondaryServices.contains(id) == true || session.creatorService == id
    }

    func uuid(of requester: Requester) -> String {
        switch requester {
        case .user(let id): users[id]?.uuid ?? ""
        case .participant(let id), .restrictedParticipant(let id): participants[id]?.uuid ?? ""
        case .device(let id): devices[id]?.uuid ?? ""
        }
    }

    /// Who a token belongs to, of any kind; nil for a dead one.
    func requester(of token: String) -> Requester? {
        if let known = mint.requester(token, now: now) { return known }
        if let participant = participants.first({ $0.staticToken == token }) {
            return .restrictedParticipant(participant.id)
        }
        return devices.first { $0.token == token }.map { .device($0.id) }
    }

    func accessToken(_ asset: AssetRecord, for requester: Requester, asList: Bool = false) -> String {
        mint.accessToken(
            requester: uuid(of: requester), asset: asset.uuid, asList: asList, now: now,
            seconds: settings.accessTokenSeconds)
    }
}
