internal import FXSystem

/// An answer of the service, read without trust. Keys are compared without regard to case: the pages of the service do
/// not agree on it.
struct MFTAnswer: Sendable {
    var response: HTTPResponse
    var now: Timestamp

    var status: Int { response.status }
    var isSuccess: Bool { response.isSuccess }

    /// nil unless it is JSON.
    var value: JSONValue? { JSONValue(parsing: String(decoding: response.body, as: UTF8.self)) }

    /// The JSON of a success.
    func json() throws(RemoteError) -> JSONValue {
        try check()
        guard let value else { throw .protocolViolation }
        return value
    }

    func check() throws(RemoteError) { if !isSuccess { throw error } }

    /// The id a success has under this key.
    func id(_ key: String) throws(RemoteError) -> String {
        guard let id = MFTPlace.id(try json()[anyCase: key]?.string) else { throw .protocolViolation }
        return id
    }

    /// The service's own name of what is wrong; empty when there is none. `move_files` answers a list.
    var key: String { (value?[anyCase: "ui_message_key"] ?? value?.elements?.first?["ui_message_key"])?.string ?? "" }

    /// What a failure means, after a dead token was ruled out.
    var error: RemoteError {
        switch status {
        case 400: badRequest
        case 401: .parameterRefused(saying)
        case 403: .forbidden
        case 404: .noSuchEntry
        // 417: Active Directory cannot be reached.
        case 408, 417, 423, 425, 429, 500, 502, 503, 504: .unavailable(retryAfter: response.retryAfter(now: now))
        case 413: .tooLarge(limit: nil)
        case 507: .serviceFull
        case 200..<300: .protocolViolation
        default: .rejected(status: status, saying: saying)
        }
    }

    /// A business rule of the service. The keys of limits are published nowhere, so their words have to do.
    private var badRequest: RemoteError {
        let key = key.uppercased()
        if key == "UPLOAD_FILE_UPLOADER_GROUP_IS_REQUIRED" { return .accountNeeds(.uploaderGroup) }
        if key.contains("QUOTA") { return .quotaExceeded }
        if key.contains("SIZE") { return .tooLarge(limit: nil) }
        return .rejected(status: 400, saying: saying)
    }

    /// The same for a call about a group, which belongs to one user.
    var errorOfGroup: RemoteError { status == 403 ? .belongsToAnother : error }

    /// The words of the service, else its key.
    var saying: String {
        let words = response.explanation
        return words.isEmpty ? String(key.prefix(100)) : words
    }
}

extension JSONValue {
    /// A member whose key is this one in any case.
    subscript(anyCase key: String) -> JSONValue? {
        members?.first { $0.key.lowercased() == key.lowercased() }?.value
    }
}
