internal import FXMapping
internal import FXSystem
internal import SystemPackage

/// A program of a desktop that lets the user choose a directory and prints its path.
struct DesktopDialog: Sendable {
    var program: String
    var arguments: @Sendable (DirectoryQuestion) -> [String]

    /// In the order in which they are tried.
    static let all = [
        // A trailing slash opens zenity's chooser in the directory.
        DesktopDialog(program: "zenity") { question in
            ["--file-selection", "--directory", "--title=\(question.title)", "--filename=\(question.preselected)/"]
        },
        DesktopDialog(program: "kdialog") { question in
            ["--title", question.title, "--getexistingdirectory", question.preselected]
        },
    ]

    /// - Returns: nil when the program is not there or cannot show itself.
    /// - Throws: `cancelled`, or `timedOut` after the program and all it started were killed.
    func ask(
        _ question: DirectoryQuestion, _ surroundings: Surroundings, until deadline: ContinuousDeadline?
    ) throws(PromptFailure) -> String? {
        guard
            let (code, output) = try DesktopDialog.run(program, arguments(question), surroundings, until: deadline)
        else { return nil }
        // Both programs: 1 for cancel. Anything else, such as no reachable display, is no answer of the user.
        if code == 1 { throw .cancelled }
        let path = String(decoding: output.last == UInt8(ascii: "\n") ? output.dropLast() : output[...], as: UTF8.self)
        return code == 0 && path.hasPrefix("/") ? surroundings.absolute(path) : nil
    }

    /// Shows a dialog and waits for its end.
    /// - Returns: its exit code and what it printed; nil when it is not there or cannot be started.
    /// - Throws: `timedOut` after the program and all it started were killed.
    static func run(
        _ program: String, _ arguments: [String], _ surroundings: Surroundings, until deadline: ContinuousDeadline?
    ) throws(PromptFailure) -> (code: Int32, output: [UInt8])? {
        guard let executable = surroundings.program(program) else { return nil }
        var request = ChildRequest(
            executable: executable, arguments: arguments, environment: surroundings.environment)
        request.startsSession = true
        request.errorLog = "/dev/null"
        let child: ChildProcess
        do throws(Errno) { child = try ChildProcess(request) } catch { return nil }
        // A program may close its output long before it ends.
        guard let output = child.readReport(until: deadline, limit: 1 << 16),
            let code = child.waitForExit(until: deadline)
        else {
            child.killSession()
            throw .timedOut
        }
        return (code, output)
    }
}
