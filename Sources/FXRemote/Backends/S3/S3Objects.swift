internal import FXSystem

/// What HEAD tells of an object.
struct S3Object: Sendable, Equatable {
    var id: S3ObjectID
    var size: ByteCount
    var modified: Timestamp?
    /// The upload that made it, when it is one of this program's.
    var upload: UploadID?
    var sha256: SHA256Digest?

    /// - Returns: nil when the answer has no size.
    init?(_ response: HTTPResponse, key: S3Key, now: Timestamp) {
        guard let size = response.fields["Content-Length"].flatMap({ UInt64($0) }) else { return nil }
        id = S3ObjectID(key: key, tag: S3Tag.bare(response.fields["ETag"]))
        self.size = ByteCount(size)
        modified = response.fields["Last-Modified"].flatMap { HTTPDate.parse($0, now: now) }
        upload = response.fields["x-amz-meta-\(S3Metadata.upload)"].map { UploadID($0) }
        sha256 = response.fields["x-amz-meta-\(S3Metadata.sha256)"].flatMap { SHA256Digest(text: $0) }
    }
}

/// What is kept with an object besides its bytes, so that its upload is known again.
enum S3Metadata {
    static let upload = "fxmount-upload"
    static let sha256 = "fxmount-sha256"
    static let modified = "fxmount-mtime"
    static let writer = "fxmount-writer"

    /// Of a file that is still written neither digest nor time are known when its upload begins.
    static func fields(of upload: Upload, writer: String) -> [(name: String, value: String)] {
        var values = [(self.upload, upload.id.text), (self.writer, writer)]
        if let digest = upload.sha256 {
            values += [(sha256, digest.text), (modified, S3Time.exact(upload.modified))]
        }
        return values.map { ("x-amz-meta-\($0.0)", $0.1) }
    }
}

/// Requests about one object.
extension S3Client {
    /// What S3 calls an object of unknown kind; without it some services guess.
    static let plainType = (name: "Content-Type", value: "application/octet-stream")

    /// - Returns: nil when there is no such object.
    func head(_ key: S3Key) throws(S3Failure) -> S3Object? {
        let response: HTTPResponse
        do throws(S3Failure) { response = try perform(S3Request(.head, key)) } catch {
            guard let refusal = error.refusal, refusal.code.isEmpty else { throw error }
            // HEAD has no document, so a missing bucket looks like a missing object, a wrong key like a missing right.
            if (300...403).contains(refusal.status) { try explain() }
            if refusal.isMissingObject { return nil }
            throw error
        }
        guard let object = S3Object(response, key: key, now: now()) else { throw .failed(.protocolViolation) }
        return object
    }

    /// Repeats a refusal in the words of a request that is answered with a document.
    private func explain() throws(S3Failure) {
        _ = try page(of: layout.root, delimited: true, after: nil, limit: 1)
    }

    /// Writes an object from memory.
    /// - Returns: its entity tag.
    @discardableResult
    func put(
        _ key: S3Key, _ bytes: [UInt8], if condition: S3Condition? = nil,
        fields: [(name: String, value: String)] = []
    ) throws(S3Failure) -> String? {
        try put(key, .bytes(bytes), digest: SHA256Digest(hashing: bytes), if: condition, fields: fields)
    }

    /// Writes an object whose digest is known. The service refuses a body that does not have it: AWS by the signature,
    /// others by the checksum.
    func put(
        _ key: S3Key, _ body: HTTPBody, digest: SHA256Digest, if condition: S3Condition? = nil,
        fields: [(name: String, value: String)] = []
    ) throws(S3Failure) -> String? {
        var request = S3Request(.put, key)
        request.body = body
        request.payload = .digest(digest)
        // Named twice, a field would make the signature a wrong one.
        let hasType = fields.contains { $0.name == S3Client.plainType.name }
        request.fields =
            fields + (hasType ? [] : [S3Client.plainType]) + [("x-amz-checksum-sha256", base64(digest.bytes))]
            + (condition.map { [$0.field] } ?? [])
        if case .content = body { request.patience = .content }
        return S3Tag.bare(try perform(request).fields["ETag"])
    }

    /// - Returns: the bytes of a small object of ours and its entity tag; nil when there is none.
    func get(_ key: S3Key) throws(S3Failure) -> (bytes: [UInt8], tag: String?, modified: Timestamp?)? {
        do throws(S3Failure) {
            let response = try perform(S3Request(.get, key))
            let modified = response.fields["Last-Modified"].flatMap { HTTPDate.parse($0, now: now()) }
            return (response.body, S3Tag.bare(response.fields["ETag"]), modified)
        } catch {
            if error.isMissingObject { return nil }
            throw error
        }
    }

    /// Removes an object; succeeds when there is none. With a condition only the content it names.
    func delete(_ key: S3Key, if condition: S3Condition? = nil) throws(S3Failure) {
        var request = S3Request(.delete, key)
        request.fields = condition.map { [$0.field] } ?? []
        do throws(S3Failure) { _ = try perform(request) } catch { if !error.isMissingObject { throw error } }
    }

    /// Copies an object inside the service, only while it has this entity tag.
    func copy(_ source: S3ObjectID, to key: S3Key) throws(S3Failure) {
        var request = S3Request(.put, key)
        request.fields = copyFields(source)
        request.patience = .assembly
        _ = try document(request, "CopyObjectResult")
    }

    func copyFields(_ source: S3ObjectID) -> [(name: String, value: String)] {
        let place = "/\(PercentEncoding.encode(configuration.bucket))/\(source.key.encoded)"
        return [("x-amz-copy-source", place)]
            + (source.tag.map { [("x-amz-copy-source-if-match", S3Tag.quoted($0))] } ?? [])
    }
}

extension SHA256Digest {
    /// nil unless `text` is 64 hexadecimal digits.
    init?(text: String) {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let high = rest.popFirst(), let low = rest.popFirst() {
            guard let byte = UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16) else { return nil }
            bytes.append(byte)
        }
        self.init(bytes: bytes)
    }
}

/// Base 64 with padding (RFC 4648 section 4).
func base64(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var out: [UInt8] = []
    var rest = bytes[...]
    while !rest.isEmpty {
        let group = rest.prefix(3)
        rest = rest.dropFirst(3)
        let bits = group.enumerated().reduce(UInt32(0)) { $0 | UInt32($1.element) << (16 - 8 * UInt32($1.offset)) }
        for index in 0..<4 {
            let isPadding = index > group.count
            out.append(isPadding ? UInt8(ascii: "=") : alphabet[Int(bits >> (18 - 6 * UInt32(index)) & 63)])
        }
    }
    return String(decoding: out, as: UTF8.self)
}
