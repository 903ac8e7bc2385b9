internal import Glibc
internal import Synchronization

/// A piece of memory for bytes that are read from a service; goes back to its pool when nobody has it any more.
///
/// @unchecked: `base` is fixed from init to deinit. Who fills a block is the only one that writes, and only behind what
/// it has told others of, under their lock; what it has told of never changes.
@safe
final class Block: @unchecked Sendable {
    private let base: UnsafeMutableRawPointer
    private let pool: BlockPool

    fileprivate init(_ base: UnsafeMutableRawPointer, of pool: BlockPool) {
        unsafe self.base = base
        self.pool = pool
    }

    deinit { pool.putBack(unsafe UInt(bitPattern: base)) }

    /// The bytes of a part.
    func bytes(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(start: base + range.lowerBound, count: range.count)
    }
}

/// The memory of all reads from services: never more than its capacity.
///
/// Lock order: `state` is a leaf. A block may be let go under any lock: those who wait for one are told on a thread that
/// holds none.
final class BlockPool: Sendable {
    /// Two requests of the kernel's read-ahead.
    static let blockSize = 256 << 10
    /// 64 MiB: the furthest window twice, or 1 MiB and some for each of 32 readers; with what the program has anyway and
    /// the buffers of libcurl it stays below 160 MiB, with a disk cache too (`ReadCache.memory`).
    static let standardCapacity = 256

    private struct State {
        var inUse = 0
        var peak = 0
        /// Addresses of mappings nobody uses.
        var free: [UInt] = []
        var waiting: [(count: Int, retry: @Sendable () -> Void)] = []
    }

    let capacity: Int
    private let state = Mutex(State())
    /// Runs something on a thread that holds no lock.
    private let run: @Sendable (@escaping @Sendable () -> Void) -> Void

    init(
        capacity: Int = BlockPool.standardCapacity,
        run: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void
    ) {
        self.capacity = capacity
        self.run = run
    }

    deinit { for address in state.withLock({ $0.free }) { BlockPool.unmap(address) } }

    static func blocks(for count: UInt64) -> Int { Int((count + UInt64(blockSize) - 1) / UInt64(blockSize)) }

    /// Blocks handed out now, and the most there ever were.
    var inUse: Int { state.withLock { $0.inUse } }
    var peak: Int { state.withLock { $0.peak } }
    /// Somebody waits for blocks.
    var isContended: Bool { state.withLock { !$0.waiting.isEmpty } }

    /// Blocks, or nil when there are not so many left.
    /// - Parameter waits: somebody waits for them; who does not gives way to those.
    func take(_ count: Int, waits: Bool) -> [Block]? {
        let isGranted = state.withLock { state in
            if state.inUse + count > capacity || !waits && !state.waiting.isEmpty { return false }
            state.inUse += count
            state.peak = max(state.peak, state.inUse)
            return true
        }
        if !isGranted { return nil }
        var blocks: [Block] = []
        for made in 0..<count {
            let address = state.withLock { $0.free.popLast() } ?? BlockPool.map()
            guard let address, let base = unsafe UnsafeMutableRawPointer(bitPattern: address) else {
                state.withLock { $0.inUse -= count - made }
                return nil
            }
            blocks.append(unsafe Block(base, of: self))
        }
        return blocks
    }

    private static func map() -> UInt? {
        let base = unsafe mmap(nil, blockSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        let address = UInt(bitPattern: base)
        return address == .max ? nil : address
    }

    private static func unmap(_ address: UInt) {
        _ = unsafe munmap(UnsafeMutableRawPointer(bitPattern: address), blockSize)
    }

    fileprivate func putBack(_ address: UInt) {
        let (isWaitedFor, unused) = state.withLock { state in
            state.inUse -= 1
            state.free.append(address)
            // While somebody reads, memory is used again at once; nobody reads when none is out.
            let unused = state.inUse == 0 ? state.free : []
            if !unused.isEmpty { state.free = [] }
            return (!state.waiting.isEmpty, unused)
        }
        for address in unused { BlockPool.unmap(address) }
        if isWaitedFor { run { [self] in wake() } }
    }

    /// Calls `retry` once, when so many blocks, at most the capacity, have come back.
    func wait(for count: Int, _ retry: @escaping @Sendable () -> Void) {
        let hasComeBack = state.withLock { state in
            state.waiting.append((count, retry))
            return state.inUse + count <= capacity
        }
        if hasComeBack { run { [self] in wake() } }
    }

    /// Lets those who wait try, in order, until what is there is not enough for the first.
    private func wake() {
        while true {
            let retry: (@Sendable () -> Void)? = state.withLock { state in
                guard let first = state.waiting.first, state.inUse + first.count <= capacity else { return nil }
                return state.waiting.removeFirst().retry
            }
            guard let retry else { return }
            retry()
        }
    }
}
