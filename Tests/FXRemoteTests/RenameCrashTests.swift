import FXSystem
import SystemPackage
import Testing

@testable import FXRemote

/// A rename on the store with its answer lost, or the service ended right after it, is finished at the next start.
@Suite struct RenameCrashTests {
    @Test func `a rename that a crash interrupted is finished at the next start`() throws {
        let bench = try Workbench()
        let camera = try CrashTests.Camera(bench)
        let store = FaultyService(
            try LocalStore(path: bench.path + "/store"),
            observe: { call, moment in if call == .rename { camera.take("\(moment) \(call)") } })
        let service = try bench.service(store)
        try service.start()
        let tree = service.trees[0]
        let session = try tree.session("s")
        try tree.put("a", [1], in: session)
        try tree.put("b", [2], in: session)
        try tree.rename(Name("a"), in: session, to: Name("b"), in: session, .replace, caller: me)
        service.stop()
        #expect(camera.pictures.count == 2)
        for picture in camera.pictures {
            let again = Workbench(at: picture.path)
            let service = try again.service()
            try service.start()
            let tree = service.trees[0]
            #expect(again.stored == ["s/b": [1]], "\(picture.label)")
            #expect(Array(again.files(below: "store/.replaced").values) == [[2]], "\(picture.label)")
            #expect(try tree.get(tree.entry(at: RelativePath("s/b")).id) == [1])
            #expect(throws: RemoteError.noSuchEntry) { try tree.entry(at: RelativePath("s/a")) }
            service.stop()
        }
    }

    @Test func `export copies what the remote refused`() throws {
        let bench = try Workbench()
        let out = try Workbench()
        let store = FaultyService(try LocalStore(path: bench.path + "/store"))
        store.inject(.refuse(.forbidden), at: .adopt, number: 1)
        let service = try bench.service(store)
        try service.start()
        let tree = service.trees[0]
        let session = try tree.session("s")
        #expect(throws: RemoteError.forbidden) { try tree.put("f", [1, 2, 3], in: session) }
        let exported = try service.export(RelativePath("local"), to: out.path)
        #expect(exported == [try RelativePath("local/s/f")])
        #expect(out.files(below: "local") == ["s/f": [1, 2, 3]])
        #expect(service.transfers().map(\.state) == [.failed])
        service.stop()
    }
}
