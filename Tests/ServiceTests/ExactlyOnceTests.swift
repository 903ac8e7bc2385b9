import FXSystem
import ServiceFixtures
import Synchronization
import Testing

@testable import FXRemote

/// Exactly once, over the network: whatever happens to one request, at the end every sealed file is at the service once,
/// equal by SHA-256, and nothing else is.
@Suite(.serialized) struct ExactlyOnceTests {
    /// One empty, one of one request, and one of several where files are sent in chunks.
    private static func files(_ kind: NetworkKind) -> [(name: String, bytes: [UInt8])] {
        var files: [(name: String, bytes: [UInt8])] = [
            ("empty.dat", []), ("small.bin", patterned(1000, seed: 1)), ("é x.txt", patterned(70_000, seed: 2)),
        ]
        let chunk = kind == .tus || kind == .weedtus ? 1 << 20 : 5 << 20
        if kind.takesChunks { files.append(("parts.bin", patterned(chunk + 4097, seed: 3))) }
        return files
    }

    /// How many requests it takes when nothing goes wrong.
    private func requests(_ bench: NetworkBench) throws -> Int {
        let run = try bench.run()
        try run.send(ExactlyOnceTests.files(bench.kind))
        try expectExactly(ExactlyOnceTests.files(bench.kind), at: run, "nothing goes wrong")
        let count = try bench.proxy.counter("requests")
        #expect(count > 3)
        return count
    }

    /// Sends the files with a rule in force, which must have been used, and looks.
    private func survive(_ bench: NetworkBench, _ rule: JSONValue, _ circumstances: String) throws {
        let run = try bench.run()
        try bench.proxy.rule(rule)
        let files = ExactlyOnceTests.files(bench.kind)
        do {
            try run.send(files)
        } catch {
            Issue.record("\(bench.kind), \(circumstances): \(error)")
        }
        #expect(try bench.proxy.pendingRules() == 0, "\(bench.kind), \(circumstances): the fault never happened")
        try expectExactly(files, at: run, circumstances)
    }

    @Test(.timeLimit(.minutes(3)), arguments: NetworkKind.allCases)
    func `each answer in turn may be lost`(kind: NetworkKind) throws {
        let bench = try NetworkBench(kind)
        for number in 1...(try requests(bench)) {
            try survive(
                bench, ["number": .integer(Int64(number)), "drop_answer": true], "the answer \(number) is lost")
        }
    }

    @Test(.timeLimit(.minutes(3)), arguments: NetworkKind.allCases)
    func `each request in turn may be cut before it begins, in its head and in its body`(kind: NetworkKind) throws {
        let bench = try NetworkBench(kind)
        for number in 1...(try requests(bench)) {
            // Each request is longer than 100 bytes, so that all of these happen.
            let offset = [0, 1, 60, 100][number % 4]
            try survive(
                bench,
                [
                    "number": .integer(Int64(number)), "cut_request_after": .integer(Int64(offset)),
                    "reset": .bool(number % 2 == 0),
                ], "request \(number) is cut after \(offset) bytes")
        }
    }

    @Test(.timeLimit(.minutes(3)), arguments: NetworkKind.allCases)
    func `the body of an upload may be cut anywhere`(kind: NetworkKind) throws {
        let bench = try NetworkBench(kind)
        // Heads have some 450 bytes there; elsewhere more, or forms before the bytes. An empty file has no chunk.
        let small = kind == .mft ? [500, 1_000, 1_300] : [500, 1_000, 1_700]
        for offset in small + [20_000, 70_000] {
            // SeaweedFS is asked once more what it is, and an empty file takes a request without a body.
            let before = kind == .weedtus ? 2 : kind == .tus ? 1 : 0
            let skip = offset < 2000 ? before : kind == .s3 || kind == .opentera ? 2 : before + 1
            try survive(
                bench,
                [
                    "method": .string(kind.uploadMethod), "path": .string(kind.uploadPath),
                    "skip": .integer(Int64(skip)),
                    "cut_request_after": .integer(Int64(offset)),
                ], "an upload is cut after \(offset) bytes")
        }
    }

