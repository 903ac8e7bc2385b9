import FXSystem
import Glibc
import ServiceFixtures
import Testing

extension MountTests {
    /// How `wait`, `session complete` and `unmount` look to whoever waits for files to arrive. The service is away
    /// until the first look was shown, and slow then.
    @Suite("Progress of waiting") struct NetworkProgressTests {
        enum Waiting: String, CaseIterable, Sendable {
            case wait, complete, unmount

            func arguments(_ session: String, _ mounted: Mounted) -> [String] {
                switch self {
                case .wait: ["wait", session]
                case .complete: ["session", "complete", session]
                case .unmount: ["unmount", mounted.mountpoint]
                }
            }
        }

        private static let count = 12
        private static let size = 1 << 20
        private static let whole = ByteCount(UInt64(count * size))

        /// Few enough at a time that there is something to see in between.
        private static var setup: NetworkSetup { NetworkSetup(.tus, "commit = \"journal\"", "connections = 2") }

        /// Files that were closed, none of which can be sent.
        private func fill(_ network: NetworkMount) throws -> (session: String, digests: [String: [String]]) {
            let session = try network.makeSession()
            try network.place.proxy.set(["down": true])
            try network.place.proxy.cutAll()
            var digests: [String: [String]] = [:]
            for number in 0..<NetworkProgressTests.count {
                let bytes = [UInt8](repeating: UInt8(number + 1), count: NetworkProgressTests.size)
                try Sys.write("\(session)/f\(number).bin", bytes)
                digests["f\(number).bin"] = [sha256Text(bytes)]
            }
            return (session, digests)
        }

        private func letGo(_ network: NetworkMount) throws {
            try network.place.proxy.rule(["method": "PATCH", "times": 0, "delay_milliseconds": 900])
            try network.place.proxy.set(["down": false])
        }

        /// What one drawing of the line, or one line of a log, says.
        private struct Look: Equatable {
            var files: Int
            var filesTotal: Int
            var bytes: ByteCount
            var bytesTotal: ByteCount

            /// Parts are apart by two spaces: `33%`, `4.00 MiB of 12.0 MiB`, `4/12 files`.
            init?(_ line: some StringProtocol) {
                let parts = String(line).split(separator: "  ").map(String.init)
                guard let counted = parts.first(where: { $0.hasSuffix(" files") }),
                    let measured = parts.first(where: { $0.contains(" of ") })
                else { return nil }
                let counts = counted.dropLast(" files".count).split(separator: "/").compactMap { Int($0) }
                let sizes = measured.split(separator: " of ").compactMap { ByteCount(parsing: String($0)) }
                guard counts.count == 2, sizes.count == 2 else { return nil }
                (files, filesTotal) = (counts[0], counts[1])
                (bytes, bytesTotal) = (sizes[0], sizes[1])
            }
        }

        @Test("On a terminal a bar grows towards the whole and is taken away at the end", arguments: Waiting.allCases)
        func terminal(waiting: Waiting) throws {
            try withNetworkMount(NetworkProgressTests.setup) { network in
                let (session, digests) = try fill(network)
                let terminal = try ErrorTerminal()
                let mounted = network.mounted
                let child = try terminal.start(
                    [mounted.program] + waiting.arguments(session, mounted), environment: mounted.environment)
                let isShown = waitUntil(seconds: 30) { terminal.text.contains(" of 12.0 MiB  0/12 files") }
                #expect(isShown, "\(terminal.text)")
                try letGo(network)
                // Read all the time, or it could not go on writing.
                let hasEnded = waitUntil(seconds: 60) { !terminal.text.isEmpty && !child.isRunning }
                let finished = child.finish(seconds: 5)
                #expect(hasEnded && finished.code == ExitCode.ok, "\(finished)")
                let text = terminal.text
                let looks = text.split(separator: "\r").compactMap { Look($0.split(separator: "\u{1b}").first ?? "") }
                #expect(looks.first.map { $0.files == 0 && $0.bytes == .zero } ?? false, "\(text)")
                #expect(looks.allSatisfy { $0.filesTotal == 12 && $0.bytesTotal == NetworkProgressTests.whole })
                for (earlier, later) in zip(looks, looks.dropFirst()) {
                    #expect(earlier.files <= later.files && earlier.bytes <= later.bytes, "\(text)")
                }
                #expect(looks.last.map { $0.files > 0 && $0.bytes > .zero } ?? false, "\(text)")
                #expect(text.hasSuffix("\r\u{1b}[K"), "\(text)")
                #expect(finished.output.split(separator: "\n").count == 1, "\(finished)")
                #expect(try network.files(in: "s") == digests)
            }
        }

