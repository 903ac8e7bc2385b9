import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// Replacing a file that is at its service, where that is an upload and then the removal of what was there: whatever
/// happens to one request, the new content is there once at the end, and the old one goes no earlier than that.
/// docs/SEMANTICS.md, O7 and U11.
@Suite(.serialized) struct ReplaceFaultTests {
    private static let name = "f.bin"
    private static let old = patterned(50_000, seed: 1)

    /// At tus of two pieces; too small to be sent before it is closed.
    private static func new(_ kind: NetworkKind) -> [UInt8] {
        patterned(kind == .tus ? (1 << 20) + 4097 : 70_000, seed: 2)
    }

    /// Whether the old content may be removed at the service.
    enum Removal: String, CaseIterable, Sendable {
        case allowed, forbidden
    }

    /// A mount with the old content committed.
    private struct Ready {
        var run: NetworkBench.Run
        var engine: EngineBench
        var session: EntryID
        var file: EntryID
        /// The service's id of the old content.
        var oldID: String

        func end() {
            engine.stop()
            EngineBench.remove(engine.path)
        }
    }

    private func ready(_ bench: NetworkBench, _ removal: Removal) throws -> Ready {
        let run = try bench.run(allowsDelete: removal == .allowed)
        let engine = try EngineBench(run, connections: 1)
        do {
            let session = try engine.session()
            try engine.put(ReplaceFaultTests.name, ReplaceFaultTests.old, in: session)
            let file = try engine.tree.lookup(try Name(ReplaceFaultTests.name), in: session).id
            let oldID = try engine.tree.attribute("remote_id", of: file)
            return Ready(run: run, engine: engine, session: session, file: file, oldID: oldID)
        } catch {
            engine.stop()
            EngineBench.remove(engine.path)
            throw error
        }
    }

    /// open with O_TRUNC, write, close.
    private func replace(_ ready: Ready) throws {
        let flags: OpenFlags = [.readWrite, .create, .truncate]
        let (_, file) = try ready.engine.tree.create(
            try Name(ReplaceFaultTests.name), in: ready.session, mode: 0o644, flags: flags, caller: EngineBench.caller)
        defer { file.release() }
        try ReplaceFaultTests.new(ready.run.bench.kind).withUnsafeBytes { _ = try file.write($0, at: 0) }
        try ready.engine.wait(30) { file.flush(caller: EngineBench.caller, $0) }
    }

    // MARK: - Looking

    private func expectReplaced(_ ready: Ready, _ removal: Removal, after number: Int, _ circumstances: String) throws {
        let bench = ready.run.bench
        let context: Comment = "\(bench.kind), removal \(removal), \(circumstances)"
        let tree = ready.engine.tree
        let new = ReplaceFaultTests.new(bench.kind)
        #expect(try tree.attribute("state", of: ready.file) == "committed", context)
        #expect(try tree.attribute("sha256", of: ready.file) == sha256Text(new), context)
        #expect(try tree.attribute("remote_id", of: ready.file) != ready.oldID, context)
        var wanted = [sha256Text(new)]
        if removal == .forbidden { wanted.append(sha256Text(ReplaceFaultTests.old)) }
        let held = try bench.held(ready.run)
        #expect(Array(held.keys) == [ReplaceFaultTests.name], context)
        #expect((held[ReplaceFaultTests.name] ?? []).sorted() == wanted.sorted(), context)
        let left = try bench.leftovers(ready.run)
        #expect(left.isEmpty, "\(context): \(left)")
        try expectOrder(ready, removal, after: number, context)
        if bench.kind == .tus { try expectOrphansNamed(ready, context) }
    }

    /// The service was asked to remove the old content after it had all of the new one.
    private func expectOrder(_ ready: Ready, _ removal: Removal, after number: Int, _ context: Comment) throws {
        let bench = ready.run.bench
        let log = try bench.proxy.finishedLog(after: number)
        let arrivals = log.filter { request in
            request.method == bench.kind.uploadMethod && request.target.hasPrefix(bench.kind.uploadPath)
                && !request.target.hasSuffix("/infos") && (200..<300).contains(request.upstreamStatus)
        }
        // At OpenTera which asset goes is said in the body.
        let removals = log.filter { request in
            request.method == "DELETE" && (bench.kind == .opentera || request.target == ready.oldID)
        }
        #expect(removals.isEmpty == (removal == .forbidden), context)
        let arrival = try #require(arrivals.last, context)
        #expect(removals.allSatisfy { $0.number > arrival.number }, context)
    }

