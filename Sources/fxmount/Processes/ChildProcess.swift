internal import CLinux
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// A program to start with posix_spawn(3): no fork after threads exist.
struct ChildRequest: Sendable {
    var executable: String
    /// Without the program's name.
    var arguments: [String]
    var environment: [String: String]
    /// Gets a session of its own, so that the terminal's signals do not reach it.
    var startsSession = false
    /// Where stderr goes; nil leaves it where ours goes.
    var errorLog: String?
    /// The child's descriptor that carries its words to us: 1, or a spare one for a daemon.
    var reportDescriptor: Int32 = 1

    /// This program itself.
    static let ownExecutable = "/proc/self/exe"
}

/// A started program, with the pipe it reports through.
struct ChildProcess: ~Copyable {
    let pid: Int32
    /// Non-blocking; ends when the child closes its side or dies.
    let report: OwnedDescriptor

    /// Starts the program. It gets stdin from /dev/null, no blocked signals and none of our descriptors.
    /// - Throws: what posix_spawn(3) says: ENOENT for a missing program.
    init(_ request: ChildRequest) throws(Errno) {
        var ends: [Int32] = [-1, -1]
        if unsafe pipe(&ends) != 0 { throw Errno(rawValue: errno) }
        let reading = OwnedDescriptor(owning: ends[0])
        let writing = OwnedDescriptor(owning: ends[1])
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        pid = try ChildProcess.spawn(request, report: writing.rawValue)
        report = reading
        try? writing.close()
    }

    private static func spawn(_ request: ChildRequest, report: Int32) throws(Errno) -> Int32 {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, report, request.reportDescriptor)
        if let log = request.errorLog {
            if request.reportDescriptor != 1 {
                unsafe posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
            }
            unsafe posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        }
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        var pipeSignal = sigset_t()
        unsafe sigemptyset(&pipeSignal)
        unsafe sigaddset(&pipeSignal, SIGPIPE)
        unsafe posix_spawnattr_setsigdefault(&attributes, &pipeSignal)
        // POSIX_SPAWN_SETSID is 0x80 in glibc's spawn.h, behind _GNU_SOURCE.
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (request.startsSession ? 0x80 : 0)
        unsafe posix_spawnattr_setflags(&attributes, Int16(flags))

        let words = [request.executable] + request.arguments
        let variables = request.environment.map { "\($0.key)=\($0.value)" }
        var pid = pid_t()
        let result = unsafe withCStrings(words) { arguments in
            unsafe withCStrings(variables) { environment in
                unsafe posix_spawnp(&pid, request.executable, &actions, &attributes, arguments, environment)
            }
        }
        if result != 0 { throw Errno(rawValue: result) }
        return pid
    }

    /// Everything the child reports until it closes its side; nil when `deadline` came first.
    /// - Parameter limit: more bytes than this are dropped.
    /// - Parameter whileWaiting: called about every `interval` as long as nothing comes.
    borrowing func readReport(
        until deadline: ContinuousDeadline?, limit: Int = 16 << 20, every interval: Duration? = nil,
        whileWaiting: () -> Void = {}
    ) -> [UInt8]? {
        var collected: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(report.rawValue, $0.baseAddress, $0.count) }
            if count == 0 { return collected }
            if count > 0 {
                collected += buffer.prefix(min(count, limit - collected.count))
                continue
            }
            if errno == EINTR { continue }
            if errno != EAGAIN { return collected }
            if deadline?.hasPassed ?? false { return nil }
            let pause = [deadline?.remaining, interval].compactMap(\.self).min()
            let milliseconds = pause.map { pause in
                let parts = pause.components
                return Int32(clamping: parts.seconds * 1000 + parts.attoseconds / 1_000_000_000_000_000 + 1)
            }
            var waiting = pollfd(fd: report.rawValue, events: Int16(POLLIN), revents: 0)
            if unsafe poll(&waiting, 1, milliseconds ?? -1) == 0 { whileWaiting() }
        }
    }

    /// Waits for the end; 128 + number for a signal, as a shell has it.
    borrowing func waitForExit() -> Int32 {
        var status: Int32 = 0
        while unsafe waitpid(pid, &status, 0) < 0 {
            if errno != EINTR { return 1 }
        }
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal
    }

    /// The same, nil when `deadline` came first; a program can close its output and stay.
    borrowing func waitForExit(until deadline: ContinuousDeadline?) -> Int32? {
        guard let deadline else { return waitForExit() }
        while true {
            var status: Int32 = 0
            let result = unsafe waitpid(pid, &status, WNOHANG)
            if result == pid { return status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f) }
            if result < 0, errno != EINTR { return 1 }
            if deadline.hasPassed { return nil }
            // There is no wait with a time limit; a tenth of what anybody notices.
            pause(milliseconds: 10)
        }
    }

    /// Kills it and everything in the session it started, and waits for it for a second at most.
    borrowing func killSession() {
        kill(-pid, SIGKILL)
        kill(pid, SIGKILL)
        _ = waitForExit(until: .after(.seconds(1)))
    }

    /// Kills it and does not wait: one that hangs in a dead mount cannot be waited for.
    borrowing func abandon() {
        kill(pid, SIGKILL)
        var status: Int32 = 0
        _ = unsafe waitpid(pid, &status, WNOHANG)
    }
}

/// Lends a null-terminated array of C strings.
private func withCStrings<Result>(
    _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var pointers: [UnsafeMutablePointer<CChar>?] = unsafe texts.map { unsafe strdup($0) } + [nil]
    defer { unsafe pointers.forEach { unsafe free($0) } }
    return unsafe pointers.withUnsafeMutableBufferPointer {
        unsafe body(UnsafePointer($0.baseAddress.unsafelyUnwrapped))
    }
}
