internal import FXSystem

/// A file of a session as `.fxmount/transfers.jsonl` tells of it.
struct SessionFile: Sendable, Equatable {
    /// As the mount shows it, absolute.
    var path: String
    var state: String
    var size: Int64
    var error: String?

    /// nil for a transfer that is not below `session`, an absolute path.
    init?(_ transfer: JSONValue, below session: String, in mountpoint: String) {
        guard let inside = transfer["path"]?.string, let state = transfer["state"]?.string else { return nil }
        let path = "\(mountpoint)/sessions/\(inside)"
        guard path.hasPrefix(session + "/") else { return nil }
        self.path = path
        self.state = state
        size = transfer["size"]?.integer ?? 0
        error = transfer["error"]?.string
    }

    /// True when a session cannot be completed as long as this is so.
    var isObstacle: Bool { ["draft", "failed", "expired"].contains(state) }

    var sentence: String { "\(state)  \(displayed(path.utf8))" + (error.map { ": \(displayed($0.utf8))" } ?? "") }

    var json: JSONValue {
        ["path": .string(path), "state": .string(state), "size": .integer(size), "error": .text(error)]
    }
}

extension LiveMount {
    /// What is not committed below a session, and what was committed last.
    func files(below session: String) throws(CommandFailure) -> [SessionFile] {
        try transfers().compactMap { SessionFile($0, below: session, in: path) }
    }
}
