public import FXSystem

/// An account at an OpenTera server and what it may do there.
public struct OpenTeraConfiguration: Sendable {
    public var username: String
    /// Read at each login, so that a corrected password is seen without a new mount.
    public var password: @Sendable () throws(RemoteError) -> Secret
    /// The session type of new sessions, by its name; nil: sessions are made at the service only.
    public var sessionType: String?
    /// Committed files may be removed, and what a newer content replaces is.
    public var allowsDelete = false
    /// The longest request body the server in front takes.
    public var maximumBody = OpenTeraConfiguration.standardMaximumBody
    /// How long the main server may be silent while it answers.
    public var operationTimeout = Duration.seconds(15)
    /// How long the file service may still be busy with an upload whose answer was lost, before that upload counts as
    /// never arrived; longer for large files (`UploadMemory.settling`).
    public var settleTime = OpenTeraConfiguration.standardSettleTime

    public init(username: String, password: @escaping @Sendable () throws(RemoteError) -> Secret) {
        self.username = username
        self.password = password
    }

    /// 500 MiB: what the project's own NGINX configuration allows below `/file/`; nothing advertises it.
    public static let standardMaximumBody = ByteCount.mebibytes(500)
    /// The file service gives its own call to the main server 10 s, which is the longest step of a small upload.
    public static let standardSettleTime = Duration.seconds(12)
}
