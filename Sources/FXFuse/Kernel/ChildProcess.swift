internal import Glibc

/// A helper program run to its end.
enum ChildProcess {
    /// Runs `arguments[0]`, found in PATH, and returns its exit status; -1 when it could not be started or was killed.
    static func run(_ arguments: [String]) -> Int32 {
        var pointers: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { unsafe pointers.forEach { unsafe free($0) } }
        var child = pid_t()
        guard unsafe posix_spawnp(&child, arguments[0], nil, nil, &pointers, environ) == 0 else { return -1 }
        var status: Int32 = 0
        while unsafe waitpid(child, &status, 0) < 0 {
            if errno != EINTR { return -1 }
        }
        return status & 0x7f == 0 ? status >> 8 & 0xff : -1
    }
}
