import FXRemote
import FXSystem
import Foundation
import SystemPackage
import Testing

@testable import fxmount

/// Runs the built program in a directory of its own.
struct ProgramRun {
    let scratch: TemporaryDirectory

    struct Result: CustomStringConvertible {
        var code: Int32
        var output: String
        var errors: String
        var description: String { "exit \(code)\n\(output)\n\(errors)" }
        var json: JSONValue? { JSONValue(parsing: output.trimmingCharacters(in: .newlines)) }
    }

    var configuration: String { scratch.path + "/config/fxmount/config.toml" }
    var state: String { scratch.path + "/state" }
    var text: String { (try? String(contentsOfFile: configuration, encoding: .utf8)) ?? "" }

    func write(_ text: String) throws {
        try FileManager.default.createDirectory(
            atPath: scratch.path + "/config/fxmount", withIntermediateDirectories: true)
        try text.write(toFile: configuration, atomically: false, encoding: .utf8)
    }

    func callAsFunction(_ arguments: String...) throws -> Result { try run(arguments) }

    func run(_ arguments: [String]) throws -> Result {
        let log = scratch.path + "/errors-\(UUID().uuidString)"
        let child = try ChildProcess(
            ChildRequest(
                executable: Bundle.main.bundlePath + "/fxmount", arguments: arguments,
                environment: [
                    "HOME": scratch.path, "XDG_CONFIG_HOME": scratch.path + "/config", "FXMOUNT_STATE_DIR": state,
                    "PATH": "/usr/bin:/bin",
                ], errorLog: log))
        let output = child.readReport(until: .after(.seconds(60)))
        let code = child.waitForExit()
        return Result(
            code: code, output: String(decoding: output ?? [], as: UTF8.self),
            errors: (try? String(contentsOfFile: log, encoding: .utf8)) ?? "")
    }
}

@Suite("fxmount remote", .enabled(if: FileManager.default.fileExists(atPath: Bundle.main.bundlePath + "/fxmount")))
struct RemoteCommandTests {
    private let fxmount: ProgramRun
    private var path: String { fxmount.scratch.path }

    init() throws { fxmount = ProgramRun(scratch: try TemporaryDirectory()) }

