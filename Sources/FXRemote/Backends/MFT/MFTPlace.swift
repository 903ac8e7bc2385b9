/// A thing of the service, as `remote_id` names it: `group/<id>`, `in/<id>` (a directory of an open group), `files`,
/// `folder/<id>`, `file/<id>`.
enum MFTPlace: Sendable, Hashable {
    case group(String), directory(String)
    /// The root of what is committed, below which are folders.
    case files
    case folder(String), file(String)

    var text: String {
        switch self {
        case .group(let id): "group/" + id
        case .directory(let id): "in/" + id
        case .files: "files"
        case .folder(let id): "folder/" + id
        case .file(let id): "file/" + id
        }
    }

    /// nil when `text` is none of ours, such as a journal's row of another kind of service.
    init?(_ text: String?) {
        guard let text else { return nil }
        if text == "files" {
            self = .files
            return
        }
        let parts = text.split(separator: "/", maxSplits: 1)
        guard parts.count == 2, let id = MFTPlace.id(String(parts[1])) else { return nil }
        switch parts[0] {
        case "group": self = .group(id)
        case "in": self = .directory(id)
        case "folder": self = .folder(id)
        case "file": self = .file(id)
        default: return nil
        }
    }

    /// The group a file or directory of a session belongs to.
    var group: String? {
        switch self {
        case .group(let id), .directory(let id): id
        case .files, .folder, .file: nil
        }
    }

    var file: String? { if case .file(let id) = self { id } else { nil } }

    /// An id of the service in one spelling: UUIDs with and without dashes are the same. nil for what could be
    /// anything else than an id in a path or a header field.
    static func id(_ text: String?) -> String? {
        guard let text, (1...64).contains(text.utf8.count), text.utf8.allSatisfy(isIDByte) else { return nil }
        let digits = text.filter { $0 != "-" }
        return digits.count == 32 && digits.allSatisfy(\.isHexDigit) ? digits.lowercased() : text
    }

    private static func isIDByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