    @Test(.timeLimit(.minutes(3)), arguments: NetworkKind.allCases)
    func `each answer in turn may be cut`(kind: NetworkKind) throws {
        let bench = try NetworkBench(kind)
        for number in 1...(try requests(bench)) {
            // Every answer has a longer head.
            let offset = [0, 5, 40][number % 3]
            try survive(
                bench,
                ["number": .integer(Int64(number)), "cut_response_after": .integer(Int64(offset))],
                "the answer \(number) is cut after \(offset) bytes")
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: NetworkKind.allCases, [500, 502, 503, 504, 429])
    func `each request in turn may be refused for a moment`(kind: NetworkKind, status: Int) throws {
        let bench = try NetworkBench(kind)
        for number in 1...(try requests(bench)) {
            try survive(
                bench, ["number": .integer(Int64(number)), "status": .integer(Int64(status))],
                "request \(number) is answered \(status)")
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: NetworkKind.allCases, [500, 502, 503, 504, 429])
    func `uploads may be refused several times in a row`(kind: NetworkKind, status: Int) throws {
        let bench = try NetworkBench(kind)
        try survive(
            bench,
            [
                "method": .string(kind.uploadMethod), "skip": 1, "times": 4,
                "status": .integer(Int64(status)),
            ], "four uploads are answered \(status)")
    }

    @Test(.timeLimit(.minutes(2)), arguments: NetworkKind.allCases)
    func `the service may be away for a while at any request`(kind: NetworkKind) throws {
        let bench = try NetworkBench(kind)
        for number in stride(from: 1, through: try requests(bench), by: 2) {
            let run = try bench.run()
            // The request waits long enough to be caught under way.
            try bench.proxy.rule(["number": .integer(Int64(number)), "delay_milliseconds": 60])
            let interruption = try Interruption(bench, at: number)
            let files = ExactlyOnceTests.files(kind)
            try run.send(files)
            #expect(interruption.finish(), "request \(number) never came")
            try expectExactly(files, at: run, "the service goes away at request \(number)")
        }
    }

    @Test(.timeLimit(.minutes(2)), arguments: NetworkKind.reading)
    func `a program that knows nothing any more finds what it sent`(kind: NetworkKind) throws {
        let bench = try NetworkBench(kind)
        let run = try bench.run()
        let session = try run.session()
        let bytes = patterned(50_000, seed: 9)
        let upload = try run.upload("again.bin", bytes, in: session)
        var driver = UploadDriver(run.backend)
        let first = try driver.send(bytes, as: upload)
        // Another process asks, with the journal's knowledge alone.
        let later = try bench.again(run)
        var known = upload
        if kind == .mft {
            // Nobody can be asked what an open group holds; the journal's note and ranges are the ledger.
            known.note = String(first.remoteID.dropFirst("file/".count))
            known.acknowledged = ByteRanges(upTo: known.size.rawValue)
            #expect(try later.backend.standing(of: known) == .partial(known.acknowledged))
            known.note = try later.backend.begin(known)
            // Whether it was ended is not told either: it is taken back and sent anew, and there is one.
            #expect(throws: RemoteError.expired) { try later.backend.commit(known) }
            var again = UploadDriver(later.backend)
            known.note = nil
            known.acknowledged = ByteRanges()
            #expect(try again.send(bytes, as: known).size == first.size)
            #expect(try bench.held(run) == ["again.bin": [sha256Text(bytes)]])
            return
        }
        known.note = driver.note
        if case .committed(let second) = try later.backend.standing(of: known) {
            #expect(second == first)
        } else {
            // SeaweedFS forgets an upload that is whole: sending it again ends in the same file.
            #expect(kind == .weedtus, "\(kind): not found again")
            var again = UploadDriver(later.backend)
            _ = try again.send(bytes, as: upload)
        }
        #expect(try bench.held(run) == ["again.bin": [sha256Text(bytes)]])
    }
}

/// Takes the service away as soon as a request has come, and brings it back a little later.
private final class Interruption: Sendable {
    private let outcome = Monitor<Bool?>(nil)

    init(_ bench: NetworkBench, at number: Int) throws {
        let outcome = outcome
        let proxy = bench.proxy
        _ = try ServiceThread(name: "interruption") {
            let deadline = ContinuousDeadline.after(.seconds(20))
            var happened = false
            while !deadline.hasPassed {
                guard let count = try? proxy.counter("requests") else { break }
                if count < number { continue }
                try? proxy.set(["down": true])
                if bench.kind == .opentera { try? bench.openTera.restart() }
                _ = Monitor(()).wait(until: .after(.milliseconds(40))) { _ -> Bool? in nil }
                try? proxy.set(["down": false])
                happened = true
                break
            }
            outcome.withLock { $0 = happened }
        }
    }

    func finish() -> Bool { outcome.wait(until: .after(.seconds(25))) { $0 } ?? false }
}

/// Bytes without repetition, the same for the same seed.
func patterned(_ count: Int, seed: UInt64) -> [UInt8] {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    return [UInt8](unsafeUninitializedCapacity: count) { space, filled in
        for index in 0..<count {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            space[index] = UInt8(truncatingIfNeeded: state >> 24)
        }
        filled = count
    }
}
