import FXSystem
import Synchronization
import SystemPackage
import Testing

@testable import FXRemote

/// Files that are sent while they are still written.
@Suite struct EarlyUploadTests {
    private let bench: Workbench
    private let memory: InMemoryService
    private let backend: FaultyService
    private let service: TransferService
    private let tree: RemoteTree
    private let session: EntryID

    init() throws {
        bench = try Workbench()
        memory = InMemoryService(chunk: ByteCount(1000), parallelChunks: 3, whileWriting: true)
        backend = FaultyService(memory)
        service = try bench.service(backend)
        try service.start()
        tree = service.trees[0]
        session = try tree.session("s")
    }

    private func create(_ name: String) throws -> (EntryID, RemoteFile) {
        let (entry, file) = try tree.create(Name(name), in: session, mode: 0o644, exclusive: true, caller: me)
        return (entry.id, file)
    }

    private func acknowledged(_ id: EntryID) -> UInt64 {
        tree.state.withLock { $0.index[id]?.revisions.last?.standing.acknowledged.rawValue ?? 0 }
    }

    private func isSending(_ id: EntryID) -> Bool { tree.state.withLock { $0.index[id]?.isSending ?? false } }

    private func visible(_ path: String) throws -> [UInt8]? { memory.bytes(at: try RelativePath(path)) }

    @Test func `whole chunks go out while a file is written, and nothing is visible before it is closed`() throws {
        defer { service.stop() }
        let bytes = pattern(10_500)
        let (id, file) = try create("f")
        for start in stride(from: 0, to: bytes.count, by: 700) {
            try file.put(Array(bytes[start..<min(start + 700, bytes.count)]), at: UInt64(start))
        }
        #expect(eventually { acknowledged(id) == 10_000 })
        #expect(try tree.entry(id).fileState == .draft)
        #expect(memory.paths.isEmpty)
        let sent = backend.count(of: .send)
        try file.close()
        #expect(try visible("s/f") == bytes)
        // The last piece, and not one chunk twice.
        #expect(backend.count(of: .send) == sent + 1)
        #expect(backend.count(of: .begin) == 1)
        file.release()
    }

    @Test func `a small file is not begun before it is closed`() throws {
        defer { service.stop() }
        let (id, file) = try create("f")
        try file.put(pattern(1_999), at: 0)
        #expect(!isSending(id))
        #expect(backend.count(of: .begin) == 0)
        try file.close()
        #expect(try visible("s/f") == pattern(1_999))
        file.release()
    }

    @Test func `what is rewritten behind the chunks that were sent arrives as it was written last`() throws {
        defer { service.stop() }
        var bytes = pattern(6_000)
        let (id, file) = try create("f")
        try file.put(bytes, at: 0)
        #expect(eventually { acknowledged(id) == 6_000 })
        bytes.replaceSubrange(1_500..<1_510, with: [UInt8](repeating: 7, count: 10))
        try file.put([UInt8](repeating: 7, count: 10), at: 1_500)
        #expect(acknowledged(id) == 5_000)
        bytes += pattern(1_000, seed: 9)
        try file.put(pattern(1_000, seed: 9), at: 6_000)
        #expect(eventually { acknowledged(id) == 6_000 })
        try file.close()
        #expect(try visible("s/f") == bytes)
        #expect(backend.count(of: .begin) == 1)
        file.release()
    }

    @Test(arguments: [0, 1, 999, 1_000, 2_500, 5_999]) func `a file cut behind the chunks that were sent arrives cut`(
        size: Int
    ) throws {
        defer { service.stop() }
        let bytes = pattern(6_000)
        let (id, file) = try create("f")
        try file.put(bytes, at: 0)
        #expect(eventually { acknowledged(id) == 6_000 })
        try file.truncate(to: ByteCount(UInt64(size)))
        try file.close()
        #expect(try visible("s/f") == Array(bytes.prefix(size)))
        #expect(try memory.unfinishedUploads().isEmpty)
        file.release()
    }

    @Test func `renaming a draft begins its upload anew under the new name, and the old one is let go of`() throws {
        defer { service.stop() }
        let bytes = pattern(8_000)
        let (id, file) = try create("f")
        try file.put(Array(bytes.prefix(5_000)), at: 0)
        #expect(eventually { acknowledged(id) == 5_000 })
        try tree.rename(Name("f"), in: session, to: Name("g"), in: session, .replace, caller: me)
        #expect(eventually { backend.count(of: .discard) == 1 })
        try file.put(Array(bytes.suffix(3_000)), at: 5_000)
        #expect(eventually { acknowledged(id) == 8_000 })
        try file.close()
        #expect(try visible("s/g") == bytes)
        #expect(memory.paths == [try RelativePath("s/g")])
        #expect(eventually { (try? memory.unfinishedUploads().isEmpty) == true })
        file.release()
    }

