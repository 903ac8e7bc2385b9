import CSyscalls
import FXSystem
import Glibc
import ServiceFixtures
import Testing

extension MountTests {
    /// The daemon killed while it sends, and the service gone in the middle: at the end every sealed file is there once.
    @Suite("Network crashes", .root) struct NetworkCrashTests {
        private func setup(_ kind: NetworkKind, alone: Bool = false) -> NetworkSetup {
            var setup = NetworkSetup(kind)
            setup.alone = alone
            setup.seconds = 500
            return setup
        }

        @Test(
            "Killed at system calls of journal, spool and network, the daemon loses and doubles nothing",
            .enabled(if: FaultInjector.isAvailable, "needs strace"), arguments: NetworkKind.allCases)
        func killPoints(kind: NetworkKind) throws {
            let wanted = Environment.number("FXMOUNT_NETWORK_KILL_POINTS", default: kind.killPoints)
            let network = try NetworkMount(setup(kind))
            let mounted = network.mounted
            var random = SeededRandom.forTest("networkKillPoints")
            var (kills, round) = (0, 0)
            var exhausted: Set<String> = []
            var hit: [String: Int] = [:]
            try mounted.start()
            search: for count in [1, 2, 3, 5, 8, 13] {
                for call in [
                    "fdatasync", "pwrite64", "sendto", "recvfrom", "unlinkat", "fallocate", "connect", "openat",
                    "renameat2", "ftruncate", "write", "fsync",
                ]
                where !exhausted.contains(call) {
                    round += 1
                    let upload = try NetworkUpload(network, "k\(round)", "\(call) \(count)", &random)
                    let injector = try FaultInjector(
                        daemon: mounted.process, calls: call, injection: "signal=SIGKILL:when=\(count)")
                    upload.perform()
                    let diedInUse = mounted.hasDied()
                    injector.detach()
                    if diedInUse || mounted.hasDied() {
                        kills += 1
                        hit[call, default: 0] += 1
                        _ = mounted.reap()
                        try mounted.start()
                    } else {
                        exhausted.insert(call)
                    }
                    try upload.verify()
                    if kills >= wanted { break search }
                }
            }
            print("network kill points, \(kind): \(kills), by call: \(hit.sorted { $0.key < $1.key })")
            #expect(kills >= min(wanted, 8), "an upload has too few kill points: \(hit)")
            try mounted.stop()
        }

        @Test(
            "Killed while the service has the Nth request, or its answer, the daemon loses and doubles nothing",
            arguments: NetworkKind.allCases)
        func requests(kind: NetworkKind) throws {
            let network = try NetworkMount(setup(kind))
            let (mounted, proxy) = (network.mounted, network.place.proxy)
            var random = SeededRandom.forTest("networkRequests")
            try mounted.start()
            let plain = try NetworkUpload(network, "plain", "nothing goes wrong", &random, largest: kind.largeFile)
            try proxy.reset()
            plain.perform()
            let requests = try proxy.counter("requests")
            try plain.verify()
            #expect(requests >= kind.leastRequests)
            // Of few requests each is once carried out and once not; of many every second one.
            for turn in 0..<(requests == kind.leastRequests ? 2 * requests : requests) {
                let number = 1 + turn % requests
                let isAnswered = (number + turn / requests).isMultiple(of: 2)
                let circumstances = "killed at request \(number), which \(isAnswered ? "was" : "was not") carried out"
                let upload = try NetworkUpload(
                    network, "r\(turn)", circumstances, &random, largest: kind.largeFile)
                try proxy.reset()
                try proxy.rule(["number": .integer(Int64(number)), (isAnswered ? "stall_answer" : "stall"): true])
                let work = Monitor(false)
                _ = try ServiceThread(name: "upload") {
                    upload.perform()
                    work.withLock { $0 = true }
                }
                // Not every run has as many: what is asked depends on what the daemon remembers.
                let isHit = try waitUntil(seconds: 30) { try proxy.pendingRules() == 0 || work.withLock { $0 } }
                #expect(isHit, "\(circumstances): it never came")
                mounted.crash()
                let isOver = work.wait(until: .after(.seconds(30))) { $0 ? true : nil }
                #expect(isOver == true, "\(circumstances): its calls did not end")
                try proxy.reset()
                if kind.isAlone, turn % 3 == 2 { try network.place.restart() }
                try mounted.start()
                try upload.verify()
            }
            try mounted.stop()
        }

        @Test(
            "The service ends and comes back while a tree is copied, and the daemon is killed then",
            arguments: NetworkKind.allCases)
        func serviceRestart(kind: NetworkKind) throws {
            let network = try NetworkMount(setup(kind, alone: true))
            let (mounted, proxy) = (network.mounted, network.place.proxy)
            var random = SeededRandom.forTest("serviceRestart")
            let source = "\(mounted.base)/src"
            Sys.mkdir(source)
            var contents: [String: [UInt8]] = [:]
            for index in 0..<12 { contents["f\(index).bin"] = random.bytes(index == 5 ? 20 << 20 : 50_000) }
            for (name, bytes) in contents { try Sys.write("\(source)/\(name)", bytes) }
            try mounted.start()
            let session = try network.makeSession()
            // Slow enough to be caught in the middle.
            try proxy.rule(["delay_milliseconds": 60, "times": 0])
            let first = try Child(["rsync", "-a", "\(source)/", session])
            let begun = try waitUntil(seconds: 60) { try proxy.counter("requests") >= 8 }
            #expect(begun)
            try network.place.restart()
            // It goes on by itself: nothing is lost, and the copy does not fail.
            let before = try proxy.counter("requests")
            #expect(try waitUntil(seconds: 60) { try proxy.counter("requests") > before + 2 || !first.isRunning })
            mounted.crash()
            _ = first.finish(seconds: 30)
            try network.place.restart()
            try proxy.clearRules()
            try mounted.start()
            // A service that is only just coming up answers as it likes: a name that is not there is known to be absent as
            // soon as it is ready.
            #expect(waitUntil(seconds: 60) { Sys.opening("\(session)/absent", O_RDONLY) == .noEntry })
            // What was not promised is brought again; what is there is not.
            try sh("rsync -a src/ \"$TO\"/", in: mounted.base, environment: ["TO": session], seconds: 120)
            try mounted.fxmount(["wait", session, "--timeout", "60s"], seconds: 70).expect(ExitCode.ok)
            #expect(try waitUntil(seconds: 30) { try network.leftovers().isEmpty })
            try network.expect(contents)
            try mounted.stop()
        }
    }
}
