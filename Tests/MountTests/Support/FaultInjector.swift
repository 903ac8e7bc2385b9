import CSyscalls
import Glibc

/// strace attached to a running daemon: kills it at its Nth call of a kind, or makes those calls slow.
final class FaultInjector {
    private let tracer: Child

    /// `injection` is strace's, such as `signal=SIGKILL:when=3` or `delay_enter=5000000`.
    init(daemon: Int32, calls: String, injection: String) throws {
        tracer = try Child([
            "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(calls)", "-e", "inject=\(calls):\(injection)",
            "-p", "\(daemon)",
        ])
        let attached = waitUntil(seconds: 5) {
            ((try? Sys.list("/proc/\(daemon)/task")) ?? []).allSatisfy { task in
                ((try? Sys.text("/proc/\(daemon)/task/\(task)/status")) ?? "TracerPid:\t0\n").contains(
                    "TracerPid:\t0\n") == false
            } || !tracer.isRunning
        }
        if !attached || !tracer.isRunning { throw TestStopped("strace did not attach: \(tracer.finish(seconds: 0))") }
    }

    func detach() {
        tracer.signal(SIGINT)
        if tracer.code(waitingMilliseconds: 5000) == nil { tracer.killAll() }
        _ = tracer.code(waitingMilliseconds: 2000)
    }

    static let isAvailable = Sys.exists(Environment.find("strace"))
}
