import CSyscalls
import FXSystem
import Glibc
import Synchronization

/// A service in a process of its own, which ends with this one: it watches its standard input, whose other end is here.
public final class ServiceProcess: Sendable {
    /// The line of JSON it printed when it was ready: its ports.
    public let ready: JSONValue
    public let process: Int32
    private let input: Int32
    private let hasEnded = Mutex(false)

    /// Longer than any service of ours needs on a busy machine.
    private static let startSeconds = 60

    /// Starts `test-services` with these arguments.
    public convenience init(_ arguments: [String]) throws {
        try self.init(program: ServiceProcess.beside("test-services"), arguments)
    }

    /// - Parameter program: prints one line of JSON when it is ready and ends when its standard input does.
    public init(program: String, _ arguments: [String]) throws {
        let (childInput, ourInput) = try ServiceProcess.pipe()
        let (ourOutput, childOutput) = try ServiceProcess.pipe()
        defer { close(ourOutput) }
        let argv = ([program] + arguments).map { strdup($0) } + [nil]
        defer { argv.forEach { free($0) } }
        let result = cs_spawn(argv, environ, nil, childInput, childOutput, 2, .max, .max)
        // Each exactly once: another thread may have the number a moment later.
        close(childInput)
        close(childOutput)
        if result < 0 {
            close(ourInput)
            throw NoAnswer("cannot start \(program): errno \(-result)")
        }
        process = Int32(result)
        input = ourInput
        let line = ServiceProcess.firstLine(from: ourOutput, seconds: ServiceProcess.startSeconds)
        guard let line, let ready = JSONValue(parsing: line) else {
            _ = cs_kill(-process, SIGKILL)
            _ = cs_wait(process, 5000)
            close(ourInput)
            throw NoAnswer("\(program) \(arguments) did not start: \(line ?? "no output")")
        }
        self.ready = ready
    }

    deinit { stop() }

    /// Ends the service and whatever it started; a second call does nothing.
    public func stop() {
        if hasEnded.withLock({ ended in
            defer { ended = true }
            return ended
        }) {
            return
        }
        close(input)
        _ = cs_kill(-process, SIGCONT)
        _ = cs_kill(process, SIGTERM)
        let outcome = cs_wait(process, 3000)
        // What it started is in its process group.
        _ = cs_kill(-process, SIGKILL)
        if outcome == -Int(ETIMEDOUT) { _ = cs_wait(process, 5000) }
    }

    /// Sends a signal to the service and to whatever it started: SIGSTOP freezes it, SIGCONT lets it go on.
    public func signal(_ number: Int32) { _ = cs_kill(-process, number) }

    /// A number of the first line.
    public func port(_ key: String) throws -> Int {
        guard let port = ready[key]?.integer else { throw NoAnswer("the service named no \(key): \(ready.text)") }
        return Int(port)
    }

    /// A program that was built together with the tests: beside the test bundle, else beside this program.
    public static func beside(_ program: String) -> String {
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &path, path.count - 1)
        let own = String(decoding: path[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? own
        return (bundle.lastIndex(of: "/").map { String(bundle[...$0]) } ?? "./") + program
    }

    /// Reading and writing end; neither is inherited by what other threads start.
    private static func pipe() throws -> (Int32, Int32) {
        var ends: [Int32] = [-1, -1]
        if cs_pipe(&ends) < 0 { throw NoAnswer("no pipe") }
        return (ends[0], ends[1])
    }

    private static func firstLine(from descriptor: Int32, seconds: Int) -> String? {
        let deadline = cs_now_ms() + Int64(seconds) * 1000
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while bytes.count < 1 << 16 {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let left = deadline - cs_now_ms()
            if left <= 0 || poll(&waiting, 1, Int32(left)) == 0 { return nil }
            let count = read(descriptor, &byte, 1)
            if count == 0 { return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self) }
            if count < 0 { continue }
            if byte == UInt8(ascii: "\n") { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(byte)
        }
        return nil
    }
}
