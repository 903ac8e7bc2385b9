import CSyscalls
import FXSystem
import Glibc
import ServiceFixtures
import Testing

extension MountTests {
    /// A service that is there and does not answer: it holds up nobody but who asks it, and those not for long.
    @Suite("Frozen services") struct NetworkFrozenTests {
        private func withFrozen(
            _ kind: NetworkKind, _ keys: [String] = [], ending code: Int32 = ExitCode.ok,
            _ body: (NetworkMount, String) throws -> Void
        ) throws {
            var setup = NetworkSetup(kind)
            setup.keys = keys
            setup.alone = true
            setup.types = [TypeSpecification(name: "data")]
            try withNetworkMount(setup, ending: code) { network in
                try Sys.write("\(network.mounted.alias())/local", "here")
                let session = try network.makeSession()
                try Sys.write("\(session)/there.bin", [UInt8](repeating: 9, count: 100_000))
                try network.makeSession("unseen")
                // Made by this mount it would be known; after the next one nobody has looked into it.
                try network.mounted.stop()
                try network.mounted.start()
                _ = try Sys.list(session)
                _ = try Sys.status(network.path(of: "unseen"))
                network.place.freeze()
                defer { network.place.thaw() }
                try body(network, session)
            }
        }

        @Test(
            "Everything local answers while somebody waits for the service; the service's own within op_timeout",
            arguments: NetworkKind.allCases)
        func local(kind: NetworkKind) throws {
            // Far longer than the commands below take, also on a busy machine.
            let limit = 6.0
            try withFrozen(kind, ["op_timeout = \"6s\""]) { network, session in
                let mounted = network.mounted
                let unseen = kind.listing(of: "unseen").map { network.path(of: $0) }
                let waiting = try Child(
                    unseen.map { ["ls", $0] } ?? ["cp", "\(mounted.alias())/local", "\(session)/f.bin"])
                let commands = [
                    ["ls", "-la", mounted.mountpoint], ["ls", "-la", mounted.alias()],
                    ["cat", "\(mounted.alias())/local"],
                    ["ls", "-la", "\(mounted.mountpoint)/types"], ["ls", "-la", "\(mounted.mountpoint)/sessions"],
                    ["stat", network.remote], ["stat", "-f", network.remote], ["stat", "-f", mounted.mountpoint],
                    ["cat", "\(mounted.control)/status.json"], ["cat", "\(mounted.control)/transfers.jsonl"],
                    ["cp", "\(mounted.alias())/local", "\(mounted.alias())/copy"],
                    // Known already, so believed for now.
                    ["ls", network.parent], ["stat", session],
                    ["getfattr", "-n", "user.fxmount.state", session],
                ]
                for command in commands {
                    let finished = try run(command, seconds: limit)
                    #expect(finished.code == 0, "\(finished)")
                }
                #expect(waiting.isRunning, "the local calls took longer than op_timeout")
                if kind.asksForNewSessions {
                    let made = try run(["mkdir", network.path(of: "new")], seconds: 3 * limit)
                    #expect(made.code == 1 && made.errors.contains("Connection timed out"), "\(made)")
                }
                guard let unseen else {
                    // A close has no deadline: it says that the service has the file.
                    network.place.thaw()
                    try waiting.finish(seconds: 60).expect(0)
                    return
                }
                // A look-up may wait for half of it, then the call itself.
                let late = waiting.finish(seconds: 3 * limit)
                #expect(late.code == 2 && late.errors.contains("Connection timed out"), "\(late)")
                let sentence = "the remote did not answer in time"
                // Of the request itself, which ends a moment after its caller was answered.
                #expect(waitUntil(seconds: limit) { network.sentence(unseen) == sentence })
            }
        }

        @Test("Whoever waits for the service can be killed", .root, arguments: NetworkKind.allCases)
        func killed(kind: NetworkKind) throws {
            // So that nobody is let go by the deadline.
            try withFrozen(kind, ["op_timeout = \"5m\""]) { network, session in
                let mounted = network.mounted
                var commands: [(what: String, words: [String])] = [
                    ("a close", ["cp", "\(mounted.alias())/local", "\(session)/closing.bin"]),
                    ("waiting", [mounted.program, "wait", session]),
                    ("waiting for all", [mounted.program, "wait", mounted.mountpoint]),
                    ("a completion", [mounted.program, "session", "complete", session]),
                ]
                if let unseen = kind.listing(of: "unseen") {
                    commands.append(("a listing", ["ls", network.path(of: unseen)]))
                }
                if kind.readsOpenSessions { commands.append(("a read", ["cat", "\(session)/there.bin"])) }
                if kind.asksForNewSessions { commands.append(("a new session", ["mkdir", network.path(of: "new")])) }
                for (what, words) in commands {
                    let child = try Child(words, environment: mounted.environment)
                    #expect(waitUntil(seconds: 20) { Processes.isWaitingInFuse(session: child.process) }, "\(what)")
                    // It keeps nobody from what is known.
                    #expect(try run(["ls", "-la", session], seconds: 20).code == 0)
                    #expect(child.isRunning, "\(what) did not wait: \(child.errors)")
                    child.killAll()
                    // Below a second on an idle machine.
                    #expect(child.code(waitingMilliseconds: 5000) == 128 + SIGKILL, "\(what) outlived SIGKILL")
                }
                // Only the callers are gone: the file goes on.
                network.place.thaw()
                try mounted.fxmount(["wait", "\(session)/closing.bin"]).expect(ExitCode.ok)
                #expect(try network.files(in: "s")["closing.bin"] == [sha256Text(Array("here".utf8))])
            }
        }

