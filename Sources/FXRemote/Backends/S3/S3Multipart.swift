internal import FXSystem

/// One part of a multipart upload, as ListParts and UploadPart tell of it.
struct S3Part: Sendable, Equatable {
    /// From 1.
    var number: Int
    /// Without quotation marks.
    var tag: String
    var size: UInt64
}

/// One multipart upload that is not finished, as ListMultipartUploads tells of it.
struct S3Unfinished: Sendable, Equatable {
    var key: S3Key
    var id: String
    var initiated: Timestamp?
}

/// Requests about multipart uploads.
extension S3Client {
    /// - Returns: the service's id of the upload.
    func createUpload(_ key: S3Key, fields: [(name: String, value: String)]) throws(S3Failure) -> String {
        var request = S3Request(.post, key)
        request.query = [("uploads", "")]
        request.fields = fields + [S3Client.plainType]
        let root = try document(request, "InitiateMultipartUploadResult")
        guard let id = root.text(of: "UploadId"), !id.isEmpty else { throw .failed(.protocolViolation) }
        return id
    }

    /// - Parameter digests: of the body.
    /// - Returns: the entity tag of the part; nil when the service has taken it and does not say that it looked at the
    ///   checksum.
    func sendPart(
        _ number: Int, of upload: String, _ key: S3Key, _ body: HTTPBody, _ digests: S3Digests
    ) throws(S3Failure) -> String? {
        var request = S3Request(.put, key)
        request.query = [("partNumber", String(number)), ("uploadId", upload)]
        let check = base64(digests.check.value)
        request.fields = [(digests.check.name, check)]
        request.body = body
        request.payload = digests.sha256.map { .digest($0) } ?? .unsigned
        request.patience = .content
        let answer = try perform(request).fields
        guard let tag = S3Tag.bare(answer["ETag"]) else { throw .failed(.protocolViolation) }
        if digests.check.name == S3Digests.castagnoliField, answer[S3Digests.castagnoliField] != check { return nil }
        return tag
    }

    /// Copies a range of an object as a part.
    func copyPart(
        _ number: Int, of upload: String, _ key: S3Key, from source: S3ObjectID, _ range: Range<UInt64>
    ) throws(S3Failure) -> String {
        var request = S3Request(.put, key)
        request.query = [("partNumber", String(number)), ("uploadId", upload)]
        request.fields =
            copyFields(source) + [("x-amz-copy-source-range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)")]
        request.patience = .assembly
        let root = try document(request, "CopyPartResult")
        guard let tag = S3Tag.bare(root.text(of: "ETag")) else { throw .failed(.protocolViolation) }
        return tag
    }

    /// Every part the service holds, in any order, a number perhaps several times.
    func parts(of upload: String, _ key: S3Key) throws(S3Failure) -> [S3Part] {
        var parts: [S3Part] = []
        var marker: String?
        while true {
            var request = S3Request(.get, key)
            request.query = [("uploadId", upload)] + (marker.map { [("part-number-marker", $0)] } ?? [])
            let root = try document(request, "ListPartsResult")
            for part in root.all("Part") {
                guard let number = part.text(of: "PartNumber").flatMap({ Int($0) }),
                    let size = part.text(of: "Size").flatMap({ UInt64($0) }),
                    let tag = S3Tag.bare(part.text(of: "ETag"))
                else { throw .failed(.protocolViolation) }
                parts.append(S3Part(number: number, tag: tag, size: size))
            }
            guard root.text(of: "IsTruncated") == "true" else { return parts }
            let next = root.text(of: "NextPartNumberMarker")
            guard let next, next != marker else { throw .failed(.protocolViolation) }
            marker = next
        }
    }

    /// Puts an object together of parts, in the order of their numbers.
    /// - Returns: its entity tag.
    func completeUpload(_ upload: String, _ key: S3Key, _ parts: [S3Part], if condition: S3Condition?)
        throws(S3Failure) -> String?
    {
        var request = S3Request(.post, key)
        request.query = [("uploadId", upload)]
        let list = parts.map { part in
            "<Part><PartNumber>\(part.number)</PartNumber><ETag>\(escaped(S3Tag.quoted(part.tag)))</ETag></Part>"
        }
        request.body = .bytes(
            Array(
                ("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" + list.joined()
                    + "</CompleteMultipartUpload>").utf8))
        request.fields = [("Content-Type", "application/xml")] + (condition.map { [$0.field] } ?? [])
        request.patience = .assembly
        // AWS begins the answer with status 200 and may end it with an error: `document` looks.
        return S3Tag.bare(try document(request, "CompleteMultipartUploadResult").text(of: "ETag"))
    }

    /// Forgets an upload and its parts; succeeds when there is none.
    func abortUpload(_ upload: String, _ key: S3Key) throws(S3Failure) {
        var request = S3Request(.delete, key)
        request.query = [("uploadId", upload)]
        do throws(S3Failure) { _ = try perform(request) } catch {
            if !error.isMissingUpload, !error.isMissingObject { throw error }
        }
    }

    /// Every unfinished upload below a prefix.
    func unfinishedUploads(below prefix: S3Key) throws(S3Failure) -> [S3Unfinished] {
        var found: [S3Unfinished] = []
        var markers: [(name: String, value: String)] = []
        while true {
            var request = S3Request(.get, nil)
            request.query = [("uploads", ""), ("prefix", prefix.text), ("encoding-type", "url")] + markers
            let root = try document(request, "ListMultipartUploadsResult")
            let isEncoded = root.text(of: "EncodingType") == "url"
            for upload in root.all("Upload") {
                guard let name = upload.text(of: "Key"), let id = upload.text(of: "UploadId") else {
                    throw .failed(.protocolViolation)
                }
                guard let key = isEncoded ? S3Key(listed: name) : S3Key(name) else { throw .failed(.protocolViolation) }
                if key.starts(with: prefix) {
                    let initiated = upload.text(of: "Initiated").flatMap(S3Time.parse)
                    found.append(S3Unfinished(key: key, id: id, initiated: initiated))
                }
            }
            guard root.text(of: "IsTruncated") == "true" else { return found }
            var next: [(name: String, value: String)] = []
            if let name = root.text(of: "NextKeyMarker"), !name.isEmpty {
                next.append(("key-marker", isEncoded ? S3Key(listed: name)?.text ?? name : name))
            }
            if let id = root.text(of: "NextUploadIdMarker"), !id.isEmpty { next.append(("upload-id-marker", id)) }
            if next.isEmpty || next.elementsEqual(markers, by: ==) { throw .failed(.protocolViolation) }
            markers = next
        }
    }

    private func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing("\"", with: "&quot;")
    }
}
