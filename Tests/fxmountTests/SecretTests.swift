import FXRemote
import FXSystem
import Foundation
import Testing

@testable import fxmount

@Suite("Secrets")
struct SecretTests {
    private let scratch: TemporaryDirectory
    private let reader = SecretReader(environment: ["PATH": "/usr/bin:/bin", "HELD": "from-env", "NONE": ""])

    init() throws { scratch = try TemporaryDirectory() }

    private func file(_ content: String, mode: Int = 0o600) throws -> String {
        let path = scratch.path + "/secret-\(UUID().uuidString)"
        try #require(
            FileManager.default.createFile(
                atPath: path, contents: Data(content.utf8), attributes: [.posixPermissions: mode]))
        return path
    }

    private func refusal(_ source: SecretSource, _ reader: SecretReader? = nil) -> CommandFailure? {
        do throws(CommandFailure) {
            _ = try (reader ?? self.reader).read(source)
            return nil
        } catch { return error }
    }

    @Test(
        "One trailing newline is not part of a secret, everything else is",
        arguments: [("hunter2\n", "hunter2"), ("hunter2", "hunter2"), (" a b \n", " a b "), ("é\r\n", "é")])
    func newline(content: String, secret: String) throws {
        #expect(try reader.read(.file(path: file(content))) == Secret(secret))
    }

    @Test("A file others can read is refused with what to do", arguments: [0o640, 0o604, 0o660, 0o610])
    func modes(mode: Int) throws {
        let path = try file("hunter2\n", mode: mode)
        let failure = try #require(refusal(.file(path: path)))
        #expect(failure.status == .configuration)
        #expect(failure.hint == "chmod 600 \(path)")
        #expect(!failure.text.contains("hunter2"))
    }

    @Test("Links, directories, FIFOs and devices are refused and hold up nothing")
    func otherThings() throws {
        let path = try file("hunter2\n")
        let link = scratch.path + "/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
        #expect(refusal(.file(path: link))?.message.contains("symbolic link") == true)
        #expect(refusal(.file(path: scratch.path))?.status == .configuration)
        let pipe = scratch.path + "/pipe"
        #expect(mkfifo(pipe, 0o600) == 0)
        #expect(refusal(.file(path: pipe))?.message.contains("not a regular file") == true)
        #expect(refusal(.file(path: "/dev/zero"))?.status == .configuration)
        #expect(refusal(.file(path: scratch.path + "/missing"))?.status == .credentials)
    }

    @Test("A file of a stranger is refused, one of root is not")
    func owners() throws {
        let path = try file("x")
        let status = try OwnedDescriptor.open(absolute: path, [.readOnly]).status()
        var strange = status
        strange.owner = 4242
        #expect(SecretReader.objection(to: strange, hiddenFrom: 0o077, user: 1000) == .stranger(4242))
        strange.owner = 0
        #expect(SecretReader.objection(to: strange, hiddenFrom: 0o077, user: 1000) == nil)
    }

    @Test(
        "Nothing, too much, several lines and bytes that are no text are no secrets",
        arguments: ["", "\n", "two\nlines\n", "a\u{0}b", String(repeating: "x", count: SecretReader.maximumLength + 1)])
    func unusable(content: String) throws {
        let failure = try #require(refusal(.file(path: file(content))))
        #expect([.credentials, .configuration].contains(failure.status))
    }

    @Test("A command's output is the secret; a failing, silent or endless one is none")
    func commands() throws {
        #expect(try reader.read(.command(["printf", "a b"], isShell: false)) == Secret("a b"))
        #expect(try reader.read(.command(["echo $HELD | tr e i"], isShell: true)) == Secret("from-inv"))
        #expect(refusal(.command(["false"], isShell: false))?.status == .credentials)
        #expect(refusal(.command(["true"], isShell: false))?.message.contains("empty") == true)
        #expect(refusal(.command(["/no/such"], isShell: false))?.status == .credentials)
        var hasty = reader
        hasty.commandTimeout = .milliseconds(50)
        #expect(
            refusal(.command(["sleep", "60"], isShell: false), hasty)?.message.contains("did not end within") == true)
        let talkative = refusal(.command(["sh", "-c", "echo hunter2; exit 3"], isShell: false))
        #expect(talkative?.message.contains("code 3") == true)
        #expect(talkative?.text.contains("hunter2") == false)
    }

    @Test("Variables and systemd credentials")
    func others() throws {
        #expect(try reader.read(.variable("HELD")) == Secret("from-env"))
        #expect(refusal(.variable("UNSET"))?.status == .credentials)
        #expect(refusal(.variable("NONE"))?.status == .credentials)
        #expect(refusal(.credential("clinic"))?.hint?.contains("LoadCredential=clinic") == true)
        let path = try file("token\n", mode: 0o440)
        let system = SecretReader(environment: ["CREDENTIALS_DIRECTORY": scratch.path])
        #expect(try system.read(.credential((path as NSString).lastPathComponent)) == Secret("token"))
    }

    @Test("A changed password file is read at the next login; a command is asked once in a while")
    func keeping() throws {
        let path = try file("first\n")
        let keeper = SecretKeeper(.file(path: path), reader)
        #expect(try keeper.secret() == Secret("first"))
        try Data("second\n".utf8).write(to: URL(fileURLWithPath: path))
        #expect(try keeper.secret() == Secret("second"))
        let count = scratch.path + "/count"
        let command = SecretKeeper(.command(["echo x >> \(count); echo s"], isShell: true), reader)
        for _ in 0..<3 { #expect(try command.secret() == Secret("s")) }
        #expect(try String(contentsOfFile: count, encoding: .utf8) == "x\n")
        let broken = SecretKeeper(.command(["false"], isShell: false), reader)
        for _ in 0..<2 { #expect(throws: RemoteError.self) { try broken.secret() } }
    }
}
