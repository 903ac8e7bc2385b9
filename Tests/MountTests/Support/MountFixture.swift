import CSyscalls
import Glibc
import Testing

/// A type to map before the mount starts.
struct TypeSpecification: Sendable {
    var entity = "lab"
    var name: String
    var policy: Policy = .keepVersions
    var place: Scratch.Place = .memory
}

/// How a test wants its mount.
struct MountSetup: Sendable {
    var types: [TypeSpecification] = [TypeSpecification(name: "data")]
    var account: Account = .current
    var passthrough = true
    var options: [String] = []
    var configuration = ""
    var statePlace: Scratch.Place = .memory
    /// An existing state directory instead of a new one.
    var state: String?
    /// The whole test's deadline; past it the connection is aborted.
    var seconds: Double = 120
    /// Put before the daemon's own command, such as strace.
    var wrapper: [String] = []
    var environment: [String: String] = [:]
    /// Sentences the daemon may print on stderr although they look fatal.
    var tolerated: [String] = []
}

/// A state directory, mapped directories, and the commands that work on them. The mount itself starts and stops as
/// often as a test likes.
final class Mounted {
    let setup: MountSetup
    let base: String
    let state: String
    let mountpoint: String
    let configurationPath: String
    private(set) var daemon: Child?
    private(set) var process: Int32 = 0
    private(set) var starts = 0
    private var watch = 0

    init(_ setup: MountSetup) throws {
        self.setup = setup
        base = try Scratch.directory("m", .disk)
        state = try setup.state ?? Scratch.directory("state", setup.statePlace)
        mountpoint = "\(base)/mnt"
        configurationPath = "\(base)/config.toml"
        Sys.mkdir(mountpoint)
        try Sys.write(
            configurationPath, Contract.configuration(passthrough: setup.passthrough, extra: setup.configuration))
        _ = Sys.chmod(state, 0o700)
        if setup.account != .current {
            for path in [base, state, mountpoint] { _ = Sys.chown(path, 65534, 65534) }
        }
        for type in setup.types { try map(type) }
    }

    deinit {
        if setup.state == nil { Scratch.remove(state) }
        for path in backing.values { Scratch.remove(path) }
        Scratch.remove(base)
    }

    private var backing: [String: String] = [:]

    /// The mapped directory behind a type.
    func backing(_ type: String) -> String { backing[type] ?? "/nonexistent" }
    /// The alias of a type below the mount.
    func alias(_ type: String = "data", entity: String = "lab") -> String { "\(mountpoint)/types/\(entity)/\(type)" }
    func session(_ name: String, remote: String = "local") -> String { "\(mountpoint)/sessions/\(remote)/\(name)" }
    func stored(_ session: String) -> String { "\(Contract.store(state))/\(session)" }
    var control: String { "\(mountpoint)/.fxmount" }

    func map(_ type: TypeSpecification, to path: String? = nil) throws {
        let directory = try path ?? Scratch.directory("backing", type.place)
        if path == nil {
            backing[type.name] = directory
            if setup.account != .current { _ = Sys.chown(directory, 65534, 65534) }
        }
        try fxmount(Contract.createType(type.entity, type.name, path: directory, policy: type.policy)).expect(
            ExitCode.ok)
    }

    var program: String { setup.account == .current ? Binary.path : Binary.shared }

    var environment: [String: String] {
        ["FXMOUNT_STATE_DIR": state, "FXMOUNT_CONFIG": configurationPath].merging(setup.environment) { $1 }
    }

    /// Runs the command line on this state directory.
    @discardableResult
    func fxmount(_ arguments: [String], seconds: Double = 60) throws -> Finished {
        try run([program] + arguments, environment: environment, account: setup.account, seconds: seconds)
    }

    /// Starts `fxmount mount` in the foreground and waits until the tree answers.
    /// True when the daemon has ended; a dying one is waited for, which under a tracer takes a while.
    func hasDied() -> Bool {
        let answers = (try? run(["cat", "\(control)/status.json"], account: setup.account))?.code == 0
        return daemon?.code(waitingMilliseconds: answers ? 0 : 10_000) != nil
    }

    func start(options: [String] = [], wrapper: [String]? = nil) throws {
        let all = setup.options + options
        let arguments =
            (wrapper ?? setup.wrapper) + [program, "mount", mountpoint]
            + (all.isEmpty ? [] : ["-o", all.joined(separator: ",")])
        let child = try Child(arguments, environment: environment, account: setup.account, logs: "\(base)/daemon")
        daemon = child
        starts += 1
        process = child.process
        watch = Watchdog.shared.watch(daemon: child.process, mountpoint: mountpoint, seconds: setup.seconds)
        let ready = waitUntil(seconds: 20) {
            if !child.isRunning { return true }
            guard Mounts.isMounted(mountpoint) else { return false }
            // Reading tells a mount that answers from a dead one of an earlier daemon.
            return (try? run(["cat", "\(control)/status.json"], account: setup.account))?.code == 0
        }
        if !ready || !child.isRunning {
            let finished = child.finish(seconds: 0)
            stopHard()
            throw TestStopped("the mount did not become ready: \(finished)")
        }
        if wrapper ?? setup.wrapper != [] { process = (try? daemonProcess()) ?? child.process }
    }

