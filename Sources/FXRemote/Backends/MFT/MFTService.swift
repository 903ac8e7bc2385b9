public import FXSystem
internal import Synchronization

/// Sessions as group transfers of OPSWAT MetaDefender MFT and Vault (`vault_rest`), and what was committed, by folders.
///
/// A group has an id and no name, and no call lists open groups: the journal alone knows which session is which. Files
/// are visible once their group is complete, under a folder of the session's name.
///
/// Locks: `memory`, `opening` and the client's own are leaves; nothing is asked under one of them.
public final class MFTService: Backend {
    public let facts: BackendFacts
    let client: MFTClient
    let configuration: MFTConfiguration
    let memory = Mutex(MFTMemory())
    /// Sessions that are being opened: one question about each at a time.
    let opening = Monitor<Set<RelativePath>>([])

    /// - Parameters:
    ///   - transport: reaches the origin of the configured url.
    ///   - basePath: the path of that url, without a slash at its end.
    ///   - chunk: in the limits of `chunkSizes`.
    public init(
        _ configuration: MFTConfiguration, transport: any HTTPTransport, basePath: String, clock: WallClock,
        chunk: ByteCount = MFTService.standardChunk
    ) {
        self.configuration = configuration
        client = MFTClient(configuration, transport: transport, basePath: basePath, clock: clock)
        facts = MFTService.facts(chunk)
    }

    /// What the service's own tutorial sends.
    public static let standardChunk = ByteCount.mebibytes(10)
    /// Where the service keeps chunks in S3 it takes no smaller ones, but for the last; 100 MB in the documentation, and
    /// nobody says which.
    public static let chunkSizes: ClosedRange<UInt64> = 5 << 20...100_000_000

    private static func facts(_ chunk: ByteCount) -> BackendFacts {
        var facts = BackendFacts()
        facts.isRemote = true
        facts.listsEntries = true
        facts.listsSessions = false
        facts.readsOpenSessions = false
        facts.readsRanges = false
        facts.completesGroups = true
        facts.limitsSessionLife = true
        facts.processesFiles = true
        facts.chunkSizes = chunkSizes
        let size = max(chunkSizes.lowerBound, min(chunk.rawValue, chunkSizes.upperBound))
        facts.preferredChunk = ByteCount(size)
        facts.parallelChunks = 4
        facts.checksumsChunks = true
        // Names are header fields: what would end or bend one cannot be carried.
        facts.names.mustBeUTF8 = true
        facts.names.excludedBytes = Array(0..<0x20) + [0x7f] + Array("\\/:".utf8)
        facts.names.keepsOuterSpaces = false
        return facts
    }

    /// The directory of what is committed; its name is taken.
    static let filesName = Name(constant: "files")

    /// Nothing of this service is on this machine.
    public func prepare() throws(RemoteError) {}

    /// The service tells of no quota and of no free space.
    public func space() throws(RemoteError) -> FileSystemSpace { throw .notSupported }

    public func reconsider() { client.reconsider() }
}
