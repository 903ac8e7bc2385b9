internal import FXSystem

/// What the servers answer, as values. Members that are missing or of another kind make an object unusable only where
/// nothing can be done without them.

/// The file service, as the main server knows it.
struct OpenTeraFileService: Sendable, Equatable {
    var id: Int64
    var uuid: String
    /// The path before its own paths, such as `/file`. Host and port in the answer are its inside address.
    var endpoint: String

    init?(_ json: JSONValue) {
        guard let id = json["id_service"]?.integer, let uuid = json["service_uuid"]?.string, !uuid.isEmpty,
            let endpoint = OpenTeraFileService.path(json["service_clientendpoint"]?.string ?? "")
        else { return nil }
        self.id = id
        self.uuid = uuid
        self.endpoint = endpoint
    }

    /// Letters, digits, `-`, `_` and `.` in its parts: nothing that could name another host or leave the path.
    private static func path(_ text: String) -> String? {
        let parts = text.split(separator: "/")
        for part in parts {
            let isPlain = part.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                    || "-_.".utf8.contains(byte)
            }
            if !isPlain || part.allSatisfy({ $0 == "." }) { return nil }
        }
        return parts.map { "/" + $0 }.joined()
    }

    static let key = "FileTransferService"
}

/// A project or a participant: a name and an id.
struct OpenTeraFolder: Sendable, Equatable {
    var id: Int64
    var name: String

    init?(_ json: JSONValue, _ kind: String) {
        guard let id = json["id_" + kind]?.integer else { return nil }
        self.id = id
        name = json[kind + "_name"]?.string ?? ""
    }
}

struct OpenTeraSession: Sendable, Equatable {
    var id: Int64
    var name: String
    var type: Int64?
    /// 0 not started, 1 in progress, 2 completed, 3 cancelled, 4 terminated.
    var status: Int64?
    var start: OpenTeraTime?
    var creatingUser: Int64?
    var creatingService: Int64?

    init?(_ json: JSONValue) {
        guard let id = json["id_session"]?.integer else { return nil }
        self.id = id
        name = json["session_name"]?.string ?? ""
        type = json["id_session_type"]?.integer
        status = json["session_status"]?.integer
        start = json["session_start_datetime"]?.string.flatMap { OpenTeraTime($0) }
        creatingUser = json["id_creator_user"]?.integer
        creatingService = json["id_creator_service"]?.integer
    }

    /// In our words. A session we make is `completed` for the service from its first day, and takes files all the same:
    /// the two earlier states would turn into `cancelled` and `terminated` at midnight.
    var state: SessionState {
        switch status {
        case nil, 0, 1, 2: .open
        case 3: .aborted
        default: .complete
        }
    }

    static let inProgress: Int64 = 1
    static let completed: Int64 = 2
    static let cancelled: Int64 = 3
}

struct OpenTeraSessionType: Sendable, Equatable {
    var id: Int64
    var name: String
    var service: Int64?

    init?(_ json: JSONValue) {
        guard let id = json["id_session_type"]?.integer else { return nil }
        self.id = id
        name = json["session_type_name"]?.string ?? ""
        service = json["id_service"]?.integer
    }
}

/// A record of the main server; the bytes are the file service's.
struct OpenTeraAsset: Sendable, Equatable {
    var uuid: String
    /// Counts up, so that the newest of a name is known; nil in the short form.
    var id: Int64?
    var session: Int64?
    var name: String
    var time: OpenTeraTime?
    var service: String?
    var accessToken: Secret?
    /// What the file service says, once it was asked.
    var size: ByteCount?

    init?(_ json: JSONValue) {
        guard let uuid = json["asset_uuid"]?.string, !uuid.isEmpty else { return nil }
        self.uuid = uuid
        id = json["id_asset"]?.integer
        session = json["id_session"]?.integer
        name = json["asset_name"]?.string ?? ""
        time = json["asset_datetime"]?.string.flatMap { OpenTeraTime($0) }
        service = json["asset_service_uuid"]?.string
        accessToken = json["access_token"]?.string.map { Secret($0) }
    }
}

/// What the file service knows of an asset.
struct OpenTeraAssetFile: Sendable, Equatable {
    var uuid: String
    var size: ByteCount
    var originalName: String

    init?(_ json: JSONValue) {
        guard let uuid = json["asset_uuid"]?.string, let size = json["asset_file_size"]?.integer, size >= 0 else {
            return nil
        }
        self.uuid = uuid
        self.size = ByteCount(UInt64(size))
        originalName = json["asset_original_filename"]?.string ?? ""
    }

    /// The name people gave it; else the one the service made of it; else what tells it from all others.
    static func name(_ asset: OpenTeraAsset, _ file: OpenTeraAssetFile?) -> String {
        if !asset.name.isEmpty { return asset.name }
        if let original = file?.originalName, !original.isEmpty { return original }
        return asset.uuid
    }
}

/// An upload of ours found again: the record whose time, name and session are the upload's.
///
/// Names are compared byte by byte: two spellings of `é` are two names.
struct OpenTeraClaim: Sendable, Equatable {
    var session: Int64
    var name: String
    var key: OpenTeraTime

    func isOf(_ asset: OpenTeraAsset) -> Bool {
        asset.time == key && asset.name.utf8.elementsEqual(name.utf8) && (asset.session ?? session) == session
    }
}
