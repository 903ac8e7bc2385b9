import CSyscalls
import Foundation
import Glibc
import Testing

extension MountTests {
    /// Mounting, unmounting and everything that goes wrong around them.
    @Suite("Mount life cycle") struct MountLifecycleTests {
        @Test("A second mount on one state directory is refused and told who holds it")
        func secondMount() throws {
            try withMount { mounted in
                let other = try Scratch.directory("other")
                let finished = try mounted.fxmount(["mount", other], seconds: 20)
                #expect(finished.code == ExitCode.alreadyMounted, "\(finished)")
                #expect(
                    finished.errors.contains("\(mounted.process)") || finished.errors.contains(mounted.mountpoint),
                    "\(finished)")
                let same = try mounted.fxmount(["mount", mounted.mountpoint], seconds: 20)
                #expect(same.code == ExitCode.alreadyMounted, "\(same)")
                #expect(Sys.exists(mounted.alias()))
            }
        }

        @Test("Without /dev/fuse: one clear line and exit 1", .root)
        func noDevice() throws {
            let mounted = try Mounted(MountSetup(types: []))
            let script = """
                mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9 && mknod -m 666 /dev/zero c 1 5
                exec "$0" mount '\(mounted.mountpoint)'
                """
            let finished = try run(
                ["unshare", "-m", "--propagation", "private", "/bin/sh", "-c", script, Binary.path],
                environment: mounted.environment,
                seconds: 30)
            #expect(finished.code == ExitCode.failed, "\(finished)")
            #expect(finished.errors.split(separator: "\n").count == 1, "\(finished)")
            demand(finished.errors.contains("/dev/fuse"), "\(finished)")
            #expect(!Mounts.isMounted(mounted.mountpoint))
        }

        @Test("--daemon returns when the mount answers, and unmount waits for the end")
        func daemon() throws {
            let mounted = try Mounted(MountSetup())
            let started = try mounted.fxmount(["mount", mounted.mountpoint, "--daemon"], seconds: 30)
            #expect(started.code == 0, "\(started)")
            #expect(Sys.exists("\(mounted.alias())"))
            let process = try mounted.daemonProcess()
            #expect(try Sys.read("/proc/\(process)/comm") == Array("fxmount\n".utf8))
            #expect(process > 0)
            demand(try mounted.fxmount(["list", "--json"]).expect(ExitCode.ok).output.contains(mounted.mountpoint))
            let busy = try Sys.open(mounted.alias(), O_RDONLY)
            #expect(busy.close() == .ok)
            try mounted.fxmount(["unmount", mounted.mountpoint, "--timeout", "20s"], seconds: 40).expect(ExitCode.ok)
            #expect(!Mounts.isMounted(mounted.mountpoint))
            #expect(waitUntil(seconds: 5) { !Sys.exists("/proc/\(process)") }, "the daemon is still there")
            let again = try mounted.fxmount(["unmount", mounted.mountpoint])
            #expect(again.code != 0, "nothing is mounted there")
        }

        @Test("--daemon gives the child's error and exit code")
        func daemonFailure() throws {
            let mounted = try Mounted(MountSetup(types: []))
            let finished = try mounted.fxmount(["mount", "\(mounted.base)/missing", "--daemon"], seconds: 20)
            #expect(finished.code != 0, "\(finished)")
            demand(finished.errors.contains("missing"), "\(finished)")
            try Sys.write(mounted.configurationPath, "unknwon = 1\n")
            let configured = try mounted.fxmount(["mount", mounted.mountpoint], seconds: 20)
            #expect(configured.code == ExitCode.configuration, "\(configured)")
            demand(configured.errors.contains("unknwon"), "\(configured)")
            #expect(try mounted.fxmount(["mount", "--no-such-flag", "x"]).code == ExitCode.usage)
        }

        @Test("A mount left by kill -9 is cleaned up by the next one", arguments: [Account.current, .nobody])
        func stale(account: Account) throws {
            if account == .nobody && !Environment.isRoot { return }
            let mounted = try Mounted(MountSetup(account: account))
            try mounted.start()
            _ = cs_kill(mounted.process, SIGKILL)
            _ = mounted.daemon?.code(waitingMilliseconds: 5000)
            if account == .current { #expect(Sys.stating(mounted.mountpoint) == Outcome(errno: ENOTCONN)) }
            #expect(Mounts.isMounted(mounted.mountpoint))
            try mounted.start()
            #expect(Mounts.all().filter { $0.path == mounted.mountpoint }.count == 1)
            try mounted.stop()
        }

        @Test("A mapped directory that disappears answers the real errno and comes back")
        func disappearing() throws {
            try withMount { mounted in
                let (alias, behind) = (mounted.alias(), mounted.backing("data"))
                try Sys.write("\(alias)/f", "there")
                #expect(Sys.rename(behind, behind + ".away") == .ok)
                #expect(
                    waitUntil(seconds: 5) {
                        Sys.opening("\(alias)/f", O_RDONLY) == .noEntry || !Sys.exists("\(alias)/f")
                    })
                let listed = try? Sys.list(alias)
                #expect(listed == nil, "a missing directory is shown as if it were fine: \(listed ?? [])")
                demand(try Sys.list("\(mounted.mountpoint)/types/lab").contains("data"), "the alias itself stays")
                #expect(Sys.opening("\(alias)/new", O_WRONLY | O_CREAT) != .ok)
                #expect(Sys.rename(behind + ".away", behind) == .ok)
                #expect(try waitUntil(seconds: 5) { try Sys.exists("\(alias)/f") && Sys.text("\(alias)/f") == "there" })
            }
        }

