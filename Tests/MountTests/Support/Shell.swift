import CSyscalls
import Glibc
import Synchronization

/// What a finished command left: its exit code (128 + signal when killed, 124 when its deadline passed) and its output.
struct Finished: Sendable, CustomStringConvertible {
    let command: String
    let code: Int32
    let output: String
    let errors: String
    var description: String {
        "`\(command)` exited \(code)\nstdout: \(output.suffix(2000))\nstderr: \(errors.suffix(2000))"
    }
    var lines: [String] { output.split(separator: "\n").map(String.init) }
}

/// Who runs a command.
enum Account: Sendable {
    case current
    case nobody
    /// uid and gid for cs_spawn.
    var numbers: (UInt32, UInt32) { self == .current ? (0xffff_ffff, 0xffff_ffff) : (65534, 65534) }
}

/// A child process whose output goes to files, so that nothing blocks on a pipe nobody reads.
final class Child: Sendable {
    let command: String
    let process: Int32
    let outputPath: String
    let errorPath: String
    private let status = Mutex<Int32?>(nil)

    init(
        _ arguments: [String], environment: [String: String] = [:], directory: String? = nil, input: String? = nil,
        account: Account = .current, logs: String? = nil
    ) throws {
        command = arguments.joined(separator: " ")
        let base = try logs ?? Scratch.file("child")
        (outputPath, errorPath) = (base + ".out", base + ".err")
        let out = try Sys.open(outputPath, O_RDWR | O_CREAT | O_TRUNC, 0o666)
        let err = try Sys.open(errorPath, O_RDWR | O_CREAT | O_TRUNC, 0o666)
        let standardInput = try input.map { try Sys.open($0, O_RDONLY) }
        var merged = Environment.inherited
        merged.merge(environment) { $1 }
        let program = arguments[0].contains("/") ? arguments[0] : Environment.find(arguments[0])
        let argv = ([program] + arguments.dropFirst()).map { strdup($0) } + [nil]
        let envp = merged.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        let (uid, gid) = account.numbers
        let result = cs_spawn(
            argv, envp, directory, standardInput?.number ?? -1, out.number, err.number, uid, gid)
        if result < 0 { throw CallFailed(call: "spawn \(command)", outcome: Outcome(result)) }
        process = Int32(result)
    }

    /// The exit code, or nil while it runs.
    func code(waitingMilliseconds: Int32 = 0) -> Int32? {
        status.withLock { known in
            if let known { return known }
            let result = cs_wait(process, waitingMilliseconds)
            if result == -Int(ETIMEDOUT) { return nil }
            let raw = Int32(truncatingIfNeeded: result)
            known = result < 0 ? -1 : (raw & 0x7f) == 0 ? (raw >> 8) & 0xff : 128 + (raw & 0x7f)
            return known
        }
    }

    var isRunning: Bool { code() == nil }
    var output: String { (try? Sys.text(outputPath)) ?? "" }
    var errors: String { (try? Sys.text(errorPath)) ?? "" }

    func signal(_ number: Int32) { if isRunning { _ = cs_kill(process, number) } }

    /// Kills the whole session the child leads: its own children too.
    func killAll() {
        _ = cs_kill(-process, SIGKILL)
        _ = cs_kill(process, SIGKILL)
    }

    /// Waits for the end; past the deadline kills it and calls `onExpiry`, which frees callers stuck in a mount.
    func finish(seconds: Double, onExpiry: () -> Void = {}) -> Finished {
        if let code = code(waitingMilliseconds: Int32(seconds * 1000)) {
            return Finished(command: command, code: code, output: output, errors: errors)
        }
        killAll()
        if code(waitingMilliseconds: 2000) == nil { onExpiry() }
        _ = code(waitingMilliseconds: 5000)
        return Finished(
            command: command, code: 124, output: output,
            errors: errors + "\n[killed after \(seconds) s by the test's deadline]")
    }
}

enum Environment {
    static let inherited: [String: String] = {
        var all: [String: String] = [:]
        var next = environ
        while let pointer = next.pointee {
            let pair = String(cString: pointer).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair.count == 2 && !pair[0].hasPrefix("FXMOUNT_") { all[String(pair[0])] = String(pair[1]) }
            next += 1
        }
        all["LC_ALL"] = "C.UTF-8"
        all["HOME"] = Scratch.root
        all["GIT_CONFIG_NOSYSTEM"] = "1"
        for (key, value) in [
            "GIT_AUTHOR_NAME": "T", "GIT_AUTHOR_EMAIL": "t@example.org", "GIT_COMMITTER_NAME": "T",
            "GIT_COMMITTER_EMAIL": "t@example.org",
        ] { all[key] = value }
        return all
    }()

    static func value(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
    static func number(_ name: String, default fallback: Int) -> Int { value(name).flatMap { Int($0) } ?? fallback }

    static func find(_ program: String) -> String {
        let path = (inherited["PATH"] ?? "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"
        return path.split(separator: ":").map { "\($0)/\(program)" }.first { cs_access($0, X_OK) == 0 }
            ?? "/usr/bin/\(program)"
    }

    static let isRoot = cs_getuid() == 0
    static let hasFuse =
        cs_access("/dev/fuse", R_OK | W_OK) == 0 || (Sys.exists("/dev/fuse") && Sys.exists("/usr/bin/fusermount3"))
}

/// Runs a command to its end under a deadline.
func run(
    _ arguments: [String], environment: [String: String] = [:], in directory: String? = nil, input: String? = nil,
    account: Account = .current, seconds: Double = 60
) throws -> Finished {
    let child = try Child(arguments, environment: environment, directory: directory, input: input, account: account)
    let finished = child.finish(seconds: seconds) {
        Watchdog.shared.abortAll("a command passed its deadline: \(arguments)")
    }
    _ = cs_unlink(child.outputPath)
    _ = cs_unlink(child.errorPath)
    return finished
}

/// Runs a shell script; it must succeed.
@discardableResult
func sh(
    _ script: String, in directory: String? = nil, environment: [String: String] = [:], account: Account = .current,
    seconds: Double = 60
) throws -> Finished {
    let finished = try run(
        ["/bin/bash", "-euo", "pipefail", "-c", script], environment: environment, in: directory, account: account,
        seconds: seconds)
    if finished.code != 0 { throw TestStopped(finished.description) }
    return finished
}
