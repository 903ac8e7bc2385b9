/// The objects of an OpenTera installation, each with its number.
protocol Record: Sendable {
    var id: Int { get set }
}

/// Rows by number, in order of their numbers.
struct Table<Row: Record>: Sendable {
    private var byID: [Int: Row] = [:]
    private(set) var ids: [Int] = []
    private var next = 1

    var rows: [Row] { ids.compactMap { byID[$0] } }

    subscript(id: Int) -> Row? { byID[id] }

    /// Adds a row under the next number, or under its own when that is not 0.
    @discardableResult
    mutating func add(_ row: Row) -> Row {
        var row = row
        if row.id == 0 { row.id = next }
        next = max(next, row.id + 1)
        if byID[row.id] == nil {
            if let last = ids.last, last > row.id {
                ids.insert(row.id, at: ids.firstIndex { $0 > row.id } ?? ids.endIndex)
            } else {
                ids.append(row.id)
            }
        }
        byID[row.id] = row
        return row
    }

    mutating func update<Result>(_ id: Int, _ change: (inout Row) -> Result) -> Result? {
        guard var row = byID[id] else { return nil }
        defer { byID[id] = row }
        return change(&row)
    }

    func first(_ test: (Row) -> Bool) -> Row? {
        for id in ids { if let row = byID[id], test(row) { return row } }
        return nil
    }
}

struct Site: Record {
    var id = 0
    var name: String
}

struct Project: Record {
    var id = 0
    var site = 1
    var name: String
    var description: String?
}

struct User: Record {
    /// What a right password leads to.
    enum Standing: String, Sendable, CaseIterable {
        case normal, disabled
        case twoFactor = "2fa"
        case twoFactorSetup = "2fa_setup"
        case passwordChange = "password_change"
    }

    var id = 0
    var uuid: String
    var username: String
    var password: String
    var firstName: String
    var lastName: String
    var isSuperAdmin = false
    var standing = Standing.normal
    /// What 2FA accepts now; a fixed one stands for the changing ones.
    var otp = "123456"
    /// "admin" or "user", by project.
    var projects: [Int: String] = [:]
    /// By site; an administrator of a site is one of all its projects.
    var sites: [Int: String] = [:]
    /// Refused passwords in a row, and when the last one was counted.
    var failures = 0
    var lastFailure: Int64 = 0

    var name: String { "\(firstName) \(lastName)" }
}

struct Participant: Record {
    var id = 0
    var uuid: String
    var project: Int
    var name: String
    var isEnabled = true
    var username: String?
    var password: String?
    /// Never expires, may do little; nil when it is not enabled.
    var staticToken: String?
    var email: String?
    var group: Int?
}

struct Device: Record {
    var id = 0
    var uuid: String
    var name: String
    /// Never expires.
    var token: String
    var participants: [Int] = []
}

struct SessionType: Record {
    var id = 0
    var name: String
    /// 1 service, 2 data collection, 3 file transfer, 4 protocol.
    var category = 2
    var color = "#00FF00"
    var service: Int?
    var secondaryServices: [Int] = []
    var projects: [Int] = []
}

struct ServiceRecord: Record {
    var id = 0
    var uuid: String
    var key: String
    var name: String
    var clientEndpoint: String
    var port: Int
    var hasAssets = false
    var isSystem = true
    var projects: [Int] = []
    var sites: [Int] = []
}

struct SessionRecord: Record {
    var id = 0
    var uuid: String
    var type: Int
    var name: String
    /// In microseconds since 1970.
    var start: Int64
    var duration = 0
    /// 0 not started, 1 in progress, 2 completed, 3 cancelled, 4 terminated.
    var status = 1
    var comments: String?
    var participants: [Int] = []
    var users: [Int] = []
    var devices: [Int] = []
    var creatorUser: Int?
    var creatorParticipant: Int?
    var creatorDevice: Int?
    var creatorService: Int?
    var isDeleted = false
}

struct AssetRecord: Record {
    /// What the file service knows of an asset.
    struct File: Sendable {
        var id: Int
        /// As reported, which need not be true.
        var size: Int
        var originalName: String
        /// nil when the record is there and the bytes are not.
        var stored: StoredBytes?
        var range: Range<Int>
        /// In microseconds since 1970.
        var uploaded: Int64
    }

    var id = 0
    var uuid: String
    var session: Int
    var name: String
    var type = "application/octet-stream"
    /// In microseconds since 1970.
    var datetime: Int64?
    var expiration: Int64?
    var service: String
    var user: Int?
    var participant: Int?
    var device: Int?
    /// Gone from every listing; the file service goes on serving it.
    var isDeleted = false
    var file: File?
}
