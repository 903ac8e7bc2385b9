import FXSystem
import Glibc
import ServiceFixtures
import Testing

extension MountTests {
    /// `commit = "journal"`: a `close` that answered 0 is a promise of this machine alone, and kills, a new mount and a
    /// service that went away do not break it (S30, S55).
    @Suite("Network crashes, promised by the journal", .root) struct NetworkJournalCrashTests {
        private func setup(_ kind: NetworkKind, alone: Bool = false) -> NetworkSetup {
            var setup = NetworkSetup(kind, "commit = \"journal\"")
            setup.alone = alone
            setup.seconds = 500
            return setup
        }

        /// The Nth call of its kind in a thread of the daemon.
        private struct KillPoint {
            var call: String
            var count: Int
            init(_ call: String, _ count: Int) { (self.call, self.count) = (call, count) }

            /// Those of the most interest first, since a run takes as many as it has time for: between the seals of small
            /// files, in the first requests of what is sealed, where a spool file is put aside or removed, in the
            /// middle of a transaction.
            static let all = [
                KillPoint("pwrite64", 2), KillPoint("sendto", 2), KillPoint("renameat2", 1),
                KillPoint("pwrite64", 12), KillPoint("unlinkat", 1), KillPoint("ftruncate", 1),
                KillPoint("fdatasync", 2), KillPoint("recvfrom", 3), KillPoint("write", 3), KillPoint("fsync", 1),
                KillPoint("pwrite64", 4), KillPoint("fdatasync", 1), KillPoint("fallocate", 2),
                KillPoint("sendto", 5), KillPoint("renameat2", 2), KillPoint("pwrite64", 30),
            ]
        }

