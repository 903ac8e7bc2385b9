import FXSystem
import Testing

@testable import fxmount

/// What a user hears of the remotes at each mount.
@Suite struct RemoteWarningTests {
    private func warnings(_ text: String) throws -> [RemoteWarning] {
        RemoteWarning.all(in: try Configuration(file: try ConfigurationFile(path: "/c.toml", text: text)))
    }

    /// A remote that has a password.
    private static func tera(_ url: String, name: String = "a", _ more: String = "") -> String {
        "[remotes.\(name)]\nkind = \"opentera\"\nurl = \"\(url)\"\nusername = \"u\"\npassword_file = \"/p\"\n\(more)\n"
    }

    private static let s3 =
        "[remotes.a]\nkind = \"s3\"\nendpoint = \"http://s3.example\"\nbucket = \"b\"\naccess_key_id = \"k\"\nsecret_access_key_env = \"K\"\n"

    @Test func `insecure names the remote, the host and the better way`() throws {
        let found = try warnings(Self.tera("https://x.example:40075/base", "insecure = true"))
        #expect(found.map(\.remote) == ["a"])
        let sentence = try #require(found.first?.sentence)
        for word in ["\"a\"", "insecure = true", "x.example", "ca_file"] { #expect(sentence.contains(word)) }
        // Also on this machine, where another user may listen.
        #expect(try warnings(Self.tera("https://127.0.0.1:40075", "insecure = true")).count == 1)
    }

    @Test func `certificates that are verified are nothing to warn about`() throws {
        #expect(try warnings(Self.tera("https://x.example")).isEmpty)
        #expect(try warnings(Self.tera("https://x.example", "insecure = false")).isEmpty)
        #expect(try warnings(Self.tera("https://x.example", "ca_file = \"/ca.pem\"")).isEmpty)
        #expect(try warnings("[remotes.a]\nkind = \"local\"\n").isEmpty)
    }

    @Test(arguments: [
        "http://x.example", "http://192.0.2.1:8080", "http://[2001:db8::1]", "http://localhost.example",
        "http://127.example", "http://127.0.0.1.example",
    ])
    func `a password that goes over the network in the clear is warned about`(url: String) throws {
        let found = try warnings(Self.tera(url))
        #expect(found.map(\.remote) == ["a"])
        #expect(found.first?.sentence.contains("unencrypted") == true)
    }

    @Test(arguments: ["http://127.0.0.1:8080", "http://127.1.2.3", "http://localhost", "http://[::1]:8080"])
    func `what stays on this machine may go in the clear`(url: String) throws {
        #expect(try warnings(Self.tera(url)).isEmpty)
    }

    @Test func `what has no secret, or sends none, may go in the clear`() throws {
        #expect(try warnings("[remotes.a]\nkind = \"tus\"\nurl = \"http://x.example/files\"\n").isEmpty)
        #expect(
            try warnings("[remotes.a]\nkind = \"tus\"\nurl = \"http://x.example/files\"\ntoken_file = \"/t\"\n").count
                == 1)
        #expect(try warnings(Self.s3).isEmpty)
    }

    @Test func `insecure means nothing without TLS`() throws {
        let found = try warnings(Self.tera("http://x.example", "insecure = true"))
        #expect(found.count == 1)
        #expect(found.first?.sentence.contains("unencrypted") == true)
    }

    @Test func `every remote has a warning of its own`() throws {
        let found = try warnings(
            Self.tera("https://x.example", name: "a", "insecure = true") + Self.tera("https://y.example", name: "b")
                + Self.tera("http://z.example", name: "c"))
        #expect(Set(found.map(\.remote)) == ["a", "c"])
        #expect(found.count == 2)
    }
}
