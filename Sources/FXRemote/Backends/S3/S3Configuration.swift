public import FXSystem

/// One bucket, or a part of one, as a remote.
///
/// The transport has one origin. For `path_style` that is the endpoint; without it the bucket is part of the host, so
/// the command line makes the transport of `HTTPOrigin.withHostPrefix(bucket)`. In both cases `authority` and
/// `isEncrypted` are that origin's, and `basePath` of the service is its path: they go into each signature.
public struct S3Configuration: Sendable {
    public var region: String
    public var bucket: String
    /// Key prefix of all sessions; slashes at its ends do not count. Empty for the whole bucket.
    public var prefix: String
    public var accessKeyID: String
    /// Asked once a day at most, and again after the service refused it.
    public var secretAccessKey: @Sendable () throws(RemoteError) -> Secret
    /// The bucket is the first component of the path and not a part of the host.
    public var pathStyle: Bool
    /// `HTTPOrigin.authority` of the transport: host, and port unless it is the scheme's own.
    public var authority: String
    /// The transport speaks TLS.
    public var isEncrypted: Bool
    /// The service is on this machine: nobody sees what is sent.
    public var isLocal = false
    public var allowsDelete = false
    /// Stable id of this state directory; part of the names of what it leaves in a session.
    public var writer: String
    /// For every request but those that carry content.
    public var operationTimeout: Duration

    /// The digests of contents are in the signatures, so that nobody in between can change them.
    var signsContents: Bool { !isEncrypted && !isLocal }

    public init(
        region: String, bucket: String, prefix: String, accessKeyID: String,
        secretAccessKey: @escaping @Sendable () throws(RemoteError) -> Secret, pathStyle: Bool, authority: String,
        isEncrypted: Bool, isLocal: Bool = false, allowsDelete: Bool = false, writer: String,
        operationTimeout: Duration = .seconds(15)
    ) {
        self.region = region
        self.bucket = bucket
        self.prefix = prefix
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.pathStyle = pathStyle
        self.authority = authority
        self.isEncrypted = isEncrypted
        self.isLocal = isLocal
        self.allowsDelete = allowsDelete
        self.writer = writer
        self.operationTimeout = operationTimeout
    }
}
