internal import FXSystem

/// What `fxmount remote test` shows.
extension S3Service {
    public func examine() -> [ServiceFinding] {
        var findings: [ServiceFinding] = []
        do throws(S3Failure) {
            try examineReading(&findings)
            try examineWriting(&findings)
            try examineMultipart(&findings)
            findings.append(
                ServiceFinding(
                    .works, "limits",
                    "files up to \(S3Client.largestFile), names in UTF-8 and without \\, keys up to "
                        + "\(S3Key.maximumLength) bytes, parts of \(facts.preferredChunk) and more, four at once"))
        } catch {
            findings.append(failure(error, findings))
        }
        return findings
    }

    private func examineReading(_ findings: inout [ServiceFinding]) throws(S3Failure) {
        _ = try client.page(of: layout.root, delimited: true, after: nil, limit: 1)
        findings.append(ServiceFinding(.works, "credentials", "the service accepts the access key and the secret"))
        findings.append(
            ServiceFinding(.works, "bucket", "the bucket \"\(client.configuration.bucket)\" is there and can be listed")
        )
    }

    /// With the empty object that stays there, so that nothing of anybody's can be in the way.
    private func examineWriting(_ findings: inout [ServiceFinding]) throws(S3Failure) {
        let works = try conditions.work()
        findings.append(
            ServiceFinding(.works, "bucket writable", "objects can be written; \(layout.conditional.text) shows it"))
        if works {
            findings.append(
                ServiceFinding(.works, "conditional writes", "several machines may write into one session"))
        } else {
            findings.append(
                ServiceFinding(
                    .warning, "conditional writes",
                    "the service ignores If-None-Match: let only one machine write into a session"))
        }
    }

    private func examineMultipart(_ findings: inout [ServiceFinding]) throws(S3Failure) {
        let key = layout.root + "\(S3Layout.own)/multipart-\(client.configuration.writer)"
        try client.abortUpload(try client.createUpload(key, fields: []), key)
        let unfinished = try client.unfinishedUploads(below: layout.root)
        var own = 0
        for claim in try claims.own(in: nil) { own += try claims.uploads(under: claim).count }
        if unfinished.isEmpty {
            findings.append(ServiceFinding(.works, "multipart uploads", "large files can be sent in parts"))
        } else {
            // Others' are theirs to finish; what nobody finishes costs storage.
            findings.append(
                ServiceFinding(
                    .works, "multipart uploads",
                    "large files can be sent in parts; \(unfinished.count) uploads are unfinished, \(own) of them of "
                        + "this state directory. A lifecycle rule of the bucket can abort what nobody finishes"))
        }
    }

    private func failure(_ failure: S3Failure, _ findings: [ServiceFinding]) -> ServiceFinding {
        let error = client.remoteError(failure)
        let subject =
            switch (error, findings.count) {
            case (.credentials, _): "credentials"
            case (_, 0): "bucket"
            case (_, 2): "bucket writable"
            default: "multipart uploads"
            }
        return .failure(subject, error)
    }
}
