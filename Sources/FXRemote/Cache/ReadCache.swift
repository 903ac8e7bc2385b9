public import FXSystem
internal import Logging
internal import Synchronization
internal import SystemPackage

/// How much of what is read from services stays on this machine's disk, and where.
public struct ReadCacheConfiguration: Sendable {
    /// Of all that it takes of the disk.
    public var size: ByteCount
    /// Its directory's: no two state directories have the same.
    public var name: Name

    public init(size: ByteCount, name: Name) { (self.size, self.name) = (size, name) }
}

/// Blocks of committed contents on this machine's disk, for all remotes of a state directory. Disposable: whatever
/// becomes of it, reads go on without.
///
/// Everything that changes the disk is done by one thread, in order. Who brings bytes from a service hands them over and
/// never waits: when there is no memory for them, because the disk is slower than the network, they are not kept.
///
/// Lock order: `state` is a leaf.
final class ReadCache: Sendable {
    private struct State {
        var directory: CacheDirectory?
        var index = CacheIndex()
        /// Read now.
        var opened: [CacheKey: (file: CacheFile, users: Int)] = [:]
        /// To be removed from the disk; not to be opened before.
        var doomed: Set<CacheKey> = []
        /// All that an earlier run left is in the index.
        var isTakenOver = false
        /// Said once.
        var hasTold = false
    }

    /// 8 MiB on their way to the disk, and eight ranges being brought among them.
    static let memory = 32
    /// What a file system may give a new file beyond its head.
    private static let headAllowance: UInt64 = 1 << 20
    /// Blocks to write, of which there are no more than `memory`, and files that were closed.
    private static let waiting = 4096

    let bound: UInt64
    let pool = BlockPool(capacity: ReadCache.memory) { _ in }
    private let path: String
    private let name: Name
    private let events: EventLog
    private let lane = CallLane(name: "fx-cache", threads: 1, capacity: ReadCache.waiting)
    private let isOn = Atomic(false)
    private let hit = Atomic<UInt64>(0)
    private let missed = Atomic<UInt64>(0)
    private let state = Mutex(State())

    /// - Parameter path: of the directory with the caches of all state directories; made when it is needed.
    init(_ configuration: ReadCacheConfiguration, path: String, events: EventLog) {
        bound = configuration.size.rawValue
        name = configuration.name
        self.path = path
        self.events = events
    }

    // MARK: - Life

    /// Begins to use the directory, and takes over what an earlier run left in it as far as the bound goes.
    func start() {
        do throws(Errno) {
            let directory = try CacheDirectory(path: path, name: name)
            state.withLock { $0.directory = directory }
            isOn.store(true, ordering: .relaxed)
            _ = lane.submit { [self] in attempt { () throws(Errno) in try takeOver(directory) } }
        } catch { turnOff(error) }
    }

    /// Nothing is kept any more; what has come is written first, unless the deadline passes.
    func stop(until deadline: ContinuousDeadline) {
        let isWritten = Monitor(false)
        let end: @Sendable () -> Void = { isWritten.withLock { $0 = true } }
        if lane.submit(run: end, drop: end) { _ = isWritten.wait(until: deadline) { $0 ? true : nil } }
        isOn.store(false, ordering: .relaxed)
        lane.stop()
        lane.waitUntilIdle(until: deadline)
        // The next run may have it.
        let directory = state.withLock { $0.directory.take() }
        _ = consume directory
    }

    var isUsed: Bool { isOn.load(ordering: .relaxed) }

    private func takeOver(_ directory: CacheDirectory) throws(Errno) {
        let found = try directory.contents()
        let (own, free) = (try directory.allocated(), try directory.room().free)
        let surplus = state.withLock { state in
            for content in found { state.index.adopt(content.key, allocated: content.allocated) }
            state.isTakenOver = true
            let limit = min(bound, state.index.allocated &+ own &+ free)
            return state.index.evict(to: limit > own ? limit - own : 0)
        }
        try remove(surplus, from: directory)
    }

    // MARK: - Failing

    private func attempt(_ body: () throws(Errno) -> Void) {
        do throws(Errno) { try body() } catch { failed(error) }
    }

    private func failed(_ error: Errno) {
        // A single file may also be too large for the file system.
        if ![.noSpace, .diskQuotaExceeded, .fileTooLarge].contains(error) { return turnOff(error) }
        let isFirst = state.withLock { state in
            defer { state.hasTold = true }
            return !state.hasTold
        }
        if isFirst { tell("cache_full", error) }
    }

