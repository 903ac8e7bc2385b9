import FXSystem
import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import FXRemote

/// Blocks of contents on disk: the sentences R8 to R13 of docs/SEMANTICS.md.
@Suite(.serialized) struct CacheTests {
    /// A service with one file, and a cache that outlives the services that use it.
    private final class Store: Sendable {
        let bench: Workbench
        let backend: ReadableService
        let directory: String
        let session: String
        let events = EventLog()
        let bytes: [UInt8]
        private let running = Mutex<TransferService?>(nil)

        init(_ count: Int, id: String = "f#1", directory: String? = nil) throws {
            bench = try Workbench()
            backend = ReadableService()
            self.directory = directory ?? bench.path + "/cache"
            bytes = pattern(count)
            session = backend.memory.place(Array("s".utf8), .session(.open))
            backend.memory.place(Array("f".utf8), .file(bytes), in: session, id: id)
        }

        deinit { running.withLock { $0.take() }?.stop() }

        func stop() {
            // A reader has its bytes a moment before the cache has them.
            _ = eventually { backend.running == 0 }
            running.withLock { $0.take() }?.stop()
        }

        /// Another run of the program over the same cache.
        @discardableResult
        func start(_ size: ByteCount = .mebibytes(64), name: String = "read-1") throws -> RemoteTree {
            stop()
            let service = try bench.service(
                backend, listingTTL: .milliseconds(1), cacheDirectory: directory,
                cache: size == .zero ? nil : ReadCacheConfiguration(size: size, name: Name(name)), events: events)
            try service.start()
            running.withLock { $0 = service }
            return service.trees[0]
        }

        var cache: ReadCache? { running.withLock { $0?.services.cache } }

        /// Bytes of the file as a reader sees them.
        func read(_ tree: RemoteTree, _ range: Range<Int>? = nil, _ path: String = "s/f") throws -> [UInt8] {
            let file = try tree.open(tree.entry(at: RelativePath(path)).id, flags: .readOnly, caller: me)
            defer { file.release() }
            let range = range ?? 0..<bytes.count
            return try file.get(range.count, at: UInt64(range.lowerBound))
        }

        /// How many bytes were asked of the service since `body` began.
        func asked(_ body: () throws -> Void) rethrows -> Int {
            let before = backend.requests.count
            try body()
            return backend.requests[before...].reduce(0) { $0 + $1.count }
        }

        /// The same for a read of the whole file.
        func askedForAll(_ tree: RemoteTree, location: SourceLocation = #_sourceLocation) throws -> Int {
            var got: [UInt8] = []
            let count = try asked { got = try read(tree) }
            // Not the arrays themselves: a failure would print them.
            let isSame = got == bytes
            #expect(isSame, sourceLocation: location)
            return count
        }

        var files: [String] {
            (try? OwnedDescriptor.open(absolute: directory + "/read-1", .directory).entryNames().map(\.description))
                ?? []
        }

        /// What all files of the cache take of the disk.
        var allocated: UInt64 {
            guard let opened = try? OwnedDescriptor.open(absolute: directory + "/read-1", .directory) else { return 0 }
            return ((try? opened.entryNames()) ?? []).reduce(0) { sum, name in
                sum + ((try? opened.status(of: name).blocks) ?? 0) * 512
            }
        }

        /// Changes a file of the cache behind the program's back.
        func damage(_ body: (borrowing OwnedDescriptor, UInt64) throws -> Void) throws {
            for name in files {
                let file = try OwnedDescriptor.open(absolute: "\(directory)/read-1/\(name)", .readWrite)
                try body(file, CacheLayout(size: ByteCount(UInt64(bytes.count)))?.dataStart ?? 0)
            }
        }
    }

    @Test func `what was read once is read from the disk by the next run`() throws {
        let store = try Store(5_000_003)
        #expect(try store.read(store.start()) == store.bytes)
        var tree = try store.start()
        #expect(try store.askedForAll(tree) == 0)
        #expect(store.cache?.standing.hit == ByteCount(5_000_003))
        // Another state directory has nothing of it.
        tree = try store.start(name: "read-2")
        #expect(try store.askedForAll(tree) == 5_000_003)
    }

