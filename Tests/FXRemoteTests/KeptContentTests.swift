import FXSystem
import Synchronization
import SystemPackage
import Testing

@testable import FXRemote

/// The sentences K1 to K5 of docs/SEMANTICS.md: committed files that are still in the spool.
@Suite struct KeptContentTests {
    /// A service that takes files and never gives them back.
    private func oneWay(expires: Timestamp? = nil) -> InMemoryService {
        InMemoryService(expires: expires) {
            $0.isRemote = true
            $0.readsBack = false
        }
    }

    private func network() -> FaultyService {
        FaultyService(InMemoryService { $0.isRemote = true })
    }

    private func spoolFiles(_ bench: Workbench) -> Int { bench.files(below: "spool").count }

    @Test func `what a service does not give back is read from the spool, after a restart too`() throws {
        let bench = try Workbench()
        let backend = oneWay()
        let bytes = pattern(300_000)
        var service = try bench.service(backend)
        try service.start()
        let session = try service.trees[0].session("s")
        let id = try service.trees[0].put("f", bytes, in: session)
        #expect(try service.trees[0].attribute("state", of: id) == "committed")
        #expect(try service.trees[0].get(id) == bytes)
        service.stop()
        for _ in 0..<2 {
            service = try bench.service(backend)
            try service.start()
            let found = try service.trees[0].entry(at: RelativePath([Name("s"), Name("f")]))
            #expect(found.fileState == .committed)
            #expect(try service.trees[0].get(found.id) == bytes)
            service.stop()
        }
        #expect(spoolFiles(bench) == 1)
        #expect(backend.bytes(at: try RelativePath([Name("s"), Name("f")])) == bytes)
    }

    @Test func `a kept file can be changed, and only its newest content is kept`() throws {
        let bench = try Workbench()
        let service = try bench.service(oneWay())
        try service.start()
        defer { service.stop() }
        let tree = service.trees[0]
        let id = try tree.put("f", pattern(100_000), in: try tree.session("s"))
        let file = try tree.open(id, flags: .readWrite, caller: me)
        try file.put([1, 2, 3], at: 50_000)
        try file.close()
        file.release()
        var wanted = pattern(100_000)
        wanted.replaceSubrange(50_000..<50_003, with: [1, 2, 3])
        #expect(try tree.get(id) == wanted)
        #expect(eventually { spoolFiles(bench) == 1 })
    }

    @Test func `a kept file goes at its expiry and says so`() throws {
        let bench = try Workbench()
        let time = Mutex(Timestamp(seconds: 1_000))
        let clock = WallClock { time.withLock { $0 } }
        let backend = oneWay(expires: Timestamp(seconds: 2_000))
        var service = try bench.service(backend, clock: clock)
        try service.start()
        let tree = service.trees[0]
        let id = try tree.put("f", pattern(1_000), in: try tree.session("s"))
        #expect(try tree.attribute("expires", of: id) == Timestamp(seconds: 2_000).rfc3339)
        #expect(try tree.get(id) == pattern(1_000))
        time.withLock { $0 = Timestamp(seconds: 2_000) }
        #expect(try tree.attribute("state", of: id) == "expired")
        #expect(throws: RemoteError.expired) { try tree.get(id) }
        #expect(RemoteError.expired.errno == .staleNFSFileHandle)
        #expect(eventually { spoolFiles(bench) == 0 })
        service.stop()
        service = try bench.service(backend, clock: clock)
        let found = try service.trees[0].entry(at: RelativePath([Name("s"), Name("f")]))
        #expect(try service.trees[0].attribute("expires", of: found.id) == Timestamp(seconds: 2_000).rfc3339)
        #expect(try service.trees[0].attribute("state", of: found.id) == "expired")
    }

    @Test func `an expiry that passed while nothing was mounted frees the spool at the start`() throws {
        let bench = try Workbench()
        let backend = oneWay(expires: Timestamp(seconds: 2_000))
        let before = try bench.service(backend, clock: WallClock { Timestamp(seconds: 1_000) })
        try before.start()
        _ = try before.trees[0].put("f", pattern(1_000), in: try before.trees[0].session("s"))
        before.stop()
        #expect(spoolFiles(bench) == 1)
        let after = try bench.service(backend, clock: WallClock { Timestamp(seconds: 3_000) })
        #expect(spoolFiles(bench) == 0)
        _ = after
    }

    @Test func `with spool.keep = all a service is not asked for what was written here`() throws {
        let bench = try Workbench()
        let backend = network()
        let service = try bench.service(backend, keeping: .all)
        try service.start()
        defer { service.stop() }
        let tree = service.trees[0]
        let id = try tree.put("f", pattern(70_000), in: try tree.session("s"))
        #expect(try tree.get(id) == pattern(70_000))
        #expect(backend.count(of: .open) == 0)
        guard case .here = try tree.open(id, flags: .readOnly, caller: me).source() else {
            Issue.record("it would be read from the service")
            return
        }
    }

    @Test func `with spool.keep = none it is, and the spool is empty`() throws {
        let bench = try Workbench()
        let backend = network()
        let service = try bench.service(backend)
        try service.start()
        defer { service.stop() }
        let tree = service.trees[0]
        let id = try tree.put("f", pattern(70_000), in: try tree.session("s"))
        #expect(eventually { spoolFiles(bench) == 0 })
        #expect(try tree.get(id) == pattern(70_000))
        #expect(backend.count(of: .open) == 1)
    }

    @Test func `what is only kept to be read goes for room, the oldest use first, and is then read from the service`()
        throws
    {
        let bench = try Workbench()
        let backend = network()
        let service = try bench.service(backend, keeping: .all)
        try service.start()
        defer { service.stop() }
        let tree = service.trees[0]
        let session = try tree.session("s")
        let (old, young) = (try tree.put("old", pattern(1_000), in: session), try tree.put("young", [1], in: session))
        #expect(try tree.get(old) == pattern(1_000))
        #expect(eventually { service.services.kept.spareBytes == 1_001 })
        #expect(service.services.kept.makeRoom(for: 1))
        // 64 MiB at least are asked for: both went.
        #expect(!service.services.kept.makeRoom(for: 1))
        #expect(spoolFiles(bench) == 0)
        #expect(try tree.get(old) == pattern(1_000))
        #expect(try tree.get(young) == [1])
        #expect(backend.count(of: .open) == 2)
    }

    @Test func `a switch back to none frees the spool at the next start, and loses nothing`() throws {
        let bench = try Workbench()
        let backend = network()
        var service = try bench.service(backend, keeping: .all)
        try service.start()
        _ = try service.trees[0].put("f", pattern(5_000), in: try service.trees[0].session("s"))
        service.stop()
        #expect(spoolFiles(bench) == 1)
        service = try bench.service(backend)
        try service.start()
        defer { service.stop() }
        #expect(spoolFiles(bench) == 0)
        let found = try service.trees[0].entry(at: RelativePath([Name("s"), Name("f")]))
        #expect(try service.trees[0].get(found.id) == pattern(5_000))
    }

    @Test func `what a service cannot give back does not go for room`() throws {
        let bench = try Workbench()
        let service = try bench.service(oneWay(), keeping: .all)
        try service.start()
        defer { service.stop() }
        let tree = service.trees[0]
        let id = try tree.put("f", pattern(5_000), in: try tree.session("s"))
        #expect(!service.services.kept.makeRoom(for: 1))
        #expect(try tree.get(id) == pattern(5_000))
    }
}
