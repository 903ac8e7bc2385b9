import CSyscalls
import Glibc
import Testing

extension MountTests {
    /// SIGKILL at every kind of system call that makes an upload durable, then a new mount: sealed files are in the
    /// store exactly once and
    /// whole, unsealed ones are kept under `recovered/`, nothing is torn.
    @Suite("Crashes", .root, .enabled(if: FaultInjector.isAvailable, "needs strace")) struct CrashTests {
        static let calls = [
            "pwrite64", "fdatasync", "fsync", "linkat", "renameat2", "write", "openat", "ftruncate", "fallocate",
            "unlinkat", "mkdirat",
            "copy_file_range", "renameat", "rename", "fchmod", "utimensat", "writev", "splice", "close",
        ]

        @Test("A daemon killed at 100 different points of an upload loses, tears and doubles nothing")
        func killPoints() throws {
            let wanted = Environment.number("FXMOUNT_KILL_POINTS", default: 110)
            let setup = MountSetup(types: [], statePlace: .memory, seconds: 900)
            let mounted = try Mounted(setup)
            var random = SeededRandom.forTest("killPoints")
            var (kills, round) = (0, 0)
            var hit: [String: Int] = [:]
            var exhausted: Set<String> = []
            var uploads: [Upload] = []
            try mounted.start()
            search: for count in 1...200 {
                for call in Self.calls where !exhausted.contains(call) {
                    round += 1
                    let upload = try Upload(mounted, "k\(round)", "\(call) \(count)", &random)
                    let injector = try FaultInjector(
                        daemon: mounted.process, calls: call, injection: "signal=SIGKILL:when=\(count)")
                    upload.perform()
                    // Looked at twice: a tracer lets go of a dead daemon only once it is reaped, and what a living one does
                    // until it is detached can still be hit.
                    let diedInUse = mounted.hasDied()
                    injector.detach()
                    let died = diedInUse || mounted.hasDied()
                    if !died {
                        // Fewer such calls than that in one upload.
                        exhausted.insert(call)
                        upload.drop()
                        try upload.verify(mounted, afterCrash: false)
                        continue
                    }
                    kills += 1
                    hit[call, default: 0] += 1
                    upload.drop()
                    _ = mounted.reap()
                    try Sys.write(
                        mounted.configurationPath,
                        "[remotes.local]\nkind = \"local\"\ncommit = \"\(round.isMultiple(of: 2) ? "remote" : "journal")\"\n"
                    )
                    try mounted.start()
                    try upload.verify(mounted, afterCrash: true)
                    uploads.append(upload)
                    if kills >= wanted { break search }
                }
                if exhausted.count == Self.calls.count { break }
            }
            print("killPoints: \(kills) kills, by call: \(hit.sorted { $0.key < $1.key })")
            #expect(kills >= min(wanted, 100), "an upload has too few kill points: \(hit)")
            // Later recoveries changed nothing about earlier uploads.
            for upload in uploads { try upload.verifyStore(mounted) }
            try mounted.stop()
        }

        @Test("A mapped type killed while versions are made keeps old or new content, never neither")
        func killedWhileKeeping() throws {
            let mounted = try Mounted(MountSetup(seconds: 600))
            var random = SeededRandom.forTest("killedWhileKeeping")
            let path = "\(mounted.alias())/f"
            try mounted.start()
            var current = random.bytes(50_000)
            try Sys.write(path, current)
            for call in [
                "linkat", "copy_file_range", "fsync", "fdatasync", "renameat2", "openat", "ioctl", "mkdirat",
                "pwrite64",
            ] {
                for count in 1...3 {
                    let next = random.bytes(50_000)
                    let injector = try FaultInjector(
                        daemon: mounted.process, calls: call, injection: "signal=SIGKILL:when=\(count)")
                    let replacing = count.isMultiple(of: 2)
                    let outcome: Outcome
                    if replacing {
                        let made = (try? Sys.write("\(mounted.alias())/n.part", next)) != nil
                        outcome = made ? Sys.rename("\(mounted.alias())/n.part", path) : Outcome(errno: EIO)
                    } else {
                        outcome = (try? Sys.write(path, next)) != nil ? .ok : Outcome(errno: EIO)
                    }
                    // Looked at twice: a tracer lets go of a dead daemon only once it is reaped, and what a living one does
                    // until it is detached can still be hit.
                    let diedInUse = mounted.hasDied()
                    injector.detach()
                    let died = diedInUse || mounted.hasDied()
                    if died {
                        _ = mounted.reap()
                        try mounted.start()
                    }
                    let kept = try Kept.contents(mounted.backing("data"))
                    demand(kept.contains(current), "\(call) \(count): the sealed content is gone")
                    if outcome.succeeded {
                        demand(try Sys.read(path) == next, "\(call) \(count)")
                    }
                    current = try Sys.read(path)
                    demand(try Kept.debris(mounted.backing("data")).filter { $0.contains(".partial") } == [])
                }
            }
            try mounted.stop()
        }
    }
}

