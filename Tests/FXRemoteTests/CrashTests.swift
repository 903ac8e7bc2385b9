import FXSystem
import Synchronization
import SystemPackage
import Testing

@testable import FXRemote

/// Pictures of the state directory at every step of an upload, as `kill -9` would leave it, each opened again.
@Suite(.serialized) struct CrashTests {
    /// What was true when a picture was taken.
    struct Picture: Sendable {
        var path: String
        var label: String
        /// Names whose seal was durable.
        var sealed: Set<String>
    }

    final class Camera: Sendable {
        private struct Film {
            var pictures: [Picture] = []
            var names: [EntryID: String] = [:]
            var sealed: Set<String> = []
        }
        private let film = Mutex(Film())
        private let calls = Monitor(0)
        let bench: Workbench
        let target: Workbench

        init(_ bench: Workbench) throws {
            self.bench = bench
            target = try Workbench()
        }

        func note(_ changes: [JournalChange]) {
            film.withLock { film in
                for change in changes {
                    if case .put(let row) = change { film.names[row.id] = row.name.description }
                    if case .putRevision(let row) = change, row.state == .queued, let name = film.names[row.entry] {
                        film.sealed.insert(name)
                    }
                }
            }
            take("journal")
        }

        /// Stands beside every call of the service: no picture is taken in the middle of one, for copying a directory
        /// takes longer than a crash.
        func observe(_ call: FaultyService.Call, _ moment: FaultyService.Moment) {
            if moment == .after { calls.withLock { $0 -= 1 } }
            take("\(moment) \(call)", beginning: moment == .before ? 1 : 0)
        }

        /// - Parameter beginning: calls that begin as soon as the picture is taken, and before the next one is.
        func take(_ label: String, beginning: Int = 0) {
            film.withLock { film in
                defer { calls.withLock { $0 += beginning } }
                // A call that failed never comes back; nobody waits for it for long.
                _ = calls.wait(until: .after(.seconds(2))) { $0 == 0 ? true : nil }
                let path = target.path + "/\(film.pictures.count)"
                run("mkdir", path)
                bench.snapshot(to: path)
                film.pictures.append(Picture(path: path, label: label, sealed: film.sealed))
            }
        }

        var pictures: [Picture] { film.withLock { $0.pictures } }
    }

    @Test(arguments: [true, false]) func `after a crash every sealed file arrives once, and no other is sent`(
        adopts: Bool
    ) throws {
        let bench = try Workbench()
        let camera = try Camera(bench)
        let contents = ["a": pattern(10), "b": pattern(300_000), "empty": [], "c": pattern(70_000, seed: 3)]
        let store = FaultyService(
            try LocalStore(path: bench.path + "/store", adoptsSpoolFiles: adopts),
            observe: camera.observe)
        let service = try bench.service(store, didCommit: camera.note)
        try service.start()
        let tree = service.trees[0]
        let session = try tree.session("s")
        for (name, bytes) in contents.sorted(by: { $0.key < $1.key }) { try tree.put(name, bytes, in: session) }
        try tree.put("x.tmp", [1, 2, 3], in: session)
        try tree.rename(Name("x.tmp"), in: session, to: Name("x"), in: session, .replace, caller: me)
        let (_, open) = try tree.create(Name("open"), in: session, mode: 0o644, exclusive: true, caller: me)
        try open.put([9, 9], at: 0)
        try waiting { open.sync($0) }
        camera.take("end")
        service.stop()
        #expect(camera.pictures.count > 20)
        var expected = contents
        expected["x"] = [1, 2, 3]
        for picture in camera.pictures { try check(picture, expected) }
        open.release()
    }