    @Test func `without a size nothing is made, and what is there is neither used nor touched`() throws {
        let store = try Store(300_000)
        _ = try store.read(store.start(.zero))
        #expect(Sys(store.directory).isMissing)
        _ = try store.read(store.start())
        store.stop()
        let files = store.files
        #expect(files.count == 1)
        let tree = try store.start(.zero)
        #expect(try store.asked { _ = try store.read(tree) } == 300_000)
        #expect(store.files == files)
    }

    @Test func `directory and files are for this user only`() throws {
        let store = try Store(100_000)
        _ = try store.read(store.start())
        store.stop()
        let directory = try OwnedDescriptor.open(absolute: store.directory + "/read-1", .directory)
        #expect(try directory.status().permissions == 0o700)
        for name in try directory.entryNames() { #expect(try directory.status(of: name).permissions == 0o600) }
        // A link in its place is not followed.
        run("rm", "-rf", store.directory + "/read-1")
        run("ln", "-s", store.bench.path, store.directory + "/read-1")
        let tree = try store.start()
        #expect(try store.read(tree) == store.bytes)
        #expect(store.cache?.isUsed == false)
        #expect(store.events.recent.count { $0.kind == "cache_off" } == 1)
    }

    @Test func `random ranges are the bytes of the file, whatever of it is in the cache`() throws {
        for seed in seeds(3) {
            var random = SeededGenerator(seed)
            let store = try Store(3_000_000 + random.below(100_000))
            var (hit, missed) = (ByteCount.zero, ByteCount.zero)
            for _ in 0..<4 {
                let tree = try store.start()
                let file = try tree.open(tree.entry(at: RelativePath("s/f")).id, flags: .readOnly, caller: me)
                for _ in 0..<60 {
                    let start = random.below(store.bytes.count)
                    let count = 1 + random.below(random.below(4) == 0 ? 800_000 : 20_000)
                    let end = min(store.bytes.count, start + count)
                    let got = try file.get(count, at: UInt64(start))
                    let isSame = got == Array(store.bytes[start..<end])
                    #expect(isSame, "seed \(seed): \(start)..<\(end)")
                }
                file.release()
                let standing = try #require(store.cache?.standing)
                (hit, missed) = (hit + standing.hit, missed + standing.missed)
            }
            #expect(hit > .zero && missed > .zero, "seed \(seed)")
        }
    }

    @Test func `a block that is not what was written is asked for again, and only that one`() throws {
        let store = try Store(1_000_000)
        _ = try store.read(store.start())
        store.stop()
        try store.damage { file, start in try file.write([store.bytes[500_000] ^ 1], at: start + 500_000) }
        for expected in [4096, 0] {
            let tree = try store.start()
            let asked = try store.askedForAll(tree)
            #expect(asked == expected)
        }
    }

    @Test func `of a torn, short, foreign or empty file no wrong byte is read`() throws {
        let damages: [(borrowing OwnedDescriptor, UInt64) throws -> Void] = [
            { file, _ in try file.truncate(to: .zero) },
            { file, start in try file.truncate(to: ByteCount(start + 5000)) },
            { file, _ in try file.write([0x7f], at: 8) },
            { file, _ in try file.write([UInt8](repeating: 0x55, count: 4000), at: 64) },
            // As after a crash: the table is there, the blocks are not.
            { file, start in
                let size = try file.status().size
                try file.truncate(to: ByteCount(start))
                try file.truncate(to: size)
            },
            // Blocks that have changed places.
            { file, start in
                let block = try file.read(4096, at: start)
                try file.write(block, at: start + 40_960)
                try file.write(try file.read(4, at: 64), at: 64 + 40)
            },
        ]
        for (number, damage) in damages.enumerated() {
            let store = try Store(700_000)
            _ = try store.read(store.start())
            store.stop()
            try store.damage(damage)
            for _ in 0..<2 { #expect(try store.read(store.start()) == store.bytes, "\(number)") }
            // Its place is taken by one that is right again.
            _ = try store.read(store.start())
            let tree = try store.start()
            #expect(try store.askedForAll(tree) == 0, "\(number)")
        }
    }

    @Test func `what has no strong mark is not kept`() throws {
        let store = try Store(200_000, id: "f")
        #expect(try store.read(store.start()) == store.bytes)
        store.stop()
        #expect(store.files.isEmpty)
    }

    @Test func `a content that has changed at the service goes`() throws {
        let store = try Store(9_000_000)
        let tree = try store.start()
        _ = try store.read(tree, 0..<100_000)
        #expect(eventually { store.files.count == 1 })
        store.backend.memory.overwrite("f#1", pattern(9_000_000, seed: 3))
        let file = try tree.open(tree.entry(at: RelativePath("s/f")).id, flags: .readOnly, caller: me)
        // The double gives what is there at the open; the next change is seen by the handle.
        _ = try file.get(10, at: 5_000_000)
        store.backend.memory.overwrite("f#1", pattern(9_000_000, seed: 4))
        #expect(throws: RemoteError.changed) { try file.get(10, at: 8_000_000) }
        file.release()
        #expect(eventually { store.files.isEmpty })
    }

    @Test func `a file that a listing has no more goes, and so does what another one took the place of`() throws {
        let store = try Store(100_000)
        store.backend.memory.place(Array("g".utf8), .file(pattern(5000)), in: store.session, id: "g#1")
        let tree = try store.start()
        _ = try store.read(tree)
        _ = try store.read(tree, 0..<5000, "s/g")
        #expect(eventually { store.files.count == 2 })
        store.backend.memory.withdraw("g#1")
        let list = { _ = try? tree.entryIDs(in: tree.entry(at: RelativePath("s")).id) }
        #expect(
            eventually {
                list()
                return store.files.count == 1
            })
        store.backend.memory.withdraw("f#1")
        let other = pattern(100_000, seed: 9)
        store.backend.memory.place(Array("f".utf8), .file(other), in: store.session, id: "f#2")
        #expect(
            eventually {
                list()
                return store.files.isEmpty
            })
        #expect(try store.read(tree) == other)
    }

