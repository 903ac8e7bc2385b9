import FXSystem
import ServiceFixtures
import Testing

@testable import FXRemote

/// Listings larger than any answer that is kept in memory, by real HTTP.
@Suite struct OpenTeraBackendListingTests {
    @Test func `a listing of more than 64 MiB is read`() throws {
        let bench = try OpenTeraBench()
        let session = try bench.pair.session("s")
        // Long names, since that many records would take the pair too long to make.
        let name = String(repeating: "n", count: 30_000)
        try bench.pair.seed([
            "assets": [
                [
                    "session": .integer(Int64(session)), "name": .string(name), "size": 3, "count": 2300,
                    "original_filename": "f",
                ]
            ]
        ])
        let service = try bench.service()
        _ = try service.client.fileService()
        var files: [ListedEntry] = []
        let asked = try bench.requests { files = try service.list(bench.session(session)) }
        #expect(files.count == 2300)
        #expect(files.reduce(0) { $0 + $1.name.count } > 64 << 20)
        #expect(Set(files.map(\.remoteID)).count == 2300)
        // The file service is asked about so many at once.
        #expect(
            asked == ["GET /api/user/assets", "POST /file/api/assets/infos", "POST /file/api/assets/infos"])
    }
}
