public import FXSystem
internal import Synchronization

/// Files streamed to an extension of an itslearning site, each by one SOAP call, and made content by a message if that is
/// configured. The service knows no sessions, lists nothing and gives nothing back.
///
/// `memory` is a leaf; nothing is asked under it.
public final class ItslearningService: Backend {
    public let facts: BackendFacts
    let client: ItslearningClient
    let configuration: ItslearningConfiguration
    let memory = Mutex(ItslearningMemory())

    /// - Parameters:
    ///   - transport: reaches the origin of the configured url.
    ///   - basePath: the path of that url, without a slash at its end.
    public convenience init(
        _ configuration: ItslearningConfiguration, transport: any HTTPTransport, basePath: String, clock: WallClock
    ) {
        self.init(configuration, transport: transport, basePath: basePath, clock: clock) { count in
            (0..<count).map { _ in UInt8.random(in: 0...255) }
        }
    }

    init(
        _ configuration: ItslearningConfiguration, transport: any HTTPTransport, basePath: String, clock: WallClock,
        random: @escaping @Sendable (Int) -> [UInt8]
    ) {
        self.configuration = configuration
        client = ItslearningClient(
            configuration, transport: transport, basePath: basePath, clock: clock, random: random)
        facts = ItslearningService.facts(configuration)
    }

    private static func facts(_ configuration: ItslearningConfiguration) -> BackendFacts {
        var facts = BackendFacts()
        facts.isRemote = true
        facts.readsBack = false
        // A published file is the course's. As long as one that was not published, it is still here to be looked at.
        facts.keepsUnreadable = .seconds(ItslearningConfiguration.retention)
        facts.readsRanges = false
        let largest = configuration.maximumFileSize
        facts.maximumFileSize = largest
        // One request, so one chunk: there is no partial upload.
        facts.chunkSizes = 1...max(1, largest.rawValue)
        facts.preferredChunk = max(ByteCount(1), largest)
        facts.names = names
        return facts
    }

    /// What the service says it refuses. `.src` is what its list has; `.scr`, which may have been meant, is let through.
    private static let names: BackendFacts.NameRules = {
        var rules = BackendFacts.NameRules()
        rules.mustBeUTF8 = true
        // Separators on the service's side, and what XML 1.0 has no way to say.
        rules.excludedBytes = Array(0x01...0x1f) + [0x7f, UInt8(ascii: "\\")]
        rules.longestFileName = 155
        rules.deniedEndings = [
            "", "exe", "com", "vb", "vbs", "vbe", "cmd", "bat", "ws", "wsf", "src", "shs", "pif", "hta", "jar", "js",
            "jse", "lnk",
        ]
        return rules
    }()

    /// Nothing of this service is on this machine.
    public func prepare() throws(RemoteError) {}

    /// The service tells of no quota and of no free space.
    public func space() throws(RemoteError) -> FileSystemSpace { throw .notSupported }

    /// A name for a group of files, which only this program knows.
    public func makeDirectory(_ path: RelativePath, in parent: StoredDirectory) throws(RemoteError) -> String {
        path.description
    }

    /// Every file is final by itself.
    public func complete(_ manifest: SessionManifest) throws(RemoteError) {}
    public func abort(_ session: StoredDirectory) throws(RemoteError) {}

    public func open(_ file: StoredFile) throws(RemoteError) -> any CommittedContent { throw .expired }

    public func reconsider() { memory.withLock { $0.forgetService() } }
}
