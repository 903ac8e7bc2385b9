import FXSystem
import Foundation
import ServiceFixtures
import SystemPackage
import Testing

@testable import FXRemote

/// The whole engine over a network service: journal, spool, tree and transfers, as a mount uses them.
final class EngineBench: Sendable {
    let path: String
    let run: NetworkBench.Run
    let service: TransferService
    var tree: RemoteTree { service.trees[0] }

    static let caller = Caller(uid: 0, gid: 0, thread: 0)

    /// - Parameter path: an existing state directory, as a crash left it; nil makes a new one.
    init(_ run: NetworkBench.Run, at path: String? = nil, commit: CommitMode = .remote, connections: Int = 4) throws {
        self.run = run
        self.path = try path ?? EngineBench.newDirectory()
        let transport = run.transport
        let remote = RemoteConfiguration(
            name: try Name("net"), kind: run.bench.kind.rawValue, backend: run.backend, commit: commit,
            retry: RetryPolicy(initial: .milliseconds(2), maximum: .milliseconds(20)), operationTimeout: .seconds(10),
            connections: connections, stopTransport: { transport.stop() })
        service = try TransferService(
            stateDirectory: self.path, remotes: [remote], events: EventLog(), clock: .system, random: { 0 },
            didCommit: { _ in })
        try service.start()
    }

    static func newDirectory() throws -> String {
        let base = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        let path = "\(base)/fxmount-engine-\(UInt64.random(in: 0...(.max)))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    static func remove(_ path: String) {
        do { try FileManager.default.removeItem(atPath: path) } catch {
            Issue.record("cannot remove \(path): \(error)")
        }
    }

    /// What the disk would have after a crash at this moment, in a directory of its own.
    func snapshot() throws -> String { try EngineBench.copy(of: path) }

    static func copy(of path: String) throws -> String {
        let copy = try EngineBench.newDirectory()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/cp")
        process.arguments = ["-a", path + "/.", copy]
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return copy
    }

    func stop() { service.stop() }

    /// Does something again while its error is temporary.
    private func insist<Result>(_ action: () throws -> Result) throws -> Result {
        let deadline = ContinuousDeadline.after(.seconds(20))
        while true {
            do { return try action() } catch let error as RemoteError {
                if !error.isTemporary || deadline.hasPassed { throw error }
                _ = Monitor(()).wait(until: .after(.milliseconds(10))) { _ -> Bool? in nil }
            }
        }
    }

    /// The session, made if it is not there.
    func session() throws -> EntryID {
        var directory = EntryID.root
        for name in run.parent.path.components { directory = try insist { try tree.lookup(name, in: directory).id } }
        let name = try Name(run.sessionName)
        return try insist {
            do {
                return try tree.makeDirectory(name, in: directory, mode: 0o755, caller: EngineBench.caller).id
            } catch let error as RemoteError {
                if error == .exists { return try tree.lookup(name, in: directory).id }
                throw error
            }
        }
    }

    /// open, write in pieces, close: as cp does it. Returns when close does.
    func put(_ name: String, _ bytes: [UInt8], in session: EntryID) throws {
        let flags: OpenFlags = [.readWrite, .create]
        let name = try Name(name)
        let (_, file) = try insist {
            try tree.create(name, in: session, mode: 0o644, flags: flags, caller: EngineBench.caller)
        }
        defer { file.release() }
        var position = 0
        repeat {
            let end = min(position + (128 << 10), bytes.count)
            try bytes[position..<end].withUnsafeBytes { piece in
                if !piece.isEmpty { _ = try file.write(piece, at: UInt64(position)) }
            }
            position = end
        } while position < bytes.count
        try wait(30) { file.flush(caller: EngineBench.caller, $0) }
    }

    /// Until everything sealed is at the service.
    func settle(seconds: Int = 30) throws { try wait(seconds) { tree.waitUntilCommitted(below: .root, $0) } }

    func wait(_ seconds: Int, _ call: (@escaping @Sendable (Result<Void, RemoteError>) -> Void) -> WaitToken) throws {
        let outcome = Monitor<Result<Void, RemoteError>?>(nil)
        _ = call { result in outcome.withLock { $0 = result } }
        let result = outcome.wait(until: .after(.seconds(seconds))) { $0 }
        try #require(result, "it did not end within \(seconds) s").get()
    }
}
