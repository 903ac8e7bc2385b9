import FXSystem
import Testing

@testable import fxmount

@Suite("Remotes in the configuration")
struct RemoteSettingsTests {
    private func remote(_ text: String) throws -> RemoteSettings {
        let file = try ConfigurationFile(path: "/c.toml", text: text)
        return try #require(try Configuration(file: file).remotes.first)
    }

    private func refusal(_ text: String) -> CommandFailure? {
        do {
            _ = try remote(text)
            return nil
        } catch { return error as? CommandFailure }
    }

    private static let s3 =
        "[remotes.a]\nkind = \"s3\"\nendpoint = \"http://127.0.0.1:8333\"\nbucket = \"b\"\naccess_key_id = \"k\"\n"
    private static let tera =
        "[remotes.a]\nkind = \"opentera\"\nurl = \"https://x.example:40075/\"\nusername = \"backup\"\npassword_file = \"/p\"\n"
    private static let tus = "[remotes.a]\nkind = \"tus\"\nurl = \"https://x.example/files\"\n"

    @Test("Each kind has its keys, and defaults for those that can be left out")
    func kinds() throws {
        let s3 = try remote(Self.s3 + "secret_access_key_env = \"KEY\"\npath_style = false\nlisting_ttl = \"1m\"\n")
        #expect(s3.kind == .s3)
        #expect(s3.text("region") == "us-east-1")
        #expect(!s3.bool("path_style"))
        #expect(s3.integer("connections") == 8)
        #expect(s3.duration("listing_ttl") == .seconds(60))
        #expect(s3.secret == .variable("KEY"))
        let tera = try remote(Self.tera + "session_type = \"FileTransfer\"\nmax_body = \"100 MB\"\n")
        #expect(tera.secret == .file(path: "/p"))
        #expect(tera.size("max_body") == ByteCount(100_000_000))
        #expect(try remote(Self.tera).size("max_body") == ByteCount(524_288_000))
        #expect(try remote(Self.tus).secret == nil, "a tus service may be open to everybody")
        #expect(
            try remote(Self.tus + "token_command = [\"pass\", \"show\", \"tus\"]\n").secret
                == .command(["pass", "show", "tus"], isShell: false))
        #expect(
            try remote(Self.tus + "token_command = \"pass show tus\"\n").secret
                == .command(["pass show tus"], isShell: true))
        #expect(try remote(Self.tus + "token_credential = \"tus\"\n").secret == .credential("tus"))
    }

    @Test("A vault is used with a password and its user name, or with a key and no name")
    func vault() throws {
        let vault = "[remotes.a]\nkind = \"mft\"\nurl = \"https://x.example:8010/vault_rest\"\n"
        let named = try remote(vault + "username = \"backup\"\npassword_file = \"/p\"\n")
        #expect(named.secret == .file(path: "/p") && !named.hasAlternativeSecret)
        let key = try remote(vault + "token_file = \"/k\"\n")
        #expect(key.secret == .file(path: "/k") && key.hasAlternativeSecret)
        #expect(refusal(vault + "password_file = \"/p\"\n")?.message.contains("needs username") == true)
        #expect(refusal(vault)?.message.hasSuffix("needs password_file") == true)
        let both = refusal(vault + "username = \"b\"\npassword_file = \"/p\"\ntoken_file = \"/k\"\n")
        #expect(both?.message.contains("only one can be meant") == true)
    }

    private static let school =
        "[remotes.a]\nkind = \"itslearning\"\nurl = \"https://x.example\"\nusername = \"u\"\npassword_file = \"/p\"\n"

    @Test("publish is a table of its own, whole or not there")
    func publication() throws {
        let plain = try remote(Self.school)
        #expect(plain.integer("extension_id") == 5009 && plain.size("max_file_size") == ByteCount(500_000_000))
        #expect(plain.text("publish.location") == nil)
        let course = "publish = { location = \"Course\", course_id = 42, user_id = 7 }\n"
        for text in [
            course, "[remotes.a.publish]\nlocation = \"Course\"\ncourse_id = 42\nuser_id = 7\n",
            "publish.location = \"Course\"\npublish.course_id = 42\npublish.user_id = 7\n",
        ] {
            let published = try remote(Self.school + text)
            #expect(published.name == "a" && published.text("publish.location") == "Course", "\(text)")
            #expect(published.integer("publish.course_id") == 42 && published.integer("publish.user_id") == 7)
        }
        #expect(try remote(Self.school + "publish = { location = \"Library\", user_id = 7 }\n").kind == .itslearning)
        let refused = [
            ("publish = { location = \"Course\", user_id = 7 }\n", "needs course_id"),
            ("publish = { course_id = 42 }\n", "needs location, user_id"),
            ("publish = { location = \"Library\", course_id = 42, user_id = 7 }\n", "is no course"),
            ("publish = { location = \"Attic\", user_id = 7 }\n", "one of \"Course\", \"Library\""),
            ("publish = { location = \"Library\", user = 7 }\n", "publish.user"),
            ("publish = { location = \"Library\", user_id = 0 }\n", "a whole number"),
            ("publish = true\n", "publish"),
        ]
        for (text, words) in refused {
            let failure = refusal(Self.school + text)
            #expect(failure?.status == .configuration, "\(text)")
            #expect(failure?.message.contains(words) == true, "\(text): \(failure?.message ?? "accepted")")
            #expect(failure?.message.hasPrefix("/c.toml:") == true, "\(failure?.message ?? "accepted")")
        }
        #expect(refusal(Self.tera + course)?.message.contains("only remotes of kind itslearning") == true)
    }

    @Test("rate_limit is a size of its own, for network kinds, and enough for every connection")
    func rateLimit() throws {
        #expect(try remote(Self.tus).size("rate_limit") == nil)
        #expect(try remote(Self.tus + "rate_limit = \"2 MB\"\n").size("rate_limit") == ByteCount(2_000_000))
        #expect(try remote(Self.tus + "rate_limit = \"128KiB\"\n").size("rate_limit") == .kibibytes(128))
        // As many are read at once, however few are sent.
        let one = "connections = 1\nrate_limit = \"16KiB\"\n"
        let refused = [
            ("rate_limit = \"0\"\n", "0B a second is too little"), ("rate_limit = \"127KiB\"\n", "for 8 transfers"),
            (one, "for 8 transfers"),
            ("connections = 64\nrate_limit = \"1023KiB\"\n", "for 64 transfers"),
            ("rate_limit = \"-1MiB\"\n", "expected a size"), ("rate_limit = \"fast\"\n", "expected a size"),
            ("rate_limit = \"1MiB/s\"\n", "expected a size"), ("rate_limit = \"\"\n", "expected a size"),
            ("rate_limit = 1000000\n", "expected a size"),
        ]
        for (text, words) in refused {
            let failure = refusal(Self.tus + text)
            #expect(failure?.status == .configuration, "\(text)")
            #expect(failure?.message.contains(words) == true, "\(text): \(failure?.message ?? "accepted")")
        }
        #expect(refusal(Self.tus + "rate_limit = \"1KiB\"\n")?.hint?.contains("\"128KiB\"") == true)
        let local = refusal("[remotes.a]\nkind = \"local\"\nrate_limit = \"1MiB\"\n")
        #expect(local?.message.contains("only remotes of kind mft, opentera, itslearning, s3, tus have") == true)
    }

    @Test("The kind to know for a missing key is named, with the line of the section")
    func missing() {
        let failure = refusal("\n[remotes.a]\nkind = \"s3\"\nbucket = \"b\"\n")
        #expect(failure?.status == .configuration)
        #expect(failure?.message == "/c.toml:2: the remote \"a\" of kind s3 needs endpoint, access_key_id")
        let secret = refusal(Self.s3)
        #expect(secret?.message.hasSuffix("needs secret_access_key_file") == true, "\(secret?.message ?? "accepted")")
    }

    @Test("A key of another kind is told apart from a mistyped one")
    func foreignKeys() {
        let foreign = refusal(Self.tus + "bucket = \"b\"\n")
        #expect(
            foreign?.message
                == "/c.toml:4: remotes.a.bucket: only remotes of kind s3 have this key; this one is of kind tus")
        let mistyped = refusal(Self.tus + "tokn_file = \"/t\"\n")
        #expect(mistyped?.hint == "did you mean \"token_file\"?")
    }

    @Test("A secret in the configuration file is refused, and not repeated")
    func bareSecret() throws {
        for text in [
            Self.tera + "password = \"hunter2\"\n", Self.tus + "token = \"hunter2\"\n",
            Self.tus + "password = \"hunter2\"\n", Self.s3 + "secret_access_key = \"hunter2\"\n",
        ] {
            let failure = try #require(refusal(text))
            #expect(failure.status == .configuration)
            #expect(failure.message.contains("a secret has no place"))
            #expect(!failure.text.contains("hunter2"))
            #expect(!failure.json.text.contains("hunter2"))
        }
    }

    @Test("Two sources of one secret are one too many")
    func twoSources() {
        let failure = refusal(Self.tera + "password_env = \"P\"\n")
        #expect(failure?.message.contains("password_file and password_env") == true)
    }

    @Test(
        "Urls are http or https and carry no credentials",
        arguments: [
            "ftp://x.example/", "https://user:hunter2@x.example/", "x.example", "https://x.example/?a=b", "http://",
        ])
    func urls(url: String) throws {
        let failure = try #require(refusal("[remotes.a]\nkind = \"tus\"\nurl = \"\(url)\"\n"))
        #expect(failure.status == .configuration)
        #expect(failure.message.contains("url"))
        #expect(!failure.text.contains("hunter2"))
    }

    @Test(
        "What cannot be meant is refused",
        arguments: [
            "[remotes.a]\nkind = \"local\"\ndelete = true\n", tus + "ca_file = \"/ca.pem\"\ninsecure = true\n",
            tera + "max_body = \"much\"\n", tera + "max_body = 7\n", tus + "token_file = \"relative\"\n",
            tus + "token_file = [\"/t\"]\n", tus + "token_command = []\n", tus + "token_credential = \"a/b\"\n",
            tus + "ca_file = \"ca.pem\"\n", "[remotes.a]\nkind = \"local\"\ninsecure = true\n",
            tera + "username = \"a\\nb\"\n",
        ])
    func refused(text: String) {
        #expect(refusal(text)?.status == .configuration)
    }

    @Test("Settings are shown as they would be written, secrets by their place only")
    func shown() throws {
        #expect(SettingValue.size(.mebibytes(500)).written == "\"500MiB\"")
        #expect(SettingValue.size(ByteCount(1000)).written == "\"1000B\"")
        for size in [ByteCount.zero, ByteCount(1), .mebibytes(64), ByteCount(1 << 40), ByteCount(1_000_001)] {
            #expect(ByteCount(parsing: size.written) == size)
        }
        let remote = try remote(Self.tus + "token_command = [\"echo\", \"hunter2\"]\n")
        let shown = try #require(remote.settings["token_command"]?.value.written)
        #expect(shown == "\"(secret from the command echo)\"")
    }
}
