internal import CFuse3
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// What every handler reaches through the session's user data. The session's owner keeps it alive until the loop has
/// ended.
final class FuseContext: Sendable {
    let table: InodeTable
    let negotiation: PassthroughWire.Negotiation
    let options: MountOptions
    /// Seconds.
    private let attributeTimeout: Double
    /// Tells the mount that INIT was answered.
    let ready = Monitor(false)

    init(root: any Node, options: MountOptions, negotiation: PassthroughWire.Negotiation) {
        self.table = InodeTable(root: root)
        self.negotiation = negotiation
        self.options = options
        attributeTimeout = options.attributeTimeout / .seconds(1)
    }

    /// The node of a number; a number we never gave out, or one that was forgotten, is stale.
    func node(_ number: fuse_ino_t) throws(Errno) -> any Node {
        guard let node = table.node(Inode(rawValue: number)) else { throw .staleNFSFileHandle }
        return node
    }

    func directory(_ number: fuse_ino_t) throws(Errno) -> any DirectoryNode {
        guard let directory = try node(number).asDirectory else { throw .notDirectory }
        return directory
    }

    /// How long the kernel may believe entry and attributes of a node, in seconds.
    func timeout(of node: any Node) -> Double { min(attributeTimeout, node.longestTimeout) }

    /// Answers a lookup and counts it, unless the kernel no longer wants the answer.
    func answer(_ request: consuming PendingRequest, found: Found) {
        let (inode, node) = table.enter(found.node)
        let taken = request.answer(entry: EntryReply(inode: inode, status: found.status, timeout: timeout(of: node)))
        if !taken { table.forget(inode, count: 1) }
    }
}

/// Runs what a request asks for and answers with its result or its error.
///
/// The only way a trampoline answers; `body` must not keep anything libfuse lent it.
func serve<Value>(
    _ raw: fuse_req_t?, _ body: (FuseContext, Caller) throws(Errno) -> Value,
    answer: (FuseContext, consuming PendingRequest, Value) -> Void
) {
    guard let raw = unsafe raw, let userdata = unsafe fuse_req_userdata(raw) else { return }
    let context = unsafe Unmanaged<FuseContext>.fromOpaque(userdata).takeUnretainedValue()
    let request = unsafe PendingRequest(raw)
    do throws(Errno) {
        let value = try body(context, request.caller)
        answer(context, request, value)
    } catch {
        request.fail(error)
    }
}

/// A decoded request: what to do, and where.
struct DecodedCall<Value: Sendable> {
    /// nil: here, on the worker.
    let lane: RequestLane?
    let perform: @Sendable (Caller) throws(Errno) -> Value

    init(_ lane: RequestLane?, _ perform: @escaping @Sendable (Caller) throws(Errno) -> Value) {
        self.lane = lane
        self.perform = perform
    }
}

/// The same for calls that may wait for a network: carried out where the node wants them to be.
///
/// - Parameters:
///   - decode: must copy whatever libfuse lent it.
///   - unwanted: what to do with a result nobody waits for any more.
func serve<Value: Sendable>(
    _ raw: fuse_req_t?, decoding decode: (FuseContext) throws(Errno) -> DecodedCall<Value>,
    answer: @escaping @Sendable (FuseContext, consuming PendingRequest, Value) -> Void,
    unwanted: @escaping @Sendable (Value) -> Void = { _ in }
) {
    guard let raw = unsafe raw, let userdata = unsafe fuse_req_userdata(raw) else { return }
    let context = unsafe Unmanaged<FuseContext>.fromOpaque(userdata).takeUnretainedValue()
    let request = unsafe PendingRequest(raw)
    let caller = request.caller
    do throws(Errno) {
        let call = try decode(context)
        if let lane = call.lane {
            lane.carry(request, by: caller, call.perform, answer: { answer(context, $0, $1) }, unwanted: unwanted)
        } else {
            let value = try call.perform(caller)
            answer(context, request, value)
        }
    } catch {
        request.fail(error)
    }
}

/// The same for requests whose node answers them itself, now or later.
func serve(
    _ raw: fuse_req_t?, _ body: (FuseContext, Caller, consuming PendingRequest) -> Void
) {
    guard let raw = unsafe raw, let userdata = unsafe fuse_req_userdata(raw) else { return }
    let context = unsafe Unmanaged<FuseContext>.fromOpaque(userdata).takeUnretainedValue()
    let request = unsafe PendingRequest(raw)
    let caller = request.caller
    body(context, caller, request)
}

/// A name the kernel passed.
func name(_ pointer: UnsafePointer<CChar>?) throws(Errno) -> Name {
    guard let pointer = unsafe pointer else { throw .invalidArgument }
    do {
        return try unsafe Name(copying: pointer)
    } catch {
        switch error {
        case .tooLong: throw .fileNameTooLong
        case .empty, .dots, .nul, .slash: throw .invalidArgument
        }
    }
}
