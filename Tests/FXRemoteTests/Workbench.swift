import FXSystem
import Glibc
import SystemPackage
import Testing

@testable import FXRemote

/// A state directory of its own, removed at the end.
final class Workbench: Sendable {
    let path: String

    init() throws {
        var template = Array(
            ((unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp") + "/fxremote-XXXXXX").utf8CString)
        let made = unsafe template.withUnsafeMutableBufferPointer {
            unsafe mkdtemp($0.baseAddress.unsafelyUnwrapped) != nil
        }
        try #require(made)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        isOwner = true
    }

    private let isOwner: Bool

    /// A state directory that belongs to another bench.
    init(at path: String) {
        self.path = path
        isOwner = false
    }

    deinit { if isOwner { run("rm", "-rf", path) } }

    /// A copy of the state directory, hard links kept, as a crash would leave it.
    func snapshot(to target: String) { run("cp", "-a", path + "/.", target) }

    /// A store that takes nothing for now, and would not adopt spool files.
    func closedStore() throws -> FaultyService {
        let service = FaultyService(try LocalStore(path: path + "/store", adoptsSpoolFiles: false))
        for call in [FaultyService.Call.begin, .standing] {
            for number in 1...1000 { service.inject(.refuse(.unreachable), at: call, number: number) }
        }
        return service
    }

    func service(
        _ backend: (any Backend)? = nil, commit: CommitMode = .remote, retry: RetryPolicy = .quick,
        operationTimeout: Duration = .seconds(15), listingTTL: Duration = .seconds(10),
        stopTransport: @escaping @Sendable () -> Void = {}, connections: Int? = nil, keeping: SpoolKeeping = .none,
        clock: WallClock = .system, readBlocks: Int = BlockPool.standardCapacity,
        cacheDirectory: String? = nil, cache: ReadCacheConfiguration? = nil, events: EventLog = EventLog(),
        didCommit: @escaping @Sendable ([JournalChange]) -> Void = { _ in }
    ) throws -> TransferService {
        let backend = try backend ?? LocalStore(path: path + "/store")
        let remote = RemoteConfiguration(
            name: try Name("local"), kind: "local", backend: backend, commit: commit, retry: retry,
            operationTimeout: operationTimeout, listingTTL: listingTTL, connections: connections,
            stopTransport: stopTransport,
            looksTemporary: { name, exclusive, mode in
                name.description.hasSuffix(".tmp")
                    || (exclusive && mode & 0o077 == 0 && name.description.hasPrefix("."))
            })
        return try TransferService(
            stateDirectory: path, remotes: [remote], keeping: keeping, cacheDirectory: cacheDirectory, cache: cache,
            readBlocks: readBlocks, events: events, clock: clock, random: { 0 },
            didCommit: didCommit)
    }

    /// Every regular file below a directory of the state directory with its bytes, by relative path.
    func files(below directory: String) -> [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        func walk(_ relative: String) {
            guard let opened = try? OwnedDescriptor.open(absolute: path + "/" + directory + relative, .directory),
                let names = try? opened.entryNames()
            else { return }
            for name in names {
                guard let status = try? opened.status(of: name) else { continue }
                let next = relative + "/" + name.description
                if status.isDirectory {
                    walk(next)
                } else if let file = try? opened.open(name, .readOnly) {
                    found[String(next.dropFirst())] = try? file.read(Int(status.size.rawValue), at: 0)
                }
            }
        }
        walk("")
        return found
    }

    /// What the store shows: no staging, no replaced, no manifests.
    var stored: [String: [UInt8]] {
        files(below: "store").filter { !$0.key.hasPrefix(".staging") && !$0.key.hasPrefix(".replaced") }
    }
}

func run(_ arguments: String...) {
    var pid = pid_t()
    var pointers: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) } + [nil]
    defer { unsafe pointers.forEach { unsafe free($0) } }
    unsafe posix_spawnp(&pid, arguments[0], nil, nil, &pointers, environ)
    waitpid(pid, nil, 0)
}

extension RetryPolicy {
    static let quick = RetryPolicy(initial: .milliseconds(1), maximum: .milliseconds(5))
}

let me = Caller(uid: 0, gid: 0, thread: 0)

extension RemoteTree {
    func session(_ name: String) throws -> EntryID {
        try makeDirectory(try Name(name), in: .root, mode: 0o755, caller: me).id
    }

    func create(
        _ name: Name, in parent: EntryID, mode: UInt32, exclusive: Bool, caller: Caller
    ) throws(RemoteError) -> (RemoteEntry, RemoteFile) {
        let flags: OpenFlags = exclusive ? [.readWrite, .create, .exclusive] : [.readWrite, .create]
        return try create(name, in: parent, mode: mode, flags: flags, caller: caller)
    }

    /// open, write, close, as a program does it.
    @discardableResult
    func put(_ name: String, _ bytes: [UInt8], in parent: EntryID) throws -> EntryID {
        let (entry, file) = try create(try Name(name), in: parent, mode: 0o644, exclusive: false, caller: me)
        defer { file.release() }
        if !bytes.isEmpty { try file.put(bytes, at: 0) }
        try file.close()
        return entry.id
    }

    func complete(_ session: EntryID) throws {
        try waiting { setAttribute("state", to: "complete", of: session, completion: $0) }
    }

    func get(_ id: EntryID) throws -> [UInt8] {
        let file = try open(id, flags: .readOnly, caller: me)
        return try file.get(Int(try entry(id).size.rawValue))
    }
}

extension RemoteFile {
    func put(_ bytes: [UInt8], at offset: UInt64) throws {
        let count = try unsafe bytes.withUnsafeBufferPointer { buffer throws(RemoteError) in
            try unsafe write(UnsafeRawBufferPointer(buffer), at: offset)
        }
        #expect(count == bytes.count)
    }

    func get(_ count: Int, at offset: UInt64 = 0) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = try unsafe bytes.withUnsafeMutableBufferPointer { buffer throws(RemoteError) in
            try unsafe read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
        }
        return Array(bytes.prefix(got))
    }

    func close(by caller: Caller = me) throws { try waiting { flush(caller: caller, $0) } }
}

/// Runs a call with a completion and waits for it, at most 20 seconds.
func waiting(_ call: (@escaping @Sendable (Result<Void, RemoteError>) -> Void) -> WaitToken) throws {
    let outcome = Monitor<Result<Void, RemoteError>?>(nil)
    _ = call { result in
        outcome.withLock { earlier in
            if earlier != nil { Issue.record("completed twice") }
            earlier = result
        }
    }
    let result = outcome.wait(until: .after(.seconds(20))) { $0 }
    try (try #require(result, "no completion")).get()
}

/// Looks again and again for at most ten seconds.
func eventually(_ condition: () -> Bool) -> Bool {
    let deadline = ContinuousDeadline.after(.seconds(10))
    while !condition() {
        if deadline.hasPassed { return false }
        sched_yield()
    }
    return true
}

func pattern(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    return (0..<count).map { _ in
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return UInt8(truncatingIfNeeded: state)
    }
}
