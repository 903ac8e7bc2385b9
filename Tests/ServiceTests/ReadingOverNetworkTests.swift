import FXSystem
import ServiceFixtures
import Synchronization
import Testing

@testable import FXRemote

/// Reading through everything a mount uses, from real services with a proxy that fails by rule in between.
@Suite(.serialized) struct ReadingOverNetworkTests {
    private static let bytes = patterned(9_000_001, seed: 11)
    /// Services that give ranges, and list what others have put there.
    static let kinds: [NetworkKind] = [.s3, .opentera]

    /// One file at a service, as a mount that knows nothing of it finds it.
    private final class Reading {
        let bench: NetworkBench
        let run: NetworkBench.Run
        let engine: EngineBench
        let stored: StoredFile
        let id: EntryID

        init(_ kind: NetworkKind, _ bytes: [UInt8] = ReadingOverNetworkTests.bytes) throws {
            bench = try NetworkBench(kind)
            run = try bench.run()
            stored = try #require(try run.send([("f", bytes)]).first)
            engine = try EngineBench(run)
            let session = try engine.session()
            id = try engine.tree.lookup(Name("f"), in: session).id
            // Whatever has to be asked once has been asked.
            let file = try engine.tree.open(id, flags: .readOnly, caller: EngineBench.caller)
            _ = try file.bytes(1, at: UInt64(bytes.count) - 1)
            file.release()
        }

        deinit {
            engine.stop()
            EngineBench.remove(engine.path)
            bench.proxy.stop()
        }

        func open() throws -> RemoteFile {
            try engine.tree.open(id, flags: .readOnly, caller: EngineBench.caller)
        }

        /// Everything, as cp reads it.
        func all(_ file: RemoteFile) throws -> [UInt8] {
            var got: [UInt8] = []
            while true {
                let piece = try file.bytes(131_072, at: UInt64(got.count))
                if piece.isEmpty { return got }
                got += piece
            }
        }
    }

    /// A request that brings bytes of the file, and whatever else comes in between, is treated.
    private func rule(_ what: JSONValue.Member..., times: Int64 = 1) -> JSONValue {
        .object([.init("method", "GET"), .init("times", .integer(times))] + what)
    }

    @Test(.timeLimit(.minutes(2)), arguments: ReadingOverNetworkTests.kinds)
    func `a large file is whole, in few requests`(kind: NetworkKind) throws {
        let reading = try Reading(kind)
        try reading.bench.proxy.reset()
        let file = try reading.open()
        #expect(try reading.all(file) == Self.bytes)
        file.release()
        let gets = try reading.bench.proxy.finishedLog().filter { $0.method == "GET" && $0.received > 10_000 }
        #expect(gets.count < 12)
    }

    @Test(.timeLimit(.minutes(2)), arguments: ReadingOverNetworkTests.kinds)
    func `random reads are small at the service too`(kind: NetworkKind) throws {
        let reading = try Reading(kind)
        try reading.bench.proxy.reset()
        let file = try reading.open()
        for offset in [8_000_000, 100_000, 4_000_001, 6_000_000] {
            #expect(try file.bytes(4096, at: UInt64(offset)) == Array(Self.bytes[offset..<offset + 4096]))
        }
        file.release()
        let received = try reading.bench.proxy.finishedLog().reduce(0) { $0 + $1.received }
        #expect(received < 100_000)
    }

    @Test(.timeLimit(.minutes(2)), arguments: ReadingOverNetworkTests.kinds, [500, 70_000, 300_000] as [Int64])
    func `a range that is cut off goes on where it ended`(kind: NetworkKind, after: Int64) throws {
        let reading = try Reading(kind)
        try reading.bench.proxy.reset()
        try reading.bench.proxy.rule(rule(.init("cut_response_after", .integer(after)), times: 2))
        let file = try reading.open()
        #expect(try reading.all(file) == Self.bytes)
        file.release()
        #expect(try reading.bench.proxy.pendingRules() == 0)
    }

