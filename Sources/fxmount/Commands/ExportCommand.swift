internal import ArgumentParser
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// `fxmount export PATH DEST`
struct ExportCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Copies the bytes of a file out of a session, whatever became of its upload.",
        discussion: """
            DEST must not exist, unless it is a directory. The copy is on disk when the command returns.

            EXAMPLES
              fxmount export ~/fx/sessions/local/study/scan.tif ~/rescued/
            """)
    @Argument(help: "A file in a mount.") var path: String
    @Argument(help: "A new file, or an existing directory.") var destination: String
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let absolute = context.absolute(path)
        _ = try context.mount(holding: absolute)
        var target = context.absolute(destination)
        if let directory = try? OwnedDescriptor.open(absolute: target, [.pathOnly, .directory]) {
            _ = consume directory
            target += "/" + (absolute.split(separator: "/").last.map(String.init) ?? "export")
        }
        // No deadline: a large file takes as long as it takes, and Ctrl-C ends both processes.
        let size = try context.mountAccess(timeout: nil).copy(absolute, to: target)
        context.printer.document(["path": .string(absolute), "destination": .string(target), "size": .bytes(size)])
        context.printer.confirm("\(displayed(target.utf8)): \(size)")
    }
}

/// `fxmount retry [PATH]`
struct RetryCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Sends failed files again.",
        discussion: """
            Without PATH, all of every mount.

            EXAMPLES
              fxmount retry
              fxmount retry ~/fx/sessions/local/study
            """)
    @Argument(help: "A file, a session or a mount.") var path: String?
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let paths = path.map { [context.absolute($0)] } ?? MountTable.current().ours.map(\.path)
        if paths.isEmpty { context.printer.confirm("no mounts; mount first, retries go on then") }
        var failure: CommandFailure?
        for path in paths {
            // One dead mount must not keep the others from their second try.
            do throws(CommandFailure) { try retry(path, context) } catch {
                if let failure { context.printer.warn(failure.message) }
                failure = error
            }
        }
        if let failure { throw failure }
    }

    private func retry(_ path: String, _ context: CommandContext) throws(CommandFailure) {
        let mount = try context.mount(holding: path)
        let target = path == mount.path ? path + "/sessions" : path
        try mount.access.setAttribute("user.fxmount.state", to: "retry", of: target)
        context.printer.document(["path": .string(path), "retrying": true])
        context.printer.confirm("\(displayed(path.utf8)): failed files are sent again")
    }
}
