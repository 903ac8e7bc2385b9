import FXSystem
import Foundation
import SystemPackage
import Testing

@testable import fxmount

/// The use cases of the File Exchange API by name, as commands, and who is asked when.
@Suite("fxmount file and type: use cases")
struct ExchangeUseCaseCommandTests {
    private let fxmount: ExchangeRun

    init() throws { fxmount = try ExchangeRun() }

    @Test("createType, use case 1: an existing path is shown first; cancelled or accepted")
    func createTypeAsks() throws {
        let path = try fxmount.directory("chosen dir")
        var desktop = try fxmount.desktop(zenity: "exit 1")
        let create = ["type", "create", "T1T", "doc", "--path", path, "--json"]
        let cancelled = try fxmount.run(create, desktop)
        #expect(cancelled.code == 1 && cancelled.errors.contains(#""errno":"ECANCELED""#), "\(cancelled)")
        #expect(try fxmount("type", "exists", "T1T", "doc").code == 1)
        desktop = try fxmount.desktop(
            zenity: #"for a; do case $a in --filename=*) echo "${a#--filename=}";; esac; done"#)
        let made = try fxmount.run(create, desktop)
        #expect(made.code == 0 && made.json?["path"] == .string(path) && made.json?["status"] == "MAPPED", "\(made)")
    }

    @Test("createType, use case 2: an existing path and no prompt: made at once")
    func createTypeAtOnce() throws {
        let path = try fxmount.directory("chosen")
        let desktop = try fxmount.desktop(zenity: "touch \"$HOME/asked\"; exit 1")
        let made = try fxmount.run(["type", "create", "T1T", "doc", "--path", path, "--no-prompt", "--json"], desktop)
        #expect(made.json?["path"] == .string(path), "\(made)")
        #expect(fxmount.text("asked") == nil)
        let again = try fxmount("type", "create", "T1T", "doc", "--path", path, "--no-prompt")
        #expect(again.code == 1 && again.errors.contains("already"), "\(again)")
    }

    @Test(
        "createType, use case 3: a missing path asks at home, with and without --no-prompt",
        arguments: [[], ["--no-prompt"]])
    func createTypeMissing(flags: [String]) throws {
        let path = try fxmount.directory("chosen")
        let desktop = try fxmount.desktop(zenity: #"printf '%s\n' "$@" >"$HOME/asked"; echo "$HOME/chosen""#)
        let made = try fxmount.run(["type", "create", "T1T", "doc", "--path", "/none", "--json"] + flags, desktop)
        #expect(made.code == 0 && made.json?["path"] == .string(path), "\(made)")
        #expect(fxmount.text("asked")?.contains("--filename=\(fxmount.path)/\n") == true)
    }

    @Test("createType, use case 3: a question that is cancelled makes nothing")
    func createTypeMissingCancelled() throws {
        let desktop = try fxmount.desktop(zenity: "exit 1")
        let cancelled = try fxmount.run(["type", "create", "T1T", "doc", "--path", "/none", "--json"], desktop)
        #expect(cancelled.code == 1 && cancelled.errors.contains(#""errno":"ECANCELED""#), "\(cancelled)")
        #expect(try fxmount("type", "exists", "T1T", "doc").code == 1)
    }

    @Test("createType on an alias that is mapped asks, beginning at its directory, and maps it anew")
    func createTypeAnew() throws {
        try fxmount.map()
        let other = try fxmount.directory("other")
        let desktop = try fxmount.desktop(zenity: #"printf '%s\n' "$@" >"$HOME/asked"; echo "$HOME/other""#)
        let made = try fxmount.run(["type", "create", "clinic", "scans", "--json"], desktop)
        #expect(made.code == 0 && made.json?["path"] == .string(other), "\(made)")
        #expect(fxmount.text("asked")?.contains("--filename=\(fxmount.path)/scans/\n") == true)
    }

    @Test("updateType always asks; cancelled, everything stays")
    func updateTypeAsks() throws {
        try fxmount.map()
        let old = try fxmount("type", "show", "clinic", "scans", "--json").json?["path"]
        let cancelled = try fxmount.run(
            ["type", "update", "clinic", "scans", "--json"], try fxmount.desktop(zenity: "exit 1"))
        #expect(cancelled.code == 1 && cancelled.errors.contains(#""errno":"ECANCELED""#), "\(cancelled)")
        #expect(try fxmount("type", "show", "clinic", "scans", "--json").json?["path"] == old)
        let other = try fxmount.directory("other")
        let updated = try fxmount.run(
            ["type", "update", "clinic", "scans", "--json"], try fxmount.desktop(zenity: #"echo "$HOME/other""#))
        #expect(updated.code == 0 && updated.json?["path"] == .string(other), "\(updated)")
    }

    @Test("createTypeDirs makes the directories, twice as well as once, and asks only where there is no mapping")
    func createTypeDirs() throws {
        let desktop = try fxmount.desktop(zenity: #"echo "$*" >>"$HOME/asked"; echo "$HOME/chosen""#)
        let chosen = try fxmount.directory("chosen")
        let create = ["type", "create-dirs", "T1T", "doc"]
        let made = try fxmount.run(create + ["2026/july", "--json"], desktop)
        #expect(made.code == 0 && made.json?["path"] == .string(chosen) && made.json?["status"] == "MAPPED", "\(made)")
        let again = try fxmount.run(create + ["2026/august"], desktop)
        #expect(again.code == 0, "\(again)")
        #expect(try fxmount.run(create + ["2026/july"], desktop).code == 0)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: "\(chosen)/2026").sorted() == ["august", "july"])
        #expect(fxmount.text("asked")?.split(separator: "\n").count == 1)
        for path in ["../out", "/out", "a//b", "2026/.."] {
            let refused = try fxmount.run(create + [path], desktop)
            #expect(refused.code == 2, "\(path): \(refused)")
        }
        _ = try fxmount.write("a file", to: "chosen/file")
        #expect(try fxmount.run(create + ["file/below"], desktop).code == 1)
        try fxmount.map("sealed", policy: "read-only")
        #expect(try fxmount("type", "create-dirs", "clinic", "sealed", "new").code == 13)
    }

    @Test("A question on the command line ends after its time", arguments: ["create-dirs", "put"])
    func patience(command: String) throws {
        let source = try fxmount.write("bytes", to: "source")
        let desktop = try fxmount.desktop(zenity: "exec sleep 1000")
        let arguments =
            command == "put"
            ? ["file", "put", source, "T1T", "doc", "--create-type"] : ["type", "create-dirs", "T1T", "doc", "d"]
        let ended = try fxmount.run(arguments + ["--timeout", "1s", "--json"], desktop)
        #expect(ended.code == 124, "\(ended)")
        #expect(try fxmount("type", "exists", "T1T", "doc").code == 1)
    }

    @Test("download, use case 1: put into a type makes the folders", arguments: [[], ["--create-type"]])
    func putIntoType(flags: [String]) throws {
        try fxmount.map()
        let source = try fxmount.write("bytes", to: "july.pdf")
        let put = try fxmount.run(["file", "put", source, "clinic", "scans", "2024/july/a.pdf", "--json"] + flags)
        #expect(put.code == 0 && put.json?["relPath"] == ["2024", "july"] && put.json?["size"] == 5, "\(put)")
        #expect(fxmount.text("scans/2024/july/a.pdf") == "bytes")
    }

    @Test("download, use case 2: put into no type is refused, nothing is written")
    func putIntoNothing() throws {
        let source = try fxmount.write("bytes", to: "july.pdf")
        let put = try fxmount("file", "put", source, "clinic", "scans", "--json")
        #expect(put.code == 1 && put.errors.contains("there is no type clinic/scans"), "\(put)")
    }

    @Test("download, use case 3: put into no type asks with --create-type; cancelled or accepted")
    func putMakesType() throws {
        let source = try fxmount.write("bytes", to: "july.pdf")
        _ = try fxmount.directory("chosen")
        let put = ["file", "put", source, "clinic", "scans", "2024/july.pdf", "--create-type"]
        let cancelled = try fxmount.run(put, try fxmount.desktop(zenity: "exit 1"))
        #expect(cancelled.code == 1, "\(cancelled)")
        #expect(try fxmount("type", "exists", "clinic", "scans").code == 1)
        let made = try fxmount.run(put, try fxmount.desktop(zenity: "echo \"$HOME/chosen\""))
        #expect(made.code == 0 && fxmount.text("chosen/2024/july.pdf") == "bytes", "\(made)")
    }

    // MARK: Prompts

    @Test("Nobody to ask is exit 2, a chooser that does not answer exit 124, and neither waits")
    func nobody() throws {
        let alone = try fxmount("type", "create", "e", "t")
        #expect(alone.code == 2 && alone.errors.contains("--no-prompt"), "\(alone)")
        let late = try fxmount.run(
            ["type", "create", "e", "t", "--timeout", "300ms", "--json"], try fxmount.desktop(zenity: "sleep 1000"))
        #expect(late.code == 124 && late.errors.contains("ETIMEDOUT"), "\(late)")
        #expect(try fxmount("type", "exists", "e", "t").code == 1)
    }

    @Test("On a terminal the directory is typed, with Tab, editing and a default")
    func terminal() throws {
        _ = try fxmount.directory("one/inner dir")
        let environment = fxmount.environment
        func ask(_ name: String, _ body: (Terminal) throws -> Void) throws -> (code: Int32, output: String) {
            let terminal = try Terminal()
            let child = try terminal.start(
                [ExchangeRun.executable, "type", "create", "e", name, "--json", "--timeout", "40s"],
                environment: environment)
            #expect(terminal.waits(for: "directory for e/\(name) [\(fxmount.path)] (Tab completes, - cancels): "))
            try body(terminal)
            let output = child.readReport(until: .after(.seconds(40)))
            return (child.waitForExit(), String(decoding: output ?? [], as: UTF8.self))
        }
        let completed = try ask("completed") { terminal in
            try terminal.type("~/o\t")
            #expect(terminal.waits(for: "~/one/"), "\(terminal.unread)")
            try terminal.type("x\u{7f}i\t")
            #expect(terminal.waits(for: "~/one/inner dir/"), "\(terminal.unread)")
            try terminal.type("\r")
        }
        #expect(completed.code == 0 && completed.output.contains("\(fxmount.path)/one/inner dir"), "\(completed)")
        for (name, typed) in [("minus", "-\r"), ("interrupt", "abc\u{3}"), ("end", "\u{4}")] {
            #expect(try ask(name) { try $0.type(typed) }.code == 1, "\(name)")
            #expect(try fxmount("type", "exists", "e", name).code == 1)
        }
        let chosen = try ask("default") { try $0.type("\r") }
        // Home holds the state directory and may be mapped all the same.
        #expect(chosen.code == 0 && chosen.output.contains("\"path\":\"\(fxmount.path)\""), "\(chosen)")
    }
}
