public import FXSystem

/// An account at a MetaDefender MFT (or Vault) server and how it is used.
public struct MFTConfiguration: Sendable {
    /// What a token is got with.
    public enum Credentials: Sendable {
        case password(username: String, @Sendable () throws(RemoteError) -> Secret)
        /// An API key, which is a token of its own.
        case key(@Sendable () throws(RemoteError) -> Secret)

        /// Read at each login, so that a corrected secret is seen without a new mount.
        var secret: @Sendable () throws(RemoteError) -> Secret {
            switch self {
            case .password(_, let secret), .key(let secret): secret
            }
        }
    }

    public var credentials: Credentials
    /// Of this remote of this state directory, among all: ids of groups are made of it.
    public var writer: String
    /// The configured url, without a slash at its end: what the addresses of files begin with.
    public var url: String
    /// How long the service may be silent while it answers a small question.
    public var operationTimeout = Duration.seconds(15)
    /// How long a completion whose answer was lost may still be under way at the service, before it counts as never
    /// arrived.
    public var settleTime = Duration.seconds(4)

    public init(_ credentials: Credentials, url: String, writer: String) {
        self.credentials = credentials
        self.url = url
        self.writer = writer
    }
}