    @Test func `removing a draft lets its upload go`() throws {
        defer { service.stop() }
        let (id, file) = try create("f")
        try file.put(pattern(5_000), at: 0)
        #expect(eventually { acknowledged(id) == 5_000 })
        try tree.remove(Name("f"), in: session, caller: me)
        // Its writer may go on; nobody sends it.
        try file.put(pattern(5_000), at: 5_000)
        try file.close()
        file.release()
        #expect(eventually { (try? memory.unfinishedUploads().isEmpty) == true })
        #expect(memory.paths.isEmpty)
    }

    @Test func `a temporary-looking name is not sent before it has an ordinary one`() throws {
        defer { service.stop() }
        let (id, file) = try create("f.tmp")
        try file.put(pattern(9_000), at: 0)
        try file.close()
        file.release()
        #expect(!isSending(id))
        #expect(backend.count(of: .begin) == 0)
        try tree.rename(Name("f.tmp"), in: session, to: Name("f"), in: session, .replace, caller: me)
        #expect(try visible("s/f") == pattern(9_000))
        #expect(backend.count(of: .begin) == 1)
    }

    @Test func `a draft whose upload had begun is recovered after a crash, and its upload is let go of`() throws {
        let (id, file) = try create("f")
        try file.put(pattern(5_000), at: 0)
        #expect(eventually { acknowledged(id) == 5_000 })
        service.stop()
        #expect(try memory.unfinishedUploads().count == 1)
        let again = try bench.service(backend)
        #expect(bench.files(below: "recovered")["local/s/f"] == pattern(5_000))
        // The service does not answer at first.
        backend.inject(.refuse(.unreachable), at: .discard, number: 1)
        try again.start()
        #expect(eventually { (try? memory.unfinishedUploads().isEmpty) == true })
        again.stop()
        #expect(memory.paths.isEmpty)
        let third = try bench.service(backend)
        try third.start()
        third.stop()
        #expect(backend.count(of: .discard) == 2)
        file.release()
    }

    @Test func `what the service refuses while a file is written is told at the next write`() throws {
        defer { service.stop() }
        for number in 1...2 { backend.inject(.refuse(.quotaExceeded), at: .send, number: number) }
        let (id, file) = try create("f")
        try file.put(pattern(3_000), at: 0)
        #expect(eventually { !isSending(id) && backend.count(of: .send) > 0 })
        #expect(throws: RemoteError.quotaExceeded) { try file.put([1], at: 3_000) }
        #expect(throws: RemoteError.quotaExceeded) { try file.close() }
        file.release()
        #expect(memory.paths.isEmpty)
        // Whoever opens it for writing again tries again.
        let later = try tree.open(id, flags: .readWrite, caller: me)
        try later.put([1], at: 3_000)
        try later.close()
        #expect(try visible("s/f") == pattern(3_000) + [1])
        later.release()
    }

    @Test func `an upload the service has forgotten is sent from the start`() throws {
        defer { service.stop() }
        let (id, file) = try create("f")
        try file.put(pattern(5_000), at: 0)
        #expect(eventually { acknowledged(id) == 5_000 })
        memory.forgetUploads()
        try file.close()
        #expect(try visible("s/f") == pattern(5_000))
        file.release()
    }

    @Test func `a lost answer of every call of an early upload changes nothing`() throws {
        for call in [FaultyService.Call.begin, .send, .commit] {
            for number in 1...4 {
                let bench = try Workbench()
                let memory = InMemoryService(chunk: ByteCount(1000), parallelChunks: 3, whileWriting: true)
                let backend = FaultyService(memory)
                backend.inject(
                    number % 2 == 0 ? .loseAnswer(.timedOut) : .refuse(.unreachable), at: call, number: number)
                let service = try bench.service(backend)
                try service.start()
                let tree = service.trees[0]
                let session = try tree.session("s")
                let (_, file) = try tree.create(Name("f"), in: session, mode: 0o644, exclusive: true, caller: me)
                for part in 0..<6 { try file.put(pattern(900, seed: UInt64(part + 1)), at: UInt64(part) * 900) }
                try file.close()
                let whole = (0..<6).flatMap { pattern(900, seed: UInt64($0 + 1)) }
                #expect(memory.bytes(at: try RelativePath("s/f")) == whole, "\(call) \(number)")
                #expect(memory.replaced.isEmpty)
                file.release()
                service.stop()
            }
        }
        service.stop()
    }

