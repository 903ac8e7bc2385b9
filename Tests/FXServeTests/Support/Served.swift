import FXSystem
import Foundation
import Glibc
import ServiceFixtures
import Testing

/// Tests of the built program over loopback; each has a server, a state directory and directories of its own.
@Suite("fxmount serve", .serialized) struct ServeTests {}

/// A directory that is gone with the test.
final class ScratchDirectory: Sendable {
    let path: String

    init() throws {
        let base = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        path = "\(base)/fxserve-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    func directory(_ name: String) throws -> String {
        try FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: true)
        return "\(path)/\(name)"
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A running `fxmount serve` with its state directory, a scripted desktop, and the command line beside it.
final class Served: Sendable {
    static let app = "https://app.example.org"

    let scratch: ScratchDirectory
    let desktop: ScriptedDesktop
    let server: ServiceProcess
    let port: Int
    let key: String
    /// What the program is started with: another user, if wanted, and its environment.
    private let prefix: [String]
    private let isOrdinaryUser: Bool

    /// Without rights of its own.
    private static let ordinaryUser: uid_t = 65534

    /// - Parameters:
    ///   - consents: origins that have consent from the beginning.
    ///   - configuration: TOML.
    ///   - asOrdinaryUser: also where the tests are run by root, who may do everything.
    init(
        consents: [String] = [Served.app], configuration: String = "", arguments: [String] = [],
        environment extra: [String: String] = [:], asOrdinaryUser: Bool = false
    ) throws {
        scratch = try ScratchDirectory()
        desktop = try ScriptedDesktop(in: try scratch.directory("desktop"))
        let state = try scratch.directory("state")
        chmod(state, 0o700)
        let home = try scratch.directory("home")
        try configuration.write(toFile: "\(scratch.path)/config.toml", atomically: true, encoding: .utf8)
        var variables = [
            "PATH": "\(desktop.directory):\(ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")",
            "HOME": home,
            "DISPLAY": ":fxmount-tests", "FXMOUNT_STATE_DIR": state, "FXMOUNT_CONFIG": "\(scratch.path)/config.toml",
            "DESKTOP": desktop.directory, "LC_ALL": "C.UTF-8",
        ]
        variables.merge(extra) { $1 }
        isOrdinaryUser = asOrdinaryUser && geteuid() == 0
        var program = Served.program
        var start = ["/usr/bin/env", "-i"] + variables.map { "\($0.key)=\($0.value)" }
        if isOrdinaryUser {
            let user = Served.ordinaryUser
            start = ["/usr/bin/setpriv", "--reuid=\(user)", "--regid=\(user)", "--clear-groups", "--"] + start
            // The directory of the build may be closed to that user.
            program = "\(scratch.path)/fxmount"
            try FileManager.default.copyItem(atPath: Served.program, toPath: program)
            for path in [scratch.path, state, home, desktop.directory] { chown(path, user, user) }
        }
        prefix = start + [program]
        for origin in consents {
            let granted = try Served.command(prefix + ["consent", "grant", origin])
            if granted.code != 0 { throw Failure("consent grant \(origin): \(granted.errors)") }
        }
        server = try ServiceProcess(
            program: prefix[0],
            Array(prefix.dropFirst()) + ["serve", "--listen", "127.0.0.1:0", "--json", "--quiet"] + arguments)
        port = try server.port("port")
        key = try String(contentsOfFile: "\(state)/serve.key", encoding: .utf8).trimmingCharacters(in: .newlines)
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    static var program: String {
        ProcessInfo.processInfo.environment["FXMOUNT_BINARY"] ?? ServiceProcess.beside("fxmount")
    }

    var state: String { "\(scratch.path)/state" }
    var home: String { "\(scratch.path)/home" }

    // MARK: Requests

    /// A page of an origin.
    func page(_ origin: String? = Served.app) -> RESTPage {
        RESTPage(client: LoopbackClient(port: port), origin: origin)
    }

    /// The owner, with the key.
    func owner(_ method: String, _ path: String, _ body: JSONValue? = nil, application: String? = nil) throws
        -> LoopbackAnswer
    {
        var fields = [("Authorization", "Bearer \(key)")]
        if body != nil { fields.append(("Content-Type", "application/json")) }
        if let application { fields.append(("X-FXMount-Application", application)) }
        return try LoopbackClient(port: port).request(
            method, path, fields: fields, body: body.map { Array($0.text.utf8) })
    }

