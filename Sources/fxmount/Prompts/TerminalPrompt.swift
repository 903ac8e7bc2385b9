internal import FXMapping
internal import FXSystem
internal import Foundation
internal import Glibc

/// Asks for a directory at the terminal that is stdin and stderr, with completion by the tabulator.
struct TerminalPrompt: Sendable {
    var surroundings: Surroundings

    /// - Throws: `cancelled` for `-`, Ctrl-C, Ctrl-D or the end of the input; `timedOut`.
    func ask(_ question: DirectoryQuestion, until deadline: ContinuousDeadline?) throws(PromptFailure) -> String {
        guard TerminalTurn.take(until: deadline) else { throw .timedOut }
        defer { TerminalTurn.giveBack() }
        let prompt = "\(question.title) [\(displayed(question.preselected.utf8))] (Tab completes, - cancels): "
        let terminal = surroundings.environment["TERM"] == "dumb" ? nil : RawTerminal()
        defer { terminal?.restore() }
        write(prompt)
        var editor = LineEditor()
        loop: while true {
            let byte = try nextByte(until: deadline, terminal)
            let reaction = byte.map { editor.feed($0) } ?? .cancelled
            switch reaction {
            case .none: break
            case .changed: redraw(prompt, editor, terminal)
            case .complete: complete(&editor, prompt, terminal)
            case .done: break loop
            case .cancelled:
                if terminal != nil { write("\n") }
                throw .cancelled
            }
        }
        if terminal != nil { write("\n") }
        let answer = editor.text
        if answer == "-" { throw .cancelled }
        return answer.isEmpty ? question.preselected : surroundings.absolute(expanded(answer))
    }

    /// nil at the end of the input.
    private func nextByte(until deadline: ContinuousDeadline?, _ terminal: RawTerminal?) throws(PromptFailure) -> UInt8?
    {
        while true {
            var milliseconds: Int32 = -1
            if let deadline {
                if deadline.hasPassed {
                    if terminal != nil { write("\n") }
                    throw .timedOut
                }
                let parts = deadline.remaining.components
                milliseconds = Int32(clamping: parts.seconds * 1000 + parts.attoseconds / 1_000_000_000_000_000 + 1)
            }
            var waiting = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            if unsafe poll(&waiting, 1, milliseconds) <= 0 { continue }
            var byte: UInt8 = 0
            let count = unsafe read(STDIN_FILENO, &byte, 1)
            if count < 0, errno == EINTR { continue }
            return count == 1 ? byte : nil
        }
    }

    private func complete(_ editor: inout LineEditor, _ prompt: String, _ terminal: RawTerminal?) {
        guard terminal != nil else { return }
        let result = PathCompletion.complete(editor.text == "~" ? "~/" : editor.text, directories)
        editor.replace(by: result.text)
        if result.candidates.count > 1 {
            // More than a screen full tells nobody more.
            let shown = result.candidates.prefix(100).map { displayed($0.utf8) }.joined(separator: "  ")
            write("\n\(shown)\(result.candidates.count > 100 ? "  …" : "")\n")
        } else if result.candidates.isEmpty {
            write("\u{7}")
        }
        redraw(prompt, editor, terminal)
    }

    /// What can be entered of a directory; nothing when it cannot be read.
    private func directories(in place: String) -> [String] {
        let path = surroundings.absolute(expanded(place.isEmpty ? "." : place))
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.filter { name in
            // Links to directories are directories here: the path is resolved when it is mapped.
            (try? OwnedDescriptor.open(absolute: "\(path)/\(name)", [.pathOnly, .directory])) != nil
        }
    }

    private func expanded(_ text: String) -> String {
        guard text == "~" || text.hasPrefix("~/"), let home = surroundings.environment["HOME"] else { return text }
        return home + text.dropFirst()
    }

    private func redraw(_ prompt: String, _ editor: LineEditor, _ terminal: RawTerminal?) {
        if terminal != nil { write("\r\(prompt)\(displayed(editor.bytes))\u{1b}[K") }
    }

    private func write(_ text: String) {
        let bytes = Array(text.utf8)
        _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}

/// Stdin giving each byte as it is typed, until `restore`.
struct RawTerminal: Sendable {
    private let saved: termios

    /// nil when the terminal cannot be told.
    init?() {
        var settings = termios()
        guard unsafe tcgetattr(STDIN_FILENO, &settings) == 0 else { return nil }
        saved = settings
        settings.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG)
        settings.c_iflag &= ~tcflag_t(ICRNL)
        guard unsafe tcsetattr(STDIN_FILENO, TCSADRAIN, &settings) == 0 else { return nil }
    }

    func restore() {
        var settings = saved
        unsafe tcsetattr(STDIN_FILENO, TCSADRAIN, &settings)
    }
}
