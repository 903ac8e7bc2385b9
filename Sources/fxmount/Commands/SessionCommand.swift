internal import ArgumentParser
internal import FXRemote
internal import FXSystem
internal import Glibc
internal import SystemPackage

/// `fxmount session …`
struct SessionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "session", abstract: "Manages sessions of remotes.",
        discussion: """
            EXAMPLES
              fxmount session create ~/fx/sessions/local/study
              fxmount session list
              fxmount session list --orphaned
              fxmount session status ~/fx/sessions/local/study --watch
              fxmount session complete ~/fx/sessions/local/study --timeout 10m
              fxmount session verify ~/fx/sessions/local/study --read
              fxmount session receipt ~/fx/sessions/local/study --output study.json
            """,
        subcommands: [
            SessionCreateCommand.self, SessionListCommand.self, SessionStatusCommand.self, SessionCompleteCommand.self,
            SessionAbortCommand.self, SessionVerifyCommand.self, SessionReceiptCommand.self,
        ])

    static let stateAttribute = "user.fxmount.state"
    static let attributes = [
        "state", "error", "progress", "processing", "remote_id", "url", "status_url", "expires", "committed_at",
    ]
}

extension CommandContext {
    /// A path below `sessions/REMOTE` of a mount.
    /// - Throws: exit 2 for another path.
    func session(_ path: String) throws(CommandFailure) -> (path: String, mount: LiveMount, remote: String) {
        let absolute = absolute(path)
        let mount = try mount(holding: absolute)
        let inside = absolute.dropFirst(mount.path.count).split(separator: "/").map(String.init)
        guard inside.count >= 3, inside[0] == "sessions" else {
            throw CommandFailure(
                .usage, "\(displayed(absolute.utf8)) is not a session",
                hint: "sessions are \(displayed(mount.path.utf8))/sessions/REMOTE/NAME", path: absolute)
        }
        return (absolute, mount, inside[1])
    }
}

/// `fxmount session create PATH`
struct SessionCreateCommand: RunnableCommand {
    static let configuration = CommandConfiguration(commandName: "create", abstract: "Opens a session, as mkdir does.")
    @Argument(help: "MOUNT/sessions/REMOTE/NAME") var path: String
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let session = try context.session(path)
        try session.mount.access.makeDirectory(session.path)
        let state = try session.mount.access.attributes([SessionCommand.stateAttribute], of: session.path)
        context.printer.document([
            "path": .string(session.path), "remote": .string(session.remote),
            "state": .text(state[SessionCommand.stateAttribute]),
        ])
        context.printer.confirm("opened \(displayed(session.path.utf8))")
    }
}

/// `fxmount session list [MOUNT]`
struct SessionListCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists sessions; with --json one line each.")
    @Argument(help: "A mount, or sessions/REMOTE in it; default every mount.") var path: String?
    @Flag(help: "Instead: unfinished uploads at a service that nobody goes on with, and sessions it has no more.")
    var orphaned = false
    @OptionGroup var common: CommonOptions

    /// Project, participant, session: no service of ours keeps sessions deeper.
    private static let maximumDepth = 3

    func perform(_ context: CommandContext) throws {
        if orphaned { return try SessionOrphans(remotes: try roots(context)).perform(context) }
        var rows: [[String]] = []
        for root in try roots(context) {
            try collect(root.path, depth: 0, root.mount, context, &rows)
        }
        if rows.isEmpty {
            context.printer.confirm("no sessions; `fxmount session create MOUNT/sessions/REMOTE/NAME` opens one")
        } else {
            context.printer.table(["STATE", "SESSION"], rows)
        }
    }

    /// The directories of remotes to look into.
    private func roots(_ context: CommandContext) throws(CommandFailure) -> [(path: String, mount: LiveMount)] {
        var starts: [(String, LiveMount)] = []
        if let path {
            let absolute = context.absolute(path)
            let mount = try context.mount(holding: absolute)
            if absolute != mount.path, absolute != mount.path + "/sessions" { return [(absolute, mount)] }
            starts = [(mount.path + "/sessions", mount)]
        } else {
            starts = MountTable.current().ours.map { entry in
                (entry.path + "/sessions", LiveMount(path: entry.path, access: context.mountAccess()))
            }
        }
        var remotes: [(String, LiveMount)] = []
        for (sessions, mount) in starts {
            do throws(CommandFailure) {
                for remote in try mount.access.entries(of: sessions, attributes: []) {
                    if let name = remote["name"]?.string { remotes.append(("\(sessions)/\(name)", mount)) }
                }
            } catch {
                if path != nil { throw error }
                context.printer.warn(error.message)
            }
        }
        return remotes
    }

    private func collect(
        _ directory: String, depth: Int, _ mount: LiveMount, _ context: CommandContext, _ rows: inout [[String]]
    ) throws(CommandFailure) {
        for entry in try mount.access.entries(of: directory, attributes: [SessionCommand.stateAttribute]) {
            guard entry["directory"]?.boolean == true, let name = entry["name"]?.string else { continue }
            let path = "\(directory)/\(name)"
            guard let state = entry[SessionCommand.stateAttribute]?.string else {
                if depth < SessionListCommand.maximumDepth {
                    try collect(path, depth: depth + 1, mount, context, &rows)
                }
                continue
            }
            context.printer.document([
                "path": .string(path), "mountpoint": .string(mount.path), "name": .string(name),
                "state": .string(state),
            ])
            rows.append([state, displayed(path.utf8)])
        }
    }
}

