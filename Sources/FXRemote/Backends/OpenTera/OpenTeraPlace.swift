/// A thing of an OpenTera server, as `remote_id` names it: `project/3`, `participant/7`, `session/29`, `asset/<uuid>`.
enum OpenTeraPlace: Sendable, Hashable {
    case project(Int64), participant(Int64), session(Int64)
    case asset(String)

    var text: String {
        switch self {
        case .project(let id): "project/\(id)"
        case .participant(let id): "participant/\(id)"
        case .session(let id): "session/\(id)"
        case .asset(let uuid): "asset/" + uuid
        }
    }

    /// nil when `text` is none of ours, such as a journal's row of another kind of service.
    init?(_ text: String?) {
        guard let parts = text?.split(separator: "/", maxSplits: 1), parts.count == 2 else { return nil }
        let number = Int64(parts[1])
        switch (parts[0], number) {
        case ("project", let id?): self = .project(id)
        case ("participant", let id?): self = .participant(id)
        case ("session", let id?): self = .session(id)
        case ("asset", _): self = .asset(String(parts[1]))
        default: return nil
        }
    }

    var session: Int64? { if case .session(let id) = self { id } else { nil } }
    var asset: String? { if case .asset(let uuid) = self { uuid } else { nil } }
}
