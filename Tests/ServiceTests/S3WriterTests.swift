import FXSystem
import ServiceFixtures
import Synchronization
import Testing

@testable import FXRemote

/// Several machines that write into one session, and replacing.
@Suite struct S3WriterTests {
    @Test(arguments: [10, Int(S3Bench.part) + 1])
    func `of two writers of one new name the second is refused and overwrites nothing`(size: Int) throws {
        let bench = try S3Bench()
        let (first, second) = (noise(size, seed: 1), noise(size, seed: 2))
        var mine = try newUpload("s/f", first)
        var theirs = try newUpload("s/f", second)
        try bench.service().run(&mine, first)
        let other = try bench.service(writer: "writer-b")
        #expect(throws: RemoteError.nameTaken) { try other.run(&theirs, second) }
        #expect(throws: RemoteError.nameTaken) { try other.run(&theirs, second, isKnown: true) }
        #expect(RemoteError.nameTaken.errno == .fileExists)
        #expect(!RemoteError.nameTaken.isTemporary)
        #expect(try bench.bytes("s/f") == first)
        #expect(try bench.leftovers().isEmpty)
    }

    @Test func `the second writer of a large file hears of the first one before it has sent anything`() throws {
        let bench = try S3Bench()
        let bytes = noise(Int(S3Bench.part) + 1)
        let first = try bench.service()
        var mine = try newUpload("s/f", bytes)
        mine.note = try first.begin(mine)
        var theirs = try newUpload("s/f", bytes)
        #expect(throws: RemoteError.nameTaken) {
            try bench.service(writer: "writer-b").run(&theirs, bytes)
        }
        try first.run(&mine, bytes, isKnown: true)
        #expect(try bench.leftovers().isEmpty)
    }

    @Test(arguments: 0..<8) func `of many writers at the same moment one wins`(round: Int) throws {
        let bench = try S3Bench()
        let outcomes = Mutex<[Int: Result<CommittedFile, RemoteError>]>([:])
        try together(4) { number in
            do {
                let service = try bench.service(writer: "writer-\(number)")
                _ = try service.conditions.work()
                let bytes = noise(1000, seed: UInt64(number))
                var upload = try newUpload("s/f", bytes)
                let result = Result { () throws(RemoteError) in
                    do { return try service.run(&upload, bytes) } catch { throw error as? RemoteError ?? .interrupted }
                }
                outcomes.withLock { $0[number] = result }
            } catch { Issue.record(error) }
        }
        let results = outcomes.withLock { $0 }
        let winners = results.filter { (try? $0.value.get()) != nil }.map(\.key)
        #expect(winners.count == 1)
        for (number, result) in results where !winners.contains(number) {
            #expect(result == .failure(.nameTaken))
        }
        #expect(try bench.bytes("s/f") == noise(1000, seed: UInt64(winners.first ?? 99)))
    }

    @Test func `a file somebody put there between looking and sending is not overwritten`() throws {
        let bench = try S3Bench()
        let bytes = noise(Int(S3Bench.part) + 1)
        let service = try bench.service()
        var upload = try newUpload("s/f", bytes)
        upload.note = try service.begin(upload)
        try bench.put("s/f", [1])
        #expect(throws: RemoteError.nameTaken) { try service.run(&upload, bytes, isKnown: true) }
        #expect(try bench.bytes("s/f") == [1])
    }

    @Test(arguments: [10, Int(S3Bench.part) + 1])
    func `replacing keeps the old content aside, and only what was expected is replaced`(size: Int) throws {
        let bench = try S3Bench()
        let service = try bench.service()
        var first = try newUpload("s/d/f", [1, 2, 3])
        let old = try service.run(&first, [1, 2, 3])
        let stored = StoredFile(path: first.path, remoteID: old.remoteID, size: old.size)
        let bytes = noise(size, seed: 5)
        var second = try newUpload("s/d/f", bytes, replaces: stored)
        let new = try service.run(&second, bytes)
        #expect(try bench.bytes("s/d/f") == bytes)
        #expect(try bench.bytes("s/.fxmount/replaced/d/f/@\(second.id.text)") == [1, 2, 3])
        // The journal of somebody else still has the first content.
        var third = try newUpload("s/d/f", [9], replaces: stored)
        #expect(throws: RemoteError.changed) { try service.run(&third, [9]) }
        #expect(try bench.bytes("s/d/f") == bytes)
        // Somebody removed it: then there is nothing to protect.
        try service.client.delete(S3Key(bench.prefix + "s/d/f"))
        var fourth = try newUpload(
            "s/d/f", [9], replaces: StoredFile(path: first.path, remoteID: new.remoteID, size: new.size))
        try service.run(&fourth, [9])
        #expect(try bench.bytes("s/d/f") == [9])
        #expect(try bench.leftovers().isEmpty)
    }

    @Test func `a claim left by a machine that is gone is taken over after a day`() throws {
        let bench = try S3Bench()
        let bytes = noise(Int(S3Bench.part) + 1)
        var theirs = try newUpload("s/f", bytes)
        theirs.note = try bench.service(writer: "gone").begin(theirs)
        var mine = try newUpload("s/f", bytes)
        let tomorrow = WallClock {
            let now = WallClock.system.now()
            return Timestamp(seconds: now.seconds + 2 * 86_400, nanoseconds: now.nanoseconds)
        }
        // Its upload is still there: it may come back.
        let claims = try claims(bench, clock: tomorrow)
        #expect(throws: S3Failure.failed(.nameTaken)) {
            try claims.take(S3Key(bench.prefix + "s/f"), for: mine.id)
        }
        try bench.service(writer: "gone").client.abortUpload(
            try #require(theirs.note), S3Key(bench.prefix + "s/f"))
        #expect(try claims.take(S3Key(bench.prefix + "s/f"), for: mine.id) == .taken)
        try bench.service().run(&mine, bytes)
        #expect(try bench.leftovers().isEmpty)
    }

    /// Requests are signed with the real time; only the age of a claim is judged with `clock`.
    private func claims(_ bench: S3Bench, clock: WallClock) throws -> S3Claims {
        let service = try bench.service()
        return S3Claims(client: service.client, conditions: service.conditions, clock: clock)
    }

    @Test func `two contents of one name by one machine do not disturb each other`() throws {
        let bench = try S3Bench()
        let service = try bench.service()
        let (old, new) = (noise(Int(S3Bench.part) + 1, seed: 1), noise(Int(S3Bench.part) + 2, seed: 2))
        var first = try newUpload("s/f", old)
        first.note = try service.begin(first)
        var second = try newUpload("s/f", new)
        second.note = try service.begin(second)
        let committed = try service.run(&first, old, isKnown: true)
        second.replaces = StoredFile(path: first.path, remoteID: committed.remoteID, size: committed.size)
        try service.run(&second, new, isKnown: true)
        #expect(try bench.bytes("s/f") == new)
        #expect(try bench.leftovers().isEmpty)
    }

    @Test func `each writer completes its own files, and one manifest has all of them`() throws {
        let bench = try S3Bench()
        var manifests: [String] = []
        try together(3) { number in
            do {
                let service = try bench.service(writer: "writer-\(number)")
                var upload = try newUpload("s/f\(number)", [UInt8(number)])
                let file = try service.run(&upload, [UInt8(number)])
                let manifest = SessionManifest(
                    session: try Name("s"), directory: StoredDirectory(path: try RelativePath("s"), remoteID: nil),
                    files: [
                        SessionManifest.File(
                            path: try RelativePath("f\(number)"), size: file.size, sha256: upload.sha256,
                            modified: upload.modified, committed: upload.modified)
                    ])
                try service.complete(manifest)
                try service.complete(manifest)
                #expect(throws: RemoteError.sessionClosed(.complete)) { try service.begin(newUpload("s/late", [])) }
            } catch { Issue.record(error) }
        }
        manifests = try bench.keys().filter { $0.hasPrefix("s/.fxmount/manifest") }
        #expect(manifests.count == 4)
        let merged = try #require(
            JSONValue(parsing: String(decoding: try bench.bytes("s/.fxmount/manifest.json"), as: UTF8.self)))
        #expect(merged["files"]?.elements?.map { $0["path"]?.string } == ["f0", "f1", "f2"])
        #expect(merged["writer"]?.string == "writer-0,writer-1,writer-2")
        let listed = try bench.service().list(.root)
        #expect(listed.map(\.kind) == [.session(.complete)])
        #expect(listed.map(\.name) == [Array("s".utf8)])
    }
}
