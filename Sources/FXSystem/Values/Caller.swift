/// Who asks: the credentials the kernel reports with a request.
public struct Caller: Sendable, Hashable {
    public var uid: UInt32
    public var gid: UInt32
    /// The thread that made the call (its process: `Tgid` of `/proc/<tid>/status`); 0 when it is in another PID
    /// namespace.
    public var thread: Int32
    public var umask: UInt32

    public init(uid: UInt32, gid: UInt32, thread: Int32, umask: UInt32 = 0o022) {
        self.uid = uid
        self.gid = gid
        self.thread = thread
        self.umask = umask
    }
}
