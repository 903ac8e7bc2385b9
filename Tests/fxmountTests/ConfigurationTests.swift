import FXSystem
import Testing

@testable import fxmount

@Suite("Configuration")
struct ConfigurationTests {
    private func configuration(
        _ text: String, environment: [String: String] = [:], flags: [String: String] = [:]
    ) throws -> Configuration {
        try Configuration(
            file: try ConfigurationFile(path: "/c.toml", text: text), environment: environment, flags: flags)
    }

    private func failure(_ text: String, environment: [String: String] = [:]) -> CommandFailure? {
        do {
            _ = try configuration(text, environment: environment)
            return nil
        } catch { return error as? CommandFailure }
    }

    @Test("Without anything there is one remote, local")
    func nothing() throws {
        let configuration = try Configuration(file: nil)
        #expect(configuration.remotes.map(\.name) == ["local"])
        #expect(configuration.bool("mount.passthrough"))
        #expect(!configuration.bool("mount.allow_other"))
        #expect(configuration.text("types.default_policy") == "keep-versions")
    }

    @Test("A flag wins over a variable, a variable over the file, the file over the default")
    func precedence() throws {
        let text = "[mount]\nworkers = 3\n"
        #expect(try configuration("").settings["mount.workers"]?.origin == .standard)
        #expect(
            try configuration(text).settings["mount.workers"]
                == Setting(value: .integer(3), origin: .file(path: "/c.toml", line: 2)))
        let variable = ["FXMOUNT_WORKERS": "4"]
        #expect(
            try configuration(text, environment: variable).settings["mount.workers"]
                == Setting(value: .integer(4), origin: .variable("FXMOUNT_WORKERS")))
        #expect(
            try configuration(text, environment: variable, flags: ["mount.workers": "5"]).integer("mount.workers") == 5)
    }

    @Test("An unknown key is an error with its line and the nearest known one")
    func unknownKey() {
        let failure = failure("\n[mount]\nworkrs = 3\n")
        #expect(failure?.status == .configuration)
        #expect(failure?.message == "/c.toml:3: unknown key \"mount.workrs\"")
        #expect(failure?.hint == "did you mean \"mount.workers\"?")
    }

    @Test(
        "Unknown sections, keys at the top, kinds and remote keys are errors too",
        arguments: [
            ("[mout]\n", "mount"), ("unknwon = 1\n", "known"), ("[remotes.a]\nkind = \"locl\"\n", "local"),
            ("[remotes.a]\nkind = \"local\"\npaht = \"/x\"\n", "path"),
        ])
    func unknownOthers(text: String, hint: String) {
        let failure = failure(text)
        #expect(failure?.status == .configuration)
        #expect(failure?.hint?.contains(hint) == true, "\(failure?.hint ?? "no hint")")
    }

    @Test(
        "A value of the wrong kind is an error that says what is expected",
        arguments: [
            "[mount]\nworkers = \"x\"\n", "[mount]\nworkers = 0\n", "[mount]\nallow_other = 1\n",
            "[types]\ndefault_root = \"relative\"\n", "[types]\ndefault_policy = \"none\"\n",
            "[types]\nstaging_patterns = [1]\n",
            "[remotes.a]\nkind = \"local\"\nop_timeout = \"soon\"\n", "[remotes.a]\npath = \"/x\"\n",
            "[remotes.\"..\"]\nkind = \"local\"\n",
        ])
    func wrongKind(text: String) {
        #expect(failure(text)?.status == .configuration)
    }

    @Test("A syntax error names its line")
    func syntax() {
        #expect(failure("[mount]\nworkers = = 3\n")?.message.hasPrefix("/c.toml:2: not valid TOML") == true)
    }

    @Test("A wrong variable is a configuration error, a wrong flag wrong usage")
    func wrongOverrides() {
        #expect(failure("", environment: ["FXMOUNT_WORKERS": "many"])?.status == .configuration)
        #expect(throws: CommandFailure.self) { try configuration("", flags: ["mount.workers": "many"]) }
    }

    @Test("A remote keeps its settings")
    func remote() throws {
        let text =
            "[remotes.a]\nkind = \"local\"\npath = \"/s\"\ncommit = \"journal\"\nop_timeout = \"3s\"\nstaging_patterns = [\"*.x\"]\n"
        let remote = try #require(try configuration(text).remotes.first)
        #expect(remote.text("path") == "/s")
        #expect(remote.text("commit") == "journal")
        #expect(remote.duration("op_timeout") == .seconds(3))
        #expect(remote.list("staging_patterns") == ["*.x"])
        #expect(remote.integer("connections") == 4)
    }
}

@Suite("Places")
struct SurroundingsTests {
    private func surroundings(_ environment: [String: String], root: Bool = false) -> Surroundings {
        Surroundings(environment: environment, isRoot: root, workingDirectory: "/base")
    }

    @Test("State: flag, variable, root's place, XDG, home")
    func state() throws {
        #expect(try surroundings(["FXMOUNT_STATE_DIR": "/v"]).stateDirectory(flag: "s/../t") == "/base/t")
        #expect(try surroundings(["FXMOUNT_STATE_DIR": "/v"]).stateDirectory(flag: nil) == "/v")
        #expect(try surroundings(["HOME": "/h"], root: true).stateDirectory(flag: nil) == "/var/lib/fxmount")
        #expect(try surroundings(["HOME": "/h", "XDG_STATE_HOME": "/x"]).stateDirectory(flag: nil) == "/x/fxmount")
        #expect(
            try surroundings(["HOME": "/h", "XDG_STATE_HOME": "rel"]).stateDirectory(flag: nil)
                == "/h/.local/state/fxmount")
        #expect(throws: CommandFailure.self) { try surroundings([:]).stateDirectory(flag: nil) }
    }

    @Test("Configuration: an explicit one only, else the user's before the system's")
    func configuration() {
        #expect(
            surroundings(["HOME": "/h"]).configurationCandidates(flag: nil).paths == [
                "/h/.config/fxmount/config.toml", "/etc/fxmount/config.toml",
            ])
        #expect(surroundings(["FXMOUNT_CONFIG": "c"]).configurationCandidates(flag: nil).paths == ["/base/c"])
        #expect(throws: CommandFailure.self) { try surroundings([:]).configurationFile(flag: "/does/not/exist") }
    }
}
