import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// A connection on which nothing moves any more, as after a sleep or behind a router that forgot it: the upload ends
/// by itself, asks what has arrived and goes on.
@Suite(.serialized) struct SilenceOverNetworkTests {
    /// Of a request that carries a part of the file.
    private func rule(_ kind: NetworkKind) -> JSONValue {
        if kind == .s3 { return ["method": "PUT", "contains": "partNumber=2", "stall": true] }
        return [
            "method": .string(kind.uploadMethod), "path": .string(kind.uploadPath),
            "skip": .integer(kind.takesChunks ? 1 : 0), "stall": true,
        ]
    }

    @Test(.timeLimit(.minutes(2)), arguments: [NetworkKind.s3, .opentera, .mft, .tus])
    func `an upload that goes silent once is there once, with equal bytes`(kind: NetworkKind) throws {
        let bench = try NetworkBench(kind)
        var options = HTTPOptions()
        // Long enough for every answer of a busy machine, and no minute.
        options.longestSilence = .seconds(3)
        let run = try bench.run(options: options)
        let engine = try EngineBench(run, connections: 2)
        defer {
            engine.stop()
            EngineBench.remove(engine.path)
        }
        let file = (name: "large.bin", bytes: noise(12 << 20, seed: 7))
        let session = try engine.session()
        try bench.proxy.rule(rule(kind))
        try engine.put(file.name, file.bytes, in: session)
        let log = try bench.proxy.log()
        let silent = log.filter(\.isTreated)
        #expect(silent.count == 1, "\(kind)")
        #expect(try bench.proxy.pendingRules() == 0)
        // It carried bytes of the file, and nothing of it came through.
        #expect(silent.allSatisfy { $0.upstreamStatus == 0 && !$0.target.contains("/infos") }, "\(kind)")
        try expectExactly([file], at: run, "one upload goes silent")
        // What was not silent was not sent again.
        if kind == .s3, let lost = silent.first {
            let parts = log.filter { $0.method == "PUT" && $0.target.contains("partNumber=") && !$0.isTreated }
            #expect(Set(parts.map(\.target)).count == parts.count, "\(parts.map(\.target))")
            #expect(parts.contains { $0.target == lost.target && $0.number > lost.number })
        }
    }
}