    /// The disk is not to be trusted with anything until the next mount; reads go on without it.
    func turnOff(_ error: Errno) {
        let (isFirst, files): (Bool, [CacheFile]) = state.withLock { state in
            let isFirst = state.directory != nil || !state.hasTold
            state.directory = nil
            state.hasTold = true
            defer { state.opened = [:] }
            return (isFirst, state.opened.values.map(\.file))
        }
        isOn.store(false, ordering: .relaxed)
        for file in files { _ = file.abandon() }
        if isFirst { tell("cache_off", error) }
    }

    private func tell(_ what: String, _ error: Errno) {
        events.record(
            what, level: .warning,
            [
                .init("path", .string("\(path)/\(name)")),
                .init("error", .string(RemoteError.local(error, during: .cache).message)),
            ])
    }

    // MARK: - Reading

    /// What is here of a content, shared with all that read it now; `leave` it at the end. May wait for the disk.
    /// - Returns: nil when nothing of it is to be kept.
    func join(_ key: CacheKey, size: ByteCount) -> CacheFile? {
        guard isUsed, let layout = CacheLayout(size: size) else { return nil }
        if let file = shared(key, layout, or: nil) { return file }
        guard let directory = state.withLock({ $0.doomed.contains(key) ? nil : $0.directory }) else { return nil }
        let made = CacheFile(key, layout)
        do throws(Errno) {
            // A file of another content, or one that is torn, is written anew.
            if let found = try directory.open(key), try !made.take(found) { forget(key) }
        } catch { forget(key) }
        return shared(key, layout, or: made)
    }

    private func shared(_ key: CacheKey, _ layout: CacheLayout, or made: CacheFile?) -> CacheFile? {
        // Of a file that is in the index as soon as it is read, whether it was taken over yet or not.
        let allocated = made?.descriptor.flatMap { try? $0.allocated() }
        return state.withLock { state in
            if state.doomed.contains(key) || state.directory == nil { return nil }
            if let known = state.opened[key] {
                if known.file.layout != layout { return nil }
                state.opened[key]?.users += 1
                state.index.use(key)
                return known.file
            }
            guard let made else { return nil }
            state.opened[key] = (made, 1)
            if let allocated {
                state.index.insert(key, allocated: allocated)
            } else {
                // Somebody took the file away.
                state.index.remove(key)
            }
            state.index.open(key)
            return made
        }
    }

    /// One handle, or one range, less.
    func leave(_ file: CacheFile) {
        let isLast = state.withLock { state in
            guard let known = state.opened[file.key], known.file === file else { return false }
            state.opened[file.key]?.users -= 1
            return known.users == 1
        }
        if !isLast { return }
        // After what is still to be written of it.
        let isTaken = lane.submit { [self] in
            if !close(file) { return }
            // The next run takes over what was used last. What cannot be told of it goes sooner, that is all.
            do throws(Errno) { try file.descriptor?.file.setTimes(accessed: .keep, modified: .now) } catch { return }
        }
        if !isTaken { _ = close(file) }
    }

    /// False when somebody has come to read it meanwhile.
    private func close(_ file: CacheFile) -> Bool {
        state.withLock { state in
            guard let known = state.opened[file.key], known.file === file, known.users == 0 else { return false }
            state.opened[file.key] = nil
            state.index.close(file.key)
            return true
        }
    }

    /// A range of it is brought; `leave` it when that has ended.
    func use(_ file: CacheFile) {
        state.withLock { state in
            guard let known = state.opened[file.key], known.file === file else { return }
            state.opened[file.key]?.users += 1
            state.index.use(file.key)
        }
    }

    func countHit(_ bytes: UInt64) { hit.wrappingAdd(bytes, ordering: .relaxed) }
    func countMissed(_ bytes: UInt64) { missed.wrappingAdd(bytes, ordering: .relaxed) }

    /// Removes what there is of a content that is not at the service any more, or not what it was.
    func forget(_ key: CacheKey) {
        if !isUsed { return }
        let (isKnown, file): (Bool, CacheFile?) = state.withLock { state in
            let file = state.opened.removeValue(forKey: key)?.file
            if file == nil, state.isTakenOver, !state.index.contains(key) { return (false, nil) }
            state.doomed.insert(key)
            return (true, file)
        }
        if !isKnown { return }
        let descriptor = file?.abandon()
        _ = lane.submit { [self] in
            // Handles that have it open hold its blocks no longer.
            if let descriptor { attempt { () throws(Errno) in try descriptor.file.truncate(to: .zero) } }
            attempt { () throws(Errno) in try sweep() }
        }
    }

    // MARK: - Writing, by the thread of the cache

    /// Takes blocks to be written; never waits.
    /// - Parameter memory: has them from its start.
    func keep(_ blocks: Range<UInt64>, of file: CacheFile, in memory: Block) {
        _ = lane.submit { [self] in attempt { () throws(Errno) in try write(blocks, of: file, in: memory) } }
    }

