internal import FXRemote
internal import FXSystem

/// What a remote can be, and the keys each kind has.
enum RemoteKind: String, Sendable, CaseIterable {
    case local, mft, opentera, itslearning, s3, tus

    static var names: [String] { allCases.map(\.rawValue) }

    /// True when it is reached over a network.
    var isNetwork: Bool { self != .local }

    /// Everything that may stand in `[remotes.NAME]`, besides `kind`.
    var keys: [SettingKey] {
        var keys = own + SettingKey.ofEveryRemote
        keys.append(
            // Over a network more at once hide the way there and back; see RemoteConfiguration for a disk.
            SettingKey(path: "connections", kind: .integer(1...64), standard: .integer(isNetwork ? 8 : 4)))
        if isNetwork { keys += SettingKey.ofEveryNetworkRemote }
        if let secret { keys += secret.keys }
        return keys
    }

    private var own: [SettingKey] {
        switch self {
        case .local: [SettingKey(path: "path", kind: .absolutePath)]
        case .mft:
            [SettingKey(path: "url", kind: .url), SettingKey(path: "username", kind: .text)]
        case .opentera:
            [
                SettingKey(path: "url", kind: .url), SettingKey(path: "username", kind: .text),
                SettingKey(path: "session_type", kind: .text),
                // What the service's own web server lets through as it is installed.
                SettingKey(path: "max_body", kind: .size, standard: .size(.mebibytes(500))),
            ]
        case .itslearning:
            [
                SettingKey(path: "url", kind: .url), SettingKey(path: "username", kind: .text),
                SettingKey(
                    path: "extension_id", kind: .integer(RemoteKind.numbers),
                    standard: .integer(Int(ItslearningConfiguration.fileExtension))),
                SettingKey(path: "site_id", kind: .integer(RemoteKind.numbers)),
                SettingKey(
                    path: "max_file_size", kind: .size,
                    standard: .size(ItslearningConfiguration.standardMaximumFileSize)),
                SettingKey(
                    path: "publish.location",
                    kind: .choice(ItslearningPublication.Location.allCases.map(\.rawValue)), isNested: true),
                SettingKey(path: "publish.course_id", kind: .integer(RemoteKind.numbers), isNested: true),
                SettingKey(path: "publish.user_id", kind: .integer(RemoteKind.numbers), isNested: true),
                SettingKey(path: "publish.parent_id", kind: .integer(RemoteKind.numbers), isNested: true),
            ]
        case .s3:
            [
                SettingKey(path: "endpoint", kind: .url),
                // What services without regions expect in a signature.
                SettingKey(path: "region", kind: .text, standard: .text("us-east-1")),
                SettingKey(path: "bucket", kind: .text), SettingKey(path: "prefix", kind: .text),
                SettingKey(path: "access_key_id", kind: .text),
                // Works with every service; a name for each bucket needs certificates and DNS to match.
                SettingKey(path: "path_style", kind: .bool, standard: .bool(true)),
            ]
        case .tus:
            [
                SettingKey(path: "url", kind: .url),
                SettingKey(
                    path: "layout", kind: .choice(TusConfiguration.Layout.allCases.map(\.rawValue)),
                    standard: .text(TusConfiguration.Layout.auto.rawValue)),
                SettingKey(path: "files_url", kind: .url),
            ]
        }
    }

    /// Ids of a service, which counts in 32 bits.
    private static let numbers = 1...Int(Int32.max)

    /// Keys a remote of this kind cannot do without.
    var required: [String] {
        switch self {
        case .local: []
        // A user name belongs to a password; an API key needs none.
        case .mft: ["url"]
        case .opentera, .itslearning: ["url", "username"]
        case .s3: ["endpoint", "bucket", "access_key_id"]
        case .tus: ["url"]
        }
    }

    /// The secret it logs in with; nil for none.
    var secret: SecretKey? {
        switch self {
        case .local: nil
        case .mft: SecretKey(stem: "password", alternative: "token", isRequired: true)
        case .opentera, .itslearning: SecretKey(stem: "password", isRequired: true)
        case .s3: SecretKey(stem: "secret_access_key", isRequired: true)
        case .tus: SecretKey(stem: "token", isRequired: false)
        }
    }

    /// The key that holds where it is.
    var address: String {
        switch self {
        case .local: "path"
        case .s3: "endpoint"
        case .mft, .opentera, .itslearning, .tus: "url"
        }
    }
}

/// A secret by the keys that tell where it is: `password_file`, `password_command`, `password_env` and
/// `password_credential`.
struct SecretKey: Sendable, Equatable {
    var stem: String
    /// Another secret that does as well: an API key in the place of a password.
    var alternative: String?
    var isRequired: Bool

    private var stems: [String] { [stem] + [alternative].compactMap { $0 } }

    var keys: [SettingKey] {
        stems.flatMap { stem in
            SecretSource.Kind.allCases.map { SettingKey(path: "\(stem)_\($0.rawValue)", kind: .secret($0)) }
        }
    }
    var names: [String] { keys.map(\.name) }

    /// Every key that would hold a secret itself, of any kind of remote. None of them may be written anywhere.
    static let bare = Set(RemoteKind.allCases.compactMap { $0.secret?.stem })
}

extension SettingKey {
    fileprivate static let ofEveryRemote: [SettingKey] = [
        SettingKey(path: "commit", kind: .choice(["remote", "journal"]), standard: .text("remote")),
        SettingKey(path: "op_timeout", kind: .duration, standard: .duration(.seconds(15))),
        SettingKey(path: "delete", kind: .bool, standard: .bool(false)),
        SettingKey(path: "staging_patterns", kind: .list),
    ]

    fileprivate static let ofEveryNetworkRemote: [SettingKey] = [
        SettingKey(path: "ca_file", kind: .absolutePath),
        SettingKey(path: "insecure", kind: .bool, standard: .bool(false)),
        SettingKey(
            path: "listing_ttl", kind: .duration, standard: .duration(RemoteConfiguration.standardListingTTL)),
        // A second, in each direction; none for no limit.
        SettingKey(path: "rate_limit", kind: .size),
    ]
}