    // MARK: - Room

    @Test func `the bound holds, and what was read longest ago goes first`() throws {
        let store = try Store(1_000_000)
        for number in 0..<6 {
            store.backend.memory.place(
                Array("n\(number)".utf8), .file(pattern(1_000_000, seed: UInt64(number))), in: store.session,
                id: "n\(number)#")
        }
        let bound = ByteCount.mebibytes(4)
        var tree = try store.start(bound)
        for number in 0..<6 {
            _ = try store.read(tree, 0..<1_000_000, "s/n\(number)")
            #expect(store.allocated <= bound.rawValue)
        }
        #expect(eventually { store.cache?.pool.inUse == 0 })
        tree = try store.start(bound)
        #expect(store.allocated <= bound.rawValue && store.allocated > 2 << 20)
        let asked = try store.asked { _ = try store.read(tree, 0..<1_000_000, "s/n5") }
        #expect(asked == 0)
        #expect(try store.asked { _ = try store.read(tree, 0..<1_000_000, "s/n0") } == 1_000_000)
        // A smaller bound holds at once.
        try store.start(.mebibytes(2))
        #expect(eventually { store.allocated <= 2 << 20 })
    }

    @Test func `of a file larger than the cache a part is kept, and all of it is read`() throws {
        let store = try Store(6_000_000)
        for _ in 0..<2 {
            #expect(try store.read(store.start(.mebibytes(2))) == store.bytes)
            #expect(store.allocated <= 2 << 20)
        }
        let tree = try store.start(.mebibytes(2))
        #expect(try store.askedForAll(tree) < 5_500_000)
    }

