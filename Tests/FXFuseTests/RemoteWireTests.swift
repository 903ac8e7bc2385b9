import FXRemote
import FXSystem
import Glibc
import SystemPackage
import Testing

@testable import FXFuse
@testable import FXMapping

/// A mount with one remote over a network that can be frozen, and one on this machine. The session has one worker: what
/// held it would hold everything.
extension WireTests {
    struct Remotes {
        let session: WireSession
        let held: InMemoryService
        let faulty: FaultyService
        let service: TransferService

        func lookup(_ name: String, in node: UInt64 = 1) throws -> UInt64 {
            let reply = try session.call(.lookup, node: node, wire(name))
            try #require(reply.error == 0, "\(name): \(reply.error)")
            return reply.number(at: 0)
        }

        /// The node of the remote that can be frozen.
        func remote() throws -> UInt64 { try lookup("net", in: try lookup("sessions")) }

        func openDirectory(_ node: UInt64) throws -> WireSession.Reply {
            try session.call(.opendir, node: node, WireSession.bytes([UInt32(0), UInt32(0)]))
        }

        func names(_ node: UInt64) throws -> [String] {
            let opened = try openDirectory(node)
            try #require(opened.error == 0)
            let handle: UInt64 = opened.number(at: 0)
            var (offset, names): (UInt64, [String]) = (0, [])
            while true {
                let reply = try session.call(
                    .readdirplus, node: node,
                    WireSession.bytes([handle, offset, UInt32(1000), UInt32(0), UInt64(0), UInt32(0), UInt32(0)]))
                if reply.body.isEmpty { break }
                var position = 0
                while position + 152 <= reply.body.count {
                    let length = Int(reply.number(at: position + 144, as: UInt32.self))
                    names.append(
                        String(decoding: reply.body[(position + 152)..<(position + 152 + length)], as: UTF8.self))
                    offset = reply.number(at: position + 136)
                    position += (152 + length + 7) & ~7
                }
            }
            _ = try session.call(.releasedir, node: node, WireSession.bytes([handle, UInt64(0), UInt64(0)]))
            return names.filter { $0 != "." && $0 != ".." }
        }
    }

    private func withRemotes(timeout: Duration, ttl: Duration = .seconds(600), _ test: (Remotes) throws -> Void) throws
    {
        let scratch = try Scratch()
        let held = InMemoryService { facts in
            facts.isRemote = true
            facts.listsEntries = true
        }
        let faulty = FaultyService(held)
        let service = try TransferService(
            stateDirectory: scratch.path,
            remotes: [
                RemoteConfiguration(
                    name: try Name("net"), kind: "memory", backend: faulty, operationTimeout: timeout, listingTTL: ttl,
                    stopTransport: { faulty.stopTransport() }),
                RemoteConfiguration(
                    name: try Name("local"), kind: "local", backend: try LocalStore(path: scratch.path + "/store")),
            ])
        try service.start()
        let registry = try TypeRegistry(databasePath: scratch.path + "/mappings.sqlite")
        let tree = try RootTree(
            registry: registry, application: try ApplicationID("test"), transfers: service, patterns: .standard,
            events: EventLog(), defaultRoot: nil, reserved: [], controlFiles: [], remoteAccess: .mountingUser,
            space: { () throws(Errno) in try OwnedDescriptor.open(absolute: "/tmp", .directory).space() })
        InterruptWatch.shared.start()
        let watch = try ServiceThread(name: "watch") { InterruptWatch.shared.run() }
        let session = try WireSession(tree.root)
        let result = Result {
            #expect(try session.greet().error == 0)
            try test(Remotes(session: session, held: held, faulty: faulty, service: service))
        }
        service.stop()
        InterruptWatch.shared.stop()
        watch.join()
        session.end()
        tree.stop()
        try result.get()
    }

