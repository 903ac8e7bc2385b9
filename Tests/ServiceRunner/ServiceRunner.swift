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
        subcommands: [
            MFTCommand.self, OpenTeraCommand.self, ItslearningCommand.self, ProxyCommand.self, TusCommand.self,
        ])
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

struct MFTCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mft", abstract: "A MetaDefender MFT with a control plane under /_control/.")

    @Option(help: "0 takes a free port.")
    var port = 0
    @Option(help: "Serve TLS with a certificate made in this existing directory.")
    var tls: String?

    func run() async throws {
        endWithStandardInput()
        let server = try MFTServer(certificateDirectory: tls)
        try await server.run(port: port) { port in
            var members: [JSONValue.Member] = [.init("port", .integer(Int64(port)))]
            if let path = server.certificatePath { members.append(.init("ca_file", .string(path))) }
            announce(.object(members))
        }
    }
}

struct TusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tus", abstract: "A tus service at /files/ with a control plane under /_control/.")

    @Option(help: "0 takes a free port.")
    var port = 0
    @Option(help: "Keep uploads and settings in this existing directory, and begin with those in it.")
    var data: String?

    func run() async throws {
        endWithStandardInput()
        try await TusServer(data: data).run(port: port) { announce(["port": .integer(Int64($0))]) }
    }
}

struct ItslearningCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "itslearning", abstract: "The stream upload of itslearning with a control plane under /_control/.")

    @Option(help: "0 takes a free port.")
    var port = 0
    @Option(help: "Serve TLS with a certificate made in this existing directory.")
    var tls: String?

    func run() async throws {
        endWithStandardInput()
        let server = try ItslearningServer(certificateDirectory: tls)
        try await server.run(port: port) { port in
            var members: [JSONValue.Member] = [.init("port", .integer(Int64(port)))]
            if let path = server.certificatePath { members.append(.init("ca_file", .string(path))) }
            announce(.object(members))
        }
    }
}

struct ProxyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proxy", abstract: "A proxy that fails by script in front of a service on this machine.")

    @Option(help: "The port of the service on loopback.")
    var upstream: Int
    @Option(help: "0 takes a free port.")
    var port = 0
    @Option(help: "The port that takes rules; 0 takes a free one.")
    var control = 0
    @Option(help: "Milliseconds added to every round trip.")
    var roundTrip = 0
    @Option(help: "Bytes a second that all connections carry together in each direction; 0 for no limit.")
    var rate = 0

    func run() async throws {
        endWithStandardInput()
        let proxy = try FaultProxy(upstreamPort: upstream, port: port, controlPort: control)
        proxy.addRoundTrip(milliseconds: roundTrip)
        if rate > 0 { proxy.limit(bytesPerSecond: rate) }
        announce(["port": .integer(Int64(proxy.port)), "control": .integer(Int64(proxy.controlPort))])
        while true { try await Task.sleep(for: .seconds(3600)) }
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
    do {
        _ = try ServiceThread(name: "stdin") {
            var bytes = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = read(0, &bytes, bytes.count)
                if count == 0 || (count < 0 && errno != EINTR) { exit(0) }
            }
        }
    } catch {
        exit(1)
    }
}
