internal import CLinux
internal import FXMapping
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// Everything `mount` was asked for, settled before anything is touched.
struct MountPlan: Sendable {
    var mountpoint: String
    var application: ApplicationID
    var stateDirectory: String
    var configuration: Configuration
    var kernel: KernelOptions

    /// Checks that the mount can be made; cleans up a dead mount of our own at the mount point first.
    /// - Throws: exit 1 with what is wrong, exit 11 when something is mounted there.
    func check(_ registry: TypeRegistry, environment: [String: String]) throws {
        try MountPlan.checkDevice()
        try checkCovered(environment)
        try checkMountpoint()
        try registry.checkMountPoint(mountpoint, for: application)
    }

    /// The kernel's side of FUSE.
    static func checkDevice() throws(CommandFailure) {
        if unsafe access("/dev/fuse", F_OK) != 0 {
            throw CommandFailure(
                .failure,
                "/dev/fuse is missing: load it with `sudo modprobe fuse`, or give it to the container with --device /dev/fuse",
                path: "/dev/fuse", errno: .noSuchFileOrDirectory)
        }
    }

    /// A dead mount answers ENOTCONN until it is taken away; only our own is.
    private func checkCovered(_ environment: [String: String]) throws(CommandFailure) {
        guard let covering = MountTable.current().mount(at: mountpoint), covering.type == "fuse.fxmount" else { return }
        do throws(CommandFailure) {
            try MountAccess(environment: environment).checkAnswers(mountpoint)
        } catch {
            guard error.errno == .socketNotConnected else { throw error }
            return try Unmounting.detach(mountpoint, environment: environment)
        }
        throw CommandFailure(
            .locked, "\(displayed(mountpoint.utf8)) is mounted already",
            hint: "`fxmount list` shows by whom; `fxmount unmount \(displayed(mountpoint.utf8))` ends it",
            path: mountpoint,
            errno: .resourceBusy)
    }

    private func checkMountpoint() throws(CommandFailure) {
        do throws(Errno) {
            _ = try OwnedDescriptor.open(absolute: mountpoint, [.pathOnly, .directory])
        } catch {
            let hint =
                error == .noSuchFileOrDirectory
                ? "make it first: mkdir -p \(displayed(mountpoint.utf8))"
                : "the mount point must be a directory you own"
            throw CommandFailure(error, "cannot mount on", path: mountpoint, hint: hint, status: .failure)
        }
        if let state = try? RealDirectory(locating: stateDirectory),
            let point = try? RealDirectory(locating: mountpoint),
            let overlap = point.overlap(with: state)
        {
            let how = overlap == .contains ? "contains" : "is or lies in"
            throw CommandFailure(
                .failure, "the mount point \(displayed(mountpoint.utf8)) \(how) the state directory",
                hint: "mount somewhere outside of \(displayed(stateDirectory.utf8))", path: mountpoint)
        }
    }
}
