public import FXSystem

/// How a transport reaches its origin.
///
/// The environment has no say: `http_proxy`, `https_proxy`, `.netrc` and the like are ignored, so that a mount started
/// by a shell and one started by systemd do the same.
public struct HTTPOptions: Sendable, Equatable {
    /// PEM file of the authorities to trust instead of the system's; nil for the system's.
    public var caFile: String?
    /// Takes any certificate. For tests and for networks one trusts; warned about at each mount.
    public var insecure = false
    /// How many exchanges may be under way at once; each has a connection of its own, unless HTTP/2 shares one.
    /// Further ones wait their turn. More than the engine's uploads, so that a listing finds room beside them.
    public var maximumConnections = HTTPOptions.standardConnections
    /// For the contents of all exchanges together, in each direction; nil for no limit. At least `slowestTransfer` for
    /// each of them that may be under way, else services give up on some.
    public var bytesPerSecond: ByteCount?
    /// The longest time without a byte on a connection, where a request would wait longer; nil leaves it to them.
    public var longestSilence: Duration?
    /// Sent as `User-Agent` unless a request brings its own.
    public var userAgent = "fxmount"

    public init() {}

    /// Enough for eight uploads, eight ranges being read and a few listings.
    public static let standardConnections = 20

    /// So many ranges are on their way at once at most while files are read.
    public static let parallelReads = ReadTurns.standardLimit
    /// A second: the slowest line the backends reckon with when they say how long a range may take.
    public static let slowestTransfer = ByteCount.kibibytes(16)
}
