internal import ArgumentParser
internal import FXSystem
internal import SystemPackage

/// `fxmount list`: the mounts there are, dead ones included.
struct ListCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the mounts of fxmount on this machine.",
        discussion: """
            EXAMPLES
              fxmount list
              fxmount list --json | jq -r 'select(.alive | not) | .mountpoint'
            """)
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        var rows: [[String]] = []
        for entry in MountTable.current().ours {
            let mount = LiveMount(path: entry.path, access: context.mountAccess())
            var status = JSONValue.null
            var problem: CommandFailure?
            do throws(CommandFailure) { status = try mount.status() } catch { problem = error }
            context.printer.document([
                "mountpoint": .string(entry.path), "source": .string(entry.source), "alive": .bool(problem == nil),
                "pid": status["pid"] ?? .null, "application": status["application"] ?? .null, "status": status,
                "error": problem?.json["error"] ?? .null,
            ])
            rows.append([
                displayed(entry.mountpoint), status["pid"]?.integer.map(String.init) ?? "-",
                displayed((status["application"]?.string ?? "-").utf8),
                problem == nil ? "ok" : problem?.errno == .timedOut ? "no answer" : "dead",
            ])
        }
        if rows.isEmpty {
            context.printer.confirm("no mounts; `fxmount mount DIR` makes one")
        } else {
            context.printer.table(["MOUNTPOINT", "PID", "APP", "STATE"], rows)
        }
    }
}