    /// An upload nobody knows the url of has no bytes, and is named as that (U3, G4).
    private func expectOrphansNamed(_ ready: Ready, _ context: Comment) throws {
        let unfinished = try ready.run.bench.tusControl.uploads().filter { !$0.isWhole && $0.isOpen }
        let named = Set(ready.engine.tree.orphans().map(\.id))
        #expect(unfinished.allSatisfy { $0.offset == 0 }, context)
        #expect(unfinished.allSatisfy { named.contains($0.metadata[TusMetadata.upload] ?? "") }, context)
    }

    // MARK: - Faults

    /// How many requests a replacement takes when nothing goes wrong.
    private func requests(_ bench: NetworkBench, _ removal: Removal) throws -> Int {
        let ready = try ready(bench, removal)
        defer { ready.end() }
        let before = try bench.proxy.counter("requests")
        try replace(ready)
        let count = try bench.proxy.counter("requests") - before
        try expectReplaced(ready, removal, after: before, "nothing goes wrong")
        // At the least one that brings it, and one that removes what was there.
        try #require(count >= (removal == .allowed ? 2 : 1))
        return count
    }

    @Test(.timeLimit(.minutes(4)), arguments: [NetworkKind.opentera, .tus], RequestFault.allCases)
    func `each request of a replacement in turn may go wrong`(kind: NetworkKind, fault: RequestFault) throws {
        let bench = try NetworkBench(kind)
        for removal in Removal.allCases {
            for number in 1...(try requests(bench, removal)) {
                let ready = try ready(bench, removal)
                defer { ready.end() }
                let before = try bench.proxy.counter("requests")
                try bench.proxy.rule(fault.rule(at: before + number))
                let circumstances = "\(fault) at request \(number) of a replacement"
                do { try replace(ready) } catch { Issue.record("\(kind), \(circumstances): \(error)") }
                #expect(try bench.proxy.pendingRules() == 0, "\(kind), \(circumstances): the fault never happened")
                try expectReplaced(ready, removal, after: before, circumstances)
            }
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: [NetworkKind.opentera, .tus])
    func `an old content that may not be removed at all stays beside the new one`(kind: NetworkKind) throws {
        let bench = try NetworkBench(kind)
        let ready = try ready(bench, .allowed)
        defer { ready.end() }
        try bench.proxy.rule(["method": "DELETE", "times": 0, "status": 403])
        try replace(ready)
        #expect(try ready.engine.tree.attribute("state", of: ready.file) == "committed")
        let held = try bench.held(ready.run)
        let both = [ReplaceFaultTests.new(kind), ReplaceFaultTests.old].map(sha256Text)
        #expect((held[ReplaceFaultTests.name] ?? []).sorted() == both.sorted())
    }

    @Test(.timeLimit(.minutes(2)), arguments: [NetworkKind.opentera, .tus])
    func `while the old content cannot be removed for now, it is there beside the new one`(kind: NetworkKind) throws {
        let bench = try NetworkBench(kind)
        let ready = try ready(bench, .allowed)
        defer { ready.end() }
        let before = try bench.proxy.counter("requests")
        try bench.proxy.rule(["method": "DELETE", "times": 0, "status": 503])
        let flags: OpenFlags = [.readWrite, .create, .truncate]
        let (_, file) = try ready.engine.tree.create(
            try Name(ReplaceFaultTests.name), in: ready.session, mode: 0o644, flags: flags, caller: EngineBench.caller)
        defer { file.release() }
        let new = ReplaceFaultTests.new(kind)
        try new.withUnsafeBytes { _ = try file.write($0, at: 0) }
        let outcome = Monitor<Result<Void, RemoteError>?>(nil)
        _ = file.flush(caller: EngineBench.caller) { result in outcome.withLock { $0 = result } }
        let deadline = ContinuousDeadline.after(.seconds(20))
        while try !bench.proxy.log(after: before).contains(where: { $0.method == "DELETE" }), !deadline.hasPassed {}
        let both = [sha256Text(new), sha256Text(ReplaceFaultTests.old)].sorted()
        #expect(try bench.held(ready.run)[ReplaceFaultTests.name]?.sorted() == both)
        #expect(outcome.withLock { $0 } == nil)
        try bench.proxy.clearRules()
        let result = outcome.wait(until: .after(.seconds(20))) { $0 }
        try #require(result, "the close never ended").get()
        try expectReplaced(ready, .allowed, after: before, "after the removal was refused for a while")
    }
}