/// `fxmount session status PATH`
struct SessionStatusCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Shows a session and its files by state.")
    @Argument(help: "MOUNT/sessions/REMOTE/NAME") var path: String
    @Flag(help: "Show it again every second, until the session is over or you interrupt.") var watch = false
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        while try show(context) { sleep(1) }
    }

    /// - Returns: true when it is to be shown again.
    private func show(_ context: CommandContext) throws -> Bool {
        let session = try context.session(path)
        let found = try session.mount.access.attributes(
            (SessionCommand.attributes + ["files"]).map { "user.fxmount.\($0)" }, of: session.path)
        var members: [JSONValue.Member] = [
            .init("path", .string(session.path)), .init("remote", .string(session.remote)),
        ]
        for name in SessionCommand.attributes { members.append(.init(name, .text(found["user.fxmount.\(name)"]))) }
        let countdown = found["user.fxmount.expires"].flatMap { Countdown(until: $0, now: Int64(time(nil))) }
        members.append(.init("expires_in", countdown.map { .integer($0.seconds) } ?? .null))
        let files = try session.mount.files(below: session.path)
        members.append(.init("files", .object(counts(found["user.fxmount.files"] ?? ""))))
        members.append(.init("transfers", .array(files.map(\.json))))
        context.printer.document(.object(members))
        members.removeLast()
        if let countdown {
            members = members.map { $0.key == "expires_in" ? .init($0.key, .string(countdown.text)) : $0 }
        }
        context.printer.table(["KEY", "VALUE"], StatusCommand.rows(.object(members), under: ""))
        if !files.isEmpty {
            context.printer.say("")
            context.printer.table(
                ["STATE", "SIZE", "PATH", "ERROR"],
                files.map { file in
                    let size = ByteCount(UInt64(clamping: file.size)).description
                    return [file.state, size, displayed(file.path.utf8), displayed((file.error ?? "").utf8)]
                })
        }
        let isOver = ["complete", "aborted", "expired"].contains(found[SessionCommand.stateAttribute] ?? "")
        let processing = found["user.fxmount.processing"]
        if watch, !isOver || processing?.hasPrefix("pending") ?? false { return true }
        try checkProcessing(processing, session.path, found["user.fxmount.error"])
        return false
    }

    /// A complete session whose files the service still looks at, or withholds, is not all right.
    private func checkProcessing(
        _ processing: String?, _ path: String, _ error: String?
    ) throws(CommandFailure) {
        let words = (processing ?? "").split(separator: " ", maxSplits: 1)
        guard words.count == 2 else { return }
        switch words[0] {
        case "pending":
            throw CommandFailure(
                .workLeft,
                "\(displayed(path.utf8)): the service is not through with its files: \(displayed(words[1].utf8))",
                hint: "it goes on without anybody; ask again later", path: path)
        case "withheld", "failed", "gone":
            throw CommandFailure(
                .refused, "\(displayed(path.utf8)): \(displayed((error ?? String(words[1])).utf8))",
                hint: "user.fxmount.error of each file has the reason", path: path)
        default: return
        }
    }

    /// Reads `committed=3 failed=1`.
    private func counts(_ text: String) -> [JSONValue.Member] {
        text.split(separator: " ").compactMap { word in
            let parts = word.split(separator: "=")
            guard parts.count == 2, let count = Int64(parts[1]) else { return nil }
            return .init(String(parts[0]), .integer(count))
        }
    }
}