    private func secret() throws -> String {
        let file = path + "/key"
        try #require(
            FileManager.default.createFile(
                atPath: file, contents: Data("hunter2\n".utf8), attributes: [.posixPermissions: 0o600]))
        return file
    }

    @Test("add writes a section that list and show read, with secrets by their place only")
    func add() throws {
        let key = try secret()
        let added = try fxmount(
            "remote", "add", "cluster", "--kind", "s3", "--endpoint", "http://127.0.0.1:8333", "--bucket", "b",
            "--access-key-id", "me", "--secret-access-key-file", key, "--op-timeout", "5s", "--no-path-style", "--json")
        #expect(added.code == 0, "\(added)")
        #expect(added.json?["settings"]?["op_timeout"]?["value"]?.string == "5s")
        #expect(
            fxmount.text == """
                [remotes.cluster]
                kind = "s3"
                endpoint = "http://127.0.0.1:8333"
                bucket = "b"
                access_key_id = "me"
                secret_access_key_file = "\(key)"
                path_style = false
                op_timeout = "5s"

                """)
        let list = try fxmount("remote", "list", "--json")
        #expect(list.json?["secret"]?.string == key)
        let show = try fxmount("remote", "show", "cluster")
        #expect(show.code == 0 && show.output.contains("(secret from \(key))"), "\(show)")
        let all = try [added, list, show, fxmount("config", "show", "--origin")]
        for result in all { #expect(!"\(result)".contains("hunter2"), "\(result)") }
    }

    @Test("A limit for a second is written, and shown with where it comes from")
    func rateLimit() throws {
        let added = try fxmount(
            "remote", "add", "drop", "--kind", "tus", "--url", "https://x.example/files", "--rate-limit", "2 MiB",
            "--json")
        #expect(added.code == 0 && added.json?["settings"]?["rate_limit"]?["value"]?.string == "2MiB", "\(added)")
        #expect(fxmount.text.contains("rate_limit = \"2MiB\"\n"), "\(fxmount.text)")
        let shown = try fxmount("remote", "show", "drop")
        #expect(shown.code == 0 && shown.output.contains("rate_limit") && shown.output.contains("2MiB"), "\(shown)")
    }

    @Test("The first remote besides local says what becomes of local")
    func first() throws {
        let added = try fxmount("remote", "add", "drop", "--kind", "tus", "--url", "https://x.example/files")
        #expect(added.code == 0 && added.errors.contains("fxmount remote add local --kind local"), "\(added)")
        let both = try fxmount("remote", "add", "local", "--kind", "local")
        #expect(both.code == 0 && both.errors.isEmpty, "\(both)")
        #expect(try fxmount("remote", "list", "--json").output.split(separator: "\n").count == 2)
    }

    @Test("The file keeps its mode, its comments, and being a symbolic link")
    func keeps() throws {
        try fxmount.write("# mine\n[remotes.a]\nkind = \"local\"\n")
        let real = path + "/real.toml"
        try FileManager.default.moveItem(atPath: fxmount.configuration, toPath: real)
        try FileManager.default.createSymbolicLink(atPath: fxmount.configuration, withDestinationPath: real)
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: real)
        #expect(try fxmount("remote", "add", "b", "--kind", "local", "--path", "/srv/b").code == 0)
        #expect(fxmount.text.hasPrefix("# mine\n[remotes.a]\nkind = \"local\"\n\n[remotes.b]\n"))
        let link = try FileManager.default.attributesOfItem(atPath: fxmount.configuration)
        #expect(link[.type] as? FileAttributeType == .typeSymbolicLink)
        let mode = try FileManager.default.attributesOfItem(atPath: real)[.posixPermissions] as? Int
        #expect(mode == 0o640)
    }

    @Test("A secret as an argument is refused, not repeated and not written", arguments: ["password", "token"])
    func bareSecret(option: String) throws {
        let refused = try fxmount(
            "remote", "add", "a", "--kind", "tus", "--url", "https://x.example", "--\(option)", "hunter2")
        #expect(refused.code == 2 && refused.errors.contains("--\(option)-file"), "\(refused)")
        #expect(!"\(refused)".contains("hunter2") && fxmount.text.isEmpty)
    }

    @Test("What would not be read again is refused before anything is written")
    func refused() throws {
        let before = "[remotes.a]\nkind = \"local\"\n"
        try fxmount.write(before)
        let cases: [([String], Int32, String)] = [
            (["a", "--kind", "local"], 1, "already"), (["b", "--kind", "locl"], 2, "did you mean \"local\""),
            (["b", "--kind", "itslearning"], 2, "--url, --username, --password-file"),
            (["..", "--kind", "local"], 2, "cannot be the name"),
            (["b", "--kind", "s3", "--bucket", "x"], 2, "--endpoint, --access-key-id, --secret-access-key-file"),
            (["b", "--kind", "tus", "--url", "ftp://x"], 2, "http"),
            (["b", "--kind", "tus", "--url", "https://x", "--bucket", "y"], 2, "no --bucket"),
            (["b", "--kind", "tus", "--url", "https://x", "--op-timeout", "soon"], 2, "--op-timeout"),
            (["b", "--kind", "tus", "--url", "https://x", "--token-env", "A", "--token-file", "/t"], 2, "only one"),
            (["b", "--kind", "local", "--delete"], 10, "never removes"),
            (["b", "--kind", "local", "--rate-limit", "1MiB"], 2, "no --rate-limit"),
            (["b", "--kind", "tus", "--url", "https://x", "--rate-limit", "fast"], 2, "--rate-limit"),
            (["b", "--kind", "tus", "--url", "https://x", "--rate-limit", "127KiB"], 10, "too little"),
        ]
        for (arguments, code, words) in cases {
            let log = "\(arguments)"
            let result = try fxmount.run(["remote", "add"] + arguments)
            #expect(result.code == code && result.errors.contains(words), "\(log): \(result)")
            #expect(fxmount.text == before, "\(log)")
        }
    }

    @Test("remove takes the section out; a remote with unsent files needs --force, and the files stay")
    func remove() throws {
        try fxmount.write("[remotes.a]\nkind = \"local\"\npath = \"\(path)/a\"\n\n[remotes.b]\nkind = \"local\"\n")
        try FileManager.default.createDirectory(
            atPath: fxmount.state, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let service = try TransferService(
            stateDirectory: fxmount.state,
            remotes: [RemoteConfiguration(name: Name("a"), kind: "local", backend: LocalStore(path: path + "/a"))])
        try service.start()
        let tree = try #require(service.tree(named: Name("a")))
        let caller = Caller(uid: geteuid(), gid: getegid(), thread: getpid())
        let session = try tree.makeDirectory(Name("s"), in: .root, mode: 0o755, caller: caller)
        let (_, file) = try tree.create(
            Name("f"), in: session.id, mode: 0o644, flags: [.writeOnly, .create], caller: caller)
        _ = try [UInt8](repeating: 7, count: 1000).withUnsafeBytes { try file.write($0, at: 0) }
        service.stop()
        let refused = try fxmount("remote", "remove", "a", "--json")
        #expect(refused.code == 75 && refused.errors.contains("--force"), "\(refused)")
        let removed = try fxmount("remote", "remove", "a", "--force", "--json")
        #expect(removed.code == 0 && removed.json?["unfinished"]?.integer == 1, "\(removed)")
        #expect(fxmount.text == "[remotes.b]\nkind = \"local\"\n")
        let spooled = try FileManager.default.contentsOfDirectory(atPath: fxmount.state + "/spool")
        #expect(!spooled.isEmpty)
        #expect(try fxmount("remote", "remove", "a").code == 1)
        #expect(try fxmount("remote", "remove", "b").code == 0)
        #expect(try fxmount("remote", "remove", "local").code == 1, "the one that is always there")
    }

    @Test("test looks at a store without a mount, and tells a secret that is missing with exit 12")
    func test() throws {
        try fxmount.write(
            "[remotes.a]\nkind = \"local\"\npath = \"\(path)/a\"\n[remotes.b]\nkind = \"tus\"\nurl = \"https://x.example\"\ntoken_file = \"\(path)/none\"\n[remotes.c]\nkind = \"local\"\npath = \"\(path)/no/such\"\n"
        )
        let works = try fxmount("remote", "test", "a", "--json")
        #expect(works.code == 0 && works.json?["ok"]?.boolean == true, "\(works)")
        let missing = try fxmount("remote", "test", "b")
        #expect(missing.code == 12 && missing.output.contains("\(path)/none"), "\(missing)")
        let unusable = try fxmount("remote", "test", "c", "--json")
        #expect(unusable.code == 10 && unusable.json?["exit"]?.integer == 10, "\(unusable)")
        #expect(try fxmount("remote", "test", "nobody").code == 1)
    }
}
