internal import CLinux
internal import FXSystem
internal import Glibc

/// A process, told apart from the threads it consists of.
struct CallingProcess: Hashable, Sendable {
    /// The thread group id.
    var number: Int32

    /// Finds the process of a thread in `/proc/<tid>/status` (proc_pid_status(5)); a thread that cannot be looked at
    /// stands for itself.
    init(of caller: Caller) {
        number = CallingProcess.group(of: caller.thread) ?? caller.thread
    }

    private static func group(of thread: Int32) -> Int32? {
        if thread <= 0 { return nil }
        // The first thread of a process has its number; tgkill(2) finds it under both, and reading `/proc` costs as much as
        // a write. EPERM: it is there, and belongs to somebody else.
        if fx_probe_thread(thread, thread) == 0 || errno == EPERM { return thread }
        guard let file = unsafe fopen("/proc/\(thread)/status", "re") else { return nil }
        defer { unsafe fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while unsafe fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if text.hasPrefix("Tgid:") { return Int32(text.dropFirst(5).filter(\.isNumber)) }
        }
        return nil
    }
}
