import CFuse3
import FXSystem
import Glibc
import SystemPackage
import Testing

@testable import FXFuse

/// A libfuse session that speaks with this test instead of a kernel: real requests and replies over a socket pair.
///
/// `@unchecked Sendable`: the session is used by its one worker until `end` has joined it; everything else is the test's.
final class WireSession: @unchecked Sendable {
    let context: FuseContext
    private let session: OpaquePointer
    private let kernel: Int32
    private let hasEnded = Monitor(false)
    private var unique: UInt64 = 0

    /// What came back.
    struct Reply {
        var unique: UInt64
        /// 0 or an errno.
        var error: Int32
        var body: [UInt8]

        func number<Number: FixedWidthInteger>(at offset: Int, as: Number.Type = Number.self) -> Number {
            guard body.count >= offset + MemoryLayout<Number>.size else { return 0 }
            return body.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Number.self) }
        }
    }

    enum Opcode: UInt32 {
        case lookup = 1, forget = 2, getattr = 3, mkdir = 9, unlink = 10, rmdir = 11, link = 13, open = 14, read = 15,
            write = 16, statfs = 17
        case release = 18, setxattr = 21, getxattr = 22, flush = 25, initialize = 26, opendir = 27, readdir = 28,
            releasedir = 29
        case create = 35, interrupt = 36, batchForget = 42, readdirplus = 44, rename2 = 45
    }

    init(_ root: any Node, passthrough: Bool = false, workers: Int = 1) throws {
        var pair: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &pair) == 0)
        kernel = pair[1]
        // A reply that does not come fails the test instead of blocking it.
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(kernel, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let context = FuseContext(
            root: root, options: MountOptions(mountpoint: "/nowhere"),
            negotiation: PassthroughWire.Negotiation(wanted: passthrough))
        self.context = context
        var operations = fuse_lowlevel_ops()
        operations.installSessionOperations()
        operations.installEntryOperations()
        operations.installAttributeOperations()
        operations.installFileOperations()
        operations.installDirectoryOperations()
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("wire"), nil]
        defer { free(arguments[0]) }
        let made = arguments.withUnsafeMutableBufferPointer { pointers in
            var list = fuse_args(argc: 1, argv: pointers.baseAddress, allocated: 0)
            return fx_session_new(&list, &operations, Unmanaged.passUnretained(context).toOpaque())
        }
        session = try #require(made)
        var io = fuse_custom_io()
        io.writev = { descriptor, vector, count, _ in writev(descriptor, vector, count) }
        io.read = { descriptor, buffer, count, _ in Glibc.read(descriptor, buffer, count) }
        // Gives the session its descriptor; the hooks of a real mount come next.
        try #require(fx_session_custom_io(session, &io, pair[0]) == 0)
        try #require(PassthroughWire.install(on: session))
        let own = session
        let ended = hasEnded
        let raw = UInt(bitPattern: UnsafeRawPointer(own))
        _ = try ServiceThread(name: "wire") {
            guard let session = OpaquePointer(bitPattern: raw) else { return }
            var buffer = fuse_buf()
            while fuse_session_exited(session) == 0, fuse_session_receive_buf(session, &buffer) > 0 {
                fuse_session_process_buf(session, &buffer)
            }
            free(buffer.mem)
            ended.withLock { $0 = true }
        }
    }

    /// Closes the kernel's end and waits for the worker.
    func end() {
        Glibc.close(kernel)
        if hasEnded.wait(until: .after(.seconds(10)), { $0 ? () : nil }) != nil { fuse_session_destroy(session) }
    }

    static func bytes(_ numbers: [any FixedWidthInteger]) -> [UInt8] {
        numbers.flatMap { number in little(number) }
    }

    private static func little<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        withUnsafeBytes(of: number.littleEndian) { Array($0) }
    }

    /// Sends a request; answers its number.
    @discardableResult
    func send(_ opcode: Opcode, node: UInt64 = 1, _ body: [UInt8], uid: UInt32 = 0, thread: UInt32 = 0) -> UInt64 {
        unique += 2
        let header = Self.bytes([UInt32(40 + body.count), opcode.rawValue, unique, node, uid, uid, thread, UInt32(0)])
        let message = header + body
        let sent = message.withUnsafeBytes { Glibc.write(kernel, $0.baseAddress, $0.count) }
        #expect(sent == message.count)
        return unique
    }

    /// The next reply, whatever it answers.
    func receive() throws -> Reply {
        var buffer = [UInt8](repeating: 0, count: 1 << 17)
        let count = Glibc.read(kernel, &buffer, buffer.count)
        try #require(count >= 16, "no reply: errno \(errno)")
        let reply = Reply(unique: 0, error: 0, body: Array(buffer[..<count]))
        #expect(reply.number(at: 0, as: UInt32.self) == UInt32(count))
        return Reply(
            unique: reply.number(at: 8), error: -reply.number(at: 4, as: Int32.self), body: Array(buffer[16..<count]))
    }

    /// One request and its reply.
    func call(_ opcode: Opcode, node: UInt64 = 1, _ body: [UInt8], uid: UInt32 = 0, thread: UInt32 = 0) throws -> Reply
    {
        let number = send(opcode, node: node, body, uid: uid, thread: thread)
        let reply = try receive()
        #expect(reply.unique == number)
        return reply
    }

    /// Greets as a kernel of protocol 7.38 does that offers everything.
    func greet(flags: UInt32 = 0xf7ff_ffff & ~(1 << 31), flags2: UInt32 = 1 << 5) throws -> Reply {
        try call(
            .initialize, node: 0,
            Self.bytes([UInt32(7), UInt32(38), UInt32(131072), flags, flags2]) + [UInt8](repeating: 0, count: 44))
    }

    /// True when nothing has come for `milliseconds`.
    func isQuiet(_ milliseconds: Int32) -> Bool {
        var poll = pollfd(fd: kernel, events: Int16(POLLIN), revents: 0)
        return Glibc.poll(&poll, 1, milliseconds) == 0
    }
}

/// A name as the kernel sends it.
func wire(_ name: String) -> [UInt8] { Array(name.utf8) + [0] }
