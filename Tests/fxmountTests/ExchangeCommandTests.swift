import FXSystem
import Foundation
import SystemPackage
import Testing

@testable import fxmount

/// `fxmount file` and `fxmount type` as somebody types them.
struct ExchangeRun {
    let program: ProgramRun
    var path: String { program.scratch.path }
    static let executable = Bundle.main.bundlePath + "/fxmount"

    init() throws { program = ProgramRun(scratch: try TemporaryDirectory()) }

    var environment: [String: String] {
        [
            "HOME": path, "XDG_CONFIG_HOME": path + "/config", "FXMOUNT_STATE_DIR": program.state,
            "PATH": "\(path)/bin:/usr/bin:/bin", "TERM": "xterm", "LC_ALL": "C.UTF-8",
        ]
    }

    @discardableResult
    func callAsFunction(_ arguments: String...) throws -> ProgramRun.Result { try run(arguments) }

    func run(
        _ arguments: [String], _ extra: [String: String] = [:], executable: String = ExchangeRun.executable
    ) throws -> ProgramRun.Result {
        let log = path + "/errors-\(UUID().uuidString)"
        let child = try ChildProcess(
            ChildRequest(
                executable: executable, arguments: arguments, environment: environment.merging(extra) { $1 },
                errorLog: log))
        let output = child.readReport(until: .after(.seconds(60)))
        let code = child.waitForExit()
        return ProgramRun.Result(
            code: code, output: String(decoding: output ?? [], as: UTF8.self),
            errors: (try? String(contentsOfFile: log, encoding: .utf8)) ?? "")
    }

    func directory(_ name: String) throws -> String {
        try FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: true)
        return "\(path)/\(name)"
    }

    func write(_ text: String, to name: String) throws -> String {
        try text.write(toFile: "\(path)/\(name)", atomically: false, encoding: .utf8)
        return "\(path)/\(name)"
    }

    func text(_ name: String) -> String? { try? String(contentsOfFile: "\(path)/\(name)", encoding: .utf8) }

    /// The type `clinic/NAME`, mapped to a directory of that name.
    func map(_ name: String = "scans", policy: String = "keep-versions", entity: String = "clinic") throws {
        let result = try run(
            ["type", "create", entity, name, "--path", try directory(name), "--no-prompt", "--policy", policy])
        #expect(result.code == 0, "\(result)")
    }

    /// A desktop whose chooser does what the script says.
    func desktop(zenity script: String) throws -> [String: String] {
        let program = try directory("bin") + "/zenity"
        try "#!/bin/sh\n\(script)\n".write(toFile: program, atomically: false, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program)
        return ["DISPLAY": ":9"]
    }
}

@Suite(
    "fxmount file and type", .enabled(if: FileManager.default.fileExists(atPath: ExchangeRun.executable)))
struct ExchangeCommandTests {
    private let fxmount: ExchangeRun

    init() throws { fxmount = try ExchangeRun() }

    // MARK: The use cases, by name

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

    // MARK: Files