    /// Maps a type of the origin's application to a new directory, without asking; answers its path.
    @discardableResult
    func map(
        _ entity: String, _ type: String, for origin: String = Served.app, policy: String? = nil, at path: String? = nil
    ) throws -> String {
        let directory = try path ?? scratch.directory("data-\(UUID().uuidString)")
        let application = origin.replacingOccurrences(of: "https://", with: "")
        let made = try fxmount(
            ["type", "create", entity, type, "--path", directory, "--no-prompt", "--app", application]
                + (policy.map { ["--policy", $0] } ?? []))
        if made.code != 0 { throw Failure("type create: \(made.errors)") }
        return directory
    }

    /// A directory of the user the server runs as.
    func ownDirectory(_ name: String) throws -> String {
        let path = try scratch.directory(name)
        if isOrdinaryUser { chown(path, Served.ordinaryUser, Served.ordinaryUser) }
        return path
    }

    // MARK: Commands

    struct Finished: Sendable {
        var code: Int32
        var output: String
        var errors: String
    }

    @discardableResult
    func fxmount(_ arguments: [String]) throws -> Finished { try Served.command(prefix + arguments) }

    /// Runs a program to its end, under a deadline.
    static func command(_ arguments: [String], seconds: Int = 60) throws -> Finished {
        let scratch = try ScratchDirectory()
        let quoted = (["timeout", "-k", "5", String(seconds)] + arguments)
            .map { "'" + $0.replacingOccurrences(of: "'", with: "'\\''") + "'" }.joined(separator: " ")
        // By system(3) and not by Process, which waits for everybody who inherited its socket.
        let raw = system("\(quoted) </dev/null >'\(scratch.path)/out' 2>'\(scratch.path)/err'")
        let code = raw & 0x7f == 0 ? (raw >> 8) & 0xff : 128 + (raw & 0x7f)
        func text(_ name: String) -> String {
            (try? String(contentsOfFile: "\(scratch.path)/\(name)", encoding: .utf8)) ?? ""
        }
        return Finished(code: code, output: text("out"), errors: text("err"))
    }

    /// A number of /proc/PID/status, in KiB.
    func memory(_ key: String) throws -> Int {
        // The pid of env, which has become the server.
        let status = try String(contentsOfFile: "/proc/\(server.process)/status", encoding: .utf8)
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("\(key):") }),
            let number = Int(line.filter(\.isNumber))
        else { throw Failure("no \(key) in \(status)") }
        return number
    }

    /// Everything below the mapped directory, names of ours included.
    static func names(below path: String) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: path).sorted()
    }
}

/// Stands for zenity: answers by a script, one line for each question, and remembers what it was asked.
final class ScriptedDesktop: Sendable {
    let directory: String

    init(in directory: String) throws {
        self.directory = directory
        // kdialog and others must not be found in its place.
        let script = """
            #!/bin/bash
            exec 9>"$DESKTOP/lock"; flock 9
            printf '%s\\n' "$*" >>"$DESKTOP/asked"
            answer=$(head -n 1 "$DESKTOP/answers" 2>/dev/null)
            sed -i 1d "$DESKTOP/answers" 2>/dev/null
            flock -u 9
            exec 9>&-
            case $answer in
            cancel|"") exit 1 ;;
            never) exec sleep 300 ;;
            yes) exit 0 ;;
            *) printf '%s\\n' "$answer"; exit 0 ;;
            esac

            """
        try script.write(toFile: "\(directory)/zenity", atomically: true, encoding: .utf8)
        chmod("\(directory)/zenity", 0o755)
    }

    /// The answers to the next questions: a path, `yes`, `cancel` or `never`.
    func willAnswer(_ answers: String...) throws {
        try answers.map { $0 + "\n" }.joined().write(toFile: "\(directory)/answers", atomically: true, encoding: .utf8)
    }

    /// The command lines of all questions so far.
    var asked: [String] {
        ((try? String(contentsOfFile: "\(directory)/asked", encoding: .utf8)) ?? "").split(separator: "\n").map(
            String.init)
    }
}

/// Waits for a condition; false when the deadline comes first.
func waitUntil(seconds: Double, _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = ContinuousDeadline.after(.milliseconds(Int64(seconds * 1000)))
    while true {
        if try condition() { return true }
        if deadline.hasPassed { return false }
        usleep(20_000)
    }
}
