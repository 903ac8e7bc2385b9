/// The contents that are in the cache, what each takes of the disk, and which go first. A value; every change takes the
/// same time, however many there are.
struct CacheIndex: Sendable {
    private struct Entry: Sendable {
        var allocated: UInt64
        var lastUse: UInt64
        /// When the handles that read it now began to; nil while nobody does.
        var opened: UInt64?
        var newer: CacheKey?
        var older: CacheKey?
    }

    /// Some 15 MB of memory; more files than that are small ones.
    static let standardCapacity = 100_000

    let capacity: Int
    private var entries: [CacheKey: Entry] = [:]
    private var newest: CacheKey?
    private var oldest: CacheKey?
    private var uses: UInt64 = 0
    /// What all of them take of the disk, in bytes.
    private(set) var allocated: UInt64 = 0

    init(capacity: Int = CacheIndex.standardCapacity) { self.capacity = capacity }

    var count: Int { entries.count }
    func contains(_ key: CacheKey) -> Bool { entries[key] != nil }
    func allocated(_ key: CacheKey) -> UInt64 { entries[key]?.allocated ?? 0 }
    /// The one used longest ago first.
    var order: [CacheKey] {
        var keys: [CacheKey] = []
        var next = oldest
        while let key = next {
            keys.append(key)
            next = entries[key]?.newer
        }
        return keys
    }

    /// A content that is used now.
    mutating func insert(_ key: CacheKey, allocated bytes: UInt64 = 0) {
        if entries[key] != nil { return use(key) }
        uses += 1
        entries[key] = Entry(allocated: bytes, lastUse: uses)
        allocated += bytes
        attachNewest(key)
    }

    /// One that an earlier run left: used before all that are known, unless it is known.
    mutating func adopt(_ key: CacheKey, allocated bytes: UInt64) {
        if entries[key] != nil { return }
        entries[key] = Entry(allocated: bytes, lastUse: 0, newer: oldest)
        allocated += bytes
        if let oldest { entries[oldest]?.older = key } else { newest = key }
        oldest = key
    }

    mutating func use(_ key: CacheKey) {
        guard entries[key] != nil else { return }
        uses += 1
        entries[key]?.lastUse = uses
        if newest == key { return }
        detach(key)
        attachNewest(key)
    }

    /// Handles begin to read it: it is used now.
    mutating func open(_ key: CacheKey) {
        use(key)
        entries[key]?.opened = uses
    }

    /// The last of them ended.
    mutating func close(_ key: CacheKey) { entries[key]?.opened = nil }

    mutating func setAllocated(_ bytes: UInt64, of key: CacheKey) {
        guard let old = entries[key]?.allocated else { return }
        entries[key]?.allocated = bytes
        allocated = allocated - old + bytes
    }

    mutating func remove(_ key: CacheKey) {
        guard let entry = entries[key] else { return }
        detach(key)
        entries[key] = nil
        allocated -= entry.allocated
    }

    /// Takes out what was used longest ago until at most so many bytes are left, and no more contents than may be.
    ///
    /// What is read now and was used since `key` was opened stays: two files that are read side by side do not take each
    /// other's place.
    mutating func evict(to limit: UInt64, for key: CacheKey? = nil) -> [CacheKey] {
        let since = key.flatMap { entries[$0]?.opened }
        var gone: [CacheKey] = []
        var next = oldest
        while let candidate = next, allocated > limit || entries.count > capacity {
            guard let entry = entries[candidate] else { break }
            next = entry.newer
            let isInUse = entry.opened != nil && since.map { entry.lastUse >= $0 } ?? (key != nil)
            if candidate == key || isInUse { continue }
            remove(candidate)
            gone.append(candidate)
        }
        return gone
    }

    private mutating func attachNewest(_ key: CacheKey) {
        entries[key]?.older = newest
        entries[key]?.newer = nil
        if let newest { entries[newest]?.newer = key } else { oldest = key }
        newest = key
    }

    private mutating func detach(_ key: CacheKey) {
        guard let entry = entries[key] else { return }
        if let newer = entry.newer { entries[newer]?.older = entry.older } else { newest = entry.older }
        if let older = entry.older { entries[older]?.newer = entry.newer } else { oldest = entry.newer }
    }
}
