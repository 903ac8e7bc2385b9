import ArgumentParser
import FXSystem
import Glibc
import TestServices

/// The test services as a process: prints one line of JSON when ready, and ends on SIGTERM, on SIGINT or when its
/// standard input ends, so that nothing outlives the test that wanted it.
@main
struct ServiceRunner: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test-services", abstract: "Services for the tests of fxmount.",
        subcommands: [OpenTeraCommand.self])
}

struct OpenTeraCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "opentera", abstract: "An OpenTera pair with a control plane under /_control/.")

    @Option(help: "0 takes a free port.")
    var port = 0
    @Option(help: "Serve TLS with a certificate made in this existing directory.")
    var tls: String?

    func run() async throws {
        endWithStandardInput()
        let server = try OpenTeraServer(certificateDirectory: tls)
        try await server.run(port: port) { port in
            var members: [JSONValue.Member] = [.init("port", .integer(Int64(port)))]
            if let path = server.certificatePath { members.append(.init("ca_file", .string(path))) }
            announce(.object(members))
        }
    }
}

/// Says that a service is ready.
func announce(_ facts: JSONValue) {
    let line = Array((facts.text + "\n").utf8)
    _ = write(1, line, line.count)
}

/// Exits when nobody holds the other end of standard input any more.
func endWithStandardInput() {
    signal(SIGPIPE, SIG_IGN)
    let watch = try? ServiceThread(name: "stdin") {
        var bytes = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(0, &bytes, bytes.count)
            if count == 0 || (count < 0 && errno != EINTR) { exit(0) }
        }
    }
    _ = consume watch
}
