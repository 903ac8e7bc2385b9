import FXSystem
import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import FXRemote

@Suite(.serialized) struct StressTests {
    /// Small, seeded, replayable.
    struct Dice {
        var state: UInt64
        mutating func roll(_ sides: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(sides))
        }
    }

    /// Eight writers on six names: write, rewrite, rename, remove. At the end the store shows what the tree shows, and
    /// every content a close reported as committed is live or under `.replaced`.
    @Test(arguments: [true, false]) func `many writers at once lose nothing`(adopts: Bool) throws {
        let seed = UInt64.random(in: 1...UInt64(UInt32.max))
        print("StressTests seed \(seed)")
        let bench = try Workbench()
        let service = try bench.service(LocalStore(path: bench.path + "/store", adoptsSpoolFiles: adopts))
        try service.start()
        let tree = service.trees[0]
        let session = try tree.session("s")
        let promised = Mutex<[[UInt8]]>([])
        let surprises = Mutex<[String]>([])
        var threads: [WorkerThread] = []
        for worker in 0..<8 {
            threads.append(
                try WorkerThread(name: "writer") {
                    var dice = Dice(state: seed &+ UInt64(worker) &* 7919)
                    for step in 0..<25 {
                        do { try StressTests.act(&dice, worker, step, tree, session, promised) } catch let error
                            as RemoteError
                        {
                            let allowed: [RemoteError] = [.noSuchEntry, .exists, .protected, .busy, .interrupted]
                            if !allowed.contains(error) { surprises.withLock { $0.append("\(error)") } }
                        } catch { surprises.withLock { $0.append("\(error)") } }
                    }
                })
        }
        for thread in threads { thread.join() }
        #expect(surprises.withLock { $0 } == [])
        try waiting { tree.waitUntilCommitted(below: session, $0) }
        let drafts = try tree.entries(in: session).filter { $0.fileState == .draft }.map(\.name.description)
        #expect(drafts == [])
        let stored = bench.stored
        for entry in try tree.entries(in: session) where entry.fileState == .committed {
            #expect(stored["s/\(entry.name)"] == (try tree.get(entry.id)), "seed \(seed)")
        }
        let kept = Set(stored.values).union(bench.files(below: "store/.replaced").values)
        for bytes in promised.withLock({ $0 }) {
            let isKept = kept.contains(bytes)
            #expect(isKept, "seed \(seed): lost \(bytes.prefix(3))")
        }
        service.stop()
        #expect(bench.files(below: "spool").isEmpty)
    }

    private static func act(
        _ dice: inout Dice, _ worker: Int, _ step: Int, _ tree: RemoteTree, _ session: EntryID,
        _ promised: borrowing Mutex<[[UInt8]]>
    ) throws {
        let names = ["a", "b", "c", "d.tmp", "e.tmp", "f"]
        let name = names[dice.roll(names.count)]
        switch dice.roll(4) {
        case 0, 1:
            // A name of its own first, so that the content of one close is the work of one writer.
            let own = "w\(worker)-\(step)"
            let bytes = pattern(20 + dice.roll(3000), seed: UInt64(worker * 1000 + step + 1))
            try tree.put(own, bytes, in: session)
            promised.withLock { $0.append(bytes) }
            try tree.rename(try Name(own), in: session, to: try Name(name), in: session, .replace, caller: me)
        case 2:
            try tree.rename(
                try Name(name), in: session, to: try Name(names[dice.roll(3)]), in: session,
                dice.roll(2) == 0 ? .replace : .noReplace,
                caller: me)
        default:
            try tree.remove(try Name(name), in: session, caller: me)
        }
    }

    /// Space is reserved before bytes are accepted: a full disk is ENOSPC at `write()`, and a failed write leaves the
    /// file as it was.
    @Test(.enabled(if: geteuid() == 0, "mounts a small tmpfs"))
    func `a full spool is ENOSPC at write and goes on after space returns`() throws {
        let bench = try Workbench()
        run("mkdir", bench.path + "/spool")
        run("mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", bench.path + "/spool")
        defer { run("umount", "-l", bench.path + "/spool") }
        let service = try bench.service()
        try service.start()
        let tree = service.trees[0]
        let session = try tree.session("s")
        let (entry, file) = try tree.create(Name("f"), in: session, mode: 0o644, exclusive: true, caller: me)
        let (_, other) = try tree.create(Name("g"), in: session, mode: 0o644, exclusive: true, caller: me)
        let chunk = pattern(300_000)
        var written: [UInt8] = []
        var failure: RemoteError?
        while failure == nil, written.count < 8 << 20 {
            do {
                try file.put(chunk, at: UInt64(written.count))
                written += chunk
            } catch let error as RemoteError { failure = error }
        }
        #expect(failure?.errno == .noSpace)
        #expect(try tree.entry(entry.id).size == ByteCount(UInt64(written.count)))
        #expect(written.count > 3_000_000)
        // The spool is another file system than the store here, so the upload is a verified copy.
        // What could not be written whole is not sealed, neither by close nor by the last release.
        #expect(throws: RemoteError.self) { try file.close() }
        file.release()
        #expect(bench.stored["s/f"] == nil)
        #expect(try tree.entry(entry.id).fileState == .draft)
        try tree.remove(Name("f"), in: session, caller: me)
        #expect(eventually { (try? other.put(chunk, at: 0)) != nil })
        try other.close()
        other.release()
        let isOtherWhole = bench.stored["s/g"] == chunk
        #expect(isOtherWhole)
        service.stop()
    }
}
