internal import FXMapping
internal import FXSystem
internal import Glibc

/// Asks the user for a directory: with a chooser of the desktop, else on the terminal.
///
/// The portal of the desktop (org.freedesktop.portal.FileChooser) is not called: its answer is a signal to the connection that asked, and
/// `gdbus call` and `busctl call` close theirs before it comes. zenity and kdialog use the portal by themselves where they are sandboxed.
struct UserChooser: DirectoryChooser {
    var surroundings: Surroundings
    /// Whether somebody sits at stdin and stderr.
    var hasTerminal: Bool

    init(surroundings: Surroundings, hasTerminal: Bool = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1) {
        self.surroundings = surroundings
        self.hasTerminal = hasTerminal
    }

    func choose(_ question: DirectoryQuestion) throws(PromptFailure) -> String {
        let deadline = question.timeout.map(ContinuousDeadline.after)
        let hasDisplay = ["WAYLAND_DISPLAY", "DISPLAY"].contains { !(surroundings.environment[$0] ?? "").isEmpty }
        if hasDisplay {
            for dialog in DesktopDialog.all {
                if let path = try dialog.ask(question, surroundings, until: deadline) { return path }
            }
        }
        guard hasTerminal else { throw .nobodyToAsk }
        return try TerminalPrompt(surroundings: surroundings).ask(question, until: deadline)
    }
}

extension DirectoryQuestion {
    /// What the user reads; whose question it is comes first.
    var title: String { "\(displayed(application.text.utf8)): directory for \(displayed("\(type)".utf8))" }
}