/// `fxmount session complete PATH`
struct SessionCompleteCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "complete", abstract: "Waits for every file, then closes a session for good.",
        discussion: "Fails and lists them when files failed or are still being written; the session stays open then.")
    @Argument(help: "MOUNT/sessions/REMOTE/NAME") var path: String
    @Option(help: ArgumentHelp("How long the service keeps the files: 30d, or DD:HH:MM[:SS].", valueName: "time"))
    var expiresAfter: String?
    @Option(help: ArgumentHelp("Give up after this time; default never.", valueName: "time")) var timeout: String?
    @OptionGroup var progress: ProgressOption
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        if let expiresAfter, Lifetime(expiresAfter) == nil {
            throw CommandFailure(
                .usage, "--expires-after: \"\(displayed(expiresAfter.utf8))\" is no span of time",
                hint: "write 30d or 12h, or days, hours and minutes as 30:00:00")
        }
        var change = SessionChange(to: "complete", path: path, timeout: timeout)
        change.details = expiresAfter.map { " expires-after=\($0)" } ?? ""
        try change.perform(context, progress)
    }
}

/// `fxmount session abort PATH`
struct SessionAbortCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "abort", abstract: "Gives a session up. What was committed stays at the service.")
    @Argument(help: "MOUNT/sessions/REMOTE/NAME") var path: String
    @Option(help: ArgumentHelp("Give up after this time; default never.", valueName: "time")) var timeout: String?
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        try SessionChange(to: "aborted", path: path, timeout: timeout).perform(context)
    }
}

/// Setting `user.fxmount.state` of a session, which returns when it is done.
private struct SessionChange {
    var state: String
    /// What follows the state in the value that is set.
    var details = ""
    var path: String
    var timeout: String?

    init(to state: String, path: String, timeout: String?) {
        self.state = state
        self.path = path
        self.timeout = timeout
    }

    func perform(_ context: CommandContext, _ progress: ProgressOption? = nil) throws(CommandFailure) {
        let limit = try context.duration(timeout, option: "--timeout")
        let session = try context.session(path)
        do throws(CommandFailure) {
            var access = context.mountAccess(timeout: limit)
            access.progress = progress?.display(of: session.mount, below: session.path, context)
            // Looked at by its own name first: a service may have to be asked for it.
            _ = try access.isDirectory(session.path)
            try access.setAttribute(
                SessionCommand.stateAttribute, to: state + details, of: session.mount.waitingPlace(of: session.path))
        } catch {
            throw explained(error, session)
        }
        context.printer.document([
            "path": .string(session.path), "remote": .string(session.remote), "state": .string(state),
        ])
        context.printer.confirm("\(displayed(session.path.utf8)) is \(state)")
    }

    /// The mount knows more than an errno says.
    private func explained(
        _ failure: CommandFailure, _ session: (path: String, mount: LiveMount, remote: String)
    ) -> CommandFailure {
        var failure = failure
        if failure.status == .timedOut {
            failure.hint = "it goes on in the background; `fxmount session status` shows how far it is"
            return failure
        }
        let reason = try? session.mount.access.attributes(["user.fxmount.error"], of: session.path)[
            "user.fxmount.error"]
        // What is wrong with a session that is over is not why it cannot be changed.
        if let reason, !reason.isEmpty, failure.errno != .readOnlyFileSystem {
            failure.message = "\(displayed(session.path.utf8)): \(displayed(reason.utf8))"
            failure.hint = "`fxmount session status` shows the files by state"
        }
        // Drafts and refused files: the mount answers EBUSY, and each is named.
        if failure.errno == .resourceBusy {
            failure.status = .workLeft
            failure.obstacles = ((try? session.mount.files(below: session.path)) ?? []).filter(\.isObstacle)
            failure.hint = "close what is open; `fxmount retry` sends failed files again, `fxmount export` rescues them"
        }
        return failure
    }
}
