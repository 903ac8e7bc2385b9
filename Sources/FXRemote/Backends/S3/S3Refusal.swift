internal import FXSystem

/// What a service answered instead of success: a status and, in most cases, a document with a code.
struct S3Refusal: Sendable, Equatable {
    var status: Int
    /// `NoSuchKey`; empty when the answer had no document, as with HEAD.
    var code = ""
    var message = ""
    /// Where the bucket is, when the request went to another region.
    var region: String?
    var retryAfter: Duration?
    /// The service's clock less this machine's, in seconds.
    var clockDifference: Int64?

    /// An answer without success, or one with success that has an error in it (CompleteMultipartUpload, CopyObject).
    init(_ response: HTTPResponse, document: XMLElement?, now: Timestamp) {
        status = response.status
        region = response.fields["x-amz-bucket-region"]
        retryAfter = response.retryAfter(now: now)
        clockDifference = response.fields["Date"].flatMap { HTTPDate.parse($0, now: now) }.map {
            $0.seconds - now.seconds
        }
        if let document, document.name == "Error" {
            code = document.text(of: "Code") ?? ""
            message = document.text(of: "Message") ?? ""
            region = document.text(of: "Region") ?? region
        }
    }

    init(status: Int, code: String = "", message: String = "") {
        self.status = status
        self.code = code
        self.message = message
    }
}

extension S3Refusal {
    /// There is no such object; a missing bucket is something else.
    var isMissingObject: Bool { code == "NoSuchKey" || code == "NotFound" || (status == 404 && code.isEmpty) }
    var isMissingUpload: Bool { code == "NoSuchUpload" }
    /// A condition of the request does not hold.
    var isPreconditionFailed: Bool { status == 412 || code == "PreconditionFailed" }
    /// AWS: a part has a checksum of a kind that was not named when the upload was begun ("Checksum Type mismatch").
    var isChecksumUnwanted: Bool {
        status == 400 && (code == "InvalidRequest" || code == "InvalidArgument") || isNotImplemented
    }
    /// The service knows the header and cannot do what it asks.
    var isNotImplemented: Bool { status == 501 || code == "NotImplemented" }

    func remoteError(bucket: String) -> RemoteError {
        switch code {
        case "NoSuchBucket": .rejected(status: status, saying: "there is no bucket \"\(bucket)\"")
        case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "InvalidSecurity",
            "NotSignedUp", "UnrecognizedClientException":
            .credentials
        case "AccessDenied", "AllAccessDisabled", "AccountProblem", "MethodNotAllowed": .forbidden
        case "RequestTimeTooSkewed", "RequestExpired": .rejected(status: status, saying: clockSentence)
        case "PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
            "InvalidRegion":
            .rejected(status: status, saying: regionSentence)
        case "EntityTooLarge", "MaxMessageLengthExceeded": .tooLarge(limit: nil)
        case "QuotaExceeded", "XMinioBucketQuotaExceeded", "XMinioAdminBucketQuotaExceeded": .quotaExceeded
        case "XMinioStorageFull", "InsufficientStorage": .serviceFull
        case "SlowDown", "ServiceUnavailable", "Busy", "TooManyRequests", "RequestLimitExceeded", "Throttling",
            "InternalError", "OperationAborted", "ConditionalRequestConflict", "SlowDownRead", "SlowDownWrite",
            "XMinioServerNotInitialized":
            .unavailable(retryAfter: retryAfter)
        case "RequestTimeout", "IncompleteBody": .timedOut
        // What arrived is not what was sent; it is sent again.
        case "BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "InvalidPart", "InvalidPartOrder":
            .verificationMismatch
        case "NoSuchUpload": .expired
        case "NoSuchKey": .noSuchEntry
        case "KeyTooLongError", "InvalidURI": .unrepresentableName
        case "PreconditionFailed": .changed
        case "InvalidObjectState":
            .rejected(status: status, saying: "the object is archived; it has to be restored at the service first")
        default: fallback
        }
    }

    private var fallback: RemoteError {
        switch status {
        case 401: .credentials
        case 403: .forbidden
        case 404: .noSuchEntry
        case 408: .timedOut
        case 412: .changed
        case 413: .tooLarge(limit: nil)
        case 425, 429, 500, 502, 503, 504: .unavailable(retryAfter: retryAfter)
        case 507: .serviceFull
        case 300..<400: .rejected(status: status, saying: regionSentence)
        default: .rejected(status: status, saying: S3Refusal.words(code, message))
        }
    }

    private var clockSentence: String {
        guard let clockDifference, abs(clockDifference) > 1 else {
            return "the clocks of this machine and of the service differ too much; set the clock"
        }
        let direction = clockDifference > 0 ? "behind" : "ahead of"
        return "the clock of this machine is \(abs(clockDifference)) s \(direction) the service's; set the clock"
    }

    private var regionSentence: String {
        guard let region else { return "the bucket is at another endpoint; check region and endpoint" }
        return "the bucket is in the region \"\(S3Refusal.words(region))\"; set region"
    }

    /// What a service says, as one line that cannot deceive a terminal.
    private static func words(_ parts: String...) -> String {
        let text = parts.filter { !$0.isEmpty }.joined(separator: ": ")
        // Longer sentences help nobody.
        return displayed(Array(text.prefix(200).utf8))
    }
}

/// Why a request to S3 did not succeed.
enum S3Failure: Error, Sendable, Equatable {
    /// The service said no.
    case refused(S3Refusal)
    /// There was no answer, or none that makes sense.
    case failed(RemoteError)

    var refusal: S3Refusal? { if case .refused(let refusal) = self { refusal } else { nil } }
    var isMissingObject: Bool { refusal?.isMissingObject ?? false }
    var isMissingUpload: Bool { refusal?.isMissingUpload ?? false }
    var isPreconditionFailed: Bool { refusal?.isPreconditionFailed ?? false }
}