        @Test(
            "Killed at system calls of journal, spool and network, the daemon keeps what a close has promised",
            .enabled(if: FaultInjector.isAvailable, "needs strace"), arguments: NetworkKind.allCases)
        func killPoints(kind: NetworkKind) throws {
            let wanted = Environment.number("FXMOUNT_NETWORK_KILL_POINTS", default: kind.journalKillPoints)
            let network = try NetworkMount(setup(kind))
            let mounted = network.mounted
            var random = SeededRandom.forTest("journalKillPoints")
            var (kills, outstanding) = (0, 0)
            var hit: [String] = []
            // What is sealed within a few milliseconds is still to be sent then.
            try network.place.proxy.set(["round_trip_milliseconds": 60])
            try mounted.start()
            for (round, point) in KillPoint.all.enumerated() where kills < wanted {
                let circumstances = "\(point.call) \(point.count)"
                var contents = NetworkUpload.smallFiles(&random)
                contents["small.bin"] = random.bytes(5_000)
                let upload = try NetworkUpload(network, "k\(round)", circumstances, contents: contents)
                let injector = try FaultInjector(
                    daemon: mounted.process, calls: point.call, injection: "signal=SIGKILL:when=\(point.count)")
                upload.perform()
                upload.waitForService()
                let diedInUse = mounted.hasDied()
                injector.detach()
                if diedInUse || mounted.hasDied() {
                    kills += 1
                    hit.append(circumstances)
                    _ = mounted.reap()
                    // The others are told of by the mount only.
                    if kind.readsBack { outstanding += try upload.outstanding().count }
                    try mounted.start()
                } else {
                    #expect(upload.sealed.count == contents.count, "\(circumstances): a close failed")
                }
                try upload.verify()
            }
            print("network kill points, \(kind), journal: \(hit), \(outstanding) files were promised and not sent")
            #expect(kills >= min(wanted, 4), "an upload has too few kill points: \(hit)")
            if kind.readsBack { #expect(outstanding > 0, "nothing depended on the journal: \(hit)") }
            try mounted.stop()
        }

        @Test(
            "A large file that is closed, and on its way when the daemon is killed, arrives once",
            arguments: NetworkKind.allCases)
        func underWay(kind: NetworkKind) throws {
            let network = try NetworkMount(setup(kind))
            let (mounted, proxy) = (network.mounted, network.place.proxy)
            var random = SeededRandom.forTest("underWay")
            let large = random.bytes(kind.journalledFile)
            try mounted.start()
            // One request is all of it where it has no chunks: an answer that is lost is that of a whole file.
            for isAnswered in kind.sendsChunks ? [false, true] : [false] {
                let circumstances = "killed at a chunk that \(isAnswered ? "was" : "was not") carried out"
                var contents = NetworkUpload.smallFiles(&random)
                contents["large.bin"] = large
                let upload = try NetworkUpload(
                    network, isAnswered ? "answered" : "unanswered", circumstances, contents: contents)
                try proxy.reset()
                try proxy.rule(
                    .object(
                        network.place.uploads + [
                            .init(isAnswered ? "stall_answer" : "stall", true),
                            .init("skip", .integer(kind.sendsChunks ? 1 : 0)),
                        ]))
                #expect(upload.perform("large.bin"), "\(circumstances): its close failed")
                let isHit = try waitUntil(seconds: 30) { try proxy.pendingRules() == 0 }
                #expect(isHit, "\(circumstances): it never came")
                for file in ["one.bin", "part.bin"] { #expect(upload.perform(file), "\(circumstances): \(file)") }
                mounted.crash()
                if kind.readsBack {
                    let outstanding = try upload.outstanding()
                    #expect(outstanding.contains("large.bin"), "\(circumstances): it had arrived: \(outstanding)")
                }
                try proxy.reset()
                try mounted.start()
                try upload.verify()
            }
            try mounted.stop()
        }

        @Test(
            "The service ends and comes back while a tree that was copied is sent: all of it arrives by itself",
            arguments: NetworkKind.allCases)
        func serviceRestart(kind: NetworkKind) throws {
            let network = try NetworkMount(setup(kind, alone: true))
            let (mounted, proxy) = (network.mounted, network.place.proxy)
            var random = SeededRandom.forTest("journalServiceRestart")
            let source = "\(mounted.base)/src"
            Sys.mkdir(source)
            var contents: [String: [UInt8]] = [:]
            for index in 0..<12 { contents["f\(index).bin"] = random.bytes(index == 5 ? 20 << 20 : 50_000) }
            for (name, bytes) in contents { try Sys.write("\(source)/\(name)", bytes) }
            try mounted.start()
            let session = try network.makeSession()
            // A few arrive; the others are on their way when the service goes.
            try proxy.rule(
                .object(network.place.uploads + [.init("stall", true), .init("skip", 3), .init("times", 0)]))
            try sh("rsync -a src/ \"$TO\"/", in: mounted.base, environment: ["TO": session], seconds: 60)
            #expect(try waitUntil(seconds: 30) { try proxy.log().contains { $0.isTreated } })
            #expect(try network.files(in: "s").count < contents.count, "everything had arrived")
            try network.place.restart()
            try proxy.clearRules()
            // Those that got no answer: of a service that ended nobody waits for one.
            try proxy.cutAll(withReset: true)
            try mounted.fxmount(["wait", session, "--timeout", "90s"], seconds: 100).expect(ExitCode.ok)
            #expect(try waitUntil(seconds: 30) { try network.leftovers().isEmpty })
            try network.expect(contents)
            try mounted.stop()
        }
    }
}

extension NetworkKind {
    /// The kills of one run with `commit = "journal"`. After each, `opentera` waits twelve seconds for what it does not
    /// find at the service (docs/SERVICES.md).
    fileprivate var journalKillPoints: Int {
        switch self {
        case .opentera: 2
        case .s3: 6
        case .tus, .mft, .itslearning: 4
        }
    }

    /// Files are sent in several requests, and this one is three chunks then.
    fileprivate var sendsChunks: Bool { self == .s3 || self == .tus || self == .mft }

    fileprivate var journalledFile: Int {
        switch self {
        // Chunks of 16 MiB.
        case .s3, .tus: 40 << 20
        // Chunks of 10 MiB.
        case .mft: 21 << 20
        case .opentera, .itslearning: 4 << 20
        }
    }
}