    @Test func `a frozen remote holds up nothing local, and is given up at its deadline`() throws {
        try withRemotes(timeout: .milliseconds(700)) { remotes in
            let session = remotes.session
            let sessions = try remotes.lookup("sessions")
            let net = try remotes.remote()
            remotes.faulty.freeze()
            let start = ContinuousDeadline.now()
            let waiting = [
                session.send(.lookup, node: net, wire("s")),
                session.send(.opendir, node: net, WireSession.bytes([UInt32(0), UInt32(0)])),
                session.send(.mkdir, node: net, WireSession.bytes([UInt32(0o755), UInt32(0o022)]) + wire("new")),
            ]
            // Everything else is answered meanwhile, the remote's own directory included.
            for node in [1, sessions, net] {
                #expect(
                    try session.call(.getattr, node: node, WireSession.bytes([UInt32(0), UInt32(0), UInt64(0)])).error
                        == 0)
                #expect(try session.call(.statfs, node: node, []).error == 0)
            }
            #expect(try remotes.names(sessions) == ["net", "local"])
            let local = try remotes.lookup("local", in: sessions)
            #expect(try remotes.names(local).isEmpty)
            #expect(start.elapsed < .milliseconds(600))
            var late: [UInt64: Int32] = [:]
            for _ in waiting {
                let reply = try session.receive()
                late[reply.unique] = reply.error
            }
            #expect(late == Dictionary(uniqueKeysWithValues: waiting.map { ($0, ETIMEDOUT) }))
            #expect(start.elapsed >= .milliseconds(700) && start.elapsed < .seconds(3))
        }
    }

    @Test func `a caller that was killed is let go at once`() throws {
        try withRemotes(timeout: .seconds(600)) { remotes in
            let net = try remotes.remote()
            remotes.faulty.freeze()
            // No process has this number (PID_MAX_LIMIT is 4194304).
            let number = remotes.session.send(.lookup, node: net, wire("s"), thread: 4_194_305)
            #expect(remotes.session.isQuiet(50))
            let start = ContinuousDeadline.now()
            remotes.session.send(.interrupt, node: 0, WireSession.bytes([number]))
            let reply = try remotes.session.receive()
            #expect(reply.unique == number && reply.error == EINTR)
            #expect(start.elapsed < .seconds(1))
        }
    }

    @Test func `an answer that comes too late is dropped with what it made`() throws {
        try withRemotes(timeout: .milliseconds(300)) { remotes in
            let net = try remotes.remote()
            let made = try remotes.session.call(
                .mkdir, node: net, WireSession.bytes([UInt32(0o755), UInt32(0o022)]) + wire("s"))
            try #require(made.error == 0)
            let session: UInt64 = made.number(at: 0)
            let known = remotes.session.context.table.count
            remotes.faulty.freeze()
            for name in ["t", "u"] {
                #expect(
                    try remotes.session.call(
                        .mkdir, node: net, WireSession.bytes([UInt32(0o755), UInt32(0o022)]) + wire(name)
                    ).error == ETIMEDOUT)
            }
            remotes.faulty.thaw()
            // The service has made them, so they are there; nobody was told of their nodes.
            let deadline = ContinuousDeadline.after(.seconds(10))
            while remotes.service.trees[0].lane?.load != 0, !deadline.hasPassed { sched_yield() }
            #expect(remotes.session.isQuiet(100))
            #expect(remotes.session.context.table.count == known)
            #expect(try remotes.names(net).sorted() == ["s", "t", "u"])
            #expect(try remotes.names(session).isEmpty)
        }
    }

    @Test func `a file whose creation came too late is not there, and is never sent`() throws {
        try withRemotes(timeout: .milliseconds(300), ttl: .zero) { remotes in
            let directory = remotes.held.place(Array("s".utf8), .session(.open))
            let session = try remotes.lookup("s", in: try remotes.remote())
            remotes.faulty.freeze()
            let body = WireSession.bytes([UInt32(O_RDWR | O_CREAT), UInt32(0o100644), UInt32(0o022), UInt32(0)])
            #expect(try remotes.session.call(.create, node: session, body + wire("f")).error == ETIMEDOUT)
            remotes.faulty.thaw()
            // The call goes on behind the scenes and takes back what it made.
            let deadline = ContinuousDeadline.after(.seconds(10))
            while remotes.service.trees[0].lane?.load != 0, !deadline.hasPassed { sched_yield() }
            #expect(try remotes.names(session).isEmpty)
            #expect(remotes.held.paths.isEmpty)
            #expect(remotes.held.id(of: try RelativePath("s")) == directory)
        }
    }

    @Test func `names of a service reach the kernel as file names, and lead back`() throws {
        try withRemotes(timeout: .seconds(10)) { remotes in
            let session = remotes.held.place(Array("a/../b\n".utf8), .session(.open))
            for (index, name) in ["..", "x\0y", "\u{202e}fdp", "d", "d"].enumerated() {
                remotes.held.place(Array(name.utf8), .file([UInt8(index)]), in: session)
            }
            let net = try remotes.remote()
            let shown = try remotes.names(net)
            #expect(shown == ["a%2F..%2Fb%0A"])
            let node = try remotes.lookup(shown[0], in: net)
            let names = try remotes.names(node)
            #expect(names.count == 5 && Set(names).count == 5)
            for name in names {
                #expect(!name.contains("/") && name != "." && name != "..")
                _ = try remotes.lookup(name, in: node)
            }
        }
    }

    @Test func `a listing that fails is an error, and not an empty directory`() throws {
        try withRemotes(timeout: .seconds(10), ttl: .zero) { remotes in
            let session = remotes.held.place(Array("s".utf8), .session(.open))
            remotes.held.place(Array("f".utf8), .file([1]), in: session)
            let net = try remotes.remote()
            remotes.faulty.inject(.refuse(.unreachable), at: .list, number: 1)
            #expect(try remotes.openDirectory(net).error == ENETUNREACH)
            remotes.service.retry()
            #expect(try remotes.names(net) == ["s"])
            let node = try remotes.lookup("s", in: net)
            #expect(try remotes.names(node) == ["f"])
            // Known from here on: what was there last is shown, and the attribute tells.
            for number in 4...20 { remotes.faulty.inject(.refuse(.credentials), at: .list, number: number) }
            let deadline = ContinuousDeadline.after(.seconds(10))
            var reason = ""
            while reason.isEmpty, !deadline.hasPassed {
                #expect(try remotes.names(node) == ["f"])
                let reply = try remotes.session.call(
                    .getxattr, node: node, WireSession.bytes([UInt32(500), UInt32(0)]) + wire("user.fxmount.error"))
                if reply.error == 0 { reason = String(decoding: reply.body, as: UTF8.self) }
            }
            #expect(reason == RemoteError.credentials.message)
        }
    }
}
