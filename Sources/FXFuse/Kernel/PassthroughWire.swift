internal import CFuse3
internal import Glibc
internal import Synchronization

/// Two things of the kernel that a libfuse before 3.17 has no word for, by editing two replies on their way out.
///
/// Passthrough: FUSE_PASSTHROUGH is bit 37 of the INIT flags, which libfuse 3.14 cannot send, and `backing_id` takes
/// the place of
/// the padding in `fuse_open_out` (linux/fuse.h, protocol 7.40). libfuse writes every reply through the `writev` hook
/// of `fuse_session_custom_io`, in the thread that answers; that is where the bytes are set.
///
/// FUSE_HANDLE_KILLPRIV_V2: without it the kernel asks for `security.capability` before every single write. We then
/// have to clear set-user-ID bits ourselves; the backing file system does, because workers have no CAP_FSETID.
enum PassthroughWire {
    /// The state of one session: what the kernel offered, what it accepted.
    final class Negotiation: Sendable {
        private let state: Mutex<State>
        private struct State {
            var isWanted: Bool
            var isOffered = false
            var takesKillPrivileges = false
            var takesParallelDirectories = false
            var initAnswered = false
        }

        init(wanted: Bool) { state = Mutex(State(isWanted: wanted)) }

        /// True once INIT has been answered with passthrough switched on.
        var isOn: Bool { state.withLock { $0.isWanted && $0.isOffered && $0.initAnswered } }

        func sawInit(flags: UInt32, flags2: UInt32) {
            state.withLock { state in
                state.isOffered = flags & flagInitExt != 0 && flags2 & flags2Passthrough != 0
                state.takesKillPrivileges = flags & flagKillPrivilegesV2 != 0
                state.takesParallelDirectories = flags & flagParallelDirectories != 0
            }
        }

        /// What to switch on in the first reply of a session.
        func takeInitReply() -> (passthrough: Bool, killPrivileges: Bool, parallelDirectories: Bool) {
            state.withLock { state in
                state.initAnswered = true
                return (
                    state.isWanted && state.isOffered, state.takesKillPrivileges, state.takesParallelDirectories
                )
            }
        }

        var hasAnsweredInit: Bool { state.withLock { $0.initAnswered } }
    }

    // linux/fuse.h
    private static let opcodeInit: UInt32 = 26
    private static let flagParallelDirectories: UInt32 = 1 << 18
    private static let flagKillPrivilegesV2: UInt32 = 1 << 28
    private static let flagInitExt: UInt32 = 1 << 30
    private static let flags2Passthrough: UInt32 = 1 << 5
    private static let openPassthrough: UInt32 = 1 << 7
    private static let openKeepCache: UInt32 = 1 << 1
    private static let inHeaderSize = 40
    private static let outHeaderSize = 16
    private static let initOutSize = 64
    private static let openOutSize = 16

    /// The backing id the next reply of this thread carries.
    private static let pendingKey: pthread_key_t = {
        var key = pthread_key_t()
        unsafe pthread_key_create(&key, nil)
        return key
    }()

    /// Runs `reply`, which answers an OPEN or CREATE, so that its answer carries `backing`.
    static func announcing(_ backing: BackingID?, _ reply: () -> Int32) -> Int32 {
        guard let backing else { return reply() }
        unsafe pthread_setspecific(pendingKey, UnsafeRawPointer(bitPattern: Int(backing.rawValue)))
        defer { pthread_setspecific(pendingKey, nil) }
        return reply()
    }

