import FXSystem
import Synchronization
import SystemPackage
import Testing

@testable import FXRemote

/// Reading from services: the sentences R1 to R7 of docs/SEMANTICS.md.
@Suite(.serialized) struct ReadingTests {
    /// One file of a service that somebody else put there.
    private final class Shelf: Sendable {
        let bench: Workbench
        let service: TransferService
        let backend: ReadableService
        let bytes: [UInt8]
        let file: String
        let id: EntryID
        var tree: RemoteTree { service.trees[0] }

        init(
            _ count: Int, readBlocks: Int = BlockPool.standardCapacity, listingTTL: Duration = .seconds(10),
            adjust: (inout BackendFacts) -> Void = { _ in }
        ) throws {
            bench = try Workbench()
            backend = ReadableService(adjust: adjust)
            bytes = pattern(count)
            let session = backend.memory.place(Array("s".utf8), .session(.open))
            file = backend.memory.place(Array("f".utf8), .file(bytes), in: session)
            service = try bench.service(backend, listingTTL: listingTTL, readBlocks: readBlocks)
            try service.start()
            id = try service.trees[0].entry(at: RelativePath("s/f")).id
        }

        deinit { service.stop() }

        func open() throws -> RemoteFile { try tree.open(id, flags: .readOnly, caller: me) }
        func expected(_ range: Range<Int>) -> [UInt8] { Array(bytes[range.clamped(to: 0..<bytes.count)]) }

        /// Begins a read without waiting.
        func begin(
            _ file: RemoteFile, _ count: Int, at offset: UInt64, _ completion: @escaping ContentReader.Completion
        ) throws -> (ContentReader, ContentReader.Start) {
            guard case .service(let reader) = try file.source() else { throw RemoteError.noSuchEntry }
            let start = reader.read(count, at: offset, completion)
            reader.bringAhead()
            return (reader, start)
        }
    }

    @Test func `a file read in order is whole, comes in few ranges at once, and each byte once`() throws {
        let shelf = try Shelf(20_000_003)
        let file = try shelf.open()
        var got: [UInt8] = []
        while got.count < shelf.bytes.count {
            let piece = try file.get(131_072, at: UInt64(got.count))
            if piece.isEmpty { break }
            got += piece
        }
        #expect(got == shelf.bytes)
        #expect(try file.get(10, at: 20_000_003).isEmpty)
        file.release()
        let requests = shelf.backend.requests
        #expect(requests.count < 20)
        #expect(requests.reduce(0) { $0 + $1.count } == shelf.bytes.count)
        #expect(ByteRanges(requests).ranges == [0..<20_000_003])
        #expect(shelf.backend.mostRunning > 1 && shelf.backend.mostRunning <= ReadTurns.standardLimit)
        #expect(eventually { shelf.service.services.readers.pool.inUse == 0 })
    }

    @Test func `random reads bring what they ask for, and only that`() throws {
        let shelf = try Shelf(30_000_000)
        let file = try shelf.open()
        let offsets = [28_000_000, 4_000_000, 17_000_001, 9_999_999, 23_456_789, 13_000_000]
        for offset in offsets {
            #expect(try file.get(4096, at: UInt64(offset)) == shelf.expected(offset..<offset + 4096))
        }
        #expect(shelf.backend.requests == offsets.map { UInt64($0)..<UInt64($0) + 4096 })
        file.release()
    }

    @Test func `reads from many threads at any place are the bytes of the file`() throws {
        let shelf = try Shelf(12_000_007)
        for seed in seeds(4) {
            let file = try shelf.open()
            let wrong = Mutex<[String]>([])
            let threads = try (0..<8).map { number in
                try WorkerThread(name: "test-reader") {
                    var generator = SeededGenerator(seed &+ UInt64(number))
                    var position = generator.below(shelf.bytes.count)
                    for _ in 0..<60 {
                        if generator.below(4) == 0 { position = generator.below(shelf.bytes.count) }
                        let count = 1 + generator.below(300_000)
                        let got = try? file.get(count, at: UInt64(position))
                        if got != shelf.expected(position..<position + count) {
                            wrong.withLock { $0.append("\(count) bytes at \(position)") }
                        }
                        position += count
                        if position >= shelf.bytes.count { position = 0 }
                    }
                }
            }
            for thread in threads { thread.join() }
            #expect(wrong.withLock { $0 } == [], "seed \(seed)")
            file.release()
        }
        #expect(eventually { shelf.service.services.readers.pool.inUse == 0 && shelf.backend.running == 0 })
    }

