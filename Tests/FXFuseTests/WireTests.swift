import FXSystem
import Glibc
import SystemPackage
import Testing

@testable import FXFuse
@testable import FXMapping

/// Real FUSE messages, real handlers, a real directory; no /dev/fuse.
@Suite(.serialized) struct WireTests {
    /// A mapped type as the root of a session.
    private func withType(
        _ policy: FXMapping.Policy, passthrough: Bool = false, _ test: (WireSession, Scratch) throws -> Void
    ) throws {
        let scratch = try Scratch()
        let gate = try SharedGate(patterns: .standard, events: EventLog())
        defer { gate.stop() }
        let type = MappedType(
            id: 1, entity: try EntityName("e"), name: try TypeName("t"), path: scratch.path, policy: policy,
            createdAt: Timestamp(seconds: 0))
        let root = MappedDirectory(
            root: try MappedRoot(type, shared: gate), services: MappedServices(backing: BackingRegistry()))
        let session = try WireSession(root, passthrough: passthrough)
        defer { session.end() }
        #expect(try session.greet().error == 0)
        try test(session, scratch)
    }

    private func create(_ session: WireSession, _ name: String, _ text: String) throws -> (node: UInt64, handle: UInt64)
    {
        let made = try session.call(
            .create,
            WireSession.bytes([UInt32(O_RDWR | O_CREAT), UInt32(0o100644), UInt32(0o022), UInt32(0)]) + wire(name))
        #expect(made.error == 0)
        let (node, handle): (UInt64, UInt64) = (made.number(at: 0), made.number(at: 128))
        try write(session, node, handle, text)
        return (node, handle)
    }

    private func write(_ session: WireSession, _ node: UInt64, _ handle: UInt64, _ text: String) throws {
        let data = Array(text.utf8)
        let written = try session.call(
            .write, node: node,
            WireSession.bytes([handle, UInt64(0), UInt32(data.count), UInt32(0), UInt64(0), UInt32(O_RDWR), UInt32(0)])
                + data)
        #expect(written.error == 0 && written.number(at: 0, as: UInt32.self) == UInt32(data.count))
    }

    private func flush(_ session: WireSession, _ node: UInt64, _ handle: UInt64) throws {
        #expect(try session.call(.flush, node: node, WireSession.bytes([handle, UInt64(0), UInt64(0)])).error == 0)
    }