        @Test(
            "Elsewhere nothing of it is written, but for lines with --progress, of JSON with --json",
            arguments: [Waiting.wait, .complete])
        func file(waiting: Waiting) throws {
            try withNetworkMount(NetworkProgressTests.setup) { network in
                let (session, digests) = try fill(network)
                let mounted = network.mounted
                let command = [mounted.program] + waiting.arguments(session, mounted)
                let silent = try Child(command, environment: mounted.environment)
                let told = try Child(command + ["--progress"], environment: mounted.environment)
                let json = try Child(command + ["--progress", "--json"], environment: mounted.environment)
                let areShown = waitUntil(seconds: 30) {
                    told.errors.contains("0/12 files\n") && json.errors.contains("\n")
                }
                #expect(areShown, "\(told.errors)\(json.errors)")
                try letGo(network)
                let ended = [silent, told, json].map { $0.finish(seconds: 60) }
                for finished in ended { #expect(finished.code == ExitCode.ok, "\(finished)") }
                #expect(ended[0].errors.isEmpty, "\(ended[0])")
                expectLines(ended[1])
                let documents = ended[2].errors.split(separator: "\n").map { JSONValue(parsing: $0) }
                let whole = Int64(NetworkProgressTests.whole.rawValue)
                #expect(
                    documents.allSatisfy { document in
                        document?["progress"]?["bytes_total"]?.integer == whole
                            && document?["progress"]?["files_total"]?.integer == 12
                    }, "\(ended[2])")
                #expect(JSONValue(parsing: ended[2].output) != nil, "\(ended[2])")
                #expect(try network.files(in: "s") == digests)
            }
        }

        @Test("unmount writes lines with --progress where there is no terminal")
        func unmountToFile() throws {
            try withNetworkMount(NetworkProgressTests.setup) { network in
                let (session, digests) = try fill(network)
                let mounted = network.mounted
                let child = try Child(
                    [mounted.program] + Waiting.unmount.arguments(session, mounted) + ["--progress"],
                    environment: mounted.environment)
                #expect(waitUntil(seconds: 30) { child.errors.contains("0/12 files\n") }, "\(child.errors)")
                try letGo(network)
                let finished = child.finish(seconds: 60)
                #expect(finished.code == ExitCode.ok, "\(finished)")
                expectLines(finished)
                #expect(try network.files(in: "s") == digests)
            }
        }

        /// Plain lines, nothing that moves a cursor.
        private func expectLines(_ finished: Finished) {
            let lines = finished.errors.split(separator: "\n")
            let looks = lines.compactMap { Look($0) }
            #expect(looks.count == lines.count && lines.allSatisfy { $0.hasPrefix("fxmount: ") }, "\(finished)")
            #expect(looks.first?.files == 0, "\(finished)")
            #expect(looks.allSatisfy { $0.filesTotal == 12 && $0.bytesTotal == NetworkProgressTests.whole })
            #expect(!finished.errors.contains("\r") && !finished.errors.contains("\u{1b}"), "\(finished)")
        }
    }
}

/// A terminal that the stderr of a command goes to.
private final class ErrorTerminal {
    private let master: Descriptor
    private let path: String
    private var shown: [UInt8] = []

    init() throws {
        master = try Sys.open("/dev/ptmx", O_RDWR | O_NONBLOCK | O_NOCTTY)
        var unlocked: Int32 = 0
        var number: Int32 = 0
        // TIOCSPTLCK and TIOCGPTN of asm/ioctls.h.
        guard ioctl(master.number, 0x4004_5431, &unlocked) == 0, ioctl(master.number, 0x8004_5430, &number) == 0 else {
            throw TestStopped("no terminal: errno \(errno)")
        }
        path = "/dev/pts/\(number)"
    }

    func start(_ arguments: [String], environment: [String: String]) throws -> Child {
        try Child(
            ["sh", "-c", "tty=$1; shift; exec \"$@\" 2>\"$tty\"", "sh", path] + arguments,
            environment: environment.merging(["TERM": "xterm"]) { $1 })
    }

    /// Everything it has shown so far.
    var text: String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(master.number, &buffer, buffer.count)
            if count <= 0 { return String(decoding: shown, as: UTF8.self) }
            shown += buffer.prefix(count)
        }
    }
}