        @Test("SIGTERM drains: what was sealed is in the store, new writes are refused")
        func drain() throws {
            let setup = MountSetup(
                types: [], configuration: "[remotes.local]\nkind = \"local\"\ncommit = \"journal\"\n")
            let mounted = try Mounted(setup)
            try mounted.start()
            #expect(Sys.mkdir(mounted.session("d")) == .ok)
            for index in 0..<50 { try Sys.write("\(mounted.session("d"))/f\(index)", "content \(index)") }
            try mounted.stop()
            for index in 0..<50 { #expect((try? Sys.text("\(mounted.stored("d"))/f\(index)")) == "content \(index)") }
            #expect(try Sys.list(mounted.stored("d")).filter { $0.hasPrefix("f") }.count == 50)
        }

        @Test("A mount leaves no descriptor, thread or process behind after work")
        func nothingLeft() throws {
            try withMount { mounted in
                let alias = mounted.alias()
                let work =
                    "mkdir -p w; for i in $(seq 200); do echo $i > w/f$i; done; cat w/* > all; ls -lR > /dev/null; cp -r w x; mv x y"
                try sh(work.replacing("w", "warm"), in: alias)
                settle()
                let (descriptors, threads) = (
                    Processes.descriptors(of: mounted.process), Processes.threads(of: mounted.process)
                )
                try sh(work, in: alias)
                let settled = waitUntil(seconds: 10) {
                    settle()
                    return Processes.descriptors(of: mounted.process) <= descriptors + 4
                }
                #expect(settled, "\(Processes.descriptors(of: mounted.process)) descriptors, \(descriptors) before")
                #expect(Processes.threads(of: mounted.process) <= threads + 12, "\(threads) threads before")
            }
        }

        /// Lets the kernel forget what it only caches.
        /// Doctor looks at every mount of this program on the machine: those of another run may be dead just now, and
        /// only then may it exit with 1.
        private func healthy(_ mounted: Mounted) throws {
            struct Diagnosis: Decodable {
                struct Check: Decodable { var check, result: String }
                var checks: [Check]
            }
            let finished = try mounted.fxmount(["doctor", "--json"])
            let checks = try JSONDecoder().decode(Diagnosis.self, from: Data(finished.output.utf8)).checks
            let own = "mount \(mounted.mountpoint)"
            #expect(checks.contains { $0.check == own && $0.result == "ok" }, "\(finished)")
            let failed = checks.filter { $0.result == "fail" }
            #expect(failed.allSatisfy { $0.check.hasPrefix("mount ") && $0.check != own }, "\(finished)")
            #expect(finished.code == (failed.isEmpty ? 0 : 1), "\(finished)")
        }

        private func settle() {
            if Environment.isRoot { _ = Sys.writing("/proc/sys/vm/drop_caches", "2", flags: O_WRONLY) }
        }

        @Test("Applications do not see each other's types")
        func applications() throws {
            let mounted = try Mounted(MountSetup())
            try mounted.fxmount([
                "type", "create", "lab", "foreign", "--no-prompt", "--path", mounted.backing("data"), "--app", "other",
            ])
            .expect(ExitCode.ok)
            try mounted.start()
            #expect(try Sys.list("\(mounted.mountpoint)/types/lab") == ["data"])
            #expect(!Sys.exists(mounted.alias("foreign")))
            #expect(try Sys.list(mounted.mountpoint) == ["sessions", "types"])
            #expect(Sys.exists("\(mounted.control)/limits.json") && Sys.exists("\(mounted.control)/metrics"))
            try mounted.stop()
        }

        @Test("type list, show, exists, update, delete and doctor, as JSON")
        func commands() throws {
            try withMount { mounted in
                demand(try mounted.fxmount(["type", "list", "--json"]).expect(0).output.contains("data"))
                #expect(
                    try mounted.fxmount(["type", "show", "lab", "data", "--json"]).expect(0).output.contains(
                        "keep-versions"))
                #expect(try mounted.fxmount(["type", "exists", "lab", "data"]).code == 0)
                #expect(try mounted.fxmount(["type", "exists", "lab", "nothing"]).code == 1)
                #expect(
                    try mounted.fxmount(["type", "update", "lab", "data", "--policy", "keep-names"]).code != 0,
                    "weakening needs force")
                try mounted.fxmount(["type", "update", "lab", "data", "--policy", "write-once"]).expect(0)
                #expect(
                    waitUntil(seconds: 3) {
                        (try? Sys.attribute(mounted.alias(), "user.fxmount.policy")) == "write-once"
                    })
                try Sys.write("\(mounted.backing("data"))/stays", "x")
                try mounted.fxmount(["type", "delete", "lab", "data"]).expect(0)
                #expect(waitUntil(seconds: 3) { !Sys.exists(mounted.alias()) })
                #expect(Sys.exists("\(mounted.backing("data"))/stays"), "only the row goes")
                for command in [
                    ["status", "--json"], ["list", "--json"], ["config", "show"], ["config", "check"],
                    ["config", "path"],
                ] {
                    let finished = try mounted.fxmount(command)
                    #expect(finished.code == 0, "\(finished)")
                }
                try healthy(mounted)
            }
        }
    }
}

extension String {
    /// The script with its directory called otherwise: ` w;` and `w/` only.
    fileprivate func replacing(_ word: String, _ other: String) -> String {
        var text = ""
        for part in split(separator: " ", omittingEmptySubsequences: false) {
            let changed =
                part == "\(word);"
                ? "\(other);"
                : part.hasPrefix("\(word)/")
                    ? "\(other)/" + part.dropFirst(2)
                    : part == Substring(word)
                        ? other
                        : part == "x;"
                            ? "\(other)2;" : part == "x" ? "\(other)2" : part == "y" ? "\(other)3" : String(part)
            text += (text.isEmpty ? "" : " ") + changed
        }
        return text
    }
}
