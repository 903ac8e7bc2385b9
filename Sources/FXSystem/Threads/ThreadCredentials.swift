internal import CLinux
internal import Glibc

/// Runs calls under the owner and umask of somebody else, on this thread only.
///
/// Files made for a caller must belong to the caller. The raw setfsuid(2) acts on one thread; the kernel then drops
/// the file-system capabilities, which are taken back, because the kernel has already checked the caller's rights
/// (`default_permissions`) with groups that we do not know.
public enum ThreadCredentials {
    /// True when this process may act for others.
    public static let canImpersonate = geteuid() == 0

    /// Makes the calling thread one that answers requests: a umask of its own (unshare(2), CLONE_FS), and no
    /// CAP_FSETID,
    /// so that the backing file system clears set-user-ID bits when somebody writes (inode(7)). Call once, first thing.
    public static func prepareWorker() {
        // A thread without a umask of its own shares the process's: files would get the mode of the wrong caller's
        // umask.
        _ = fx_unshare_fs()
        change(lower: fsetid, raise: 0)
    }

    /// Runs `body` with CAP_FSETID, where this process has it: chmod(2) must set set-group-ID although the group is
    /// not ours.
    public static func settingModes<Result, Failure: Error>(
        _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        guard canImpersonate else { return try body() }
        change(lower: 0, raise: fsetid)
        defer { change(lower: fsetid, raise: 0) }
        return try body()
    }

    /// Runs `body` with the given file-system owner, group and umask.
    public static func acting<Result: ~Copyable, Failure: Error>(
        for caller: Caller, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let previousMask = Glibc.umask(caller.umask)
        defer { _ = Glibc.umask(previousMask) }
        guard canImpersonate, caller.uid != 0 || caller.gid != 0 else { return try body() }
        let previousGroup = fx_thread_setfsgid(caller.gid)
        let previousOwner = fx_thread_setfsuid(caller.uid)
        raiseFileCapabilities()
        defer {
            _ = fx_thread_setfsuid(UInt32(bitPattern: previousOwner))
            _ = fx_thread_setfsgid(UInt32(bitPattern: previousGroup))
            // Becoming root again raises every file-system capability (capabilities(7), "Effect of user ID changes").
            change(lower: fsetid, raise: 0)
        }
        return try body()
    }

    /// CAP_FSETID stays down: with it the kernel would not clear set-group-ID where it must.
    private static func raiseFileCapabilities() {
        // CAP_CHOWN 0, CAP_DAC_OVERRIDE 1, CAP_DAC_READ_SEARCH 2, CAP_FOWNER 3, CAP_MKNOD 27.
        change(lower: 0, raise: 0b1111 | 1 << 27)
    }

    /// CAP_FSETID of capabilities(7).
    private static let fsetid: UInt32 = 1 << 4

    /// Changes the effective set of the calling thread within what is permitted.
    private static func change(lower: UInt32, raise: UInt32) {
        let empty = fx_cap_data(effective: 0, permitted: 0, inheritable: 0)
        var sets = [empty, empty]
        guard unsafe fx_capget(&sets) == 0 else { return }
        sets[0].effective = sets[0].effective & ~lower | raise & sets[0].permitted
        _ = unsafe fx_capset(&sets)
    }
}
