import FXMapping
import FXServe
import FXSystem
import Foundation
import SystemPackage
import Testing

@testable import fxmount

@Suite("Prompts", .serialized)
struct PromptTests {
    private func feed(_ bytes: [UInt8]) -> (text: String, last: LineEditor.Reaction) {
        var editor = LineEditor()
        var last = LineEditor.Reaction.none
        for byte in bytes { last = editor.feed(byte) }
        return (editor.text, last)
    }

    @Test("A line is edited as in a shell")
    func editing() {
        #expect(feed(Array("/a/b".utf8)).text == "/a/b")
        #expect(feed(Array("/aé".utf8) + [0x7f]).text == "/a", "a letter of two bytes goes as one")
        #expect(feed(Array("/a/bc".utf8) + [0x17]).text == "/a/")
        #expect(feed(Array("/a/b/".utf8) + [0x17]).text == "/a/")
        #expect(feed(Array("abc".utf8) + [0x15]).text == "")
        #expect(feed(Array("a\u{1b}[D\u{1b}OCb".utf8)).text == "ab", "arrow keys leave nothing behind")
        #expect(
            feed([0x7f]).last == .none && feed([0x04]).last == .cancelled
                && feed(Array("a".utf8) + [0x04]).last == .none)
        #expect(
            feed(Array("a".utf8) + [0x03]).last == .cancelled && feed([0x0d]).last == .done
                && feed([0x09]).last == .complete)
        #expect(feed([UInt8](repeating: 0x61, count: 5000)).text.count == LineEditor.maximumLength)
    }

    @Test("Tab completes as far as it is sure")
    func completion() {
        let tree = ["/": ["base", "srv"], "/base/": ["anna", "annika", ".cache"], "/srv/": []]
        func complete(_ text: String) -> PathCompletion.Result {
            PathCompletion.complete(text) { tree[$0] ?? [] }
        }
        #expect(complete("/b") == .init(text: "/base/", candidates: ["base"]))
        #expect(complete("/base/a") == .init(text: "/base/ann", candidates: ["anna", "annika"]))
        #expect(complete("/base/ann") == .init(text: "/base/ann", candidates: ["anna", "annika"]))
        #expect(complete("/base/.") == .init(text: "/base/.cache/", candidates: [".cache"]))
        #expect(complete("/srv/x") == .init(text: "/srv/x", candidates: []))
        #expect(complete("/none/x") == .init(text: "/none/x", candidates: []))
        #expect(complete("/") == .init(text: "/", candidates: ["base", "srv"]))
    }

    @Test("A half-typed command line gives up its entity")
    func completionWords() {
        let line = HalfTypedLine(["fxmount", "file", "list", "--state-dir", "/s", "--json", "clinic", "sc"])
        #expect(line.positionals(before: 7) == ["clinic"])
        #expect(line.value(of: "--state-dir") == "/s" && line.value(of: "--app") == nil)
    }

    private func question(_ timeout: Duration? = .seconds(20)) throws -> DirectoryQuestion {
        DirectoryQuestion(
            application: try ApplicationID("local"), type: try TypeAddress(entity: "clinic", type: "scans"),
            preselected: "/pre selected", timeout: timeout)
    }

    /// A chooser on a desktop of stand-ins.
    private func chooser(_ programs: [String: String]) throws -> (UserChooser, TemporaryDirectory) {
        let scratch = try TemporaryDirectory()
        for (name, script) in programs {
            try makeProgram("\(scratch.path)/\(name)", script)
        }
        let surroundings = Surroundings(
            environment: ["PATH": "\(scratch.path):/usr/bin:/bin", "DISPLAY": ":9", "OUT": scratch.path], isRoot: false,
            workingDirectory: "/")
        return (UserChooser(surroundings: surroundings, hasTerminal: false), scratch)
    }

    @Test("Without a desktop and a terminal it is an error and not a wait")
    func nobody() throws {
        let alone = UserChooser(
            surroundings: Surroundings(environment: [:], isRoot: false, workingDirectory: "/"), hasTerminal: false)
        #expect(throws: PromptFailure.nobodyToAsk) { try alone.choose(try question(nil)) }
    }

    @Test("zenity is asked with title and directory, and its path is taken as it is")
    func zenity() throws {
        let (chooser, scratch) = try chooser([
            "zenity": #"printf '%s\n' "$@" >"$OUT/asked"; printf '/chosen\nwith a newline/\n'"#
        ])
        #expect(try chooser.choose(try question()) == "/chosen\nwith a newline")
        let asked = try String(contentsOfFile: scratch.path + "/asked", encoding: .utf8)
        #expect(
            asked
                == "--file-selection\n--directory\n--title=local: directory for clinic/scans\n--filename=/pre selected/\n"
        )
    }

    @Test("kdialog is asked when zenity cannot show itself, and nobody when neither can")
    func kdialog() throws {
        let (both, scratch) = try chooser([
            "zenity": "exit 255", "kdialog": #"printf '%s\n' "$@" >"$OUT/asked"; echo /from-kdialog"#,
        ])
        #expect(try both.choose(try question()) == "/from-kdialog")
        #expect(
            try String(contentsOfFile: scratch.path + "/asked", encoding: .utf8)
                == "--title\nlocal: directory for clinic/scans\n--getexistingdirectory\n/pre selected\n")
        let (neither, other) = try chooser(["zenity": "exit 3", "kdialog": "echo relative"])
        #expect(throws: PromptFailure.nobodyToAsk) { try neither.choose(try question()) }
        _ = other
    }

    @Test("Cancel is cancel, and the second program is not asked then")
    func cancel() throws {
        let (chooser, scratch) = try chooser(["zenity": "exit 1", "kdialog": #"touch "$OUT/asked"; echo /x"#])
        #expect(throws: PromptFailure.cancelled) { try chooser.choose(try question()) }
        #expect(!FileManager.default.fileExists(atPath: scratch.path + "/asked"))
    }

    @Test(
        "A chooser that does not answer in time is killed with all it started",
        arguments: [
            "sleep 1000 & echo $! >\"$OUT/pid\"; wait", "exec >/dev/null; echo $$ >\"$OUT/pid\"; exec sleep 1000",
        ])
    func timeout(script: String) throws {
        let (chooser, scratch) = try chooser(["zenity": script])
        #expect(throws: PromptFailure.timedOut) { try chooser.choose(try question(.seconds(10))) }
        let pid = try #require(
            Int32(try String(contentsOfFile: scratch.path + "/pid", encoding: .utf8).trimmingCharacters(in: .newlines)))
        let deadline = ContinuousDeadline.after(.seconds(20))
        while Self.isRunning(pid), !deadline.hasPassed { pause(milliseconds: 5) }
        #expect(!Self.isRunning(pid))
    }

    private func consent(_ programs: [String: String], seconds: Int = 20) throws -> (ConsentAnswer, TemporaryDirectory)
    {
        let (chooser, scratch) = try chooser(programs)
        let origin = try #require(Origin("https://app.example.org"))
        let answer = ConsentPrompt(surroundings: chooser.surroundings).ask(
            origin, days: 30, until: .after(.seconds(seconds)))
        return (answer, scratch)
    }

    @Test("Consent is what the dialog says, and a dialog that cannot show itself says nothing")
    func consents() throws {
        #expect(try consent(["zenity": "exit 0"]).0 == .granted)
        #expect(try consent(["zenity": "exit 1", "kdialog": "exit 0"]).0 == .refused)
        #expect(try consent(["zenity": "exit 255", "kdialog": "exit 0"]).0 == .granted)
        let (_, scratch) = try consent(["zenity": #"printf '%s\n' "$@" >"$OUT/asked""#])
        let asked = try String(contentsOfFile: scratch.path + "/asked", encoding: .utf8)
        #expect(asked.contains("https://app.example.org") && asked.contains("30 days"))
    }

    @Test(
        "A dialog for consent that does not answer in time is killed with all it started",
        arguments: [
            "sleep 1000 & echo $! >\"$OUT/pid\"; wait", "exec >/dev/null; echo $$ >\"$OUT/pid\"; exec sleep 1000",
        ])
    func consentTimeout(script: String) throws {
        let (answer, scratch) = try consent(["zenity": script], seconds: 10)
        #expect(answer == .timedOut)
        let pid = try #require(
            Int32(try String(contentsOfFile: scratch.path + "/pid", encoding: .utf8).trimmingCharacters(in: .newlines)))
        let deadline = ContinuousDeadline.after(.seconds(20))
        while Self.isRunning(pid), !deadline.hasPassed { pause(milliseconds: 5) }
        #expect(!Self.isRunning(pid))
    }

    @Test("One question at a time has the terminal")
    func turns() {
        #expect(TerminalTurn.take(until: nil))
        #expect(!TerminalTurn.take(until: .after(.milliseconds(20))))
        TerminalTurn.giveBack()
        #expect(TerminalTurn.take(until: .after(.seconds(20))))
        TerminalTurn.giveBack()
    }

    /// A zombie that nobody has waited for does not run.
    private static func isRunning(_ pid: Int32) -> Bool {
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return false }
        return !stat.contains(") Z ")
    }

    @Test("notify-send is told what was done, and one that hangs is left")
    func notices() throws {
        let (chooser, scratch) = try chooser(["notify-send": #"printf '%s\n' "$@" >"$OUT/told""#])
        var record = TransferRecord(
            id: 1, application: try ApplicationID("local"), action: .download,
            file: try FileAddress(try TypeAddress(entity: "e", type: "t"), fileName: "f"), state: .done,
            done: ByteCount(5), startedAt: Timestamp(seconds: 0))
        // A busy machine may take its time to start a program.
        DesktopNotices(surroundings: chooser.surroundings, patience: .seconds(120)).tell(record)
        #expect(
            try String(contentsOfFile: scratch.path + "/told", encoding: .utf8)
                == "--app-name=fxmount\n--\nlocal\ne/t/f was written, 5 B\n")
        record.action = .upload
        DesktopNotices(surroundings: Surroundings(environment: ["PATH": "/none"], isRoot: false, workingDirectory: "/"))
            .tell(record)
    }
}