    /// Puts the hooks into a mounted session. False when this libfuse has none.
    static func install(on session: OpaquePointer) -> Bool {
        var io = fuse_custom_io()
        unsafe io.writev = { descriptor, vector, count, userdata in
            unsafe PassthroughWire.write(descriptor, vector, count, userdata)
        }
        unsafe io.read = { descriptor, buffer, count, userdata in
            let length = unsafe Glibc.read(descriptor, buffer, count)
            if length > 0, let buffer = unsafe buffer {
                let request = unsafe UnsafeRawBufferPointer(start: buffer, count: length)
                unsafe PassthroughWire.look(at: request, userdata)
            }
            return length
        }
        unsafe io.splice_receive = { from, fromOffset, to, toOffset, count, flags, _ in
            unsafe fx_splice(from, fromOffset, to, toOffset, count, flags)
        }
        unsafe io.splice_send = { from, fromOffset, to, toOffset, count, flags, _ in
            unsafe fx_splice(from, fromOffset, to, toOffset, count, flags)
        }
        return unsafe fx_session_custom_io(session, &io, fuse_session_fd(session)) == 0
    }

    private static func negotiation(_ userdata: UnsafeMutableRawPointer?) -> Negotiation? {
        guard let userdata = unsafe userdata else { return nil }
        return unsafe Unmanaged<FuseContext>.fromOpaque(userdata).takeUnretainedValue().negotiation
    }

    private static func look(at request: UnsafeRawBufferPointer, _ userdata: UnsafeMutableRawPointer?) {
        // fuse_in_header: len, opcode; fuse_init_in: major, minor, max_readahead, flags, flags2.
        guard request.count >= inHeaderSize + 20,
            unsafe request.loadUnaligned(fromByteOffset: 4, as: UInt32.self) == opcodeInit
        else { return }
        let flags = unsafe request.loadUnaligned(fromByteOffset: inHeaderSize + 12, as: UInt32.self)
        let flags2 = unsafe request.loadUnaligned(fromByteOffset: inHeaderSize + 16, as: UInt32.self)
        unsafe negotiation(userdata)?.sawInit(flags: flags, flags2: flags2)
    }

    private static func write(
        _ descriptor: Int32, _ vector: UnsafeMutablePointer<iovec>?, _ count: Int32,
        _ userdata: UnsafeMutableRawPointer?
    ) -> Int {
        if count >= 2, let vector = unsafe vector, let body = unsafe vector[1].iov_base {
            let size = unsafe vector[1].iov_len
            if size == initOutSize, let negotiation = unsafe negotiation(userdata), !negotiation.hasAnsweredInit {
                let choice = negotiation.takeInitReply()
                // libfuse before 3.15 forgets this one in its reply, although it is asked for.
                if choice.parallelDirectories { unsafe add(flagParallelDirectories, to: body, at: 12) }
                if choice.killPrivileges { unsafe add(flagKillPrivilegesV2, to: body, at: 12) }
                if choice.passthrough { unsafe switchOnPassthrough(body) }
            } else if let pending = unsafe pthread_getspecific(pendingKey), size >= openOutSize {
                unsafe attach(Int32(truncatingIfNeeded: Int(bitPattern: pending)), to: body + (size - openOutSize))
                pthread_setspecific(pendingKey, nil)
            }
        }
        return unsafe writev(descriptor, vector, count)
    }

    /// fuse_init_out: flags at 12, flags2 at 32, max_stack_depth at 36.
    private static func switchOnPassthrough(_ reply: UnsafeMutableRawPointer) {
        unsafe add(flagInitExt, to: reply, at: 12)
        unsafe add(flags2Passthrough, to: reply, at: 32)
        unsafe reply.storeBytes(of: 1, toByteOffset: 36, as: UInt32.self)
    }

    private static func add(_ flag: UInt32, to reply: UnsafeMutableRawPointer, at offset: Int) {
        let flags = unsafe reply.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        unsafe reply.storeBytes(of: flags | flag, toByteOffset: offset, as: UInt32.self)
    }

    /// fuse_open_out: fh at 0, open_flags at 8, backing_id at 12.
    private static func attach(_ id: Int32, to reply: UnsafeMutableRawPointer) {
        let flags = unsafe reply.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
        unsafe reply.storeBytes(of: flags & ~openKeepCache | openPassthrough, toByteOffset: 8, as: UInt32.self)
        unsafe reply.storeBytes(of: id, toByteOffset: 12, as: Int32.self)
    }
}
