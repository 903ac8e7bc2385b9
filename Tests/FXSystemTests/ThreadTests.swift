import CLinux
import Foundation
import Glibc
import SystemPackage
import Testing

@testable import FXSystem

@Suite struct ThreadTests {
    /// A field of /proc/thread-self/status as a number.
    private static func status(_ field: String) -> UInt64? {
        guard let text = try? String(contentsOfFile: "/proc/thread-self/status", encoding: .utf8) else { return nil }
        let line = text.split(separator: "\n").first { $0.hasPrefix("\(field):") }
        return line.flatMap { UInt64($0.dropFirst(field.count + 1).trimmingCharacters(in: .whitespaces), radix: 16) }
    }

    private static let fileCapabilities: UInt64 = 0b1111 | 1 << 27
    private static let fsetid: UInt64 = 1 << 4

    @Test func aHandledSignalIsNoDeath() throws {
        let isDying = try onThread { () -> Bool in
            var set = sigset_t()
            sigemptyset(&set)
            sigaddset(&set, SIGUSR1)
            pthread_sigmask(SIG_BLOCK, &set, nil)
            // Pending on this very thread, as the kernel would show a signal that is about to be handled.
            pthread_kill(pthread_self(), SIGUSR1)
            defer {
                var number: Int32 = 0
                sigwait(&set, &number)
            }
            return WaitingProcess.isDying(thread: fx_gettid())
        }
        #expect(!isDying)
    }

    @Test func aBlockedChildLivesUntilItIsKilled() throws {
        let scratch = try Scratch()
        try scratch.descriptor().makeNode(try Name("fifo"), mode: 0o010600, device: 0)
        var child = pid_t()
        let script =
            "trap : USR1; echo ready > '\(scratch.path)/ready'; while :; do read x < '\(scratch.path)/fifo'; done"
        var arguments: [UnsafeMutablePointer<CChar>?] =
            ["/bin/sh", "-c", script].map { (text: String) in strdup(text) } + [nil]
        defer { for argument in arguments { free(argument) } }
        try #require(posix_spawn(&child, "/bin/sh", nil, nil, &arguments, environ) == 0)
        var isReaped = false
        defer {
            if !isReaped {
                kill(child, SIGKILL)
                waitpid(child, nil, 0)
            }
        }
        try #require(waitUntil { (try? String(contentsOfFile: "\(scratch.path)/ready", encoding: .utf8)) == "ready\n" })
        #expect(!WaitingProcess.isDying(thread: child))
        for _ in 0..<50 {
            kill(child, SIGUSR1)
            #expect(!WaitingProcess.isDying(thread: child))
        }
        kill(child, SIGKILL)
        waitpid(child, nil, 0)
        isReaped = true
        #expect(WaitingProcess.isDying(thread: child))
    }

    @Test func whatCannotBeLookedAtIsNotDying() {
        #expect(!WaitingProcess.isDying(thread: 0))
        #expect(!WaitingProcess.isDying(thread: -1))
        #expect(!WaitingProcess.isDying(thread: getpid()))
    }

    @Test(.enabled(if: geteuid() == 0, "needs root"))
    func aFileMadeForACallerBelongsToTheCaller() throws {
        let scratch = try Scratch()
        let path = scratch.path
        let failure = try onThread { () -> String? in
            ThreadCredentials.prepareWorker()
            let caller = Caller(uid: 65534, gid: 65533, thread: 0, umask: 0o027)
            do {
                let directory = try OwnedDescriptor.open(absolute: path, [.readOnly, .directory])
                try ThreadCredentials.acting(for: caller) { () throws(Errno) in
                    // The directory is root's and mode 0755: the caller's rights were checked by the kernel already.
                    try directory.open(Name(constant: "theirs"), [.writeOnly, .create, .exclusive], mode: 0o666).close()
                    try directory.makeDirectory(Name(constant: "dir"), mode: 0o777)
                }
                try directory.open(Name(constant: "ours"), [.writeOnly, .create, .exclusive], mode: 0o600).close()
                return nil
            } catch {
                return "\(error)"
            }
        }
        #expect(failure == nil)
        let root = try scratch.descriptor()
        let theirs = try root.status(of: try Name("theirs"))
        #expect(theirs.owner == 65534 && theirs.group == 65533 && theirs.permissions == 0o640)
        #expect(try root.status(of: try Name("dir")).permissions == 0o750)
        #expect(try root.status(of: try Name("ours")).owner == 0)
    }

    @Test func aWorkersUmaskIsItsOwn() throws {
        let before = umask(0o022)
        umask(before)
        let (inside, after) = try onThread { () -> (mode_t, mode_t) in
            ThreadCredentials.prepareWorker()
            let caller = Caller(uid: geteuid(), gid: getegid(), thread: 0, umask: 0o077)
            let inside = ThreadCredentials.acting(for: caller) { () -> mode_t in
                let mask = umask(0o077)
                umask(mask)
                return mask
            }
            let after = umask(0o111)
            return (inside, after)
        }
        #expect(inside == 0o077)
        #expect(after == before)
        let now = umask(before)
        #expect(now == before)
    }

    @Test(.enabled(if: geteuid() == 0, "needs root"))
    func aWorkerNeverHasFsetidButToSetModes() throws {
        struct Seen: Sendable {
            var prepared, acting, after, afterThrow, settingModes, last: UInt64
        }
        let before = Self.status("CapEff")
        let seen = try onThread { () -> Seen in
            func now() -> UInt64 { Self.status("CapEff") ?? .max }
            let caller = Caller(uid: 65534, gid: 65534, thread: 0)
            ThreadCredentials.prepareWorker()
            let prepared = now()
            let acting = ThreadCredentials.acting(for: caller) { now() }
            let after = now()
            do {
                try ThreadCredentials.acting(for: caller) { () throws(Errno) in throw .noSpace }
            } catch {}
            let afterThrow = now()
            let settingModes = ThreadCredentials.settingModes { now() }
            return Seen(
                prepared: prepared, acting: acting, after: after, afterThrow: afterThrow, settingModes: settingModes,
                last: now())
        }
        #expect(seen.prepared & Self.fsetid == 0)
        #expect(seen.acting & Self.fsetid == 0)
        #expect(seen.acting & Self.fileCapabilities == seen.prepared & Self.fileCapabilities)
        #expect(seen.after == seen.prepared)
        #expect(seen.afterThrow == seen.prepared)
        #expect(seen.settingModes & Self.fsetid != 0)
        #expect(seen.last == seen.prepared)
        // Another thread is not touched.
        #expect(Self.status("CapEff") == before)
    }

    private func waitUntil(_ condition: () -> Bool) -> Bool {
        let deadline = ContinuousDeadline.after(.seconds(10))
        while !deadline.hasPassed {
            if condition() { return true }
            sched_yield()
        }
        return false
    }
}