    @Test("list, info, access and exists, with the field names of the REST service")
    func looking() throws {
        try fxmount.map()
        for name in ["b.txt", "a.txt", "c"] {
            #expect(
                try fxmount("file", "put", try fxmount.write(name, to: "in"), "clinic", "scans", "d/\(name)").code == 0)
        }
        let list = try fxmount(
            "file", "list", "clinic", "scans", "d", "--start", "1", "--size", "1", "--sort", "desc", "--json")
        #expect(list.json?["total"] == 3 && list.json?["files"]?.elements?.map { $0["name"] } == ["b.txt"], "\(list)")
        let info = try fxmount("file", "info", "clinic", "scans", "d/a.txt", "--json").json
        guard case .object(let members) = info else {
            Issue.record("\(String(describing: info))")
            return
        }
        #expect(
            members.map(\.key) == [
                "extension", "name", "path", "relPath", "type", "entity", "size", "lastModificationTime", "isDir",
                "access",
            ])
        #expect(info?["extension"] == "txt" && info?["access"] == "rw" && info?["isDir"] == false)
        #expect(try fxmount("file", "access", "clinic", "scans", "d", "--json").json == ["access": "rwx"])
        #expect(try fxmount("file", "access", "clinic", "scans").output == "rwx\n")
        #expect(try fxmount("file", "exists", "clinic", "scans", "d/c", "--json").json == ["exists": true])
        #expect(try fxmount("file", "exists", "clinic", "scans", "d/none").code == 1)
        #expect(try fxmount("file", "list", "clinic", "--json").json?["files"]?.elements?.count == 1)
        #expect(try fxmount("file", "list", "clinic", "scans").output.contains("d/\n"))
        let types = try fxmount("type", "list", "--json").json
        #expect(types?["total"] == 1)
        let keys = [
            "application", "entity", "type", "path", "status", "policy", "created_at", "access", "files", "appid",
        ]
        for key in keys { #expect(types?["types"]?.elements?.first?[key] != nil, "\(key)") }
        #expect(try fxmount("type", "list", "clinic", "--start", "1", "--json").json == ["types": [], "total": 1])
    }

    @Test("mkdir, copy, move, rename, get and stdin, to the letter of the operations")
    func changing() throws {
        try fxmount.map()
        try fxmount.map("archive")
        #expect(try fxmount("file", "mkdir", "clinic", "scans", "a/b").code == 1)
        #expect(try fxmount("file", "mkdir", "-p", "clinic", "scans", "a/b").code == 0)
        #expect(try fxmount("file", "mkdir", "clinic", "scans", "a/b").errors.contains("already"))
        let pipe = try fxmount.run(
            ["-c", "printf 'from stdin' | \"$0\" file put - clinic scans a/b/f", ExchangeRun.executable],
            executable: "sh")
        #expect(pipe.code == 0 && fxmount.text("scans/a/b/f") == "from stdin", "\(pipe)")
        #expect(try fxmount("file", "put", "-", "clinic", "scans").code == 2)
        let copy = try fxmount("file", "copy", "clinic", "scans", "a/b/f", "archive", "g", "--json")
        #expect(
            copy.code == 0 && copy.json?["type"] == "archive" && fxmount.text("archive/g") == "from stdin", "\(copy)")
        #expect(try fxmount("file", "copy", "clinic", "scans", "a", "archive").code == 0)
        #expect(fxmount.text("archive/a/b/f") == "from stdin")
        #expect(try fxmount("file", "copy", "clinic", "scans", "a", "scans", "a/b/a").code == 2, "into itself")
        #expect(try fxmount("file", "rename", "clinic", "scans", "a/b/f", "h").code == 0)
        #expect(try fxmount("file", "move", "clinic", "scans", "a/b/h", "archive").code == 0)
        #expect(fxmount.text("archive/h") == "from stdin" && fxmount.text("scans/a/b/h") == nil)
        let taken = try fxmount("file", "rename", "clinic", "archive", "h", "g", "--json")
        #expect(taken.code == 1 && taken.errors.contains("EEXIST"), "\(taken)")
        #expect(try fxmount("file", "get", "clinic", "archive", "h", "-").output == "from stdin")
        let got = try fxmount("file", "get", "clinic", "archive", "h", fxmount.path + "/out", "--json")
        #expect(
            got.json?["destination"] == .string(fxmount.path + "/out") && fxmount.text("out") == "from stdin", "\(got)")
        #expect(try fxmount("file", "get", "clinic", "archive", "h", fxmount.path + "/out").errors.contains("EEXIST"))
        #expect(try fxmount("file", "get", "clinic", "archive", "h", "-", "--json").code == 2)
        #expect(fxmount.text("out") == "from stdin")
    }

    @Test(
        "What the policy refuses is exit 13 with the rule, and nothing sealed goes",
        arguments: ["keep-names", "append-only", "write-once"])
    func refusals(policy: String) throws {
        try fxmount.map(policy: policy)
        let source = try fxmount.write("first", to: "in")
        #expect(try fxmount("file", "put", source, "clinic", "scans", "f").code == 0)
        for command in [
            ["file", "put", try fxmount.write("second", to: "in2"), "clinic", "scans", "f"],
            ["file", "rename", "clinic", "scans", "f", "g"], ["file", "move", "clinic", "scans", "f", "scans", "d"],
        ] {
            if command[1] == "move" { #expect(try fxmount("file", "mkdir", "clinic", "scans", "d").code == 0) }
            let refused = try fxmount.run(command + ["--json"])
            #expect(refused.code == 13 && refused.errors.contains("\(policy): a sealed file"), "\(refused)")
        }
        #expect(fxmount.text("scans/f") == "first")
        #expect(try fxmount("type", "update", "clinic", "scans", "--policy", "read-only").code == 0)
        #expect(try fxmount("file", "put", source, "clinic", "scans", "new").code == 13)
        #expect(try fxmount("file", "mkdir", "clinic", "scans", "new").code == 13)
    }

    @Test("A file that is replaced in keep-versions can be brought back")
    func versions() throws {
        try fxmount.map()
        for text in ["first", "second"] {
            #expect(try fxmount("file", "put", try fxmount.write(text, to: "in"), "clinic", "scans", "f").code == 0)
        }
        #expect(try fxmount("versions", "show", fxmount.path + "/scans/f").output == "first")
    }

    @Test(
        "Names that lead elsewhere are exit 2 and reach nothing",
        arguments: [
            "../secret", "/etc/passwd", "a/../b", ".", "", "a//b", "C:x", "a\\b", ".fxversions",
            String(repeating: "x", count: 256),
        ])
    func escaping(name: String) throws {
        try fxmount.map()
        _ = try fxmount.write("secret", to: "secret")
        for command in [
            ["file", "get", "clinic", "scans", name, "-"], ["file", "info", "clinic", "scans", name],
            ["file", "exists", "clinic", "scans", name], ["file", "access", "clinic", "scans", name],
            ["file", "mkdir", "-p", "clinic", "scans", name],
            ["file", "put", fxmount.path + "/secret", "clinic", "scans", name],
            ["file", "copy", "clinic", "scans", "f", "scans", name], ["file", "rename", "clinic", "scans", "f", name],
            ["file", "move", "clinic", "scans", "f", "scans", name], ["file", "list", "clinic", "scans", name],
        ] {
            let result = try fxmount.run(command)
            #expect(result.code == 2 && result.output.isEmpty, "\(command): \(result)")
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: fxmount.path + "/scans").isEmpty)
    }

    @Test("Absent, wrong and unknown arguments have their exit codes")
    func wrongArguments() throws {
        try fxmount.map()
        let cases: [([String], Int32)] = [
            (["file", "list"], 2), (["file", "info", "clinic", "scans"], 2),
            (["file", "copy", "clinic", "scans", "f"], 2),
            (["file", "list", "clinic", "scans", "--start", "-1"], 2),
            (["file", "list", "clinic", "scans", "--size", "0"], 2),
            (["file", "list", "clinic", "scans", "--sort", "up"], 2), (["file", "list", "nobody"], 1),
            (["file", "list", "clinic", "none"], 1), (["file", "list", ".", "none"], 2),
            (["file", "info", "clinic", "scans", "none"], 1),
            (["file", "put", "/none", "clinic", "scans"], 1), (["file", "get", "clinic", "scans", "none"], 1),
            (["type", "create", "a/b", "t"], 2), (["type", "delete", "clinic", "none"], 1),
            (["type", "show", "clinic", "none"], 1),
            (["type", "update", "clinic", "none"], 1), (["type", "create", "e", "t", "--timeout", "x"], 2),
        ]
        for (command, code) in cases {
            let result = try fxmount.run(command)
            #expect(result.code == code, "\(command): \(result)")
        }
    }

    @Test("An unmapped type and a directory that is gone are named")
    func outOfReach() throws {
        #expect(try fxmount("type", "create", "clinic", "later", "--unmapped", "--json").json?["status"] == "UNMAPPED")
        let unmapped = try fxmount("file", "list", "clinic", "later", "--json")
        #expect(unmapped.code == 1 && unmapped.errors.contains("ENXIO"), "\(unmapped)")
        try fxmount.map()
        try FileManager.default.removeItem(atPath: fxmount.path + "/scans")
        let gone = try fxmount("file", "list", "clinic", "scans", "--json")
        #expect(gone.code == 1 && gone.errors.contains("ENOENT"), "\(gone)")
        let list = try fxmount("file", "list", "clinic", "--json")
        #expect(list.json?["unavailable"] == [["entity": "clinic", "type": "scans"]], "\(list)")
    }

    @Test("Applications have their own types")
    func applications() throws {
        try fxmount.map()
        #expect(try fxmount("type", "exists", "clinic", "scans", "--app", "other").code == 1)
        #expect(try fxmount("file", "list", "clinic", "--app", "other").code == 1)
        #expect(try fxmount("type", "list", "--app", "other", "--json").json == ["types": [], "total": 0])
    }

    @Test("The shell completes entities and the types of the entity")
    func completion() throws {
        try fxmount.map()
        try fxmount.map("archive")
        try fxmount.map("other", entity: "lab")
        let script = try fxmount("--generate-completion-script", "bash").output
        #expect(script.contains("---completion"))
        let entities = try fxmount(
            "---completion", "file", "list", "--", "positional@0", "3", "0", "fxmount", "file", "list", "")
        #expect(entities.output.split(separator: "\n") == ["clinic", "lab"], "\(entities)")
        let types = try fxmount(
            "---completion", "type", "show", "--", "positional@1", "4", "0", "fxmount", "type", "show", "clinic", "")
        #expect(types.output.split(separator: "\n") == ["archive", "scans"], "\(types)")
    }

    @Test("Somebody without rights is told so", .enabled(if: geteuid() == 0))
    func noRights() throws {
        try fxmount.map()
        #expect(try fxmount("file", "put", try fxmount.write("x", to: "in"), "clinic", "scans", "f").code == 0)
        chmod(fxmount.path + "/scans", 0o755)
        chmod(fxmount.path + "/scans/f", 0o600)
        for path in [fxmount.path, fxmount.program.state] { chown(path, 65534, 65534) }
        for file in try FileManager.default.contentsOfDirectory(atPath: fxmount.program.state) {
            chown(fxmount.program.state + "/" + file, 65534, 65534)
        }
        func asNobody(_ arguments: String...) throws -> ProgramRun.Result {
            try fxmount.run(
                ["--reuid", "65534", "--regid", "65534", "--clear-groups", ExchangeRun.executable] + arguments,
                executable: "setpriv")
        }
        for command in [
            ["file", "get", "clinic", "scans", "f", fxmount.path + "/out"],
            ["file", "put", fxmount.path + "/in", "clinic", "scans", "g"],
            ["file", "mkdir", "clinic", "scans", "d"], ["file", "rename", "clinic", "scans", "f", "g"],
        ] {
            let result = try fxmount.run(
                ["--reuid", "65534", "--regid", "65534", "--clear-groups", ExchangeRun.executable] + command + [
                    "--json"
                ],
                executable: "setpriv")
            #expect(result.code == 1 && result.errors.contains("EACCES"), "\(command): \(result)")
        }
        #expect(try asNobody("file", "access", "clinic", "scans", "f").output == "-\n")
        #expect(try asNobody("file", "access", "clinic", "scans").output == "rx\n")
        #expect(try asNobody("file", "list", "clinic", "scans").code == 0)
    }
}
