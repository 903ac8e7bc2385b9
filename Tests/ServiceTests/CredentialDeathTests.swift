import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// Credentials that are good for the first pieces of a large file and not for the next: what the service has stays, and
/// is not sent again when they are good again and somebody says `retry`.
@Suite(.serialized) struct CredentialDeathTests {
    /// What the service says from then on.
    enum Death: String, CaseIterable, Sendable {
        case invalidAccessKey, expiredToken, unauthorized

        var kind: NetworkKind { self == .unauthorized ? .tus : .s3 }

        var answer: [JSONValue.Member] {
            switch self {
            case .invalidAccessKey: Death.document("InvalidAccessKeyId")
            case .expiredToken: Death.document("ExpiredToken")
            case .unauthorized: [.init("status", 401)]
            }
        }

        private static func document(_ code: String) -> [JSONValue.Member] {
            [
                .init("status", 403), .init("fields", ["Content-Type": "application/xml"]),
                .init("body", .string("<?xml version=\"1.0\"?><Error><Code>\(code)</Code></Error>")),
            ]
        }
    }

    /// Of four pieces, the last a short one.
    private static func bytes(_ kind: NetworkKind) -> [UInt8] {
        noise(3 * (kind == .s3 ? 5 << 20 : 1 << 20) + 4097, seed: 7)
    }

    /// Which requests carry a piece.
    private static func pieces(_ kind: NetworkKind) -> [JSONValue.Member] {
        kind == .s3
            ? [.init("method", "PUT"), .init("contains", "partNumber=")]
            : [.init("method", "PATCH"), .init("path", "/files/")]
    }

    /// Which requests begin an upload of several pieces.
    private static func beginnings(_ kind: NetworkKind) -> [JSONValue.Member] {
        kind == .s3
            ? [.init("method", "POST"), .init("contains", "?uploads")]
            : [.init("method", "POST"), .init("path", "/files/")]
    }

    /// Which piece a request carries; nil for none. A further request at tus carries a further piece.
    private static func piece(of request: ProxyControl.Request, _ kind: NetworkKind) -> String? {
        if kind == .tus { return request.method == "PATCH" ? "request \(request.number)" : nil }
        let query = request.target.split(separator: "?").last?.split(separator: "&") ?? []
        return request.method == "PUT" ? query.first { $0.hasPrefix("partNumber=") }.map(String.init) : nil
    }

    @Test(.timeLimit(.minutes(2)), arguments: Death.allCases)
    func `credentials that die between two pieces leave the first ones at the service, and retry sends the others`(
        death: Death
    ) throws {
        let kind = death.kind
        let bench = try NetworkBench(kind)
        let run = try bench.run()
        let engine = try EngineBench(run, commit: .journal, connections: 1)
        defer {
            engine.stop()
            EngineBench.remove(engine.path)
        }
        let session = try engine.session()
        let bytes = CredentialDeathTests.bytes(kind)
        // Nothing goes while it is written: who still writes would be told of the refusal.
        let busy: [JSONValue.Member] = [.init("times", 0), .init("status", 503)]
        try bench.proxy.rule(.object(CredentialDeathTests.beginnings(kind) + busy))
        try engine.put("large.bin", bytes, in: session)
        let file = try engine.tree.lookup(try Name("large.bin"), in: session).id
        let dead: [JSONValue.Member] = [.init("skip", 2), .init("times", 0)]
        try bench.proxy.clearRules()
        try bench.proxy.rule(.object(CredentialDeathTests.pieces(kind) + dead + death.answer))
        try waitForFailure(of: file, in: engine)
        #expect(try engine.tree.attribute("error", of: file) == RemoteError.credentials.message)
        let log = try bench.proxy.finishedLog()
        let accepted = log.filter { (200..<300).contains($0.status) }
        let arrived = Set(accepted.compactMap { CredentialDeathTests.piece(of: $0, kind) })
        // Less than two when one was sent again with another checksum, more when they began before the rule was there.
        #expect((1...3).contains(arrived.count))
        #expect(try bench.held(run).isEmpty)

        try bench.proxy.clearRules()
        #expect(engine.service.retry() == 1)
        try engine.settle()
        #expect(try engine.tree.attribute("state", of: file) == "committed")
        try expectExactly([("large.bin", bytes)], at: run, "\(death)")
        let later = try bench.proxy.finishedLog(after: log.last?.number ?? 0)
        let rest = later.filter { CredentialDeathTests.piece(of: $0, kind) != nil }
        #expect(rest.count == 4 - arrived.count && rest.allSatisfy { (200..<300).contains($0.status) })
        #expect(arrived.isDisjoint(with: rest.compactMap { CredentialDeathTests.piece(of: $0, kind) }))
        // Heads included; a piece that was sent again would be far more.
        let (size, heads) = (kind == .s3 ? 5 << 20 : 1 << 20, 64 << 10)
        let missing = bytes.count - arrived.count * size
        let sent = rest.reduce(0) { $0 + $1.sent }
        #expect(sent >= missing && sent < missing + heads)
        #expect(later.allSatisfy { $0.method != "POST" || !$0.target.hasSuffix("?uploads=") })
        if kind == .tus { #expect(try bench.tusControl.uploads().count == 1) }
    }

    private func waitForFailure(of file: EntryID, in engine: EngineBench) throws {
        let deadline = ContinuousDeadline.after(.seconds(30))
        while try engine.tree.attribute("state", of: file) != "failed" {
            try #require(!deadline.hasPassed, "it did not fail")
            _ = Monitor(()).wait(until: .after(.milliseconds(10))) { _ -> Bool? in nil }
        }
    }
}
