internal import ArgumentParser
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// `fxmount unmount MOUNTPOINT`
struct UnmountCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unmount", abstract: "Finishes what is being sent, then takes a mount away.",
        discussion: """
            Files that could not be sent within the timeout stay safe in the state directory; they are listed, the exit code
            is 75, and the next mount goes on with them.

            EXAMPLES
              fxmount unmount ~/fx
              fxmount unmount ~/fx --timeout 10m
              fxmount unmount /mnt/dead --lazy
            """,
        aliases: ["umount"])
    @Argument(help: "Where it is mounted.") var mountpoint: String
    @Option(help: ArgumentHelp("How long to finish transfers.", valueName: "time")) var timeout = "60s"
    @Flag(help: "Take it out of the tree at once; transfers are finished in the background.") var lazy = false
    @OptionGroup var progress: ProgressOption
    @OptionGroup var common: CommonOptions

    /// What a daemon needs after the drain to unmount and end.
    private static let margin = Duration.seconds(15)

    func perform(_ context: CommandContext) throws {
        let drain = try context.duration(timeout, option: "--timeout") ?? .seconds(60)
        let path = context.absolute(mountpoint)
        guard let entry = MountTable.current().mount(at: path), entry.type == "fuse.fxmount" else {
            throw CommandFailure(
                .failure, "\(displayed(path.utf8)) is not a mount of fxmount",
                hint: "`fxmount list` shows the mounts there are",
                path: path)
        }
        let daemon = find(path, context)
        guard let daemon, Unmounting.isRunning(daemon.pid) else {
            try Unmounting.detach(path, environment: context.surroundings.environment)
            context.printer.document(["mountpoint": .string(path), "unmounted": true, "stale": true, "left": []])
            context.printer.confirm("removed the dead mount \(displayed(path.utf8)); its daemon was gone")
            return
        }
        if daemon.answers {
            try? context.mountAccess().setAttribute("user.fxmount.drain_timeout", to: drain.written, of: path)
        }
        if lazy { try Unmounting.detach(path, environment: context.surroundings.environment) }
        if kill(daemon.pid, SIGTERM) != 0 {
            throw CommandFailure(
                Errno(rawValue: errno), "cannot end the daemon (pid \(daemon.pid)) of", path: path,
                hint: "it belongs to another user: sudo fxmount unmount \(displayed(path.utf8))", status: .failure)
        }
        if lazy {
            context.printer.document([
                "mountpoint": .string(path), "unmounted": true, "draining": true, "pid": .integer(Int64(daemon.pid)),
            ])
            context.printer.confirm("unmounted \(displayed(path.utf8)); pid \(daemon.pid) finishes its transfers")
            return
        }
        let mount = LiveMount(path: path, access: context.mountAccess(timeout: .seconds(1)))
        let display = daemon.answers ? progress.display(of: mount, context) : nil
        try waitForEnd(of: daemon.pid, until: .after(drain + UnmountCommand.margin), path, display)
        try report(path, daemon, context)
    }

    private struct Daemon {
        var pid: Int32
        var stateDirectory: String?
        var answers: Bool
    }

    /// Asks the mount; if it does not answer, the lock of the state directory.
    private func find(_ path: String, _ context: CommandContext) -> Daemon? {
        let status = try? LiveMount(path: path, access: context.mountAccess()).status()
        if let status, let pid = status["pid"]?.integer {
            return Daemon(
                pid: Int32(truncatingIfNeeded: pid), stateDirectory: status["state_directory"]?.string, answers: true)
        }
        guard let directory = try? context.openStateDirectory(), let holder = StateLock.holder(of: directory),
            holder.mountpoint == path
        else { return nil }
        return Daemon(pid: holder.pid, stateDirectory: directory.path, answers: false)
    }

    private func waitForEnd(
        of pid: Int32, until deadline: ContinuousDeadline, _ path: String, _ display: ProgressDisplay?
    ) throws(CommandFailure) {
        defer { display?.clear() }
        var nextLook = ContinuousDeadline.after(ProgressDisplay.interval)
        while Unmounting.isRunning(pid) {
            if deadline.hasPassed {
                throw CommandFailure(
                    .timedOut, "the daemon (pid \(pid)) of \(displayed(path.utf8)) did not end in time",
                    hint: "sealed files are safe; `fxmount unmount --lazy` takes the mount away", path: path)
            }
            if let display, nextLook.hasPassed {
                display.tick()
                nextLook = .after(ProgressDisplay.interval)
            }
            usleep(20_000)
        }
    }

    private func report(_ path: String, _ daemon: Daemon, _ context: CommandContext) throws {
        let place = try daemon.stateDirectory ?? context.stateDirectoryPath()
        var left: [UnmountReport.Left] = []
        if let directory = try? StateDirectory(opening: place, creating: false) {
            left = UnmountReport.read(from: directory)?.left ?? []
        }
        context.printer.document([
            "mountpoint": .string(path), "unmounted": true, "left": .array(left.map(\.json)),
        ])
        if left.isEmpty {
            context.printer.confirm("unmounted \(displayed(path.utf8))")
            return
        }
        context.printer.table(
            ["STATE", "SIZE", "PATH"], left.map { [$0.state, $0.size.description, displayed($0.path.utf8)] })
        throw CommandFailure(
            .workLeft, "unmounted, but \(UnmountReport.sentence(left))", hint: UnmountReport.hint(left, in: place),
            path: path)
    }
}