/// Several files sent into one session, and what the calls promised about each.
private final class Upload {
    private let session: String
    private let name: String
    private let point: String
    private var contents: [String: [UInt8]] = [:]
    private var sealed: Set<String> = []
    private var written: Set<String> = []
    private var draft: Descriptor?
    private let draftContent: [UInt8]
    private var draftWritten = false

    init(_ mounted: Mounted, _ name: String, _ point: String, _ random: inout SeededRandom) throws {
        (self.name, self.point) = (name, point)
        session = mounted.session(name)
        draftContent = random.bytes(9000)
        for (index, size) in [1, 70_000, 0, 300_000, 4096, 20_000].enumerated() {
            contents["f\(index)"] = random.bytes(size)
        }
        let made = Sys.mkdir(session)
        if !made.succeeded { throw CallFailed(call: "mkdir \(session)", outcome: made) }
    }

    func perform() {
        draft = try? Sys.open("\(session)/draft", O_WRONLY | O_CREAT)
        draftWritten = draft?.write(draftContent) == .ok
        for (file, content) in contents.sorted(by: { $0.key < $1.key }) {
            // Every third goes by way of a temporary name.
            let temporary = file == "f1" || file == "f4"
            guard let handle = try? Sys.open("\(session)/\(file)\(temporary ? ".part" : "")", O_WRONLY | O_CREAT) else {
                continue
            }
            let half = content.count / 2
            let wrote =
                handle.write(Array(content[..<half])).succeeded && handle.write(Array(content[half...])).succeeded
            if wrote { written.insert(file) }
            // Closing seals what was written; an empty file is sealed by its last release, which nobody waits for.
            guard handle.close().succeeded, wrote, !content.isEmpty else { continue }
            if !temporary || Sys.rename("\(session)/\(file).part", "\(session)/\(file)").succeeded {
                sealed.insert(file)
            }
        }
    }

    /// The draft's process is gone. Without a crash this is its last close, which seals.
    func drop() {
        if draft?.close() == .ok && draftWritten {
            contents["draft"] = draftContent
            sealed.insert("draft")
        }
        draft = nil
    }

    func verify(_ mounted: Mounted, afterCrash: Bool) throws {
        let waited = try mounted.fxmount(["wait", session, "--timeout", "30s"])
        #expect(waited.code == 0, "\(point): \(waited)")
        try verifyStore(mounted)
        if afterCrash { try verifyRecovered(mounted) }
    }

    /// Sealed files are there once and whole; what else is there is whole too.
    func verifyStore(_ mounted: Mounted) throws {
        let stored = mounted.stored(name)
        for file in sealed {
            demand(
                (try? Sys.read("\(stored)/\(file)")) == contents[file],
                "\(point): sealed \(file) is not in the store as it was")
        }
        for file in (try? Sys.files(below: stored)) ?? [] where !file.hasPrefix(".") && !file.contains("manifest") {
            #expect(contents[file] != nil, "\(point): \(file) was never to be sent")
            guard let content = contents[file] else { continue }
            demand(try Sys.read("\(stored)/\(file)") == content, "\(point): \(file) is torn")
            demand(file != "draft" || sealed.contains("draft"), "\(point): an unsealed draft was sent")
        }
    }

    /// What was written and not sealed is kept: in the store if the seal had happened before the answer was lost, else
    /// recovered.
    private func verifyRecovered(_ mounted: Mounted) throws {
        let recovered =
            Sys.exists(Contract.recovered(mounted.state)) ? try Kept.contents(Contract.recovered(mounted.state)) : []
        if draftWritten && !sealed.contains("draft") {
            demand(recovered.contains(draftContent), "\(point): the unsealed draft is not under recovered/")
        }
        for file in written.subtracting(sealed) {
            guard let content = contents[file], !content.isEmpty else { continue }
            let whole = (try? Sys.read("\(mounted.stored(name))/\(file)")) == content
            let local =
                (try? Sys.read("\(session)/\(file)")) == content
                || (try? Sys.read("\(session)/\(file).part")) == content
            demand(whole || local || recovered.contains(content), "\(point): the bytes of \(file) are nowhere")
        }
    }
}
