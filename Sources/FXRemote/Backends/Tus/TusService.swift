public import FXSystem
internal import Synchronization

/// Files at a service that speaks tus 1.0, the open protocol for uploads that can be continued.
///
/// The protocol knows single uploads at urls the service chooses: no sessions, no names, no listing. Sessions are
/// groups in the journal of this program. What a service offers is asked once, by OPTIONS.
public final class TusService: Backend {
    let client: TusClient
    let memory = TusMemory()
    private let known: Mutex<BackendFacts>
    private let discovery = Monitor(Discovery())

    private struct Discovery {
        var offer: TusOffer?
        /// Found out by the first upload; nil before.
        var layout: TusConfiguration.Layout?
        /// Somebody asks; others wait for that answer.
        var isAsking = false
    }

    var configuration: TusConfiguration { client.configuration }

    /// What is known so far: a limit, and whether files can be sent while they are written, come with the first answer.
    public var facts: BackendFacts { known.withLock { $0 } }

    /// - Parameter origin: the configured url; every request goes there.
    public init(
        _ configuration: TusConfiguration, transport: any HTTPTransport, origin: HTTPOrigin, clock: WallClock
    ) {
        client = TusClient(configuration, transport: transport, origin: origin, clock: clock)
        var facts = BackendFacts()
        facts.isRemote = true
        facts.deletesCommitted = configuration.allowsDelete
        facts.chunkSizes = 1...max(1, configuration.chunkSize.rawValue)
        facts.preferredChunk = configuration.chunkSize
        // Metadata carries any bytes; the services in use take paths and names for text.
        facts.names.mustBeUTF8 = true
        known = Mutex(facts)
    }

    // MARK: - What the service offers

    /// Asks what the service offers, and does not wait for it.
    public func prepare() throws(RemoteError) {
        let isFirst: Bool = discovery.withLock { state in
            if state.isAsking || state.offer != nil { return false }
            state.isAsking = true
            return true
        }
        if isFirst { client.startDiscovery { [self] in learn($0) } }
    }

    /// - Throws: why nothing can be uploaded there.
    func offer() throws(RemoteError) -> TusOffer {
        enum Look { case known(TusOffer), ask }
        let look = discovery.wait(until: .after(configuration.operationTimeout)) { state -> Look? in
            if let offer = state.offer { return .known(offer) }
            if state.isAsking { return nil }
            state.isAsking = true
            return .ask
        }
        switch look {
        case .known(let offer): return offer
        case nil: throw .timedOut
        case .ask:
            let result: Result<TusOffer, RemoteError>
            do throws(RemoteError) { result = .success(try client.discover()) } catch { result = .failure(error) }
            learn(result)
            return try result.get()
        }
    }

    private func learn(_ result: Result<TusOffer, RemoteError>) {
        if case .success(let offer) = result {
            known.withLock { facts in
                facts.maximumFileSize = offer.maximumSize
                facts.uploadsWhileWriting = offer.defersLength
                facts.needsSizeFirst = !offer.defersLength
                facts.deletesCommitted = configuration.allowsDelete && offer.terminates
            }
        }
        discovery.withLock { state in
            state.isAsking = false
            if case .success(let offer) = result { state.offer = offer }
        }
    }

    /// Where files go; nil until the first upload has shown it.
    var layout: TusConfiguration.Layout? {
        configuration.layout == .auto ? discovery.withLock { $0.layout } : configuration.layout
    }

    func learn(_ layout: TusConfiguration.Layout) { discovery.withLock { $0.layout = layout } }

    /// True of an upload whose file is known by its path, so that sending it again makes no second one.
    func isAtPath(_ target: String) -> Bool {
        configuration.layout == .path || configuration.layout == .auto && TusLocation.isSeaweedFS(target)
    }

    public func reconsider() {
        client.forgetToken()
        discovery.withLock { $0.offer = nil }
    }

    // MARK: - Sessions

    /// Known here only. Asks the service for what it is, so that a wrong url is an error at once.
    public func makeDirectory(_ path: RelativePath, in parent: StoredDirectory) throws(RemoteError) -> String {
        _ = try offer()
        return path.description
    }

    /// Nothing at the service knows of sessions.
    public func complete(_ manifest: SessionManifest) throws(RemoteError) {}

    public func abort(_ session: StoredDirectory) throws(RemoteError) {}

    /// The protocol has no word for it.
    public func space() throws(RemoteError) -> FileSystemSpace { throw .notSupported }

    // MARK: - Committed files

    public func open(_ file: StoredFile) throws(RemoteError) -> any CommittedContent {
        let target = try target(of: file)
        guard isAtPath(target) else {
            if try client.standing(target) == nil { throw .expired }
            return TusContent(client: client, target: target, size: file.size)
        }
        guard let base = configuration.filesPath else { throw .notServed }
        let served = base + "/" + TusService.encoded(file.path)
        let response = try client.head(served)
        if response.status == 404 { throw .noSuchEntry }
        if !response.isSuccess { throw client.refusal(response) }
        if let length = response.fields["Content-Length"], length != String(file.size.rawValue) { throw .changed }
        return TusContent(client: client, target: served, size: file.size, validators: TusValidators(response.fields))
    }

    /// Terminates the upload, which removes the file.
    public func delete(_ file: StoredFile) throws(RemoteError) {
        let target = try target(of: file)
        // Such a service forgets an upload when it is whole: it would say yes and keep the file.
        if !facts.deletesCommitted || isAtPath(target) { throw .notSupported }
        if try !offer().terminates { throw .notSupported }
        try client.terminate(target)
    }

    private func target(of file: StoredFile) throws(RemoteError) -> String {
        // It comes from the journal, and nothing else than a path is ever put into a request.
        if !file.remoteID.hasPrefix("/") { throw .invalidArgument }
        return file.remoteID
    }

    /// Where a file is created.
    func creationTarget(of upload: Upload, _ layout: TusConfiguration.Layout) -> String {
        let base = configuration.creationPath
        guard layout == .path else { return base.isEmpty ? "/" : base }
        return (base.hasSuffix("/") ? base : base + "/") + TusService.encoded(upload.path)
    }

    private static func encoded(_ path: RelativePath) -> String {
        path.components.map { PercentEncoding.encode($0.bytes) }.joined(separator: "/")
    }
}
