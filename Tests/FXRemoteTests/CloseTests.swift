import FXSystem
import Synchronization
import SystemPackage
import Testing

@testable import FXRemote

/// What close(2) answers: always something, and success only for bytes that are where they should be.
@Suite struct CloseTests {
    private func draft(of id: EntryID, in tree: RemoteTree) throws -> Revision {
        try #require(tree.state.withLock { $0.index[id]?.draft })
    }

    @Test(arguments: [false, true]) func `a wait that begins after the end is answered at once`(fails: Bool) throws {
        let bench = try Workbench()
        let store = FaultyService(try LocalStore(path: bench.path + "/store"))
        if fails { store.inject(.refuse(.forbidden), at: .adopt, number: 1) }
        let service = try bench.service(store)
        try service.start()
        defer { service.stop() }
        let tree = service.trees[0]
        let session = try tree.session("s")
        let (entry, file) = try tree.create(Name("f"), in: session, mode: 0o644, exclusive: true, caller: me)
        defer { file.release() }
        try file.put([1], at: 0)
        let revision = try draft(of: entry.id, in: tree)
        if fails { #expect(throws: RemoteError.forbidden) { try file.close() } } else { try file.close() }
        let late: () throws -> Void = {
            try waiting { completion in
                let token = tree.waits.begin(completion)
                tree.finish(token, afterCommitOf: revision) { _ in }
                return token
            }
        }
        if fails { #expect(throws: RemoteError.forbidden, performing: late) } else { try late() }
    }

    @Test func `every close is answered while many write the same files`() throws {
        let bench = try Workbench()
        let service = try bench.service()
        try service.start()
        let tree = service.trees[0]
        let session = try tree.session("s")
        let unanswered = Mutex<[String]>([])
        let deadline = ContinuousDeadline.after(.seconds(3))
        var threads: [WorkerThread] = []
        for worker in 0..<6 {
            threads.append(
                try WorkerThread(name: "closer-\(worker)") {
                    var step = 0
                    while !deadline.hasPassed, unanswered.withLock({ $0.isEmpty }) {
                        do { try tree.put("f\(step % 2)", pattern(100, seed: UInt64(step)), in: session) } catch {
                            unanswered.withLock { $0.append("\(worker) at \(step): \(error)") }
                        }
                        step += 1
                    }
                })
        }
        for thread in threads { thread.join() }
        #expect(unanswered.withLock { $0 } == [])
        service.stop()
    }

    @Test func `the second writer of refused bytes is told too`() throws {
        let bench = try Workbench()
        let store = FaultyService(try LocalStore(path: bench.path + "/store"))
        store.inject(.refuse(.forbidden), at: .adopt, number: 1)
        let service = try bench.service(store)
        try service.start()
        defer { service.stop() }
        let tree = service.trees[0]
        let session = try tree.session("s")
        let (entry, first) = try tree.create(Name("f"), in: session, mode: 0o644, exclusive: true, caller: me)
        let second = try tree.open(entry.id, flags: .writeOnly, caller: me)
        try first.put([1, 2], at: 0)
        try second.put([3, 4], at: 2)
        #expect(throws: RemoteError.forbidden) { try first.close() }
        #expect(throws: RemoteError.forbidden) { try second.close() }
        first.release()
        second.release()
    }

    @Test func `the second writer waits for the upload of its bytes`() throws {
        let bench = try Workbench()
        let gate = Monitor(false)
        let store = FaultyService(
            try LocalStore(path: bench.path + "/store"),
            observe: { call, moment in
                if call == .adopt, moment == .before { _ = gate.wait(until: .after(.seconds(20))) { $0 ? true : nil } }
            })
        let service = try bench.service(store)
        try service.start()
        defer { service.stop() }
        let tree = service.trees[0]
        let session = try tree.session("s")
        let (entry, first) = try tree.create(Name("f"), in: session, mode: 0o644, exclusive: true, caller: me)
        let second = try tree.open(entry.id, flags: .writeOnly, caller: me)
        try first.put([1, 2], at: 0)
        try second.put([3, 4], at: 2)
        let ended = Monitor(0)
        _ = first.flush(caller: me) { _ in ended.withLock { $0 += 1 } }
        #expect(eventually { (try? tree.entry(entry.id))?.fileState == .uploading })
        _ = second.flush(caller: me) { _ in ended.withLock { $0 += 1 } }
        #expect(ended.withLock { $0 } == 0)
        gate.withLock { $0 = true }
        #expect(ended.wait(until: .after(.seconds(20))) { $0 == 2 ? true : nil } == true)
        #expect(bench.stored == ["s/f": [1, 2, 3, 4]])
        first.release()
        second.release()
    }

    @Test func `closing a file that was removed while open is a success`() throws {
        let bench = try Workbench()
        let service = try bench.service()
        try service.start()
        defer { service.stop() }
        let tree = service.trees[0]
        let session = try tree.session("s")
        let (_, file) = try tree.create(Name("f"), in: session, mode: 0o644, exclusive: true, caller: me)
        try file.put([1], at: 0)
        try tree.remove(Name("f"), in: session, caller: me)
        try file.put([2], at: 1)
        try file.close()
        file.release()
        #expect(bench.stored.isEmpty)
    }
}