    @Test func `the whole cache may be removed at any time`() throws {
        let store = try Store(2_000_000)
        let tree = try store.start()
        let file = try tree.open(tree.entry(at: RelativePath("s/f")).id, flags: .readOnly, caller: me)
        #expect(try file.get(900_000) == Array(store.bytes[..<900_000]))
        run("rm", "-rf", store.directory)
        #expect(try file.get(2_000_000) == store.bytes)
        file.release()
        #expect(try store.read(tree) == store.bytes)
        store.backend.memory.place(Array("g".utf8), .file(pattern(5000)), in: store.session, id: "g#1")
        #expect(
            eventually {
                guard let bytes = try? store.read(tree, 0..<5000, "s/g") else { return false }
                return bytes == pattern(5000) && store.files.count >= 1
            })
    }

    @Test func `a second process with the same cache goes without`() throws {
        let store = try Store(100_000)
        _ = try store.read(store.start())
        let other = try Store(100_000, directory: store.directory)
        #expect(try other.read(other.start()) == other.bytes)
        #expect(other.cache?.isUsed == false)
        #expect(other.events.recent.count { $0.kind == "cache_off" } == 1)
        #expect(store.cache?.isUsed == true)
    }

    @Test(.enabled(if: geteuid() == 0), arguments: ["full", "read-only", "no directory"])
    func `a cache that cannot be written is told of once, and reads go on`(how: String) throws {
        let bench = try Workbench()
        let small = bench.path + "/small"
        run("mkdir", small)
        // The reserve of a twentieth leaves less than the bound.
        run("mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", small)
        defer { run("umount", "-l", small) }
        let store = try Store(6_000_000, directory: how == "no directory" ? small + "/file/below" : small)
        switch how {
        case "read-only": run("mount", "-o", "remount,ro", small)
        case "no directory": run("touch", small + "/file")
        // Leaves 300 KiB, of which 100 are the reserve.
        default: run("dd", "if=/dev/zero", "of=\(small)/filler", "bs=1k", "count=1700", "status=none")
        }
        let tree = try store.start()
        for _ in 0..<2 { #expect(try store.read(tree) == store.bytes) }
        store.stop()
        let told = store.events.recent.filter { $0.kind == "cache_off" || $0.kind == "cache_full" }
        #expect(told.map(\.kind) == [how == "full" ? "cache_full" : "cache_off"])
        if how == "full" {
            let space = try OwnedDescriptor.open(absolute: small, .directory).space()
            #expect(space.available >= StagingDirectory.reserved(of: space))
        }
    }

    // MARK: - Under way

    @Test func `readers at any place at once see the bytes of the file while blocks come and go`() throws {
        for seed in seeds(2) {
            let store = try Store(5_000_000)
            let tree = try store.start(.mebibytes(2))
            let id = try tree.entry(at: RelativePath("s/f")).id
            let wrong = Mutex<[String]>([])
            let threads = try (0..<6).map { number in
                try WorkerThread(name: "test-reader") {
                    var random = SeededGenerator(seed &+ UInt64(number))
                    for _ in 0..<6 {
                        guard let file = try? tree.open(id, flags: .readOnly, caller: me) else { continue }
                        for _ in 0..<12 {
                            let start = random.below(store.bytes.count)
                            let end = min(store.bytes.count, start + 1 + random.below(300_000))
                            if (try? file.get(end - start, at: UInt64(start))) != Array(store.bytes[start..<end]) {
                                wrong.withLock { $0.append("\(start)..<\(end)") }
                            }
                        }
                        file.release()
                        if number == 0, let cache = store.cache {
                            cache.forget(CacheKey(remote: [tree.kind, tree.name.description, ""], mark: "f#1"))
                        }
                    }
                }
            }
            for thread in threads { thread.join() }
            #expect(wrong.withLock { $0 } == [], "seed \(seed)")
            #expect(store.allocated <= 2 << 20)
            store.stop()
        }
    }

    @Test(arguments: [0, 1, 59_999, 300_000] as [UInt64])
    func `a part that is cut off or too short goes on where it ended`(after: UInt64) throws {
        let store = try Store(2_000_000)
        var tree = try store.start()
        _ = try store.read(tree, 600_000..<1_200_000)
        store.stop()
        tree = try store.start()
        store.backend.inject(.short(after: after))
        #expect(try store.read(tree) == store.bytes)
        tree = try store.start()
        #expect(try store.askedForAll(tree) < 20_000)
    }
}

private struct Sys {
    let path: String
    init(_ path: String) { self.path = path }
    var isMissing: Bool { (try? OwnedDescriptor.open(absolute: path, .pathOnly)) == nil }
}
