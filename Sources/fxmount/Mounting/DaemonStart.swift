internal import FXSystem
internal import Glibc
internal import SystemPackage

/// Starting the mount in the background: this program again, in a session of its own, reporting through a pipe.
///
/// The child writes `ready` when the mount answers, or the JSON of the error that ended it.
struct DaemonStart: Sendable {
    /// Tells the child on which descriptor to report.
    static let variable = "FXMOUNT_READY_FD"
    /// The first one after the standard three.
    static let descriptor: Int32 = 3

    var executable = ChildRequest.ownExecutable
    var arguments: [String]
    var environment: [String: String]
    var log: String
    /// The child's own checks and mounting take less than a second; recovery of a large journal takes longer.
    var timeout = Duration.seconds(120)

    /// Starts the daemon and returns its process id when the mount answers.
    /// - Throws: the child's error with the child's exit code.
    func start() throws(CommandFailure) -> Int32 {
        var environment = environment
        environment[DaemonStart.variable] = String(DaemonStart.descriptor)
        let child: ChildProcess
        do throws(Errno) {
            child = try ChildProcess(
                ChildRequest(
                    executable: executable, arguments: arguments, environment: environment, startsSession: true,
                    errorLog: log, reportDescriptor: DaemonStart.descriptor))
        } catch {
            throw CommandFailure(error, "cannot start the daemon", path: executable, status: .failure)
        }
        guard let report = child.readReport(until: .after(timeout)) else {
            // It may be recovering a large journal: killed now, it would begin again next time.
            throw CommandFailure(
                .timedOut, "the daemon (pid \(child.pid)) did not become ready within \(timeout.written)",
                hint: "see \(displayed(log.utf8)); stop it with kill \(child.pid)", path: log)
        }
        let text = String(decoding: report, as: UTF8.self)
        if text.hasPrefix("ready") { return child.pid }
        let code = child.waitForExit()
        if var failure = CommandFailure(json: text) {
            failure.status = ExitStatus(rawValue: code) ?? failure.status
            throw failure
        }
        throw CommandFailure(
            ExitStatus(rawValue: code).flatMap { $0 == .success ? nil : $0 } ?? .failure,
            "the daemon ended with code \(code) before the mount was ready",
            hint: "see \(displayed(log.utf8))", path: log)
    }
}

/// The child's side of `DaemonStart`.
struct ReadinessReport: Sendable {
    private let descriptor: Int32?

    /// Reports nowhere unless the environment names a descriptor.
    init(environment: [String: String]) {
        descriptor = environment[DaemonStart.variable].flatMap { Int32($0) }
        // Programs started from here, such as fusermount3, must not hold the parent's pipe open.
        if let descriptor { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    }

    var isDaemon: Bool { descriptor != nil }

    func ready() { finish("ready\n") }
    func failed(_ failure: CommandFailure) { finish(failure.json.text + "\n") }

    /// Once only: the parent reads until the end.
    private func finish(_ text: String) {
        guard let descriptor else { return }
        let bytes = Array(text.utf8)
        _ = unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
        _ = close(descriptor)
    }
}
