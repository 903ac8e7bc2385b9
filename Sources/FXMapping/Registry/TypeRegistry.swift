public import FXSystem
internal import Synchronization
internal import SystemPackage

/// The entities and types of all applications of a user, in one database.
///
/// Any thread and any number of processes may work with one database file at once. A call that returns has been
/// committed durably. `snapshot(of:)` never touches the database.
public final class TypeRegistry: Sendable {
    /// Whether a change may take protection away.
    public enum Weakening: Sendable { case refused, allowed }

    private let database: RegistryDatabase
    private let clock: WallClock
    private let stateDirectory: ReservedDirectory
    private let current: CurrentContents
    private let poller = Mutex<RegistryPoller?>(nil)

    /// Opens the database, made if missing; its directory must exist and is closed to types.
    /// - Parameter databasePath: absolute.
    /// - Throws: `MappingError.database`, `.databaseTooNew` or `.system`.
    public init(databasePath: String, clock: WallClock = .system) throws(MappingError) {
        let directory = databasePath.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        stateDirectory = .state(directory.joined(separator: "/") + "/")
        self.clock = clock
        database = try RegistryDatabase(path: databasePath)
        current = CurrentContents(try database.contents())
    }

    // MARK: Reading

    /// What the last refresh saw, from memory; empty for an application without entities.
    public func snapshot(of application: ApplicationID) -> RegistrySnapshot {
        current.contents.snapshot(of: application)
    }

    /// What the database holds now; one short read of it, so for what the last snapshot cannot answer.
    /// - Throws: `MappingError.database`.
    public func newestSnapshot(of application: ApplicationID) throws(MappingError) -> RegistrySnapshot {
        if let contents = try database.contents(since: current.contents.generation) { install(contents) }
        return snapshot(of: application)
    }

    /// Those that have entities, in byte order of their names, from the database.
    public func applications() throws(MappingError) -> [ApplicationID] {
        let contents = try database.contents()
        install(contents)
        return contents.snapshots.keys.sorted { $0.name < $1.name }
    }

    /// In byte order, from the database.
    public func entities(in application: ApplicationID) throws(MappingError) -> [Entity] {
        try refreshed(application).entities
    }

    /// By entity and name in byte order, from the database; of all entities when `entity` is nil.
    /// - Throws: `MappingError.noSuchEntity` for one that does not exist.
    public func types(in application: ApplicationID, entity: EntityName? = nil) throws(MappingError) -> [MappedType] {
        let snapshot = try refreshed(application)
        guard let entity else { return snapshot.types }
        if snapshot.entity(entity) == nil { throw .noSuchEntity(entity) }
        return snapshot.types(of: entity)
    }

    /// - Throws: `MappingError.noSuchType`.
    public func type(
        _ name: TypeName, of entity: EntityName, in application: ApplicationID
    ) throws(MappingError) -> MappedType {
        guard let type = try refreshed(application).type(entity, name) else { throw .noSuchType(entity, name) }
        return type
    }

    /// True also for an unmapped type.
    public func exists(
        _ name: TypeName, of entity: EntityName, in application: ApplicationID
    ) throws(MappingError) -> Bool {
        try refreshed(application).type(entity, name) != nil
    }

    // MARK: Changing

    /// - Throws: `MappingError.entityExists`.
    @discardableResult
    public func createEntity(_ name: EntityName, in application: ApplicationID) throws(MappingError) -> Entity {
        let now = clock.now()
        return try change { try RegistryRows.insertEntity(name, in: application, at: now, $0) }
    }

    /// Makes a type; unmapped when `path` is nil.
    /// - Parameter clearOf: directories it may not overlap with; the registry's own is always among them.
    /// - Throws: `noSuchEntity`, `typeExists`, and for the path what `RealDirectory` and the overlap rules refuse.
    @discardableResult
    public func createType(
        _ name: TypeName, of entity: EntityName, in application: ApplicationID, path: String? = nil,
        policy: Policy = .keepVersions, clearOf reserved: [ReservedDirectory] = []
    ) throws(MappingError) -> MappedType {
        let directory = try path.map { path throws(MappingError) in try validated(path, clearOf: reserved) }
        let now = clock.now()
        return try changeConsistently { contents throws(MappingError) in
            if let directory {
                try OverlapRules.check(directory, policy: policy, against: contents.rows, except: nil)
            }
            return {
                try RegistryRows.insertType(
                    name, of: entity, in: application, path: directory?.path, policy: policy, at: now, $0)
            }
        }
    }

    /// Maps a type to another directory, or unmaps it with nil. The old directory and what is in it stay as they are.
    /// - Throws: `noSuchType`, and for the path as `createType`.
    @discardableResult
    public func setPath(
        _ path: String?, ofType name: TypeName, of entity: EntityName, in application: ApplicationID,
        clearOf reserved: [ReservedDirectory] = []
    ) throws(MappingError) -> MappedType {
        let directory = try path.map { path throws(MappingError) in try validated(path, clearOf: reserved) }
        return try changeConsistently { contents throws(MappingError) in
            guard let type = contents.snapshot(of: application).type(entity, name) else {
                throw .noSuchType(entity, name)
            }
            if let directory {
                try OverlapRules.check(directory, policy: type.policy, against: contents.rows, except: type.id)
            }
            return { try RegistryRows.update(type, path: directory?.path, policy: type.policy, $0) }
        }
    }

