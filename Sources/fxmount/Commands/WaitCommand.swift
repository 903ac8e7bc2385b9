internal import ArgumentParser
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// `fxmount wait PATH [--timeout T]`
struct WaitCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait", abstract: "Waits until everything at or below a path is at its remote.",
        discussion: """
            Exit 0 when it is, 124 after the timeout, another code when a file failed.

            EXAMPLES
              fxmount wait ~/fx/sessions/local/study
              fxmount wait ~/fx --timeout 10m
            """)
    @Argument(help: "A file, a session, or a whole mount.") var path: String
    @Option(help: ArgumentHelp("Give up after this time.", valueName: "time")) var timeout: String?
    @OptionGroup var progress: ProgressOption
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let limit = try context.duration(timeout, option: "--timeout")
        let absolute = context.absolute(path)
        let mount = try context.mount(holding: absolute)
        let isDirectory = try mount.access.isDirectory(absolute)
        if isDirectory {
            let target = absolute == mount.path ? mount.path + "/sessions" : absolute
            try wait(forDirectory: target, mount, limit, context)
        } else {
            try wait(forFile: absolute, mount, limit, progress.display(of: mount, below: absolute, context))
        }
        context.printer.document(["path": .string(absolute), "committed": true])
        context.printer.confirm("\(displayed(absolute.utf8)): everything is committed")
    }

    /// fsync(2) on a directory of a session returns when everything below is committed.
    private func wait(
        forDirectory path: String, _ mount: LiveMount, _ limit: Duration?, _ context: CommandContext
    ) throws(CommandFailure) {
        do throws(CommandFailure) {
            var access = context.mountAccess(timeout: limit)
            access.progress = progress.display(of: mount, below: path, context)
            try access.sync(mount.waitingPlace(of: path))
        } catch {
            if error.status == .timedOut, error.hint != nil {
                throw CommandFailure(
                    .timedOut,
                    "\(displayed(path.utf8)): not everything was committed within \((limit ?? .zero).written)",
                    hint: "`fxmount status \(displayed(mount.path.utf8))` shows what is under way", path: path,
                    errno: .timedOut)
            }
            let failed = ((try? mount.transfers()) ?? []).filter { $0["state"]?.string == "failed" }
            for transfer in failed {
                context.printer.warn(
                    "\(displayed((transfer["path"]?.string ?? "").utf8)): \(displayed((transfer["error"]?.string ?? "failed").utf8))"
                )
            }
            throw error
        }
    }

    private func wait(
        forFile path: String, _ mount: LiveMount, _ limit: Duration?, _ display: ProgressDisplay?
    ) throws(CommandFailure) {
        let deadline = limit.map(ContinuousDeadline.after)
        defer { display?.clear() }
        while true {
            let found = try mount.access.attributes(["user.fxmount.state", "user.fxmount.error"], of: path)
            switch found["user.fxmount.state"] {
            // A file of a type is stored when it is written.
            case nil, "committed": return
            case "failed", "expired":
                throw CommandFailure(
                    .refused, "\(displayed(path.utf8)): \(displayed((found["user.fxmount.error"] ?? "failed").utf8))",
                    hint: "`fxmount retry` sends it again, `fxmount export` rescues its bytes", path: path)
            default: break
            }
            if deadline?.hasPassed ?? false {
                throw CommandFailure(
                    .timedOut, "\(displayed(path.utf8)) was not committed within \((limit ?? .zero).written)",
                    path: path,
                    errno: .timedOut)
            }
            display?.tick()
            usleep(100_000)
        }
    }
}
