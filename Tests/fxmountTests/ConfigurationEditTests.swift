import FXSystem
import Testing

@testable import fxmount

@Suite("Editing the configuration file")
struct ConfigurationEditTests {
    private static let text = """
        # Ours, since 2024.
        [mount]
        workers = 3   # enough

        # The clinic, see the contract.
        [remotes.clinic]
        kind = "opentera"
        url = "https://clinic.example"
        username = "backup"
        password_file = "/etc/fxmount/clinic"

        # Slow but safe.
        [remotes."archive"]
        kind = "local"
        path = "/srv/archive"

        """

    private func read(_ text: String) throws -> Configuration {
        try Configuration(file: ConfigurationFile(path: "/c.toml", text: text))
    }

    @Test("What is added is read back, and everything before stays byte for byte")
    func adding() throws {
        let added = ConfigurationEdit.adding(
            remote: "drop", kind: .tus,
            [
                ("url", .text("https://x.example/a\"b\\c")),
                ("token_command", .secret(.command(["pass", "show", "a b"], isShell: false))),
                ("op_timeout", .duration(.milliseconds(1500))), ("insecure", .bool(true)),
                ("connections", .integer(3)), ("staging_patterns", .list(["*.x", "é"])),
            ].filter { $0.0 != "url" } + [("url", .text("https://x.example/files"))], to: Self.text)
        #expect(added.hasPrefix(Self.text))
        let drop = try #require(try read(added).remotes.first { $0.name == "drop" })
        #expect(drop.secret == .command(["pass", "show", "a b"], isShell: false))
        #expect(drop.duration("op_timeout") == .milliseconds(1500))
        #expect(drop.list("staging_patterns") == ["*.x", "é"])
        #expect(try read(added).remotes.count == 3)
    }

    @Test("A file without a last newline, an empty one, and a name that needs quotes")
    func edges() throws {
        for text in ["", "[mount]\nworkers = 3", "# only a comment"] {
            let added = ConfigurationEdit.adding(remote: "a é", kind: .local, [("path", .text("/a\tb"))], to: text)
            let remote = try #require(try read(added).remotes.first)
            #expect(remote.name == "a é")
            #expect(remote.text("path") == "/a\tb")
        }
    }

    @Test("Removing takes the section and leaves every other byte, with the comment of the next section")
    func removing() throws {
        let removed = try #require(ConfigurationEdit.removing(remote: "clinic", from: Self.text))
        #expect(!removed.contains("clinic.example"))
        #expect(removed.contains("# Slow but safe.\n[remotes.\"archive\"]"))
        #expect(removed.hasPrefix("# Ours, since 2024.\n[mount]\nworkers = 3   # enough\n"))
        #expect(try read(removed).remotes.map(\.name) == ["archive"])
        let last = try #require(ConfigurationEdit.removing(remote: "archive", from: Self.text))
        #expect(try read(last).remotes.map(\.name) == ["clinic"])
        let nested =
            Self.text + "\n[remotes.a]\nkind = \"local\"\n[remotes.a.publish]\nx = 1\n[remotes.ab]\nkind = \"local\"\n"
        let rest = try #require(ConfigurationEdit.removing(remote: "a", from: nested))
        #expect(rest == Self.text + "\n[remotes.ab]\nkind = \"local\"\n")
        #expect(last.hasSuffix("password_file = \"/etc/fxmount/clinic\"\n\n# Slow but safe.\n"))
    }

    @Test("Adding and removing again gives back the same bytes")
    func roundTrip() {
        for text in [Self.text, "", "[mount]\nworkers = 3\n"] {
            let added = ConfigurationEdit.adding(remote: "x", kind: .local, [], to: text)
            #expect(ConfigurationEdit.removing(remote: "x", from: added) == text)
        }
    }

    @Test(
        "A remote that has no section of its own is not guessed at",
        arguments: ["remotes.a.kind = \"local\"\n", "[remotes]\na = { kind = \"local\" }\n", "[remotes.b]\n"])
    func otherForms(text: String) {
        #expect(ConfigurationEdit.removing(remote: "a", from: text) == nil)
    }

    @Test("Headers of tables are told from other lines")
    func headers() {
        #expect(ConfigurationEdit.header("  [ remotes . \"a b\" ] # x") == ["remotes", "a b"])
        #expect(ConfigurationEdit.header("[remotes.'a']") == ["remotes", "a"])
        for line in ["key = [1]", "[", "[[a]]", "[a", "[a b]", "# [a]", "[1, 2]"] {
            #expect(ConfigurationEdit.header(line) == nil, "\(line)")
        }
    }
}
