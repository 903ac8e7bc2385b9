import CSyscalls
import FXSystem
import Glibc
import Synchronization
import Testing

extension MountTests {
    /// Each was a hole or a fault once.
    @Suite("Review regressions") struct ReviewRegressionTests {
        static let sealed = Array("the sealed bytes\n".utf8)

        /// Makes a file with an ordinary name through the mount.
        private func seal(_ path: String, _ bytes: [UInt8] = sealed) throws { try Sys.write(path, bytes) }

        private func state(_ path: String) -> String { (try? Sys.attribute(path, "user.fxmount.state")) ?? "none" }

        private func update(_ mounted: Mounted, _ type: String, _ policy: Policy) throws {
            try mounted.fxmount(["type", "update", "lab", type, "--no-prompt", "--policy", policy.rawValue]).expect(
                ExitCode.ok)
        }

        @Test(
            "A temporary name of sealed bytes, and a temporary directory around them, stay out of a weaker type",
            arguments: [Policy.keepVersions, .appendOnly, .writeOnce])
        func intoAWeakerType(policy: Policy) throws {
            let types = [
                TypeSpecification(name: "strict", policy: policy), TypeSpecification(name: "weak", policy: .keepNames),
            ]
            try withMount(MountSetup(types: types)) { mounted in
                let (strict, weak) = (mounted.alias("strict"), mounted.alias("weak"))
                try seal("\(strict)/f")
                #expect(Sys.link("\(strict)/f", "\(strict)/f.tmp") == .ok)
                #expect(Sys.rename("\(strict)/f.tmp", "\(weak)/f") == .notPermitted)
                // The other way round: the temporary name was first.
                try Sys.write("\(strict)/g.tmp", Self.sealed)
                #expect(Sys.link("\(strict)/g.tmp", "\(strict)/g") == .ok)
                #expect(Sys.rename("\(strict)/g.tmp", "\(weak)/g") == .notPermitted)
                #expect(Sys.mkdir("\(strict)/d.tmp") == .ok)
                try seal("\(strict)/d.tmp/f")
                #expect(Sys.rename("\(strict)/d.tmp", "\(weak)/d") == .notPermitted)
                #expect(try Sys.list(weak) == [])
                for name in ["f", "f.tmp", "g", "d.tmp/f"] {
                    demand(try Sys.read("\(strict)/\(name)") == Self.sealed, name)
                }
            }
        }

