import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// Completing a session over the network: whatever happens to one request, at the end the session is complete once,
/// with everything that was written into it, and nothing else is there. docs/SEMANTICS.md, G2, S5, S45, O3 and U1.
@Suite(.serialized) struct CompletionFaultTests {
    private typealias Files = [(name: String, bytes: [UInt8])]

    private static let files: Files = [
        ("a.bin", patterned(3000, seed: 1)), ("empty.dat", []), ("é b.txt", patterned(70_000, seed: 2)),
    ]

    /// A session of a mount that can be completed.
    private struct Ready {
        var run: NetworkBench.Run
        var engine: EngineBench
        var session: EntryID

        func complete() throws {
            try engine.wait(30) {
                engine.tree.setAttribute("state", to: "complete", of: session, completion: $0)
            }
        }

        func end() {
            engine.stop()
            EngineBench.remove(engine.path)
        }
    }

    /// An empty session of a new mount.
    private func opened(_ bench: NetworkBench, commit: CommitMode = .remote) throws -> Ready {
        let run = try bench.run()
        // Somebody began it in a browser: one that is made from here is `completed` there from its first day.
        if bench.kind == .opentera {
            try bench.openTera.seed([
                "sessions": [
                    [
                        "name": .string(run.sessionName), "participants": [1], "type": 5, "creator_user": 5,
                        "status": .integer(OpenTeraSession.inProgress),
                    ]
                ]
            ])
        }
        let engine = try EngineBench(run, commit: commit, connections: 1)
        do {
            return Ready(run: run, engine: engine, session: try engine.session())
        } catch {
            engine.stop()
            EngineBench.remove(engine.path)
            throw error
        }
    }

    /// A session with files at the service.
    private func filled(_ bench: NetworkBench) throws -> Ready {
        let ready = try opened(bench)
        do {
            for file in CompletionFaultTests.files {
                try ready.engine.put(file.name, file.bytes, in: ready.session)
            }
        } catch {
            ready.end()
            throw error
        }
        return ready
    }

    // MARK: - Looking

    private func expectComplete(_ ready: Ready, _ files: Files, _ circumstances: String) throws {
        let bench = ready.run.bench
        let context: Comment = "\(bench.kind), \(circumstances)"
        let tree = ready.engine.tree
        #expect(try tree.attribute("state", of: ready.session) == "complete", context)
        #expect(throws: RemoteError.noAttribute, context) { try tree.attribute("error", of: ready.session) }
        let events = ready.engine.service.services.events.recent
        #expect(events.filter { $0.kind == "session_complete" }.count == 1, context)
        #expect(events.allSatisfy { $0.kind != "session_not_completed" }, context)
        try expectExactly(files, at: ready.run, circumstances)
        switch bench.kind {
        case .s3: try expectManifest(ready, files, context)
        case .opentera:
            let statuses = try bench.openTera.sessions().filter { !$0.isDeleted }.map(\.status)
            #expect(statuses == [Int(OpenTeraSession.completed)], context)
        default: break
        }
        let requests = try bench.proxy.counter("requests")
        try ready.complete()
        #expect(try bench.proxy.counter("requests") == requests, context)
    }

    /// One manifest of this writer, one of all writers and one mark, and in the manifests every file once.
    private func expectManifest(_ ready: Ready, _ files: Files, _ context: Comment) throws {
        let weed = try SeaweedFS.shared
        let (prefix, name) = (ready.run.prefix, ready.run.sessionName)
        let keys = try weed.objects(below: prefix).map { String($0.key.dropFirst(prefix.count)) }
        // What shows whether the service keeps to conditions belongs to no session.
        let own = keys.filter { $0.contains(".fxmount/") && !$0.hasSuffix("/") && $0 != ".fxmount/conditional" }
        let manifests = ["\(name)/.fxmount/manifest-bench.json", "\(name)/.fxmount/manifest.json"]
        #expect(own.sorted() == [".fxmount/complete/\(name)"] + manifests, context)
        let wanted: [[String?]] = files.sorted { $0.name < $1.name }.map { [$0.name, sha256Text($0.bytes)] }
        for manifest in manifests {
            let text = String(decoding: try weed.get(prefix + manifest), as: UTF8.self)
            let json = try #require(JSONValue(parsing: text), context)
            let named = (json["files"]?.elements ?? []).map { [$0["path"]?.string, $0["sha256"]?.string] }
            #expect(named.sorted { ($0[0] ?? "") < ($1[0] ?? "") } == wanted, context)
            #expect(json["session"]?.string == name, context)
        }
    }

    // MARK: - Faults

    /// How many requests a completion takes when nothing goes wrong.
    private func requests(_ bench: NetworkBench) throws -> Int {
        let ready = try filled(bench)
        defer { ready.end() }
        let before = try bench.proxy.counter("requests")
        try ready.complete()
        let count = try bench.proxy.counter("requests") - before
        try expectComplete(ready, CompletionFaultTests.files, "nothing goes wrong")
        // At S3 two manifests, what is asked for the second, and the mark; at OpenTera the session and its new state.
        try #require(count >= (bench.kind == .s3 ? 4 : 2))
        return count
    }

