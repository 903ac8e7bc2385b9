import FXSystem
import Foundation
import Testing

@testable import fxmount

/// A directory that is gone with the test.
final class TemporaryDirectory {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "fxmount-cli-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

@Suite("The state directory")
struct StateTests {
    private let scratch: TemporaryDirectory
    private let holder = LockHolder(
        pid: getpid(), mountpoint: "/mnt/a \"b\"", host: "h", started: "2026-01-01T00:00:00Z")

    init() throws { scratch = try TemporaryDirectory() }

    @Test("It is made for its owner only, with its parents")
    func made() throws {
        let directory = try StateDirectory(opening: scratch.path + "/a/b/state", creating: true)
        let status = try directory.descriptor.status()
        #expect(status.permissions == 0o700)
    }

    @Test("One that others can look into is refused")
    func open() throws {
        try FileManager.default.setAttributes([.posixPermissions: 0o750], ofItemAtPath: scratch.path)
        let failure = #expect(throws: CommandFailure.self) {
            _ = try StateDirectory(opening: scratch.path, creating: true)
        }
        #expect(failure?.status == .configuration)
        #expect(failure?.hint?.hasPrefix("chmod 700") == true)
    }

    @Test("A missing one is told, not made, by commands that only look")
    func missing() {
        let failure = #expect(throws: CommandFailure.self) {
            _ = try StateDirectory(opening: scratch.path + "/no", creating: false)
        }
        #expect(failure?.status == .configuration)
    }

    @Test("The second lock is refused with 11 and names the first holder")
    func conflict() throws {
        let directory = try StateDirectory(opening: scratch.path, creating: true)
        let lock = try StateLock(directory, holder: holder)
        let failure = #expect(throws: CommandFailure.self) { _ = try StateLock(directory, holder: holder) }
        #expect(failure?.status == .locked)
        for part in ["\(holder.pid)", "/mnt/a \"b\"", holder.started] {
            #expect(failure?.message.contains(part) == true)
        }
        #expect(StateLock.holder(of: directory) == holder)
        lock.release()
        #expect(StateLock.holder(of: directory) == nil)
        let again = try StateLock(directory, holder: holder)
        again.release()
    }

    @Test("A second process is refused with 11", .enabled(if: FileManager.default.fileExists(atPath: "/dev/fuse")))
    func twoProcesses() throws {
        let directory = try StateDirectory(opening: scratch.path, creating: true)
        let lock = try StateLock(directory, holder: holder)
        let program = Bundle.main.bundlePath + "/fxmount"
        try unsafe #require(access(program, X_OK) == 0, "no program at \(program)")
        let child = try ChildProcess(
            ChildRequest(
                executable: program, arguments: ["mount", "/", "--state-dir", scratch.path],
                environment: ["HOME": scratch.path, "FXMOUNT_READY_FD": "1"]))
        let report = String(decoding: child.readReport(until: .after(.seconds(30))) ?? [], as: UTF8.self)
        let code = child.waitForExit()
        #expect(code == 11)
        #expect(report.contains("pid \(getpid())"))
        lock.release()
    }

    @Test("The report of an unmount can be read back")
    func report() throws {
        let directory = try StateDirectory(opening: scratch.path, creating: true)
        let report = UnmountReport(
            left: [.init(path: "local/s/f\n", state: "queued", size: .mebibytes(3))], time: "2026-01-01T00:00:00Z")
        try report.write(to: directory)
        #expect(UnmountReport.read(from: directory) == report)
    }
}

@Suite("Starting a daemon")
struct DaemonStartTests {
    private func start(_ script: String, timeout: Duration = .seconds(20)) throws(CommandFailure) -> Int32 {
        var start = DaemonStart(
            executable: "/bin/sh", arguments: ["-c", script], environment: ["PATH": "/usr/bin:/bin"], log: "/dev/null")
        start.timeout = timeout
        return try start.start()
    }

    @Test("It returns when the child says ready, and the child goes on")
    func ready() throws {
        let pid = try start("test \"$FXMOUNT_READY_FD\" = 3 && echo ready >&3; exec 3>&-; exec sleep 60")
        #expect(Unmounting.isRunning(pid))
        #expect(getsid(pid) == pid, "the daemon has a session of its own")
        kill(pid, SIGKILL)
        var status: Int32 = 0
        unsafe waitpid(pid, &status, 0)
    }

    @Test("The child's error and exit code are the parent's")
    func failure() {
        let sent = CommandFailure(.configuration, "no such thing", hint: "make it", path: "/x")
        let failure = #expect(throws: CommandFailure.self) { try start("echo '\(sent.json.text)' >&3; exit 10") }
        #expect(failure == sent)
    }

    @Test("The exit code counts even without words", arguments: [Int32(11), 1, 42])
    func silent(code: Int32) {
        let failure = #expect(throws: CommandFailure.self) { try start("exit \(code)") }
        #expect(failure?.status == fxmount.ExitStatus(rawValue: code) ?? .failure)
        #expect(failure?.message.contains("code \(code)") == true)
    }

    @Test("A child killed by a signal is a failure")
    func killed() {
        let failure = #expect(throws: CommandFailure.self) { try start("kill -9 $$") }
        #expect(failure?.status == .failure)
    }

    @Test("A program that does not exist is a failure")
    func missing() {
        let start = DaemonStart(executable: "/does/not/exist", arguments: [], environment: [:], log: "/dev/null")
        #expect(throws: CommandFailure.self) { try start.start() }
    }
}

@Suite("A mount that does not answer")
struct MountAccessTests {
    @Test("The deadline ends the wait")
    func deadline() throws {
        let scratch = try TemporaryDirectory()
        let program = scratch.path + "/hang"
        try "#!/bin/sh\nexec sleep 60\n".write(toFile: program, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program)
        let access = MountAccess(
            executable: program, environment: ["PATH": "/usr/bin:/bin"], timeout: .milliseconds(200))
        let started = ContinuousClock.now
        let failure = #expect(throws: CommandFailure.self) { try access.read("/x") }
        #expect(failure?.status == .timedOut)
        #expect(ContinuousClock.now - started < .seconds(20))
    }
}