    private func check(_ picture: Picture, _ contents: [String: [UInt8]]) throws {
        let bench = Workbench(at: picture.path)
        let backend = FaultyService(try LocalStore(path: picture.path + "/store"))
        let service = try bench.service(backend)
        try service.start()
        let tree = service.trees[0]
        if let session = try? tree.lookup(try Name("s"), in: .root) {
            try waiting { tree.waitUntilCommitted(below: session.id, $0) }
        }
        service.stop()
        let stored = bench.stored
        let recovered = bench.files(below: "recovered")
        for (path, bytes) in stored {
            #expect(contents[String(path.dropFirst(2))] == bytes, "\(picture.label): torn or unsealed \(path)")
        }
        for name in picture.sealed {
            #expect(stored["s/" + name] != nil, "\(picture.label): lost \(name)")
        }
        #expect(bench.files(below: "store/.replaced").isEmpty, "\(picture.label): sent twice")
        #expect(bench.files(below: "spool").isEmpty, "\(picture.label): left in the spool")
        for path in recovered.keys where path.hasPrefix("local/s/") {
            let name = String(path.dropFirst("local/s/".count))
            #expect(!picture.sealed.contains(name), "\(picture.label): \(name) both ways")
        }
    }

    @Test func `an unsealed file is kept under recovered with its name`() throws {
        let bench = try Workbench()
        let service = try bench.service()
        try service.start()
        let tree = service.trees[0]
        let session = try tree.session("s")
        let (_, file) = try tree.create(Name("open"), in: session, mode: 0o644, exclusive: true, caller: me)
        try file.put(pattern(100_000), at: 0)
        service.stop()
        let again = try bench.service()
        try again.start()
        #expect(bench.files(below: "recovered")["local/s/open"] == pattern(100_000))
        #expect(throws: RemoteError.noSuchEntry) { try again.trees[0].entry(at: RelativePath("s/open")) }
        again.stop()
        file.release()
    }

    @Test(arguments: FaultyService.Call.uploadCalls)
    func `a lost answer is asked for, not repeated`(call: FaultyService.Call) throws {
        for fault in [FaultyService.Fault.loseAnswer(.timedOut), .refuse(.unreachable)] {
            let bench = try Workbench()
            let backend = FaultyService(try LocalStore(path: bench.path + "/store", adoptsSpoolFiles: call == .adopt))
            backend.inject(fault, at: call, number: 1)
            let service = try bench.service(backend)
            try service.start()
            let tree = service.trees[0]
            let session = try tree.session("s")
            try tree.put("f", pattern(100_000), in: session)
            service.stop()
            #expect(bench.stored == ["s/f": pattern(100_000)])
            #expect(bench.files(below: "store/.replaced").isEmpty)
            #expect(backend.count(of: .standing) == 1)
        }
    }

    @Test func `a permanent refusal is remembered and the bytes stay for retry`() throws {
        let bench = try Workbench()
        let backend = FaultyService(try LocalStore(path: bench.path + "/store"))
        backend.inject(.refuse(.quotaExceeded), at: .adopt, number: 1)
        let service = try bench.service(backend)
        try service.start()
        let tree = service.trees[0]
        let session = try tree.session("s")
        let (entry, file) = try tree.create(Name("f"), in: session, mode: 0o644, exclusive: true, caller: me)
        try file.put([1], at: 0)
        #expect(throws: RemoteError.quotaExceeded) { try file.close() }
        #expect(throws: RemoteError.quotaExceeded) { try file.put([2], at: 1) }
        #expect(throws: RemoteError.quotaExceeded) { try file.close() }
        #expect(try tree.entry(entry.id).fileState == .failed)
        #expect(throws: RemoteError.incomplete([try RelativePath("s/f")])) { try tree.complete(session) }
        #expect(service.retry(try RelativePath("local/s")) == 1)
        try waiting { tree.waitUntilCommitted(below: session, $0) }
        #expect(bench.stored == ["s/f": [1]])
        file.release()
        service.stop()
    }
}

extension FaultyService.Call {
    static let uploadCalls: [FaultyService.Call] = [.adopt, .begin, .send, .commit]
}
