/// How a tree is mounted.
public struct MountOptions: Sendable {
    /// An existing directory, absolute.
    public var mountpoint: String
    /// Lets users other than the mounting one in; the kernel then checks modes itself (`default_permissions`).
    public var allowOther = false
    public var readOnly = false
    /// Lets the kernel read and write backing files by itself, where it can and we may (Linux 6.9, CAP_SYS_ADMIN).
    public var passthrough = true
    /// Further options for the kernel, as mount(8) writes them: `nosuid`, `noexec`.
    public var kernelOptions: [String] = []
    /// Threads kept for requests; more come while these are busy (see `WorkerPool`).
    public var workers = 4
    /// How long the kernel may answer lookups and attributes by itself; 0 asks us each time.
    public var attributeTimeout = Duration.seconds(1)
    /// What stands in the first column of /proc/self/mounts.
    public var fsName = "fxmount"

    public init(mountpoint: String) {
        self.mountpoint = mountpoint
    }

    /// For `fuse_session_new`; a comma in a name is escaped as libfuse wants it.
    var arguments: [String] {
        var options = ["fsname=\(fsName.replacing(",", with: "\\,"))", "subtype=fxmount"]
        if allowOther { options += ["allow_other", "default_permissions"] }
        if readOnly { options.append("ro") }
        return ["fxmount", "-o", (options + kernelOptions).joined(separator: ",")]
    }
}

/// Why there is no mount.
public enum MountError: Error, Equatable, Sendable {
    /// libfuse refused an option; it has said which on stderr.
    case options
    /// `/dev/fuse` cannot be opened or mount(2) failed; libfuse has said why on stderr.
    case mount
    /// Threads or memory are short.
    case resources(errno: Int32)
    /// Still in use (umount2(2): EBUSY).
    case busy
    /// `umount2` or `fusermount3` failed.
    case unmount(errno: Int32)
}
