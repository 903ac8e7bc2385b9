internal import FXSystem
internal import Glibc
internal import SystemPackage

/// Whether the user has to be asked for a directory: the File Exchange rules, as a value.
enum PromptDecision: Sendable, Equatable {
    case map(String)
    case ask(preselected: String)

    /// - Parameters:
    ///   - path: absolute, as given by the caller; nil when none was.
    ///   - isReadable: whether that directory exists and can be read.
    ///   - mapped: where the type is mapped now.
    init(path: String?, isReadable: Bool, promptIsAllowed: Bool, mapped: String?, home: String) {
        if let path, isReadable {
            self = promptIsAllowed ? .ask(preselected: path) : .map(path)
        } else {
            // Without a usable path the user is asked even with --no-prompt: the call could only fail otherwise.
            self = .ask(preselected: mapped ?? home)
        }
    }
}

/// Asks the user for a directory: with the desktop's chooser, else on the terminal.
struct DirectoryPrompt: Sendable {
    var surroundings: Surroundings
    /// nil waits without end.
    var timeout: Duration?
    /// Whether somebody sits at stdin and stderr.
    var hasTerminal: Bool

    init(surroundings: Surroundings, timeout: Duration?) {
        self.surroundings = surroundings
        self.timeout = timeout
        hasTerminal = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1
    }

    /// The directory the user chose, absolute.
    /// - Throws: exit 2 when there is no way to ask, ECANCELED when the user does not want to, exit 124 after the
    ///   timeout.
    func ask(for what: String, preselected: String) throws(CommandFailure) -> String {
        let deadline = timeout.map(ContinuousDeadline.after)
        let hasDisplay = ["WAYLAND_DISPLAY", "DISPLAY"].contains { !(surroundings.environment[$0] ?? "").isEmpty }
        if hasDisplay {
            let title = "Directory for \(what)"
            let choosers = [
                ("zenity", ["--file-selection", "--directory", "--title=\(title)", "--filename=\(preselected)/"]),
                ("kdialog", ["--title", title, "--getexistingdirectory", preselected]),
            ]
            for (program, arguments) in choosers {
                if let chosen = try choose(with: program, arguments, deadline) { return chosen }
            }
        }
        if hasTerminal { return try askOnTerminal(for: what, preselected: preselected, deadline) }
        throw CommandFailure(
            .usage, "there is nobody to ask which directory \(displayed(what.utf8)) is",
            hint: "name it: --path DIR --no-prompt (an existing directory you can read)")
    }

    /// nil when the program does not exist or cannot show itself.
    private func choose(
        with program: String, _ arguments: [String], _ deadline: ContinuousDeadline?
    ) throws(CommandFailure) -> String? {
        let child: ChildProcess
        do throws(Errno) {
            child = try ChildProcess(
                ChildRequest(executable: program, arguments: arguments, environment: surroundings.environment))
        } catch { return nil }
        guard let bytes = child.readReport(until: deadline) else {
            child.abandon()
            throw DirectoryPrompt.timedOut
        }
        let code = child.waitForExit()
        let text = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        if code == 0, text.hasPrefix("/") { return surroundings.absolute(text) }
        // Both programs: 1 for cancel. Anything else, such as no reachable display, is no answer of the user.
        if code == 1 { throw DirectoryPrompt.cancelled }
        return nil
    }

    private func askOnTerminal(
        for what: String, preselected: String, _ deadline: ContinuousDeadline?
    ) throws(CommandFailure) -> String {
        let prompt = "Directory for \(displayed(what.utf8)) [\(displayed(preselected.utf8))] (- cancels): "
        _ = unsafe Array(prompt.utf8).withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
        var line: [UInt8] = []
        while true {
            var waiting = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            var milliseconds: Int32 = -1
            if let deadline {
                if deadline.hasPassed { throw DirectoryPrompt.timedOut }
                milliseconds = Int32(clamping: deadline.remaining.components.seconds * 1000 + 100)
            }
            if unsafe poll(&waiting, 1, milliseconds) <= 0 { continue }
            var byte: UInt8 = 0
            let count = unsafe read(STDIN_FILENO, &byte, 1)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { throw DirectoryPrompt.cancelled }
            if byte == UInt8(ascii: "\n") { break }
            line.append(byte)
        }
        let answer = String(decoding: line, as: UTF8.self)
        if answer == "-" { throw DirectoryPrompt.cancelled }
        if answer.isEmpty { return preselected }
        if answer == "~" || answer.hasPrefix("~/"), let home = surroundings.environment["HOME"] {
            return surroundings.absolute(home + answer.dropFirst())
        }
        return surroundings.absolute(answer)
    }

    static let cancelled = CommandFailure(.failure, "cancelled; nothing was changed", errno: .canceled)
    static let timedOut = CommandFailure(.timedOut, "nobody answered in time; nothing was changed", errno: .timedOut)
}