    @Test(.timeLimit(.minutes(3)), arguments: [NetworkKind.s3, .opentera], RequestFault.allCases)
    func `each request of a completion in turn may go wrong`(kind: NetworkKind, fault: RequestFault) throws {
        let bench = try NetworkBench(kind)
        for number in 1...(try requests(bench)) {
            let ready = try filled(bench)
            defer { ready.end() }
            let before = try bench.proxy.counter("requests")
            try bench.proxy.rule(fault.rule(at: before + number))
            let circumstances = "\(fault) at request \(number) of a completion"
            do { try ready.complete() } catch { Issue.record("\(kind), \(circumstances): \(error)") }
            #expect(try bench.proxy.pendingRules() == 0, "\(kind), \(circumstances): the fault never happened")
            try expectComplete(ready, CompletionFaultTests.files, circumstances)
        }
    }

    @Test(.timeLimit(.minutes(3)), arguments: [NetworkKind.s3, .opentera])
    func `a crash at any request of a completion, with its answer lost, is gone on from`(kind: NetworkKind) throws {
        let bench = try NetworkBench(kind)
        for number in 1...(try requests(bench)) { try crash(bench, at: number) }
    }

    private func crash(_ bench: NetworkBench, at number: Int) throws {
        let ready = try filled(bench)
        let before = try bench.proxy.counter("requests")
        try bench.proxy.rule(["number": .integer(Int64(before + number)), "stall_answer": true])
        _ = ready.engine.tree.setAttribute("state", to: "complete", of: ready.session) { _ in }
        // The crash comes when the request has been carried out and nobody knows.
        let isCarriedOut = try become(true, within: 15) {
            try bench.proxy.log(after: before).contains { $0.isTreated && $0.upstreamStatus > 0 }
        }
        #expect(isCarriedOut, "\(bench.kind): request \(number) of a completion never came")
        #expect(try ready.engine.tree.attribute("state", of: ready.session) == "completing", "\(bench.kind), \(number)")
        let left = try ready.engine.snapshot()
        ready.end()
        try bench.proxy.clearRules()
        let after = Ready(
            run: ready.run, engine: try EngineBench(try bench.again(ready.run), at: left, connections: 1),
            session: ready.session)
        defer { after.end() }
        // Recorded when the journal has it, a moment after it can be seen.
        _ = try become(true, within: 20) {
            after.engine.service.services.events.recent.contains { $0.kind == "session_complete" }
        }
        try expectComplete(after, CompletionFaultTests.files, "a crash at request \(number) of a completion")
    }

    /// Looks again and again; false when it did not become so in time.
    private func become<Value: Equatable>(
        _ wanted: Value, within seconds: Int, _ look: () throws -> Value
    ) throws -> Bool {
        let deadline = ContinuousDeadline.after(.seconds(seconds))
        while try look() != wanted {
            if deadline.hasPassed { return false }
            _ = Monitor(()).wait(until: .after(.milliseconds(5))) { _ -> Bool? in nil }
        }
        return true
    }

    // MARK: - Files on their way

    /// A tus service is not asked to complete anything: what a completion takes there are the requests of its files.
    private static let tusFiles: Files = [
        ("small.bin", patterned(1000, seed: 3)), ("parts.bin", patterned((1 << 20) + 4097, seed: 4)),
    ]

    /// Completes a session whose files were just closed.
    /// - Returns: how many requests it took.
    private func completeOnTheWay(
        _ bench: NetworkBench, _ circumstances: String, _ rule: (Int) -> JSONValue?
    ) throws -> Int {
        let ready = try opened(bench, commit: .journal)
        defer { ready.end() }
        let before = try bench.proxy.counter("requests")
        if let rule = rule(before) { try bench.proxy.rule(rule) }
        do {
            for file in CompletionFaultTests.tusFiles {
                try ready.engine.put(file.name, file.bytes, in: ready.session)
            }
            try ready.complete()
        } catch { Issue.record("\(bench.kind), \(circumstances): \(error)") }
        let count = try bench.proxy.counter("requests") - before
        #expect(try bench.proxy.pendingRules() == 0, "\(bench.kind), \(circumstances): the fault never happened")
        try expectComplete(ready, CompletionFaultTests.tusFiles, circumstances)
        return count
    }

    @Test(.timeLimit(.minutes(3)), arguments: RequestFault.allCases)
    func `a completion at tus waits for every file, whatever goes wrong with one of its requests`(
        fault: RequestFault
    ) throws {
        let bench = try NetworkBench(.tus)
        let count = try completeOnTheWay(bench, "nothing goes wrong") { _ in nil }
        // Two creations and three pieces.
        try #require(count >= 5)
        for number in 1...count {
            _ = try completeOnTheWay(bench, "\(fault) at request \(number)") { fault.rule(at: $0 + number) }
        }
    }
}
