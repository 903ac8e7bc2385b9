import FXSystem
import ServiceFixtures
import Testing

/// The happy path of the OpenTera pair, request by request.
@Suite struct OpenTeraServiceTests {
    @Test func `a file goes in and comes out through the requests of a client`() throws {
        let pair = try OpenTeraControl()
        let session = try pair.session("Morning")
        let client = try OpenTeraClient(pair)
        let made = try client.upload("é/x", [1, 2, 3, 4, 5], to: session)
        #expect(made.status == 200)
        #expect(made.json?["asset_name"]?.string == "é/x")
        let uuid = try #require(made.json?["asset_uuid"]?.string)
        let token = try #require(made.json?["access_token"]?.string)
        let target = "/file/api/assets?asset_uuid=\(uuid)&access_token=\(token)"
        #expect(try client.get(target).body == [1, 2, 3, 4, 5])
        #expect(try client.get(target, fields: [("Range", "bytes=1-2")]).body == [2, 3])
        let stored = try pair.assets()
        #expect(stored.map(\.name) == ["é/x"])
        #expect(stored.first?.sha256 == sha256Text([1, 2, 3, 4, 5]))
        #expect(try pair.counter("logins") == 1)
    }
}