        @Test("git clones into a type under a storm of SIGALRM")
        func clone() throws {
            try withFrozen(.opentera) { network, _ in
                let mounted = network.mounted
                var random = SeededRandom.forTest("clone")
                try SourceTree.make("\(mounted.base)/tree", files: 150, random: &random)
                let waiting = try Child(["ls", network.path(of: "unseen")])
                try sh(
                    """
                    git init -q tree && git -C tree add -A && git -C tree commit -qm all
                    # Ignored until git itself handles it; its progress display does.
                    trap '' ALRM
                    setsid git clone --progress --no-local tree '\(mounted.alias())/clone' 2>clone.log & clone=$!
                    while kill -ALRM -- -$clone 2>/dev/null || kill -0 $clone 2>/dev/null; do :; done
                    wait $clone
                    git -C '\(mounted.alias())/clone' fsck --no-progress
                    git -C '\(mounted.alias())/clone' status --porcelain | { ! grep . ; }
                    """, in: mounted.base, seconds: 100)
                waiting.killAll()
                _ = waiting.code(waitingMilliseconds: 5000)
            }
        }

        @Test(
            "Unmounting leaves what it could not send, with a list and exit 75; the next mount sends it",
            arguments: NetworkKind.allCases)
        func unmount(kind: NetworkKind) throws {
            var setup = NetworkSetup(kind, "commit = \"journal\"")
            setup.alone = true
            let network = try NetworkMount(setup)
            let mounted = network.mounted
            try mounted.start()
            let session = try network.makeSession()
            try Sys.write("\(session)/before.bin", "1")
            try mounted.fxmount(["wait", session]).expect(ExitCode.ok)
            network.place.freeze()
            defer { network.place.thaw() }
            for name in ["a", "b", "c"] { try Sys.write("\(session)/\(name).bin", name) }
            let left = try mounted.fxmount(["unmount", mounted.mountpoint, "--timeout", "2s", "--json"])
            #expect(left.code == ExitCode.workLeft, "\(left)")
            let names = try Contract.objects(left.output, list: "left").compactMap { $0["path"] as? String }
            #expect(
                names.map { $0.split(separator: "/").last.map(String.init) ?? "" }.sorted() == [
                    "a.bin", "b.bin", "c.bin",
                ])
            try mounted.stop(expecting: ExitCode.workLeft)
            network.place.thaw()
            try mounted.start()
            try mounted.fxmount(["wait", session]).expect(ExitCode.ok)
            try network.expect(["before.bin": [0x31], "a.bin": [0x61], "b.bin": [0x62], "c.bin": [0x63]])

            // Frozen for a moment only: the unmount waits, and ends with 0.
            _ = try Sys.list(session)
            network.place.freeze()
            try Sys.write("\(session)/d.bin", "d")
            let patient = try Child(
                [mounted.program, "unmount", mounted.mountpoint, "--timeout", "60s"], environment: mounted.environment)
            #expect(waitUntil { Sys.opening("\(session)/d.bin", O_WRONLY) == .readOnly })
            #expect(patient.isRunning, "\(patient.errors)")
            network.place.thaw()
            let drained = patient.finish(seconds: 60)
            #expect(drained.code == ExitCode.ok, "\(drained)")
            try mounted.stop()
            try mounted.start()
            #expect(try network.files(in: "s")["d.bin"] == [sha256Text([0x64])])
            try mounted.stop()
        }
    }
}

extension Processes {
    /// True when a process of the session (setsid(2)) waits in a FUSE request; for root only.
    static func isWaitingInFuse(session: Int32) -> Bool {
        ((try? Sys.list("/proc")) ?? []).compactMap { Int32($0) }.contains { process in
            // After the name in parentheses: state, parent, group, session.
            let line = (try? Sys.text("/proc/\(process)/stat")) ?? ""
            let fields = line.split(separator: ")").last?.split(separator: " ") ?? []
            if fields.count < 4 || Int32(fields[3]) != session { return false }
            let stack = (try? Sys.text("/proc/\(process)/stack")) ?? ""
            // The second: a read through the page cache waits for its page.
            return stack.contains("request_wait_answer") || stack.contains("folio_wait")
        }
    }
}