        @Test("A byte stored through a mapping that outlived its version is in a version when the file is cut")
        func storeWithoutChangeTime() throws {
            try withMount { mounted in
                let path = "\(mounted.alias())/f"
                try seal(path, [UInt8](repeating: 0x41, count: 4096))
                let file = try Sys.open(path, O_RDWR)
                let memory = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file.number, 0)
                guard let memory, memory != MAP_FAILED else { throw TestStopped("mmap: \(errno)") }
                memory.storeBytes(of: 0x42, as: UInt8.self)
                let changed = try Sys.status("\(mounted.backing("data"))/f").ctime
                // A version counts as current only two seconds after the last change.
                #expect(waitUntil(seconds: 5) { time(nil) > changed + 3 })
                #expect(file.close() == .ok)
                // Half a second after the close the mapped bytes become a version.
                let mapped = [UInt8(0x42)] + [UInt8](repeating: 0x41, count: 4095)
                _ = waitUntil(seconds: 3) {
                    (try? Kept.contents("\(mounted.backing("data"))/.fxversions").contains(mapped)) == true
                }
                memory.storeBytes(of: 0x43, toByteOffset: 1, as: UInt8.self)
                munmap(memory, 4096)
                // The file is sealed when nobody can write to it any more.
                #expect(
                    waitUntil(seconds: 5) {
                        (try? Sys.text("\(mounted.control)/status.json").contains("\"active_files\":0")) == true
                    })
                #expect(Sys.truncate(path, 0) == .ok)
                let stored = [UInt8(0x42), 0x43] + [UInt8](repeating: 0x41, count: 4094)
                demand(
                    try Kept.contents("\(mounted.backing("data"))/.fxversions").contains(stored),
                    "the stored byte is lost")
            }
        }

        @Test("A stricter policy reaches a process that sits below the type")
        func policyReachesWorkingDirectories() throws {
            try withMount { mounted in
                let directory = "\(mounted.alias())/sub"
                #expect(Sys.mkdir(directory) == .ok)
                try seal("\(directory)/f")
                let script = "echo in > here.tmp; while (echo x > f) 2> /dev/null; do sleep 0.02; done; echo out"
                let child = try Child(["/bin/bash", "-c", script], directory: directory)
                defer { child.killAll() }
                #expect(waitUntil { Sys.exists("\(directory)/here.tmp") })
                try update(mounted, "data", .writeOnce)
                let start = cs_now_ms()
                #expect(child.code(waitingMilliseconds: 10_000) == 0)
                let took = cs_now_ms() - start
                #expect(took < 2500, "\(took) ms")
                #expect(child.output == "out\n")
                #expect(Sys.opening("\(directory)/f", O_WRONLY) == .notPermitted)
            }
        }

        @Test("A readable appending handle opened after keep-names became append-only maps nothing writable")
        func noMappingAfterAStricterPolicy() throws {
            try withMount(MountSetup(types: [TypeSpecification(name: "data", policy: .keepNames)])) { mounted in
                let path = "\(mounted.alias())/f"
                try seal(path)
                let reader = try Sys.open(path, O_RDONLY)
                demand(try reader.readAll() == Self.sealed)
                try update(mounted, "data", .appendOnly)
                #expect(waitUntil(seconds: 5) { Sys.opening(path, O_WRONLY) == .notPermitted })
                for _ in 0..<3 {
                    let result = cs_open(path, O_RDWR | O_APPEND, 0)
                    guard result >= 0 else { continue }
                    let file = Descriptor(Int32(result))
                    #expect(!file.store(0x58, count: 4, at: 0).succeeded)
                }
                demand(try Sys.read(path).starts(with: Self.sealed))
                demand(
                    try Sys.read("\(mounted.backing("data"))/f").starts(with: Self.sealed), "a sealed byte has changed")
                #expect(reader.close() == .ok)
            }
        }

        @Test("A descriptor of a replaced file gives its version neither a live name nor another mode")
        func replacedFilesAreOutOfReach() throws {
            try withMount { mounted in
                let root = mounted.alias()
                try seal("\(root)/f")
                let old = try Sys.open("\(root)/f", O_RDONLY)
                try Sys.write("\(root)/f.part", "new")
                #expect(Sys.rename("\(root)/f.part", "\(root)/f") == .ok)
                let store = "\(mounted.backing("data"))/.fxversions/f"
                let version = "\(store)/\(try #require(try Sys.list(store).first))"
                let before = try Sys.status(version)
                let linked = linkat(
                    AT_FDCWD, "/proc/self/fd/\(old.number)", AT_FDCWD, "\(root)/back", AT_SYMLINK_FOLLOW)
                #expect(linked != 0 && [ESTALE, ENOENT].contains(errno), "\(linked), errno \(errno)")
                #expect(!Sys.exists("\(mounted.backing("data"))/back"))
                _ = fchmod(old.number, 0)
                let after = try Sys.status(version)
                #expect(after.mode == before.mode && after.links == 1 && after.inode == before.inode)
                demand(try Sys.read(version) == Self.sealed)
                demand(try old.read(64, at: 0) == Self.sealed)
                #expect(try Sys.text("\(root)/f") == "new")
            }
        }

        @Test(
            "Readers and appenders racing for one file never meet EIO", arguments: [Policy.appendOnly, .keepVersions])
        func racingOpens(policy: Policy) throws {
            try withMount(MountSetup(types: [TypeSpecification(name: "data", policy: policy)])) { mounted in
                let path = "\(mounted.alias())/f"
                try seal(path)
                let answers = Mutex<[Outcome: Int]>([:])
                var threads: [Monitor<Bool>] = []
                for index in 0..<4 {
                    let ended = Monitor(false)
                    _ = try ServiceThread(name: "opens") {
                        var seen: [Outcome: Int] = [:]
                        for _ in 0..<5000 {
                            seen[
                                Sys.opening(path, index.isMultiple(of: 2) ? O_RDONLY : O_WRONLY | O_APPEND), default: 0] +=
                                1
                        }
                        answers.withLock { $0.merge(seen, uniquingKeysWith: +) }
                        ended.withLock { $0 = true }
                    }
                    threads.append(ended)
                }
                for ended in threads { #expect(ended.wait(until: .after(.seconds(90))) { $0 ? () : nil } != nil) }
                #expect(answers.withLock { $0 } == [.ok: 20_000])
            }
        }

        @Test("Workers keep CAP_FSETID down after creating for others", .root)
        func workersHaveNoFsetid() throws {
            try withMount(MountSetup(options: ["allow_other"])) { mounted in
                _ = Sys.chmod(mounted.backing("data"), 0o777)
                try sh("for i in $(seq 200); do echo x > f$i; mkdir d$i; done", in: mounted.alias(), account: .nobody)
                var workers = 0
                for thread in try Sys.list("/proc/\(mounted.process)/task") {
                    let status = try Sys.text("/proc/\(mounted.process)/task/\(thread)/status")
                    guard status.contains("Name:\tfx-worker") else { continue }
                    workers += 1
                    let line = status.split(separator: "\n").first { $0.hasPrefix("CapEff:") }
                    let effective = try #require(line.flatMap { UInt64($0.dropFirst(8), radix: 16) })
                    #expect(effective & 1 << 4 == 0, "\(thread): \(effective)")
                }
                #expect(workers >= 2)
                #expect(try Sys.status("\(mounted.backing("data"))/f7").uid == 65534)
            }
        }

        @Test("O_RDONLY with O_TRUNC cuts, keeps a version, and leaves the file sealed", arguments: [true, false])
        func truncatingReaders(passthrough: Bool) throws {
            try withMount(MountSetup(passthrough: passthrough)) { mounted in
                let path = "\(mounted.alias())/f"
                try seal(path)
                let file = try Sys.open(path, O_RDONLY | O_TRUNC)
                #expect(state(path) == "sealed")
                #expect(try Sys.status(path).size == 0)
                #expect(file.close() == .ok)
                #expect(state(path) == "sealed")
                #expect(Sys.unlink(path) == .notPermitted)
                demand(try Kept.contents("\(mounted.backing("data"))/.fxversions").contains(Self.sealed))
            }
        }

        @Test("An ordinary name that was closed cannot be unlinked in the same instant", arguments: [true, false])
        func closedIsSealed(passthrough: Bool) throws {
            try withMount(MountSetup(passthrough: passthrough)) { mounted in
                var answers: [Outcome: Int] = [:]
                for index in 0..<2000 {
                    let path = "\(mounted.alias())/f\(index)"
                    try seal(path)
                    answers[Sys.unlink(path), default: 0] += 1
                }
                #expect(answers == [.notPermitted: 2000])
                #expect(try Sys.list(mounted.alias()).count == 2000)
            }
        }

        @Test("Contents written in quick succession are all kept", arguments: [true, false])
        func everyContentIsKept(passthrough: Bool) throws {
            try withMount(MountSetup(passthrough: passthrough)) { mounted in
                for index in 0..<300 { try Sys.write("\(mounted.alias())/f", "content \(index)\n") }
                try sh("for i in $(seq 100); do echo a$i > g; echo b$i > g; done", in: mounted.alias())
                let kept = try Kept.contents(mounted.backing("data"))
                let wanted =
                    (0..<300).map { "content \($0)\n" } + (1...100).map { "a\($0)\n" } + (1...100).map { "b\($0)\n" }
                let lost = wanted.filter { !kept.contains(Array($0.utf8)) }
                #expect(lost == [])
            }
        }

        @Test("A file whose write met a full spool is not in the store, its close fails, and rm takes it away", .root)
        func fullSpool() throws {
            let disk = try Scratch.directory("small")
            try sh("mount -t tmpfs -o size=16m,mode=755 tmpfs '\(disk)'")
            defer {
                _ = try? run(["umount", "-l", disk])
                Scratch.remove(disk)
            }
            Sys.mkdir("\(disk)/state", 0o700)
            try withMount(MountSetup(types: [], state: "\(disk)/state")) { mounted in
                let session = mounted.session("s")
                #expect(Sys.mkdir(session) == .ok)
                let file = try Sys.open("\(session)/big", O_WRONLY | O_CREAT)
                let block = [UInt8](repeating: 7, count: 1 << 20)
                var outcome = Outcome.ok
                for _ in 0..<32 where outcome.succeeded { outcome = file.write(block) }
                #expect(outcome == .noSpace)
                #expect(!file.close().succeeded)
                #expect(!Sys.exists("\(mounted.stored("s"))/big"))
                try sh("rm '\(session)/big'")
                #expect(!Sys.exists("\(session)/big"))
                // There is room again.
                try Sys.write("\(session)/small", "fits")
                try mounted.fxmount(["wait", "\(session)/small", "--timeout", "30s"]).expect(ExitCode.ok)
                #expect(try Sys.text("\(mounted.stored("s"))/small") == "fits")
            }
        }
    }
}
