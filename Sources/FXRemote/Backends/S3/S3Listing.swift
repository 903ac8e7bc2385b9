internal import FXSystem

/// One page of a listing (ListObjectsV2).
struct S3Page: Sendable {
    struct Item: Sendable, Equatable {
        var id: S3ObjectID
        var size: ByteCount
        var modified: Timestamp?
    }

    var items: [Item] = []
    /// What the keys begin with that go on behind a slash, which is part of it.
    var prefixes: [S3Key] = []
    /// Asks for the next page; nil after the last.
    var next: String?

    init(_ root: XMLElement) throws(S3Failure) {
        // Some services ignore `encoding-type` and say so by leaving it out of the answer.
        let isEncoded = root.text(of: "EncodingType") == "url"
        for child in root.children {
            switch child.name {
            case "Contents":
                guard let name = child.text(of: "Key"), let key = S3Page.key(name, isEncoded),
                    let size = child.text(of: "Size").flatMap({ UInt64($0) })
                else { throw .failed(.protocolViolation) }
                items.append(
                    Item(
                        id: S3ObjectID(key: key, tag: S3Tag.bare(child.text(of: "ETag"))), size: ByteCount(size),
                        modified: child.text(of: "LastModified").flatMap(S3Time.parse)))
            case "CommonPrefixes":
                guard let name = child.text(of: "Prefix"), let key = S3Page.key(name, isEncoded) else {
                    throw .failed(.protocolViolation)
                }
                prefixes.append(key)
            default: break
            }
        }
        if root.text(of: "IsTruncated") == "true" {
            guard let token = root.text(of: "NextContinuationToken"), !token.isEmpty else {
                throw .failed(.protocolViolation)
            }
            next = token
        }
    }

    private static func key(_ text: String, _ isEncoded: Bool) -> S3Key? {
        isEncoded ? S3Key(listed: text) : S3Key(text)
    }
}

extension S3Client {
    /// The most a page may have (ListObjectsV2, `max-keys`).
    static let pageLimit = 1000

    /// - Parameters:
    ///   - delimited: stops at the next slash.
    ///   - after: `S3Page.next` of the page before.
    func page(of prefix: S3Key, delimited: Bool, after: String?, limit: Int = S3Client.pageLimit) throws(S3Failure)
        -> S3Page
    {
        var request = S3Request(.get, nil)
        request.query = [
            ("list-type", "2"), ("encoding-type", "url"), ("max-keys", String(limit)), ("prefix", prefix.text),
        ]
        if delimited { request.query.append(("delimiter", "/")) }
        if let after { request.query.append(("continuation-token", after)) }
        return try S3Page(try document(request, "ListBucketResult"))
    }

    /// Gives every page to `take`, in order.
    func pages(of prefix: S3Key, delimited: Bool, _ take: (S3Page) -> Void) throws(S3Failure) {
        var after: String?
        while true {
            let page = try page(of: prefix, delimited: delimited, after: after)
            take(page)
            guard let next = page.next else { return }
            // A service that gives the same page for ever is no service.
            if next == after { throw .failed(.protocolViolation) }
            after = next
        }
    }
}