    private func write(_ blocks: Range<UInt64>, of file: CacheFile, in memory: Block) throws(Errno) {
        try sweep()
        let start = file.layout.range(of: blocks).lowerBound
        for run in file.missing(in: blocks) {
            guard let descriptor = try descriptor(of: file) else { return }
            if try !makeRoom(for: run, of: file) { return }
            let range = file.layout.range(of: run)
            let bytes = unsafe memory.bytes(Int(range.lowerBound - start)..<Int(range.upperBound - start))
            do throws(Errno) { try unsafe file.write(run, UnsafeRawBufferPointer(bytes), to: descriptor) } catch {
                try count(descriptor, of: file)
                throw error
            }
            try count(descriptor, of: file)
        }
    }

    @discardableResult
    private func count(_ descriptor: CacheDescriptor, of file: CacheFile) throws(Errno) -> UInt64 {
        let allocated = try descriptor.allocated()
        state.withLock { $0.index.setAllocated(allocated, of: file.key) }
        return allocated
    }

    /// The open file to write to, made when there is none; nil when it is not wanted any more.
    private func descriptor(of file: CacheFile) throws(Errno) -> CacheDescriptor? {
        if let descriptor = file.descriptor { return descriptor }
        guard let directory = state.withLock({ $0.opened[file.key]?.file === file ? $0.directory : nil }) else {
            return nil
        }
        state.withLock { state in
            state.index.insert(file.key)
            state.index.open(file.key)
        }
        // Its head is one block more.
        if try !makeRoom(for: 0..<1, of: file) {
            state.withLock { $0.index.remove(file.key) }
            return nil
        }
        let made = try make(file.key, in: directory)
        do throws(Errno) { try file.begin(made) } catch {
            if error == .fileTooLarge { _ = file.abandon() }
            throw error
        }
        let allocated = try count(made, of: file)
        // A file system without holes: it gives a file all of its size at once.
        if allocated > file.layout.dataStart + ReadCache.headAllowance {
            try made.file.truncate(to: .zero)
            throw .notSupported
        }
        return made
    }

    private func make(_ key: CacheKey, in directory: CacheDirectory) throws(Errno) -> CacheDescriptor {
        do throws(Errno) { return try directory.make(key) } catch {
            if error != .noSuchFileOrDirectory { throw error }
            // Somebody removed the whole cache, which anybody may.
            let made = try CacheDirectory(path: path, name: name)
            state.withLock { $0.directory = made }
            return try made.make(key)
        }
    }

    /// - Returns: false when the bound, or what others need of the disk, leaves no room.
    private func makeRoom(for blocks: Range<UInt64>, of file: CacheFile) throws(Errno) -> Bool {
        guard let directory = state.withLock({ $0.directory }) else { return false }
        let room = try directory.room()
        let own = try directory.allocated()
        let cost = file.layout.cost(of: blocks, allocation: room.allocation) + own
        let (surplus, fits, isDiskFull) = state.withLock { state in
            let limit = min(bound, state.index.allocated &+ own &+ room.free)
            let surplus = state.index.evict(to: limit > cost ? limit - cost : 0, for: file.key)
            let fits = state.index.allocated + cost <= limit
            return (surplus, fits, !fits && limit < bound)
        }
        try remove(surplus, from: directory)
        if isDiskFull { failed(.noSpace) }
        return fits
    }

    /// Removes contents that are not in the index any more.
    private func remove(_ keys: [CacheKey], from directory: CacheDirectory) throws(Errno) {
        for key in keys {
            let file = state.withLock { $0.opened.removeValue(forKey: key)?.file }
            // Who reads it holds its blocks no longer.
            if let descriptor = file?.abandon() { try descriptor.file.truncate(to: .zero) }
            try directory.remove(key)
        }
    }

    private func sweep() throws(Errno) {
        let (doomed, directory) = state.withLock { ($0.doomed, $0.directory) }
        if doomed.isEmpty { return }
        if let directory { for key in doomed { try directory.remove(key) } }
        state.withLock { state in
            for key in doomed { state.index.remove(key) }
            state.doomed.subtract(doomed)
        }
    }

    var standing: Standing {
        let (allocated, contents) = state.withLock { ($0.index.allocated, $0.index.count) }
        return Standing(
            size: ByteCount(bound), allocated: ByteCount(allocated), contents: contents, isUsed: isUsed,
            hit: ByteCount(hit.load(ordering: .relaxed)), missed: ByteCount(missed.load(ordering: .relaxed)))
    }
}