    /// Gives a type another policy.
    /// - Throws: `noSuchType`; `weakerPolicy` unless the new one is at least as strict or weakening is allowed;
    ///   `pathOverlapsType` when another type over the same files keeps the old one.
    @discardableResult
    public func setPolicy(
        _ policy: Policy, ofType name: TypeName, of entity: EntityName, in application: ApplicationID,
        weakening: Weakening = .refused
    ) throws(MappingError) -> MappedType {
        try changeConsistently { contents throws(MappingError) in
            guard let type = contents.snapshot(of: application).type(entity, name) else {
                throw .noSuchType(entity, name)
            }
            if weakening == .refused, type.status == .mapped, !policy.isAtLeastAsStrict(as: type.policy) {
                throw .weakerPolicy(from: type.policy, to: policy)
            }
            if let path = type.path {
                let directory = try Self.located(path)
                try OverlapRules.check(directory, policy: policy, against: contents.rows, except: type.id)
            }
            return { try RegistryRows.update(type, path: type.path, policy: policy, $0) }
        }
    }

    /// Forgets the alias. The directory and everything in it stay as they are.
    /// - Throws: `noSuchType`.
    public func deleteType(
        _ name: TypeName, of entity: EntityName, in application: ApplicationID
    ) throws(MappingError) {
        try change { try RegistryRows.deleteType(name, of: entity, in: application, $0) }
    }

    /// Refuses a mount point in which or around which a type lies.
    /// - Throws: `pathOverlapsReserved` for the first such type; the path rules for `mountPoint`.
    public func checkMountPoint(_ mountPoint: String, for application: ApplicationID) throws(MappingError) {
        for type in try types(in: application) {
            guard let path = type.path else { continue }
            try OverlapRules.check(try Self.located(path), against: [.mountPoint(mountPoint)])
        }
    }

    // MARK: Watching

    /// Calls `onChange` for each application whose entities or types changed, from one thread, in order, until
    /// `stopWatching`.
    ///
    /// Changes of other processes are seen within `interval`, own ones at once. `onChange` must not call `stopWatching`
    /// nor keep the registry alive.
    /// - Throws: `database` or `system` when there is no connection or thread to be had. A second call replaces the
    ///   first.
    public func startWatching(
        every interval: Duration = .milliseconds(250), _ onChange: @escaping @Sendable (RegistrySnapshot) -> Void
    ) throws(MappingError) {
        stopWatching()
        let new = try RegistryPoller(
            watcher: try database.watcher(), current: current, interval: interval, onChange: onChange)
        let previous = poller.withLock { slot -> RegistryPoller? in
            defer { slot = new }
            return slot
        }
        previous?.stop()
    }

    /// Returns when the watching thread has ended; `onChange` is not called any more.
    public func stopWatching() {
        let running = poller.withLock { slot -> RegistryPoller? in
            defer { slot = nil }
            return slot
        }
        running?.stop()
    }

    deinit { stopWatching() }
}

extension TypeRegistry {
    private func refreshed(_ application: ApplicationID) throws(MappingError) -> RegistrySnapshot {
        let contents = try database.contents()
        install(contents)
        return contents.snapshot(of: application)
    }

    private func install(_ contents: RegistryContents) {
        if current.install(contents) { poller.withLock { $0 }?.wake() }
    }

    private func change<Result>(_ body: (RegistryDatabase.Connection) throws -> Result) throws(MappingError) -> Result {
        let (result, contents) = try database.write(body)
        install(contents)
        return result
    }

    /// Looks at directories without holding the database, then writes only if no row changed meanwhile.
    ///
    /// Each repetition means that somebody else's change went through.
    private func changeConsistently<Result>(
        _ decide: (RegistryContents) throws(MappingError) -> (RegistryDatabase.Connection) throws -> Result
    ) throws(MappingError) -> Result {
        while true {
            let seen = try database.contents()
            let action = try decide(seen)
            let result = try change { db in
                try RegistryRows.generation(db) == seen.generation ? try action(db) : nil
            }
            if let result { return result }
        }
    }

    private func validated(_ path: String, clearOf reserved: [ReservedDirectory]) throws(MappingError) -> RealDirectory
    {
        let all = [stateDirectory] + reserved
        // By the path first: opening a directory inside our own mount would wait for ourselves.
        try OverlapRules.check(try RealDirectory(locating: path), against: all)
        let directory = try RealDirectory(mapping: path)
        try OverlapRules.check(directory, against: all)
        return directory
    }

    /// The directory as it is, or as far as it can be found while it is missing.
    private static func located(_ path: String) throws(MappingError) -> RealDirectory {
        if let directory = try? RealDirectory(mapping: path) { return directory }
        return try RealDirectory(locating: path)
    }
}
