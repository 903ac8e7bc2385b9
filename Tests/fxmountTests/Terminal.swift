import CLinux
import FXSystem
import Foundation
import SystemPackage

@testable import fxmount

/// A terminal with the built program sitting at it: what it prints on stderr is read here, and typed here for its stdin.
final class Terminal: Sendable {
    private let master: OwnedDescriptor
    private let path: String
    private let shown = Monitor<[UInt8]>([])

    init() throws {
        master = try OwnedDescriptor.open(absolute: "/dev/ptmx", OpenFlags([.readWrite, .nonBlocking]))
        var unlocked: Int32 = 0
        var number: Int32 = 0
        // TIOCSPTLCK and TIOCGPTN of asm/ioctls.h.
        guard fx_ioctl_pointer(master.rawValue, 0x4004_5431, &unlocked) == 0,
            fx_ioctl_pointer(master.rawValue, 0x8004_5430, &number) == 0
        else { throw Errno(rawValue: errno) }
        path = "/dev/pts/\(number)"
    }

    /// Starts the program; its stdout is the child's report.
    func start(_ arguments: [String], environment: [String: String]) throws -> ChildProcess {
        var request = ChildRequest(
            executable: "sh",
            arguments: ["-c", "tty=$1; shift; exec \"$@\" <\"$tty\" 2>\"$tty\"", "sh", path] + arguments,
            environment: environment)
        request.startsSession = true
        return try ChildProcess(request)
    }

    func type(_ text: String) throws {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(master.rawValue, $0.baseAddress, $0.count) }
            if count < 0, errno != EAGAIN, errno != EINTR { throw Errno(rawValue: errno) }
            rest = rest.dropFirst(max(count, 0))
        }
    }

    /// True when `text` has been printed since the last time one was waited for.
    func waits(for text: String) -> Bool {
        let deadline = ContinuousDeadline.after(.seconds(30))
        let wanted = Array(text.utf8)
        while !deadline.hasPassed {
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = buffer.withUnsafeMutableBytes { read(master.rawValue, $0.baseAddress, $0.count) }
            if count > 0 { shown.withLock { $0 += buffer.prefix(count) } }
            let isThere = shown.withLock { shown -> Bool in
                guard let range = shown.firstRange(of: wanted) else { return false }
                shown.removeSubrange(..<range.upperBound)
                return true
            }
            if isThere { return true }
            if count <= 0 {
                var waiting = pollfd(fd: master.rawValue, events: Int16(POLLIN), revents: 0)
                // A terminal nobody has open says POLLHUP at once.
                if poll(&waiting, 1, 50) > 0, waiting.revents & Int16(POLLIN) == 0 { pause(milliseconds: 5) }
            }
        }
        return false
    }

    var unread: String { shown.withLock { String(decoding: $0, as: UTF8.self) } }
}
