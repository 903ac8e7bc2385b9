public import FXSystem
internal import Logging
internal import Synchronization
internal import SystemPackage

/// Everything of one state directory: journal, spool, engine and the trees of all remotes.
///
/// The caller holds the lock of the state directory. Life: `init` opens and recovers, `start` begins to send, `drain`
/// ends it. Any thread.
public final class TransferService: Sendable {
    public let trees: [RemoteTree]
    let services: TreeServices
    private let memoryLane: CallLane
    private let isStarted = Mutex(false)

    /// Opens the journal and puts in order what the last run left: sealed files go on, unsealed ones move to
    /// `recovered/`.
    /// - Parameters:
    ///   - stateDirectory: absolute and existing.
    ///   - keeping: what the spool keeps of committed files.
    ///   - cacheDirectory: for files of services without ranges while they are read, and for `cache`; made when it is
    ///     needed. nil for the state directory.
    ///   - cache: how much of what is read from services is kept on disk; nil for nothing.
    /// - Throws: `.journal(.newer)`, what the disk says, what a backend's `prepare` says of a service that can never
    ///   be used.
    public convenience init(
        stateDirectory: String, remotes: [RemoteConfiguration], keeping: SpoolKeeping = .none,
        cacheDirectory: String? = nil, cache: ReadCacheConfiguration? = nil, events: EventLog = EventLog(),
        clock: WallClock = .system
    ) throws(RemoteError) {
        try self.init(
            stateDirectory: stateDirectory, remotes: remotes, keeping: keeping, cacheDirectory: cacheDirectory,
            cache: cache,
            events: events, clock: clock,
            random: { Double.random(in: 0...1) }, didCommit: { _ in })
    }

    init(
        stateDirectory: String, remotes: [RemoteConfiguration], keeping: SpoolKeeping = .none,
        cacheDirectory: String? = nil, cache: ReadCacheConfiguration? = nil,
        readBlocks: Int = BlockPool.standardCapacity, events: EventLog,
        clock: WallClock, random: @escaping @Sendable () -> Double,
        didCommit: @escaping @Sendable ([JournalChange]) -> Void
    ) throws(RemoteError) {
        let spool = try Spool(stateDirectory: stateDirectory)
        let journal = try Journal(path: stateDirectory + "/journal.sqlite", didCommit: didCommit)
        let contents = try journal.contents()
        let kept = KeptContents(spool: spool, journal: journal, clock: clock, events: events, keeping: keeping)
        // For those who wait for memory only; it has no thread while nobody does.
        let memoryLane = CallLane(name: "fx-memory", threads: 1, capacity: 64)
        let pool = BlockPool(capacity: readBlocks) { run in
            // Refused only when as many are about to look already, or the service has ended.
            _ = memoryLane.submit(run: run)
        }
        let directory = cacheDirectory ?? stateDirectory
        services = TreeServices(
            spool: spool, journal: journal, kept: kept, readers: Readers(pool: pool),
            staging: StagingDirectory(path: directory),
            cache: cache.map { ReadCache($0, path: directory, events: events) }, digests: DigestWorker(),
            events: events,
            clock: clock, contents: contents)
        self.memoryLane = memoryLane
        var trees: [RemoteTree] = []
        for remote in remotes {
            do throws(RemoteError) { try remote.backend.prepare() } catch {
                // A service over a network is there or comes back; the other remotes do not wait for it.
                if !remote.backend.facts.isRemote { throw error }
                events.record(
                    "remote_not_ready", level: .warning,
                    [.init("remote", .string(remote.name.description)), .init("error", .string(error.message))])
            }
            let engine = TransferEngine(connections: remote.connections, random: random)
            trees.append(RemoteTree(remote, services: services, engine: engine))
        }
        self.trees = trees
        try Recovery(services: services, trees: trees).run(contents)
    }

    /// Starts the threads and goes on with what recovery found.
    public func start() throws(RemoteError) {
        let isFirst = isStarted.withLock { started in
            defer { started = true }
            return !started
        }
        if !isFirst { return }
        try services.journal.start()
        try services.digests.start()
        services.cache?.start()
        for tree in trees {
            try tree.engine.start()
            tree.resume()
        }
    }

    public func tree(named name: Name) -> RemoteTree? { trees.first { $0.name == name } }

    // MARK: - Ending

