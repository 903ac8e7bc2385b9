import FXSystem
import Foundation
import SystemPackage
import Testing

@testable import fxmount

@Suite("fxmount file and type")
struct ExchangeCommandTests {
    private let fxmount: ExchangeRun

    init() throws { fxmount = try ExchangeRun() }

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