    @Test func `memory has a bound, whatever is read at once, and nobody starves`() throws {
        // 4 MiB for 32 readers.
        let shelf = try Shelf(6_000_000, readBlocks: 16)
        let wrong = Atomic<Int>(0)
        let threads = try (0..<32).map { number in
            let file = try shelf.open()
            return try WorkerThread(name: "test-reader") {
                var position = number * 100_000
                for _ in 0..<20 {
                    let got = try? file.get(131_072, at: UInt64(position))
                    if got != shelf.expected(position..<position + 131_072) { wrong.add(1, ordering: .relaxed) }
                    position = (position + 131_072) % 5_000_000
                }
                // Every second one stays open with what it has read ahead.
                if number.isMultiple(of: 2) { file.release() }
            }
        }
        for thread in threads { thread.join() }
        #expect(wrong.load(ordering: .relaxed) == 0)
        #expect(shelf.service.services.readers.pool.peak <= 16)
        #expect(shelf.backend.mostRunning <= ReadTurns.standardLimit)
    }

    @Test func `a file that changes under its reader is stale for good, and the next open has the new one`() throws {
        let shelf = try Shelf(9_000_000, listingTTL: .milliseconds(1))
        let file = try shelf.open()
        #expect(try file.get(1000, at: 0) == shelf.expected(0..<1000))
        shelf.backend.memory.overwrite(shelf.file, pattern(9_000_000, seed: 7))
        #expect(throws: RemoteError.changed) { try file.get(1000, at: 5_000_000) }
        #expect(throws: RemoteError.changed) { try file.get(1000, at: 0) }
        #expect(RemoteError.changed.errno == .staleNFSFileHandle)
        file.release()
        #expect(eventually { (try? shelf.tree.get(shelf.id)) == pattern(9_000_000, seed: 7) })
    }

