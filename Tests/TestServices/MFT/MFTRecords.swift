import FXSystem

struct MFTUser: Sendable {
    enum Standing: String, Sendable {
        case normal
        /// Wants a second factor.
        case mfa
        /// Logs in with the password from before the directory was synchronised: 409.
        case stale
        /// In no uploader group, or in several.
        case uploaderGroup = "uploader_group"
    }

    var id: Int
    var username: String
    var password: String
    var pin: String?
    var standing = Standing.normal
}

struct MFTToken: Sendable {
    var text: String
    var user: Int
    /// Microseconds since 1970.
    var expires: Int64
    var isDead = false
    /// Requests it was used for.
    var uses = 0
    var description = ""
}

/// A group transfer.
struct MFTGroup: Sendable {
    enum Standing: String, Sendable { case open, committed, deleted }

    /// 32 hexadecimal digits.
    var id: String
    var user: Int
    var standing = Standing.open
    var files: [String] = []
    var expiresAfter: String?
}

/// A file of a group, or one that was committed.
struct MFTFile: Sendable {
    var id: String
    var group: String
    var user: Int
    var name: String
    /// With `\`; empty for the root.
    var path: String
    var size: Int
    var isChunked: Bool
    var content = PiecedBytes()
    var isComplete = false
    /// Microseconds since 1970.
    var committed: Int64?
    var deleted: Int64?
    /// What it becomes, when not what the settings say.
    var outcome: String?
    /// Bytes the service made of it.
    var sanitized: [UInt8]?
    var folder: String?

    var isVisible: Bool { committed != nil && deleted == nil }
}

struct MFTFolder: Sendable {
    var id: String
    var user: Int
    var parent: String?
    var name: String
    var created: Int64
}