    /// The daemon's own process, also when something like strace was put before it.
    func daemonProcess() throws -> Int32 {
        Contract.daemonProcess(try Sys.text("\(control)/status.json")) ?? process
    }

    /// Kills the daemon as a crash does and clears the dead mount point away.
    func crash() {
        _ = cs_kill(process, SIGKILL)
        daemon?.killAll()
        _ = daemon?.code(waitingMilliseconds: 10_000)
        _ = Watchdog.shared.end(watch)
        while Mounts.isMounted(mountpoint) {
            Mounts.detach(mountpoint)
        }
    }

    /// The daemon is gone already (a fault killed it): waits for its end and clears the mount point away.
    func reap(seconds: Double = 30) -> Int32? {
        let code = daemon?.code(waitingMilliseconds: Int32(seconds * 1000))
        crash()
        return code
    }

    private func stopHard() {
        Mounts.abortConnection(of: mountpoint)
        crash()
    }

    /// Unmounts in order and proves that nothing is left: exit code, mount, processes, words of a crash on stderr.
    func stop(expecting code: Int32 = ExitCode.ok, seconds: Double = 60, location: SourceLocation = #_sourceLocation)
        throws
    {
        guard let daemon else { return }
        _ = cs_kill(process, SIGTERM)
        let ended = daemon.code(waitingMilliseconds: Int32(seconds * 1000))
        let late = Watchdog.shared.end(watch)
        if ended == nil { stopHard() }
        #expect(!late, "the test's deadline passed and its mount was aborted", sourceLocation: location)
        #expect(ended == code, "the daemon's exit code\n\(daemon.errors.suffix(3000))", sourceLocation: location)
        #expect(!Mounts.isMounted(mountpoint), "a mount is left", sourceLocation: location)
        while Mounts.isMounted(mountpoint) { Mounts.detach(mountpoint) }
        let left = Processes.naming(base).filter { $0 != getpid() }
        #expect(left.isEmpty, "processes are left: \(left)", sourceLocation: location)
        for line in daemon.errors.split(separator: "\n") where Self.soundsFatal(line.lowercased()) {
            if setup.tolerated.contains(where: { line.contains($0) }) { continue }
            Issue.record("the daemon said: \(line)", sourceLocation: location)
        }
        self.daemon = nil
    }

    private static func soundsFatal(_ line: String) -> Bool {
        [
            "fatal error", "precondition", "assertion", "trap", "illegal instruction", "threadsanitizer",
            "addresssanitizer",
        ]
        .contains { line.contains($0) }
    }

    var isStarted: Bool { daemon != nil }
}

extension Finished {
    /// The command must have ended with this code.
    @discardableResult
    func expect(_ wanted: Int32, location: SourceLocation = #_sourceLocation) throws -> Finished {
        if code != wanted { throw TestStopped("exit \(wanted) expected: \(self)") }
        return self
    }
}

/// A mounted tree for the length of a test. When the test throws, the mount goes the hard way.
func withMount(
    _ setup: MountSetup = MountSetup(), location: SourceLocation = #_sourceLocation, _ test: (Mounted) throws -> Void
) throws {
    let mounted = try Mounted(setup)
    try mounted.start()
    do {
        try test(mounted)
    } catch {
        let said = mounted.daemon?.errors.suffix(2000) ?? ""
        if mounted.isStarted { mounted.crash() }
        throw TestStopped("\(error)\n(the daemon said: \(said))")
    }
    try mounted.stop(location: location)
}

enum Binary {
    /// FXMOUNT_BINARY, else the program built beside this test bundle.
    static let path = Environment.value("FXMOUNT_BINARY") ?? beside("fxmount")

    /// A program built beside this test bundle.
    static func beside(_ name: String) -> String {
        let own = (try? Sys.readlink("/proc/self/exe")) ?? ""
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? own
        return bundle.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/"
            + name
    }

    /// The program where an ordinary user can read it.
    static let shared: String = {
        let copy = "\(Scratch.root)/fxmount"
        _ = try? run(["cp", path, copy])
        _ = Sys.chmod(copy, 0o755)
        return copy
    }()
}

/// What /proc says about processes.
enum Processes {
    static func naming(_ text: String) -> [Int32] {
        ((try? Sys.list("/proc")) ?? []).compactMap { Int32($0) }.filter { process in
            guard let line = try? Sys.text("/proc/\(process)/cmdline") else { return false }
            return line.contains(text)
        }
    }

    static func descriptors(of process: Int32) -> Int { ((try? Sys.list("/proc/\(process)/fd")) ?? []).count }
    static func threads(of process: Int32) -> Int { ((try? Sys.list("/proc/\(process)/task")) ?? []).count }

    static func residentKiB(of process: Int32) -> Int {
        let status = (try? Sys.text("/proc/\(process)/status")) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return line.flatMap { Int($0.filter(\.isNumber)) } ?? 0
    }
}

/// The trait of every suite that needs a kernel mount: without /dev/fuse it is skipped visibly.
extension Trait where Self == ConditionTrait {
    static var mounts: Self { .enabled(if: Environment.hasFuse, "needs /dev/fuse") }
    static var root: Self { .enabled(if: Environment.isRoot, "needs root") }
}

/// The parent of every suite here: one mount at a time, so that figures and left-overs belong to the test that is
/// running.
@Suite("Mounts", .serialized, .mounts) enum MountTests {}