    @Test(.timeLimit(.minutes(2)), arguments: ReadingOverNetworkTests.kinds)
    func `an answer with a wrong length is no success`(kind: NetworkKind) throws {
        let reading = try Reading(kind)
        try reading.bench.proxy.reset()
        try reading.bench.proxy.rule(rule(.init("wrong_length", -1000)))
        let file = try reading.open()
        // What the service said is not what was asked for: told, or asked for again; never taken for the bytes.
        do { #expect(try reading.all(file) == Self.bytes) } catch let error as RemoteError {
            #expect(error == .protocolViolation || error == .unreachable)
        }
        #expect(try reading.all(file) == Self.bytes)
        file.release()
    }

    @Test(.timeLimit(.minutes(2)), arguments: ReadingOverNetworkTests.kinds)
    func `a slow body is given as it comes`(kind: NetworkKind) throws {
        let reading = try Reading(kind)
        try reading.bench.proxy.reset()
        try reading.bench.proxy.rule(rule(.init("response_bytes_per_second", 200_000)))
        let file = try reading.open()
        // The first request is for 512 KiB, of which this is a part.
        #expect(try file.bytes(50_000, at: 0) == Array(Self.bytes[..<50_000]))
        file.release()
    }

    @Test(.timeLimit(.minutes(2)), arguments: ReadingOverNetworkTests.kinds)
    func `a service that stalls holds up neither other ranges nor the end`(kind: NetworkKind) throws {
        let reading = try Reading(kind)
        try reading.bench.proxy.reset()
        try reading.bench.proxy.rule(rule(.init("stall", true)))
        let file = try reading.open()
        guard case .service(let reader) = try file.source() else {
            Issue.record("it is read here")
            return
        }
        let outcome = Monitor<RemoteError?>(nil)
        let start = reader.read(1000, at: 5_000_000) { result in
            if case .failure(let error) = result { outcome.withLock { $0 = error } }
        }
        guard case .waits = start else {
            Issue.record("it did not wait")
            return
        }
        let deadline = ContinuousDeadline.after(.seconds(10))
        while try reading.bench.proxy.pendingRules() > 0, !deadline.hasPassed {}
        #expect(try file.bytes(1000, at: 100) == Array(Self.bytes[100..<1100]))
        // Its caller is let go by closing; nobody waits for the deadline of a minute.
        file.release()
        #expect(outcome.wait(until: .after(.seconds(10))) { $0 } == .interrupted)
    }

    @Test(.timeLimit(.minutes(2))) func `an object that another client replaces is ESTALE for its readers`() throws {
        let reading = try Reading(.s3)
        let file = try reading.open()
        #expect(try file.bytes(1000, at: 0) == Array(Self.bytes[..<1000]))
        // Another machine's upload under the same name.
        let other = patterned(Self.bytes.count, seed: 12)
        let session = try reading.run.session()
        var driver = UploadDriver(reading.run.backend)
        _ = try driver.send(other, as: try reading.run.upload("f", other, in: session, replaces: reading.stored))
        #expect(throws: RemoteError.changed) { try file.bytes(1000, at: 7_000_000) }
        #expect(throws: RemoteError.changed) { try file.bytes(1000, at: 0) }
        file.release()
        // The directory is listed anew at once; then the new content is opened.
        let deadline = ContinuousDeadline.after(.seconds(20))
        var got: [UInt8] = []
        while got != other, !deadline.hasPassed {
            let next = try reading.open()
            got = (try? reading.all(next)) ?? []
            next.release()
        }
        #expect(got == other)
    }
}

extension RemoteFile {
    fileprivate func bytes(_ count: Int, at offset: UInt64) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = try bytes.withUnsafeMutableBufferPointer { buffer throws(RemoteError) in
            try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
        }
        return Array(bytes.prefix(got))
    }
}
