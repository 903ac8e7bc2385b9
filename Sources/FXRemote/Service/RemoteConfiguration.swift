public import FXSystem

/// What a call that closes a file waits for.
public enum CommitMode: String, Sendable, CaseIterable {
    /// The service has the whole file.
    case remote
    /// The journal has it.
    case journal
}

/// How one remote is set up.
public struct RemoteConfiguration: Sendable {
    /// Which names are kept as drafts until they are renamed: name, created exclusively, permission bits.
    public typealias StagingRule = @Sendable (_ name: Name, _ exclusive: Bool, _ mode: UInt32) -> Bool

    public var name: Name
    public var kind: String
    /// Of the service: what tells it from others of its kind.
    public var address: String
    public var backend: any Backend
    public var commit: CommitMode
    public var looksTemporary: StagingRule
    public var retry: RetryPolicy
    /// How long a call that asks the service for something else than a file's bytes may take; ETIMEDOUT then. Also how
    /// long a rename waits for a file that is being sent, before it fails with EBUSY.
    public var operationTimeout: Duration
    /// How old a listing of the service may be before it is asked for again.
    public var listingTTL: Duration
    /// Makes calls of the backend that wait for the network end with an error, now and later; called when the service
    /// stops. May be called twice.
    public var stopTransport: @Sendable () -> Void
    /// Files sent at the same time.
    public var connections: Int

    /// Four hide the sync of one file behind the bytes of another; more only fight over a disk.
    public static let standardConnections = 4
    /// Eight small files or chunks under way hide a round trip of some ten milliseconds.
    public static let networkConnections = 8

    /// Short enough to see what others do, long enough for a program that walks a tree.
    public static let standardListingTTL = Duration.seconds(10)

    public init(
        name: Name, kind: String, address: String = "", backend: any Backend, commit: CommitMode = .remote,
        retry: RetryPolicy = RetryPolicy(),
        operationTimeout: Duration = .seconds(15), listingTTL: Duration = RemoteConfiguration.standardListingTTL,
        connections: Int? = nil, stopTransport: @escaping @Sendable () -> Void = {},
        looksTemporary: @escaping StagingRule = { _, _, _ in false }
    ) {
        self.name = name
        self.kind = kind
        self.address = address
        self.backend = backend
        self.commit = commit
        self.retry = retry
        self.operationTimeout = operationTimeout
        self.listingTTL = listingTTL
        self.stopTransport = stopTransport
        self.connections =
            connections
            ?? (backend.facts.isRemote
                ? RemoteConfiguration.networkConnections : RemoteConfiguration.standardConnections)
        self.looksTemporary = looksTemporary
    }
}
