internal import FXSystem
internal import SystemPackage

/// Why a command ends with something else than 0: for a person, for a script and for the exit code.
struct CommandFailure: Error, Sendable, Equatable {
    var status: ExitStatus
    var errno: Errno?
    /// One sentence, without a full stop at the end.
    var message: String
    /// What to do about it.
    var hint: String?
    /// The file or directory it is about, as the user would type it.
    var path: String?
    /// The files that stand in the way, each for itself.
    var obstacles: [SessionFile] = []

    init(_ status: ExitStatus, _ message: String, hint: String? = nil, path: String? = nil, errno: Errno? = nil) {
        self.status = status
        self.errno = errno
        self.message = message
        self.hint = hint
        self.path = path
    }

    /// A system call on `path` failed.
    init(_ errno: Errno, _ action: String, path: String, hint: String? = nil, status: ExitStatus? = nil) {
        self.init(
            status ?? ExitStatus(errno: errno.rawValue), "\(action) \(displayed(path.utf8)): \(errno.sentence)",
            hint: hint,
            path: path, errno: errno)
    }

    /// `{"error":{"code","exit","errno","message","hint","path"}}`: every key always there, null when it says nothing;
    /// besides, `obstacles` where files stand in the way.
    var json: JSONValue {
        var members: [JSONValue.Member] = [
            .init("code", .string(status.code)), .init("exit", .integer(Int64(status.rawValue))),
            .init("errno", .text(errno?.symbol)), .init("message", .string(message)), .init("hint", .text(hint)),
            .init("path", .text(path)),
        ]
        if !obstacles.isEmpty { members.append(.init("obstacles", .array(obstacles.map(\.json)))) }
        return ["error": .object(members)]
    }

    /// More lines than a person reads; `--json` has all.
    private static let shownObstacles = 50

    /// What a person reads on stderr.
    var text: String {
        var text = "fxmount: \(message)"
        for obstacle in obstacles.prefix(CommandFailure.shownObstacles) { text += "\n  \(obstacle.sentence)" }
        let more = obstacles.count - CommandFailure.shownObstacles
        if more > 0 { text += "\n  and \(more) more" }
        if let hint { text += "\n  \(hint)" }
        return text
    }
}

extension CommandFailure {
    /// Reads back what `json` wrote, from the pipe of a daemon that did not start.
    init?(json text: String) {
        guard let error = JSONValue(parsing: text)?["error"], let message = error["message"]?.string else { return nil }
        let status = error["exit"]?.integer.flatMap { ExitStatus(rawValue: Int32(truncatingIfNeeded: $0)) } ?? .failure
        self.init(status, message, hint: error["hint"]?.string, path: error["path"]?.string)
        errno = error["errno"]?.string.flatMap(Errno.init(symbol:))
    }
}

extension Errno {
    /// The text of strerror(3) with the symbol: `No such file or directory (ENOENT)`.
    var sentence: String { "\(description) (\(symbol))" }

    init?(symbol: String) {
        guard let number = (1...133).first(where: { Errno(rawValue: $0).symbol == symbol }) else { return nil }
        self.init(rawValue: number)
    }
}
