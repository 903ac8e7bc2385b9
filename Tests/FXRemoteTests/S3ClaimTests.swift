import FXSystem
import Synchronization
import Testing

@testable import FXRemote

/// Giving a claim back while a newer upload of the same name takes it over, at each moment in between.
@Suite struct S3ClaimTests {
    /// When the newer upload comes.
    enum Moment: CaseIterable, Sendable {
        case never, beforeListing, afterListing, beforeAbort
    }

    /// One name of a bucket: its claim, and the multipart uploads begun under it.
    private final class Bucket: Sendable {
        struct State {
            var owner = "older"
            var uploads = ["begun-by-older"]
            var reads = 0
            var hasClaim = true
        }

        let state = Mutex(State())
        private let moment: Moment

        init(_ moment: Moment) { self.moment = moment }

        private func takeOver(_ state: inout State) {
            state.owner = "newer"
            state.uploads.append("begun-by-newer")
        }

        func answer(_ request: ScriptedTransport.Request) -> ScriptedTransport.Answer {
            state.withLock { state in
                let refusal = HTTPResponse.text(412, "<Error><Code>PreconditionFailed</Code></Error>")
                if request.method == .put { return .success(refusal) }
                if request.method == .delete, let id = request.parameter("uploadId") {
                    state.uploads.removeAll { $0 == id }
                    return .success(.text(204))
                }
                if request.method == .delete {
                    // A service that keeps to conditions; see S3Conditions.
                    if request.fields["If-Match"] != tag(state) { return .success(refusal) }
                    state.hasClaim = false
                    return .success(.text(204))
                }
                if request.query.contains(where: { $0.name == "uploads" }) {
                    if moment == .beforeListing { takeOver(&state) }
                    defer { if moment == .afterListing { takeOver(&state) } }
                    return .success(HTTPResponse(status: 200, body: Array(listing(state.uploads).utf8)))
                }
                state.reads += 1
                defer { if moment == .beforeAbort, state.reads == 2 { takeOver(&state) } }
                let claim: JSONValue = [
                    "format": 1, "key": "s/f", "writer": "me", "upload": .string(state.owner),
                ]
                return .success(
                    HTTPResponse(
                        status: 200,
                        fields: ["ETag": tag(state), "Last-Modified": "Thu, 26 Nov 2026 10:00:00 GMT"],
                        body: Array(claim.text.utf8)))
            }
        }

        private func tag(_ state: State) -> String { "\"\(state.owner)\"" }

        private func listing(_ uploads: [String]) -> String {
            let entries = uploads.map {
                "<Upload><Key>s/f</Key><UploadId>\($0)</UploadId><Initiated>2026-11-26T10:00:01.000Z</Initiated></Upload>"
            }
            return "<ListMultipartUploadsResult>\(entries.joined())<IsTruncated>false</IsTruncated>"
                + "</ListMultipartUploadsResult>"
        }
    }

    @Test(arguments: Moment.allCases) func `only what the older upload has begun is aborted`(moment: Moment) throws {
        let bucket = Bucket(moment)
        let configuration = S3Configuration(
            region: "us-east-1", bucket: "b", prefix: "", accessKeyID: "k", secretAccessKey: { Secret("s") },
            pathStyle: true,
            authority: "127.0.0.1:1", isEncrypted: false, writer: "me")
        let client = S3Client(
            configuration, transport: ScriptedTransport(bucket.answer), basePath: "", clock: .system)
        let claims = S3Claims(client: client, conditions: S3Conditions(client), clock: .system)
        let key = try #require(S3Key(encoded: "s/f"))
        // Refused or not: what counts is what is left.
        try? claims.discard(key, of: UploadID("older"))
        bucket.state.withLock { state in
            if moment == .never {
                #expect(state.uploads.isEmpty)
                #expect(!state.hasClaim)
            } else {
                #expect(state.uploads.contains("begun-by-newer"))
                #expect(state.hasClaim, "it is the newer upload's")
            }
        }
    }
}