    /// Refuses new changes, waits for what is sealed, and stops every thread. Nothing can be written afterwards.
    public func drain(timeout: Duration) -> DrainReport {
        let deadline = ContinuousDeadline.after(timeout)
        for tree in trees { tree.state.withLock { $0.isDraining = true } }
        for tree in trees {
            _ = tree.state.wait(until: deadline) { $0.active.isEmpty ? true : nil }
        }
        let tidied = min(deadline, ContinuousDeadline.after(TransferService.tidying))
        for tree in trees {
            _ = tree.state.wait(until: tidied) { $0.discards.isEmpty ? true : nil }
        }
        stop()
        return DrainReport(left: transfers().filter { $0.state != .committed }, time: services.clock.now())
    }

    /// How long a drain waits, within its timeout, for a service to be let forget what nobody wants any more: the journal
    /// knows it, and the next start goes on.
    private static let tidying = Duration.seconds(5)
    /// How long calls of a stopped transport get to come back; what does not is left to the end of the process.
    private static let patience = Duration.seconds(2)

    /// Ends the threads without waiting for transfers; the next start goes on. Never waits for a service: calls that
    /// hang in one are left behind.
    public func stop() {
        for tree in trees {
            tree.engine.beginStop()
            tree.lane?.stop()
            tree.contentLane?.stop()
            tree.configuration.stopTransport()
        }
        services.readers.stop()
        memoryLane.stop()
        let deadline = ContinuousDeadline.after(TransferService.patience)
        for tree in trees { tree.verifications.stop(until: deadline) }
        for tree in trees { tree.engine.stop(until: tree.lane == nil ? nil : deadline) }
        services.digests.stop()
        for tree in trees {
            tree.state.withLock { state in
                state.isDraining = true
                state.isStopped = true
            }
            // Who was answering a request gets to the end of it.
            tree.lane?.waitUntilIdle(until: deadline)
            tree.contentLane?.waitUntilIdle(until: deadline)
        }
        services.cache?.stop(until: deadline)
        services.journal.stop()
        do throws(RemoteError) { try services.spool.close() } catch {
            services.events.record("spool_not_freed", [.init("error", .string(error.message))])
        }
        // What they wait for is sealed and goes on at the next start; the calls must not hang.
        for tree in trees { tree.waits.finishAll(.failure(.interrupted)) }
    }

    // MARK: - Second tries

    /// Queues failed files again, at or below a path that starts with the remote's name; the empty path means all.
    /// - Returns: how many.
    @discardableResult
    public func retry(_ prefix: RelativePath = RelativePath()) -> Int {
        var count = 0
        for tree in trees { count += tree.retry(below: prefix) }
        return count
    }
}

extension TransferService {
    /// Copies what did not reach its remote out of the spool: failed, queued and draft files at or below a path that
    /// starts with the remote's name. The spool keeps its bytes.
    /// - Parameter destination: an absolute, existing directory; a file that exists there ends the export with
    ///   `.exists`.
    /// - Returns: the exported paths, below the destination as they are on the mount.
    public func export(_ prefix: RelativePath, to destination: String) throws(RemoteError) -> [RelativePath] {
        var exported: [RelativePath] = []
        for tree in trees {
            for (path, revision) in tree.pendingContents() where path.isWithin(prefix) {
                // Only the newest content has the name; older ones are on their way to be replaced.
                if exported.contains(path) { continue }
                try export(revision, as: path, to: destination)
                exported.append(path)
            }
        }
        return exported
    }

    private func export(_ revision: Revision, as path: RelativePath, to destination: String) throws(RemoteError) {
        guard let name = path.name else { throw .invalidArgument }
        let content = try revision.sealedContent(services.journal)
        let target: OwnedDescriptor
        do throws(Errno) {
            var directory = try OwnedDescriptor.open(absolute: destination, .directory)
            for component in path.parent.components {
                directory = try directory.openOrMakeDirectory(component, mode: 0o755)
            }
            target = try directory.open(name, [.readWrite, .create, .exclusive], mode: 0o600)
        } catch {
            if error == .fileExists { throw .exists }
            throw .local(error, during: .recovery)
        }
        _ = try content.copy(to: target)
        do throws(Errno) {
            // The spool file may have reserved blocks past its end, never bytes.
            try target.truncate(to: revision.size)
            try target.sync()
        } catch { throw .local(error, during: .recovery) }
    }

    /// Files that were not sealed when an earlier run ended, as paths below `recovered/`; `doctor` lists them.
    public func recoveredFiles() throws(RemoteError) -> [RelativePath] { try services.spool.recoveredFiles() }
}

/// What a drain could not finish.
public struct DrainReport: Sendable {
    public var left: [TransferRecord]
    public var time: Timestamp

    /// `{"left":[{"path":…,"state":…,"size":…}],"time":…}`
    public var json: JSONValue {
        .object([.init("left", .array(left.map(\.json))), .init("time", .time(time))])
    }
}