    private func release(_ session: WireSession, _ node: UInt64, _ handle: UInt64) throws {
        #expect(
            try session.call(.release, node: node, WireSession.bytes([handle, UInt32(O_RDWR), UInt32(0), UInt64(0)]))
                .error == 0)
    }

    @Test func initAsksForWhatTheDesignNeedsAndForNoMore() throws {
        for wanted in [true, false] {
            let session = try WireSession(PlainNode(.root), passthrough: wanted)
            defer { session.end() }
            let reply = try session.greet()
            #expect(reply.error == 0 && reply.body.count == 64)
            let (flags, flags2): (UInt32, UInt32) = (reply.number(at: 12), reply.number(at: 32))
            // ATOMIC_O_TRUNC, DONT_MASK, HANDLE_KILLPRIV_V2.
            for bit in [3, 6, 28] { #expect(flags & 1 << UInt32(bit) != 0, "bit \(bit)") }
            // POSIX_LOCKS, FLOCK_LOCKS, WRITEBACK_CACHE.
            for bit in [1, 10, 16] { #expect(flags & 1 << UInt32(bit) == 0, "bit \(bit)") }
            #expect((flags2 & 1 << 5 != 0) == wanted)
            #expect((reply.number(at: 36, as: UInt32.self) == 1) == wanted, "max_stack_depth")
            #expect(session.context.negotiation.isOn == wanted)
            #expect(session.context.ready.withLock { $0 })
        }
    }

    @Test func aSealedFileCannotBeUnlinkedAndADraftCan() throws {
        try withType(.keepVersions) { session, scratch in
            try scratch.lay("before", "1")
            #expect(try session.call(.unlink, wire("before")).error == EPERM)
            #expect(try session.call(.unlink, wire("nothing")).error == ENOENT)
            let (node, handle) = try create(session, "f", "bytes")
            try flush(session, node, handle)
            // The RELEASE has not come yet.
            #expect(try session.call(.unlink, wire("f")).error == EPERM)
            try release(session, node, handle)
            #expect(try session.call(.unlink, wire("f")).error == EPERM)
            #expect(scratch.text("f") == "bytes")
            let (draft, open) = try create(session, "f.part", "draft")
            try flush(session, draft, open)
            try release(session, draft, open)
            #expect(try session.call(.unlink, wire("f.part")).error == 0)
            #expect(scratch.text("f.part") == nil)
        }
    }

    @Test func namesAndNumbersTheKernelWouldNotSendAreRefused() throws {
        try withType(.keepVersions) { session, scratch in
            try scratch.lay("f", "1")
            for name in [".", "..", "a/b", "../f", ""] {
                let error = try session.call(.lookup, wire(name)).error
                #expect([EINVAL, ENOENT].contains(error), "\(name): \(error)")
            }
            #expect(try session.call(.lookup, wire(String(repeating: "x", count: 256))).error == ENAMETOOLONG)
            #expect(try session.call(.lookup, wire(".fxversions")).error == ENOENT)
            #expect(try session.call(.lookup, node: 12345, wire("f")).error == ESTALE)
            let found: UInt64 = try session.call(.lookup, wire("f")).number(at: 0)
            #expect(try session.call(.lookup, node: found, wire("f")).error == ENOTDIR)
            #expect(try session.call(.open, node: 1, WireSession.bytes([UInt32(O_RDWR), UInt32(0)])).error == ENXIO)
            // RENAME_WHITEOUT.
            let whiteout = WireSession.bytes([UInt64(1), UInt32(4), UInt32(0)]) + wire("f") + wire("g")
            #expect(try session.call(.rename2, whiteout).error == EINVAL)
            #expect(scratch.text("f") == "1")
        }
    }

    @Test func aForgottenNodeIsStaleAndABatchForgetsWhatItSays() throws {
        try withType(.keepVersions) { session, scratch in
            for name in ["a", "b", "c"] { try scratch.lay(name, name) }
            let nodes = try ["a", "b", "c"].map { try session.call(.lookup, wire($0)).number(at: 0, as: UInt64.self) }
            let again: UInt64 = try session.call(.lookup, wire("a")).number(at: 0)
            #expect(again == nodes[0])
            #expect(session.context.table.count == 4)
            session.send(.forget, node: nodes[0], WireSession.bytes([UInt64(1)]))
            #expect(try session.call(.getattr, node: nodes[0], WireSession.bytes([UInt64(0), UInt64(0)])).error == 0)
            session.send(
                .batchForget, node: 0,
                WireSession.bytes([UInt32(2), UInt32(0), nodes[0], UInt64(1), nodes[1], UInt64(1)]))
            #expect(
                try session.call(.getattr, node: nodes[0], WireSession.bytes([UInt64(0), UInt64(0)])).error == ESTALE)
            #expect(session.context.table.count == 2)
            let back: UInt64 = try session.call(.lookup, wire("a")).number(at: 0)
            #expect(!nodes.contains(back))
            session.send(.forget, node: 1, WireSession.bytes([UInt64(1000)]))
            #expect(try session.call(.lookup, wire("c")).error == 0)
        }
    }

    @Test func openingForWritingKeepsAVersionBeforeItAnswers() throws {
        try withType(.keepVersions) { session, scratch in
            try scratch.lay("f", "old")
            let node: UInt64 = try session.call(.lookup, wire("f")).number(at: 0)
            let opened = try session.call(
                .open, node: node, WireSession.bytes([UInt32(O_WRONLY | O_TRUNC), UInt32(0)]))
            #expect(opened.error == 0)
            let handle: UInt64 = opened.number(at: 0)
            let kept = try scratch.descriptor().openBeneath(try RelativePath(".fxversions/f"), .directory).entryNames()
            #expect(kept.count == 1)
            try write(session, node, handle, "new")
            let read = try session.call(
                .read, node: node,
                WireSession.bytes([handle, UInt64(0), UInt32(4096), UInt32(0), UInt64(0), UInt32(0), UInt32(0)]))
            // Opened write-only: the backing descriptor cannot read.
            #expect(read.error == EBADF)
            try flush(session, node, handle)
            try release(session, node, handle)
            #expect(scratch.text("f") == "new")
            let state = try session.call(
                .getxattr, node: node, WireSession.bytes([UInt32(64), UInt32(0)]) + wire("user.fxmount.state"))
            #expect(String(decoding: state.body, as: UTF8.self) == "sealed")
        }
    }

    @Test(arguments: [FXMapping.Policy.appendOnly, .writeOnce, .readOnly])
    func strictPoliciesRefuseAtOpen(policy: FXMapping.Policy) throws {
        try withType(policy) { session, scratch in
            try scratch.lay("f", "sealed")
            let node: UInt64 = try session.call(.lookup, wire("f")).number(at: 0)
            let wanted = policy == .readOnly ? EROFS : EPERM
            for flags in [O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_WRONLY | O_APPEND | O_TRUNC] {
                #expect(
                    try session.call(.open, node: node, WireSession.bytes([UInt32(flags), UInt32(0)])).error == wanted)
            }
            #expect(scratch.text("f") == "sealed")
        }
    }

    @Test func aListingOfASmallBufferGoesOnAndCountsOnlyWhatWasPacked() throws {
        try withType(.keepVersions) { session, scratch in
            for index in 0..<50 { try scratch.lay("file-number-\(index)", "") }
            let opened = try session.call(.opendir, WireSession.bytes([UInt32(0), UInt32(0)]))
            let handle: UInt64 = opened.number(at: 0)
            var (offset, names): (UInt64, [String]) = (0, [])
            while true {
                let reply = try session.call(
                    .readdirplus,
                    WireSession.bytes([handle, offset, UInt32(400), UInt32(0), UInt64(0), UInt32(0), UInt32(0)]))
                #expect(reply.error == 0)
                if reply.body.isEmpty { break }
                var position = 0
                // fuse_direntplus: entry 128, ino 8, off 8, namelen 4, type 4, name, padded to 8.
                while position + 152 <= reply.body.count {
                    let length = Int(reply.number(at: position + 144, as: UInt32.self))
                    names.append(
                        String(decoding: reply.body[(position + 152)..<(position + 152 + length)], as: UTF8.self))
                    offset = reply.number(at: position + 136)
                    position += (152 + length + 7) & ~7
                }
            }
            #expect(Set(names) == Set((0..<50).map { "file-number-\($0)" } + [".", ".."]))
            #expect(names.count == 52)
            #expect(session.context.table.count == 51)
            #expect(try session.call(.releasedir, WireSession.bytes([handle, UInt64(0), UInt64(0)])).error == 0)
        }
    }

    @Test func aWaitingRequestIsAnsweredByItsResultAndNotByASignal() throws {
        try withWaiting { session, node in
            let number = session.send(
                .setxattr, WireSession.bytes([UInt32(1), UInt32(0)]) + wire("user.wait") + [1],
                thread: UInt32(fxThread()))
            let request = try #require(node.next())
            session.send(.interrupt, node: 0, WireSession.bytes([number]))
            // This thread is alive: the signal was one it handles.
            #expect(session.isQuiet(350))
            #expect(node.timesGivenUp == 0)
            #expect(request.finish(nil))
            let reply = try session.receive()
            #expect(reply.unique == number && reply.error == 0)
            #expect(!request.finish(.ioError))
            #expect(session.isQuiet(50))
        }
    }

    @Test func aWaitingRequestWhoseCallerHasDiedIsAnsweredAndGivenUp() throws {
        try withWaiting { session, node in
            // No process has this number (PID_MAX_LIMIT is 4194304).
            let number = session.send(
                .setxattr, WireSession.bytes([UInt32(1), UInt32(0)]) + wire("user.wait") + [1], thread: 4_194_305)
            let request = try #require(node.next())
            #expect(session.isQuiet(50))
            session.send(.interrupt, node: 0, WireSession.bytes([number]))
            let reply = try session.receive()
            #expect(reply.unique == number && reply.error == EINTR)
            #expect(node.timesGivenUp == 1)
            #expect(!request.finish(nil))
        }
    }

    @Test func aRequestThatWasDroppedIsAnsweredWithEIO() throws {
        try withWaiting { session, node in
            let number = session.send(.setxattr, WireSession.bytes([UInt32(1), UInt32(0)]) + wire("user.drop") + [1])
            let reply = try session.receive()
            #expect(reply.unique == number && reply.error == EIO)
        }
    }

    private func fxThread() -> Int32 { getpid() }

    private func withWaiting(_ test: (WireSession, WaitingNode) throws -> Void) throws {
        let node = WaitingNode()
        let session = try WireSession(node)
        InterruptWatch.shared.start()
        let watch = try ServiceThread(name: "watch") { InterruptWatch.shared.run() }
        let result = Result {
            #expect(try session.greet().error == 0)
            try test(session, node)
        }
        InterruptWatch.shared.stop()
        watch.join()
        session.end()
        try result.get()
    }
}

/// Lets every `setxattr` wait until the test answers it.
final class WaitingNode: Node {
    let key = NodeKey.root
    private let waiting = Monitor<[WaitingRequest]>([])
    private let givenUp = Monitor(0)
    var timesGivenUp: Int { givenUp.withLock { $0 } }

    func next() -> WaitingRequest? { waiting.wait(until: .after(.seconds(10))) { $0.popLast() } }

    func status(using handle: (any FXFuse.FileHandle)?) throws(Errno) -> FileStatus {
        .virtual(type: .directory, permissions: 0o700, inode: 1)
    }

    func setAttribute(
        _ name: String, to value: [UInt8], _ mode: AttributeMode, by caller: Caller, _ request: consuming PendingRequest
    ) {
        if name == "user.drop" { return }
        let waiter = WaitingRequest(request)
        waiter.watch(thread: caller.thread)
        waiter.began { [givenUp] in
            givenUp.withLock { $0 += 1 }
            return true
        }
        waiting.withLock { $0.append(waiter) }
    }
}
