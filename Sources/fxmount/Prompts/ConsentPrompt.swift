internal import FXMapping
internal import FXServe
internal import FXSystem
internal import Glibc

/// Asks the user whether an origin may work with files: with the desktop's dialogs, else on the terminal.
struct ConsentPrompt: ConsentAsker {
    var surroundings: Surroundings

    func ask(_ origin: Origin, days: Int, until deadline: ContinuousDeadline) -> ConsentAnswer {
        let hasDisplay = ["WAYLAND_DISPLAY", "DISPLAY"].contains { !(surroundings.environment[$0] ?? "").isEmpty }
        let question =
            "May pages of \(origin) work with files on this machine for \(days) days? They reach only directories you have given them."
        if hasDisplay {
            let dialogs = [
                ("zenity", ["--question", "--no-markup", "--title=fxmount", "--text=\(question)", "--default-cancel"]),
                ("kdialog", ["--title", "fxmount", "--yesno", question]),
            ]
            for (program, arguments) in dialogs {
                if let answer = ask(with: program, arguments, deadline) { return answer }
            }
        }
        guard isatty(STDIN_FILENO) == 1, isatty(STDERR_FILENO) == 1 else { return .nobodyToAsk }
        return ConsentPrompt.askOnTerminal(question, deadline)
    }

    /// nil when the program does not exist or cannot show itself.
    private func ask(with program: String, _ arguments: [String], _ deadline: ContinuousDeadline) -> ConsentAnswer? {
        do throws(PromptFailure) {
            switch try DesktopDialog.run(program, arguments, surroundings, until: deadline)?.code {
            case 0: return .granted
            case 1: return .refused
            default: return nil
            }
        } catch { return .timedOut }
    }

    private static func askOnTerminal(_ question: String, _ deadline: ContinuousDeadline) -> ConsentAnswer {
        guard TerminalTurn.take(until: deadline) else { return .timedOut }
        defer { TerminalTurn.giveBack() }
        let prompt = Array("\(question) [y/N] ".utf8)
        _ = unsafe prompt.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
        var line: [UInt8] = []
        while !deadline.hasPassed {
            var waiting = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            let parts = deadline.remaining.components
            if unsafe poll(&waiting, 1, Int32(clamping: parts.seconds * 1000 + 100)) <= 0 { continue }
            var byte: UInt8 = 0
            let count = unsafe read(STDIN_FILENO, &byte, 1)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return .refused }
            if byte == UInt8(ascii: "\n") {
                let answer = String(decoding: line, as: UTF8.self).lowercased()
                return answer == "y" || answer == "yes" ? .granted : .refused
            }
            if line.count < 16 { line.append(byte) }
        }
        return .timedOut
    }
}
