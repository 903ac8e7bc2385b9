import Crypto
import FXSystem
import ServiceFixtures
import SystemPackage
import Testing

@testable import FXRemote

/// Exactly once through everything a mount uses: tree, spool, journal, engine and backend.
@Suite(.serialized) struct EngineOverNetworkTests {
    private static let files: [(name: String, bytes: [UInt8])] = [
        ("a.bin", patterned(3000, seed: 1)), ("b.dat", patterned(1, seed: 2)), ("c.txt", patterned(200_000, seed: 3)),
    ]

    private func send(_ bench: NetworkBench, _ circumstances: String) throws {
        let run = try bench.run()
        try send(run, circumstances)
    }

    private func send(_ run: NetworkBench.Run, _ circumstances: String) throws {
        let engine = try EngineBench(run, connections: 1)
        defer {
            engine.stop()
            EngineBench.remove(engine.path)
        }
        do {
            let session = try engine.session()
            for file in EngineOverNetworkTests.files { try engine.put(file.name, file.bytes, in: session) }
        } catch {
            Issue.record("\(run.bench.kind), \(circumstances): \(error)")
        }
        try expectExactly(EngineOverNetworkTests.files, at: run, circumstances)
    }

    private func requests(_ bench: NetworkBench) throws -> Int {
        try send(bench, "nothing goes wrong")
        return try bench.proxy.counter("requests")
    }

    @Test(.timeLimit(.minutes(4)), arguments: NetworkKind.allCases)
    func `each answer in turn may be lost under a program that writes files`(kind: NetworkKind) throws {
        let bench = try NetworkBench(kind)
        for number in 1...(try requests(bench)) {
            let run = try bench.run()
            try bench.proxy.rule(["number": .integer(Int64(number)), "drop_answer": true])
            try send(run, "the answer \(number) is lost")
        }
    }

    @Test(.timeLimit(.minutes(4)), arguments: NetworkKind.allCases)
    func `a crash at any request, with its answer lost, is gone on from`(kind: NetworkKind) throws {
        let bench = try NetworkBench(kind)
        // Until the session is there nothing was promised.
        let run = try bench.run()
        let trial = try EngineBench(run, connections: 1)
        _ = try trial.session()
        let first = try bench.proxy.counter("requests")
        trial.stop()
        EngineBench.remove(trial.path)
        for number in (first + 1)...(try requests(bench)) { try crash(bench, at: number) }
    }

    private func crash(_ bench: NetworkBench, at number: Int) throws {
        let files = EngineOverNetworkTests.files
        let run = try bench.run()
        let before = try EngineBench(run, commit: .journal, connections: 1)
        let session = try before.session()
        try bench.proxy.rule(["number": .integer(Int64(number)), "stall_answer": true])
        for file in files { try before.put(file.name, file.bytes, in: session) }
        // Everything is sealed. The crash comes when the request has been carried out and nobody knows.
        let deadline = ContinuousDeadline.after(.seconds(15))
        var isCarriedOut = false
        while !isCarriedOut, !deadline.hasPassed {
            isCarriedOut = try bench.proxy.log().contains { $0.isTreated && $0.upstreamStatus > 0 }
        }
        #expect(isCarriedOut, "\(bench.kind): request \(number) never came")
        // Something is still to be done, else this is no crash in the middle.
        #expect(before.tree.state.withLock { !$0.active.isEmpty }, "\(bench.kind), request \(number)")
        let left = try before.snapshot()
        before.stop()
        EngineBench.remove(before.path)
        try bench.proxy.clearRules()
        let after = try EngineBench(try bench.again(run), at: left, commit: .journal, connections: 1)
        defer {
            after.stop()
            EngineBench.remove(left)
        }
        do { try after.settle() } catch { Issue.record("\(bench.kind), a crash at request \(number): \(error)") }
        try expectExactly(files, at: run, "a crash at request \(number)")
    }

    @Test(.timeLimit(.minutes(5)), arguments: [NetworkKind.s3, .tus, .opentera])
    func `a file of 1 GiB, or the largest there may be, arrives whole, and a larger one is refused`(kind: NetworkKind)
        throws
    {
        let bench = try NetworkBench(kind)
        let run = try bench.run()
        let engine = try EngineBench(run)
        defer {
            engine.stop()
            EngineBench.remove(engine.path)
        }
        let limit = run.backend.facts.maximumFileSize
        let size = min(limit?.rawValue ?? .max, 1 << 30)
        #expect(size == (kind == .opentera ? limit?.rawValue : 1 << 30) && size > 499 << 20)
        let session = try engine.session()
        func create(_ name: String) throws -> RemoteFile {
            try engine.tree.create(
                try Name(name), in: session, mode: 0o644, flags: [.readWrite, .create], caller: EngineBench.caller
            ).1
        }
        let file = try create("big")
        let written = try write(size, to: file)
        if let limit, limit == ByteCount(size) {
            let larger = try create("larger")
            let byte: [UInt8] = [1]
            #expect(throws: RemoteError.tooLarge(limit: limit)) {
                _ = try byte.withUnsafeBytes { try larger.write($0, at: size) }
            }
            #expect(throws: RemoteError.self) { try engine.wait(60) { larger.flush(caller: EngineBench.caller, $0) } }
            larger.release()
        }
        // Parts were sent before the close, where there are parts.
        let early = try bench.proxy.log().count { $0.method == kind.uploadMethod && $0.sent >= 1 << 20 }
        #expect(kind == .opentera ? early == 0 : early > 10, "\(early) were sent")
        try engine.wait(200) { file.flush(caller: EngineBench.caller, $0) }
        file.release()
        if kind == .s3 {
            let weed = try SeaweedFS.shared
            let objects = try weed.objects(below: run.prefix).filter { $0.key.hasSuffix("/big") }
            #expect(objects.map { UInt64($0.size) } == [size])
            #expect(try weed.sha256(of: try #require(objects.first), pieces: 16 << 20) == written)
        } else {
            #expect(try bench.held(run) == ["big": [written]])
        }
        #expect(try bench.leftovers(run).isEmpty)
    }

    /// Zeros, with the number of the block somewhere in each.
    /// - Returns: their SHA-256.
    private func write(_ size: UInt64, to file: RemoteFile) throws -> String {
        var block = [UInt8](repeating: 0, count: 1 << 20)
        var hasher = SHA256()
        for number in 0...Int((size - 1) >> 20) {
            let start = UInt64(number) << 20
            let count = Int(min(UInt64(block.count), size - start))
            let place = (number * 7919) % (block.count - 8)
            for byte in 0..<8 { block[place + byte] = UInt8(truncatingIfNeeded: (number + 1) >> (8 * byte)) }
            try block.withUnsafeBytes { whole in
                let piece = UnsafeRawBufferPointer(rebasing: whole[..<count])
                hasher.update(bufferPointer: piece)
                _ = try file.write(piece, at: start)
            }
            for byte in 0..<8 { block[place + byte] = 0 }
        }
        return hasher.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