    @Test func `chunks of one file are under way together, as many as half the connections`() throws {
        service.stop()
        let gate = Monitor((inside: 0, most: 0, isOpen: false))
        let memory = InMemoryService(chunk: ByteCount(1000), parallelChunks: 16)
        let backend = FaultyService(memory) { call, moment in
            if call != .send { return }
            if moment == .after { return gate.withLock { $0.inside -= 1 } }
            gate.withLock { gate in
                gate.inside += 1
                gate.most = max(gate.most, gate.inside)
            }
            _ = gate.wait(until: .after(.seconds(10))) { $0.isOpen ? true : nil }
        }
        let bench = try Workbench()
        let service = try bench.service(backend, commit: .journal, connections: 8)
        try service.start()
        defer { service.stop() }
        let tree = service.trees[0]
        let session = try tree.session("s")
        try tree.put("large", pattern(30_000), in: session)
        #expect(eventually { gate.withLock { $0.inside } == 4 })
        // The others are for small files.
        for number in 0..<8 { try tree.put("f\(number)", [1], in: session) }
        #expect(eventually { gate.withLock { $0.inside } == 8 })
        gate.withLock { $0.isOpen = true }
        try waiting { tree.waitUntilCommitted(below: session, $0) }
        #expect(gate.withLock { $0.most } == 8)
        #expect(memory.bytes(at: try RelativePath("s/large")) == pattern(30_000))
    }

    @Test func `after a crash every sealed file arrives once, and no other, whatever was sent early`() throws {
        service.stop()
        let bench = try Workbench()
        let camera = try CrashTests.Camera(bench)
        let backend = FaultyService(
            ChunkService(path: bench.path + "/service", chunk: 1000), observe: camera.observe)
        let service = try bench.service(backend, didCommit: camera.note)
        try service.start()
        let tree = service.trees[0]
        let session = try tree.session("s")
        var expected: [String: [UInt8]] = [:]
        for name in ["plain", "patched", "cut"] {
            let (entry, file) = try tree.create(Name(name), in: session, mode: 0o644, exclusive: true, caller: me)
            var bytes = pattern(4_200, seed: UInt64(name.utf8.count))
            try file.put(bytes, at: 0)
            #expect(eventually { (try? tree.attribute("progress", of: entry.id)) == "4000/4200" })
            if name == "patched" {
                try file.put([1, 2, 3], at: 10)
                bytes.replaceSubrange(10..<13, with: [1, 2, 3])
            }
            if name == "cut" {
                try file.truncate(to: ByteCount(1_500))
                bytes = Array(bytes.prefix(1_500))
            }
            expected[name] = bytes
            try file.close()
            file.release()
        }
        let (_, open) = try tree.create(Name("open"), in: session, mode: 0o644, exclusive: true, caller: me)
        try open.put(pattern(3_000), at: 0)
        camera.take("end")
        service.stop()
        #expect(camera.pictures.count > 20)
        for picture in camera.pictures { try check(picture, expected) }
        open.release()
    }

    private func check(_ picture: CrashTests.Picture, _ expected: [String: [UInt8]]) throws {
        let bench = Workbench(at: picture.path)
        let service = try bench.service(ChunkService(path: picture.path + "/service", chunk: 1000))
        try service.start()
        let tree = service.trees[0]
        if let session = try? tree.lookup(try Name("s"), in: .root) {
            try waiting { tree.waitUntilCommitted(below: session.id, $0) }
        }
        #expect(eventually { bench.files(below: "service/parts").isEmpty }, "\(picture.label): not let go of")
        service.stop()
        let visible = bench.files(below: "service/visible")
        for (path, bytes) in visible {
            #expect(expected[String(path.dropFirst(2))] == bytes, "\(picture.label): torn or unsealed \(path)")
        }
        for name in picture.sealed { #expect(visible["s|" + name] != nil, "\(picture.label): lost \(name)") }
        #expect(bench.files(below: "service/replaced").isEmpty, "\(picture.label): sent twice")
        #expect(bench.files(below: "spool").isEmpty, "\(picture.label): left in the spool")
    }
}
