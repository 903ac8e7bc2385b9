internal import Glibc

/// Looks at processes that wait for us (proc_pid_status(5)).
public enum WaitingProcess {
    /// True when the thread is about to die: SIGKILL pending on it, which the kernel also sets for every fatal signal.
    ///
    /// A handled signal sets only its own bit, so it does not count. A thread that is gone counts as dying; one that
    /// cannot be looked at (another PID namespace shows as 0) does not.
    public static func isDying(thread: Int32) -> Bool {
        if thread <= 0 { return false }
        guard let file = unsafe fopen("/proc/\(thread)/status", "re") else { return errno == ENOENT }
        defer { unsafe fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while unsafe fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard text.hasPrefix("SigPnd:") else { continue }
            let digits = text.dropFirst(7).filter(\.isHexDigit)
            // Bit 8 is signal 9.
            return UInt64(digits, radix: 16).map { $0 & 0x100 != 0 } ?? false
        }
        return false
    }
}
