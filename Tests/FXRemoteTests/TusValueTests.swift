import FXSystem
import Testing

@testable import FXRemote

/// What the tus backend makes of texts: where an upload is, what a service offers.
@Suite struct TusValueTests {
    private func target(_ location: String, of url: String = "https://up.example:8443/files/") throws -> String? {
        let origin = try HTTPOrigin(url)
        return TusLocation.target(location, base: origin.basePath + "/", origin: origin)
    }

    @Test(
        arguments: [
            ("https://up.example:8443/files/1", "/files/1"), ("HTTPS://UP.example:8443/files/1?a=b", "/files/1?a=b"),
            ("//up.example:8443/x", "/x"), ("/other/1", "/other/1"), ("1", "/files/1"), ("./1", "/files/1"),
            ("../1", "/1"), ("../../../1", "/1"), ("a/../1", "/files/1"), ("?id=1", "/files/?id=1"),
            ("https://up.example:8443", "/"), ("https://up.example:8443?q", "/?q"), ("1:2", nil),
        ] as [(String, String?)])
    func `a location is resolved against its request`(location: String, wanted: String?) throws {
        #expect(try target(location) == wanted)
    }

    @Test(arguments: [
        "https://elsewhere.example:8443/1", "https://up.example/1", "https://up.example:8443@elsewhere.example/1",
        "http://up.example/1", "ftp://up.example:8443/1", "file:///etc/passwd", "javascript:alert(1)", "", " /1",
        "/a b", "/a\r\nX: y", "/é", "/a#b", "///", "https:///1", "https:/up.example:8443/1", "data:,x",
        "https://up.example.evil.example:8443/1",
    ])
    func `a location that leaves the host is none`(location: String) throws {
        #expect(try target(location) == nil)
    }

    @Test func `a service behind a proxy that ends TLS may speak of http`() throws {
        #expect(try target("http://up.example/files/1", of: "https://up.example/files") == "/files/1")
        #expect(try target("http://up.example:8080/files/1", of: "https://up.example/files") == nil)
    }

    @Test func `the unfinished uploads of SeaweedFS are known by their place`() {
        #expect(TusLocation.isSeaweedFS("/.tus/.uploads/5ec2f226-06fe-4e58-ab11-8cb5047650f8"))
        #expect(!TusLocation.isSeaweedFS("/files/5ec2f226"))
        #expect(!TusLocation.isSeaweedFS("/.uploads"))
        #expect(!TusLocation.isSeaweedFS("/files/1?x=/.uploads/2"))
    }

    @Test func `a note says where an upload is and whether its length is to come`() {
        for note in [TusNote("/files/1", isDeferred: false), TusNote("/files/1?a", isDeferred: true)] {
            #expect(TusNote(note.text) == note)
        }
        #expect(TusNote(nil) == nil && TusNote("") == nil)
    }

    private func offer(_ fields: HTTPFields, status: Int = 204) throws(RemoteError) -> TusOffer {
        try TusOffer(HTTPResponse(status: status, fields: fields), now: Timestamp(seconds: 0))
    }

    @Test func `an offer is read from its lists`() throws {
        let offer = try offer([
            "Tus-Version": "1.0.0,0.2.2", "Tus-Extension": "creation, creation-defer-length ,checksum,termination",
            "Tus-Max-Size": "1073741824", "Tus-Checksum-Algorithm": "md5,sha1, crc32",
        ])
        #expect(offer.defersLength && offer.terminates && !offer.createsWithUpload && !offer.expires)
        #expect(offer.maximumSize == ByteCount(1 << 30))
        #expect(offer.checksum == .sha1)
        #expect(!offer.isGuessed)
    }

    @Test(arguments: [404, 405, 501])
    func `a service may leave OPTIONS out`(status: Int) throws {
        let offer = try offer([:], status: status)
        #expect(offer.isGuessed && !offer.defersLength && offer.checksum == nil && offer.maximumSize == nil)
    }

    @Test func `what speaks no tus is refused`() {
        #expect(throws: RemoteError.self) { try offer([:], status: 200) }
        #expect(throws: RemoteError.self) { try offer(["Tus-Version": "0.2.2", "Tus-Extension": "creation"]) }
        #expect(throws: RemoteError.self) { try offer(["Tus-Version": "1.0.0"]) }
        #expect(throws: RemoteError.credentials) { try offer([:], status: 401) }
        #expect(throws: RemoteError.unavailable(retryAfter: nil)) { try offer([:], status: 503) }
    }

    @Test func `metadata names the file, and the upload it belongs to`() throws {
        let upload = Upload(
            id: UploadID("ab-12"), path: try RelativePath("s/d/a b.txt"), size: ByteCount(3),
            sha256: SHA256Digest(hashing: [1, 2, 3]), modified: Timestamp(seconds: 1_800_000_000))
        let field = TusMetadata.field(of: upload)
        #expect(field.hasPrefix("filename YSBiLnR4dA==,relativePath cy9kL2EgYi50eHQ=,fxmount-upload YWItMTI=,sha256 "))
        #expect(field.hasSuffix(",mtime MTgwMDAwMDAwMA=="))
        #expect(field.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f })
        #expect(TusMetadata.fits(field, upload))
        #expect(TusMetadata.fits(nil, upload) && TusMetadata.fits("filename eA==", upload))
        var other = upload
        other.id = UploadID("cd")
        #expect(!TusMetadata.fits(field, other))
    }
}
