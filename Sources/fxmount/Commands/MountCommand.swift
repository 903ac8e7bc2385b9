internal import ArgumentParser
internal import FXMapping
internal import FXSystem
internal import Glibc

/// `fxmount mount MOUNTPOINT`
struct MountCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mount", abstract: "Mounts types and sessions at a directory.",
        discussion: """
            Stays in the foreground until it is unmounted or gets SIGTERM or SIGINT; then it finishes transfers, and exits 75 if
            some are left. With --daemon it returns when the mount answers.

            Options for -o: ro, rw, allow_other, default_permissions, nosuid, nodev, noexec, noatime, fsname=, workers=,
            passthrough=, attribute_timeout=, app=, state_dir=, config=. Those of fstab for others are ignored.

            EXAMPLES
              fxmount mount ~/fx
              fxmount mount ~/fx --daemon -o allow_other
              fxmount mount /srv/fx --app clinic --state-dir /var/lib/fxmount-clinic
            """)
    @Argument(help: "An existing directory.") var mountpoint: String
    @Option(help: ArgumentHelp("The application to show (FXMOUNT_APP; default local).", valueName: "id")) var app:
        String?
    @Flag(help: "Serve in the background; return when the mount answers.") var daemon = false
    @Option(name: .customShort("o"), help: ArgumentHelp("Mount options, as for mount(8).", valueName: "opts"))
    var options: [String] = []
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let readiness = ReadinessReport(environment: context.surroundings.environment)
        do {
            try perform(context, readiness)
        } catch {
            // 75 comes after the mount; the parent has long gone then.
            readiness.failed(CommandFailure(describing: error))
            throw error
        }
    }

    private func perform(_ original: CommandContext, _ readiness: ReadinessReport) throws {
        // Before the first thread.
        TerminationSignals.block()
        let kernel = try KernelOptions(options)
        var context = original
        context.stateFlag = context.stateFlag ?? kernel.stateDirectory
        context.configFlag = context.configFlag ?? kernel.configuration
        var flags = kernel.settings
        if let allows = kernel.allowsOther { flags["mount.allow_other"] = String(allows) }
        let plan = MountPlan(
            mountpoint: context.absolute(mountpoint),
            application: try ApplicationID(
                app ?? kernel.application ?? context.surroundings.environment["FXMOUNT_APP"] ?? "local"),
            stateDirectory: try context.stateDirectoryPath(), configuration: try context.configuration(flags: flags),
            kernel: kernel)
        for warning in RemoteWarning.all(in: plan.configuration) { context.printer.warn(warning.sentence) }
        if daemon, !readiness.isDaemon {
            try startDaemon(plan, context)
        } else {
            try serve(plan, context, readiness)
        }
    }

    private func startDaemon(_ plan: MountPlan, _ context: CommandContext) throws {
        let directory = try context.openStateDirectory(creating: true)
        // Absolute paths only: the child works in the root directory.
        var arguments = [
            "mount", plan.mountpoint, "--app", plan.application.text, "--state-dir", plan.stateDirectory,
        ]
        if let config = context.configFlag { arguments += ["--config", context.absolute(config)] }
        if common.verbose { arguments.append("--verbose") }
        for list in options { arguments += ["-o", list] }
        let pid = try DaemonStart(
            arguments: arguments, environment: context.surroundings.environment, log: directory.path(of: "log")
        ).start()
        context.printer.document([
            "mountpoint": .string(plan.mountpoint), "pid": .integer(Int64(pid)),
            "log": .string(directory.path(of: "log")),
        ])
        context.printer.confirm("mounted at \(displayed(plan.mountpoint.utf8)), pid \(pid)")
    }

    private func serve(_ plan: MountPlan, _ context: CommandContext, _ readiness: ReadinessReport) throws {
        try MountPlan.checkDevice()
        let directory = try context.openStateDirectory(creating: true)
        let lock = try StateLock(
            directory,
            holder: LockHolder(
                pid: getpid(), mountpoint: plan.mountpoint, host: MountCommand.hostName,
                started: WallClock.system.now().rfc3339))
        let registry = try TypeRegistry(databasePath: directory.path(of: "mappings.sqlite"))
        try plan.check(registry, environment: context.surroundings.environment)
        // The mount must not keep another file system busy.
        if readiness.isDaemon { _ = unsafe chdir("/") }
        let remotes = RemoteAssembly(
            environment: context.surroundings.environment, cacheDirectory: context.surroundings.cacheDirectory,
            stateDirectory: plan.stateDirectory,
            writer: try WriterID.of(directory))
        let mount = try MountAssembly.make(plan, remotes, registry: registry, printer: context.printer)
        let printer = context.printer
        let run = MountRun(
            mount, notifier: ServiceNotifier(environment: context.surroundings.environment), log: { printer.warn($0) })
        let left = try run.serve {
            readiness.ready()
            if !readiness.isDaemon {
                context.printer.document(["mountpoint": .string(plan.mountpoint), "pid": .integer(Int64(getpid()))])
                context.printer.confirm("mounted at \(displayed(plan.mountpoint.utf8)); Ctrl-C unmounts")
            }
        }
        try UnmountReport(left: left, time: WallClock.system.now().rfc3339).write(to: directory)
        lock.release()
        if !left.isEmpty {
            context.printer.table(
                ["STATE", "SIZE", "PATH"], left.map { [$0.state, $0.size.description, displayed($0.path.utf8)] })
            throw CommandFailure(
                .workLeft, UnmountReport.sentence(left), hint: UnmountReport.hint(left, in: plan.stateDirectory),
                path: plan.mountpoint)
        }
    }

    private static var hostName: String {
        var name = [UInt8](repeating: 0, count: 256)
        let result = unsafe name.withUnsafeMutableBytes {
            unsafe gethostname($0.bindMemory(to: CChar.self).baseAddress.unsafelyUnwrapped, 255)
        }
        return result == 0 ? String(decoding: name.prefix { $0 != 0 }, as: UTF8.self) : ""
    }
}
