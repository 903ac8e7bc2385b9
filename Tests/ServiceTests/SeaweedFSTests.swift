import ServiceFixtures
import Testing

/// The fixture itself: what it says about SeaweedFS is true.
@Suite struct SeaweedFSTests {
    @Test func `objects, unfinished uploads and bytes are seen as they are`() throws {
        let weed = try SeaweedFS.shared
        let prefix = "fixture-\(UInt32.random(in: 0...(.max)))/"
        #expect(try weed.objects(below: prefix).isEmpty)
        try weed.put(prefix + "a b+c é", [1, 2, 3])
        try weed.put(prefix + "empty", [])
        let objects = try weed.objects(below: prefix)
        #expect(objects.map(\.key) == [prefix + "a b+c é", prefix + "empty"])
        #expect(objects.map(\.size) == [3, 0])
        #expect(try weed.get(prefix + "a b+c é") == [1, 2, 3])
        #expect(try weed.unfinishedUploads(below: prefix).isEmpty)
        let started = try weed.signed("POST", "/\(weed.bucket)/\(prefix)big", query: [("uploads", "")])
        #expect(started.status == 200)
        #expect(try weed.unfinishedUploads(below: prefix) == [prefix + "big"])
        #expect(try weed.objects(below: prefix).count == 2)
    }

    @Test func `a wrong secret is refused`() throws {
        let weed = try SeaweedFS.shared
        let answer = try weed.s3.request("GET", "/\(weed.bucket)?list-type=2")
        #expect(answer.status == 403)
    }

    @Test func `tus is offered`() throws {
        let answer = try SeaweedFS.shared.filer.request("OPTIONS", "/.tus/")
        #expect(answer.status == 200 && answer["Tus-Version"] == "1.0.0")
    }
}