    @Test func `what a listing tells of another content makes open handles stale before they ask`() throws {
        let shelf = try Shelf(500_000, listingTTL: .milliseconds(1))
        let file = try shelf.open()
        _ = try file.get(1000, at: 0)
        shelf.backend.memory.overwrite(shelf.file, [1, 2, 3])
        #expect(
            eventually {
                _ = try? shelf.tree.lookup(Name("f"), in: shelf.tree.entry(at: RelativePath("s")).id)
                return (try? shelf.tree.entry(shelf.id).size) == ByteCount(3)
            })
        let asked = shelf.backend.requests.count
        #expect(throws: RemoteError.changed) { try file.get(1000, at: 100) }
        #expect(shelf.backend.requests.count == asked)
        #expect(try shelf.tree.get(shelf.id) == [1, 2, 3])
    }

    @Test func `what was written through the mount is read on by handles that were open before`() throws {
        let shelf = try Shelf(500_000)
        let file = try shelf.open()
        #expect(try file.get(10, at: 0) == shelf.expected(0..<10))
        let writer = try shelf.tree.open(shelf.id, flags: .readWrite, caller: me)
        try writer.put([9, 9, 9], at: 4)
        #expect(try file.get(4, at: 3) == [shelf.bytes[3], 9, 9, 9])
        try writer.close()
        writer.release()
        #expect(try shelf.tree.entry(shelf.id).fileState == .committed)
        #expect(try file.get(4, at: 3) == [shelf.bytes[3], 9, 9, 9])
    }

    @Test(arguments: [0, 1, 59_999, 200_000, 400_000] as [UInt64])
    func `a range that is cut off goes on where it ended`(after: UInt64) throws {
        let shelf = try Shelf(1_000_000)
        let file = try shelf.open()
        shelf.backend.inject(.cut(after: after, .unreachable))
        #expect(try file.get(500_000, at: 0) == shelf.expected(0..<500_000))
        #expect(shelf.backend.requests.count >= 2)
        #expect(shelf.backend.requests[1].lowerBound == after)
    }

    @Test func `an answer that is too short is no success`() throws {
        let shelf = try Shelf(1_000_000)
        let file = try shelf.open()
        for number in 1...9 { shelf.backend.inject(.short(after: 0), at: number) }
        #expect(throws: RemoteError.unreachable) { try file.get(1000, at: 700_000) }
        #expect(shelf.backend.requests.count == 1 + ReadRetry.limit)
    }

    @Test func `a service that dies in the middle gives its error, and bytes again when it is back`() throws {
        let shelf = try Shelf(1_000_000)
        let file = try shelf.open()
        for number in 1...3 { shelf.backend.inject(.cut(after: 0, .unreachable), at: number) }
        #expect(throws: RemoteError.unreachable) { try file.get(1000, at: 0) }
        #expect(RemoteError.unreachable.errno == .networkUnreachable)
        #expect(try file.get(1000, at: 0) == shelf.expected(0..<1000))
        shelf.backend.inject(.cut(after: 10, .timedOut))
        #expect(throws: RemoteError.timedOut) { try file.get(1000, at: 900_000) }
        shelf.backend.inject(.cut(after: 10, .credentials))
        #expect(throws: RemoteError.credentials) { try file.get(1000, at: 800_000) }
    }

    @Test func `what fails while it is only read ahead is nobody's error`() throws {
        let shelf = try Shelf(4_000_000)
        let file = try shelf.open()
        shelf.backend.inject(.cut(after: 200_000, .protocolViolation))
        #expect(try file.get(131_072, at: 0) == shelf.expected(0..<131_072))
        for offset in stride(from: 131_072, to: 4_000_000, by: 131_072) {
            #expect(try file.get(131_072, at: UInt64(offset)) == shelf.expected(offset..<offset + 131_072))
        }
    }

    @Test func `a caller that is let go is not answered, and the others are`() throws {
        let shelf = try Shelf(1_000_000)
        let file = try shelf.open()
        _ = try file.get(10, at: 0)
        shelf.backend.freeze()
        let answers = Monitor(0)
        let (reader, start) = try shelf.begin(file, 1000, at: 700_000) { _ in
            Issue.record("answered although it was let go")
        }
        guard case .waits(let token) = start else { throw RemoteError.invalidArgument }
        let (_, other) = try shelf.begin(file, 1000, at: 700_500) { result in
            if case .success(let bytes) = result { answers.withLock { $0 += bytes.count } }
        }
        guard case .waits = other else { throw RemoteError.invalidArgument }
        #expect(reader.cancel(token))
        #expect(!reader.cancel(token))
        shelf.backend.thaw()
        #expect(answers.wait(until: .after(.seconds(10))) { $0 == 1000 ? true : nil } == true)
    }

    @Test func `closing ends what is under way, and stopping lets everybody go`() throws {
        let shelf = try Shelf(8_000_000)
        let file = try shelf.open()
        _ = try file.get(10, at: 0)
        shelf.backend.freeze()
        let outcome = Monitor<[RemoteError]>([])
        let note: ContentReader.Completion = { result in
            if case .failure(let error) = result { outcome.withLock { $0.append(error) } }
        }
        _ = try shelf.begin(file, 1000, at: 7_000_000, note)
        file.release()
        #expect(outcome.withLock { $0 } == [.interrupted])
        #expect(eventually { shelf.backend.running == 0 })
        let second = try shelf.open()
        _ = try shelf.begin(second, 1000, at: 7_000_000, note)
        shelf.service.stop()
        #expect(outcome.withLock { $0 } == [.interrupted, .interrupted])
        #expect(eventually { shelf.backend.running == 0 && shelf.service.services.readers.pool.inUse == 0 })
    }

    // MARK: - Services without ranges

    @Test func `a file of a service without ranges comes once, whole, for all who read it`() throws {
        let shelf = try Shelf(3_000_000) { $0.readsRanges = false }
        let files = try (0..<4).map { _ in try shelf.open() }
        for (number, file) in files.enumerated() {
            let start = number * 700_000
            #expect(try file.get(100_000, at: UInt64(start)) == shelf.expected(start..<start + 100_000))
        }
        #expect(shelf.backend.requests == [0..<3_000_000])
        #expect(shelf.tree.staged.count == 1)
        for file in files { file.release() }
        #expect(eventually { shelf.tree.staged.count == 0 })
        #expect(try shelf.tree.get(shelf.id) == shelf.bytes)
        #expect(shelf.backend.requests.count == 2)
    }

    @Test func `its first bytes are read while the last are still to come`() throws {
        let shelf = try Shelf(3_000_000) { $0.readsRanges = false }
        shelf.backend.inject(.stall(after: 1_000_000))
        let file = try shelf.open()
        #expect(try file.get(131_072, at: 0) == shelf.expected(0..<131_072))
        let outcome = Monitor<Int?>(nil)
        let (_, start) = try shelf.begin(file, 1000, at: 2_500_000) { result in
            if case .success(let bytes) = result { outcome.withLock { $0 = bytes.count } }
        }
        guard case .waits = start else { throw RemoteError.invalidArgument }
        #expect(eventually { shelf.backend.isFrozen })
        shelf.backend.thaw()
        #expect(outcome.wait(until: .after(.seconds(10))) { $0 } == 1000)
        #expect(shelf.backend.requests.count == 1)
    }

    @Test func `it begins anew when it is cut off, and is stale when it has changed`() throws {
        let shelf = try Shelf(2_000_000) { $0.readsRanges = false }
        shelf.backend.inject(.cut(after: 1_500_000, .unreachable))
        #expect(try shelf.tree.get(shelf.id) == shelf.bytes)
        #expect(shelf.backend.requests.count == 2)
        let file = try shelf.open()
        shelf.backend.memory.overwrite(shelf.file, [1])
        #expect(throws: RemoteError.changed) { try file.get(1000, at: 0) }
    }

    @Test func `a file larger than the free disk is ENOSPC before anything is asked for`() throws {
        let directory = StagingDirectory(path: "/dev/shm")
        #expect(throws: RemoteError.local(.noSpace, during: .cache)) {
            _ = try directory.makeFile(size: ByteCount(1 << 50))
        }
        #expect(RemoteError.local(.noSpace, during: .cache).message.contains("cache"))
    }
}
