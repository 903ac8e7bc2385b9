internal import ArgumentParser
internal import FXSystem
internal import Glibc

/// `fxmount status [PATH] [--watch]`
struct StatusCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Shows what a mount, a type, a session or a file is doing.",
        discussion: """
            Without PATH, every mount; with the path of a mount, its transfers too; with a path in a mount, its attributes.

            EXAMPLES
              fxmount status
              fxmount status ~/fx --watch
              fxmount status ~/fx/sessions/local/study/scan.tif --json
            """)
    @Argument(help: "A mount point, or a file or directory in a mount.") var path: String?
    @Flag(help: "Show it again every second, until interrupted.") var watch = false
    @OptionGroup var common: CommonOptions

    /// The attributes of DESIGN 3 and 4.1.
    static let attributeNames = [
        "state", "error", "progress", "attempts", "sha256", "remote_id", "url", "status_url", "expires", "committed_at",
        "path", "status", "policy",
    ]

    func perform(_ context: CommandContext) throws {
        repeat {
            try show(context)
            if watch { sleep(1) }
        } while watch
    }

    private func show(_ context: CommandContext) throws(CommandFailure) {
        guard let path else {
            let mounts = MountTable.current().ours
            if mounts.isEmpty { context.printer.confirm("no mounts; `fxmount mount DIR` makes one") }
            for entry in mounts {
                // One that does not answer, perhaps another user's, hides none of the others.
                do throws(CommandFailure) {
                    try show(mount: entry.path, withTransfers: false, context)
                } catch {
                    context.printer.document([
                        "mountpoint": .string(entry.path), "status": nil, "error": .string(error.message),
                    ])
                    context.printer.say("\(displayed(entry.path.utf8)): \(error.message)")
                }
            }
            return
        }
        let absolute = context.absolute(path)
        let mount = try context.mount(holding: absolute)
        if mount.path == absolute { return try show(mount: absolute, withTransfers: true, context) }
        let found = try mount.access.attributes(StatusCommand.attributeNames.map { "user.fxmount.\($0)" }, of: absolute)
        var members: [JSONValue.Member] = [.init("path", .string(absolute)), .init("mountpoint", .string(mount.path))]
        members.append(
            .init(
                "attributes",
                .object(
                    StatusCommand.attributeNames.compactMap { name in
                        found["user.fxmount.\(name)"].map { .init(name, .string($0)) }
                    })))
        context.printer.document(.object(members))
        let rows = StatusCommand.attributeNames.compactMap { name in
            found["user.fxmount.\(name)"].map { [name, displayed($0.utf8)] }
        }
        if rows.isEmpty { context.printer.say("\(displayed(absolute.utf8)): an ordinary file or directory of a type") }
        if !rows.isEmpty { context.printer.table(["ATTRIBUTE", "VALUE"], rows) }
    }

    private func show(mount path: String, withTransfers: Bool, _ context: CommandContext) throws(CommandFailure) {
        let mount = LiveMount(path: path, access: context.mountAccess())
        let status = try mount.status()
        let transfers = withTransfers ? try mount.transfers() : []
        var members: [JSONValue.Member] = [.init("mountpoint", .string(path)), .init("status", status)]
        if withTransfers { members.append(.init("transfers", .array(transfers))) }
        context.printer.document(.object(members))
        context.printer.table(["KEY", "VALUE"], StatusCommand.rows(status, under: ""))
        if !transfers.isEmpty {
            context.printer.say("")
            context.printer.table(
                ["STATE", "SIZE", "ATTEMPTS", "PATH", "ERROR"],
                transfers.map { transfer in
                    [
                        transfer["state"]?.string ?? "?",
                        transfer["size"]?.integer.map { ByteCount(UInt64(clamping: $0)).description } ?? "-",
                        transfer["attempts"]?.integer.map(String.init) ?? "-",
                        displayed((transfer["path"]?.string ?? "?").utf8),
                        displayed((transfer["error"]?.string ?? "").utf8),
                    ]
                })
        }
    }

    /// A JSON object as rows of dotted keys.
    static func rows(_ value: JSONValue, under prefix: String) -> [[String]] {
        switch value {
        case .object(let members):
            members.flatMap { rows($0.value, under: prefix.isEmpty ? $0.key : "\(prefix).\($0.key)") }
        case .array(let values):
            values.isEmpty
                ? [] : values.enumerated().flatMap { rows($0.element, under: "\(prefix)[\($0.offset)]") }
        case .null: []
        case .string(let text): [[prefix, displayed(text.utf8)]]
        default: [[prefix, value.text]]
        }
    }
}
