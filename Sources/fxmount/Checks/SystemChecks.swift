internal import CLinux
internal import FXSystem
internal import Foundation
internal import Glibc

/// Whether this machine can mount, and how fast.
enum SystemChecks {
    static func all(_ context: CommandContext) -> [Check] {
        [device(), fusermount(context), passthrough(), descriptors()]
    }

    private static func device() -> Check {
        let descriptor = unsafe open("/dev/fuse", O_RDWR | O_CLOEXEC)
        if descriptor >= 0 {
            close(descriptor)
            return .ok("/dev/fuse", "can be opened")
        }
        if errno == ENOENT {
            return .fail("/dev/fuse", "is missing", "sudo modprobe fuse; in a container start with --device /dev/fuse")
        }
        return .warn(
            "/dev/fuse", "cannot be opened by this user",
            "sudo chmod 666 /dev/fuse, as udev does; fusermount3 may still be able to")
    }

    private static func fusermount(_ context: CommandContext) -> Check {
        let child = try? ChildProcess(
            ChildRequest(
                executable: "fusermount3", arguments: ["--version"], environment: context.surroundings.environment))
        guard let child else {
            let remedy = "install it: apt install fuse3"
            return geteuid() == 0
                ? .warn("fusermount3", "is missing; only root can mount", remedy)
                : .fail("fusermount3", "is missing", remedy)
        }
        guard let bytes = child.readReport(until: .after(.seconds(5))) else {
            child.abandon()
            return .warn("fusermount3", "did not answer", "run fusermount3 --version by hand")
        }
        _ = child.waitForExit()
        let words = String(decoding: bytes, as: UTF8.self).split { $0 == " " || $0 == "\n" }
        let version = words.last.map(String.init) ?? "unknown"
        let parts = version.split(separator: ".").compactMap { Int($0) }
        guard parts.count >= 2, (parts[0], parts[1]) >= (3, 10) else {
            return .warn("fusermount3", "libfuse \(version)", "3.10 or newer is needed: update the fuse3 package")
        }
        return .ok("fusermount3", "libfuse \(version)")
    }

    private static func passthrough() -> Check {
        var system = utsname()
        unsafe uname(&system)
        let release = unsafe withUnsafeBytes(of: &system.release) { raw in
            unsafe String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
        }
        let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        guard numbers.count == 2, (numbers[0], numbers[1]) >= (6, 9) else {
            return .warn(
                "passthrough", "kernel \(release) has none",
                "files go through the daemon; Linux 6.9 or newer reads and writes them directly")
        }
        // CAP_SYS_ADMIN is bit 21.
        var sets = [fx_cap_data(), fx_cap_data()]
        let isAllowed = unsafe fx_capget(&sets) == 0 && sets[0].effective & 1 << 21 != 0
        return isAllowed
            ? .ok("passthrough", "kernel \(release) and CAP_SYS_ADMIN")
            : .warn(
                "passthrough", "this user lacks CAP_SYS_ADMIN", "files go through the daemon; a mount by root is faster"
            )
    }

    private static func descriptors() -> Check {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(7), &limit) == 0 else {
            return .warn("open files", "the limit cannot be read", "check ulimit -n")
        }
        // Every file open in the mount needs one or two here.
        if limit.rlim_cur >= 4096 { return .ok("open files", "\(limit.rlim_cur) allowed") }
        let remedy = "ulimit -n 65536, or LimitNOFILE=65536 in the service"
        return .warn("open files", "only \(limit.rlim_cur) allowed at once (hard limit \(limit.rlim_max))", remedy)
    }
}
