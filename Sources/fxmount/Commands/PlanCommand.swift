internal import ArgumentParser
internal import FXMapping
internal import FXRemote
internal import FXSystem
internal import SystemPackage

/// `fxmount plan SRC DEST`
struct PlanCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Says what a copy into a session would send, what is there already, and what would be refused.",
        discussion: """
            Nothing is changed. SRC and DEST are as for rsync: SRC itself goes into the directory DEST, with a slash at its
            end what is in it. Exit 0 when all of it would arrive, 7 when something would be refused or stay here.

            EXAMPLES
              fxmount plan ~/study/ ~/fx/sessions/clinic/Study/P01/monday
              fxmount plan ~/study ~/fx/sessions/cluster/june --json | jq '.entries[] | select(.action == "refused")'
            """)
    @Argument(help: "A file or directory.") var source: String
    @Argument(help: "A session or a directory in one; it need not exist.") var destination: String
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let place = try PlanPlace(context.absolute(destination), context)
        var report = PlanReport(source: context.absolute(source), destination: place.path)
        let rule = try place.rule(context)
        let present = try place.present()
        let entries = try PlanSource(context.absolute(source), takesContent: source.hasSuffix("/")).entries()
        for entry in entries {
            report.add(
                entry.path, entry.type == .regular ? entry.size : .zero,
                rule.verdict(on: entry, present: present[entry.path]))
        }
        context.printer.document(report.json)
        show(report, context)
        if !report.isFine { throw SilentExit(status: .refused) }
    }

    private func show(_ report: PlanReport, _ context: CommandContext) {
        if context.printer.volume == .verbose {
            for line in report.lines { context.printer.say("\(line.word)  \(displayed(line.path.bytes))") }
        } else {
            for (line, refusal) in report.refused {
                let reason = refusal.errno.map { "\(refusal.sentence) (\($0.symbol))" } ?? refusal.sentence
                context.printer.say("\(line.word)  \(displayed(line.path.bytes)): \(displayed(reason.utf8))")
            }
        }
        func total(_ verdict: PlanVerdict) -> String {
            let (files, size) = report.total(verdict)
            return "\(files) file\(files == 1 ? "" : "s"), \(size)"
        }
        context.printer.say("to send: \(total(.send))")
        context.printer.say("there already: \(total(.present))")
        context.printer.say("refused: \(report.refused.count)")
    }
}

/// What is to be copied.
private struct PlanSource {
    private let path: String
    private let takesContent: Bool

    init(_ path: String, takesContent: Bool) { (self.path, self.takesContent) = (path, takesContent) }

    /// Everything that rsync would bring, parents first.
    func entries() throws(CommandFailure) -> [PlannedEntry] {
        do {
            let parts = path.split(separator: "/").map(String.init)
            guard let last = parts.last else { throw Errno.invalidArgument }
            let parent = try OwnedDescriptor.open(
                absolute: "/" + parts.dropLast().joined(separator: "/"), [.pathOnly, .directory])
            let name = try Name(last)
            var status = try parent.status(of: name)
            // As a slash at the end of a path does.
            if takesContent, status.type == .symbolicLink {
                status = try OwnedDescriptor.open(absolute: path, [.pathOnly]).status()
            }
            let base = takesContent && status.isDirectory ? RelativePath() : RelativePath([name])
            var entries = takesContent && status.isDirectory ? [] : [entry(base, status)]
            if status.isDirectory {
                let root = try OwnedDescriptor.open(absolute: path, [.readOnly, .directory])
                try PlanWalk(root).forEach { below, status throws(Errno) in
                    entries.append(entry(RelativePath(base.components + below.components), status))
                }
            }
            return entries
        } catch let error as Errno {
            throw CommandFailure(error, "cannot look at", path: path, status: .failure)
        } catch {
            throw CommandFailure(.failure, "cannot look at \(displayed(path.utf8)): \(error)", path: path)
        }
    }

    private func entry(_ path: RelativePath, _ status: FileStatus) -> PlannedEntry {
        PlannedEntry(path: path, type: status.type, size: status.size, modified: status.modified)
    }
}

/// Where it is to go.
private struct PlanPlace {
    let path: String
    private let mount: LiveMount
    private let remote: String
    /// From the remote down.
    private let inside: [String]
    private let exists: Bool

    init(_ path: String, _ context: CommandContext) throws(CommandFailure) {
        self.path = path
        mount = try context.mount(holding: path)
        let parts = path.dropFirst(mount.path.count).split(separator: "/").map(String.init)
        guard parts.count >= 2, parts[0] == "sessions" else {
            throw CommandFailure(
                .usage, "\(displayed(path.utf8)) is not in a session",
                hint: "sessions are \(displayed(mount.path.utf8))/sessions/REMOTE/NAME", path: path)
        }
        remote = parts[1]
        inside = Array(parts.dropFirst(2))
        do throws(CommandFailure) { exists = try mount.access.isDirectory(path) } catch {
            if error.errno != .noSuchFileOrDirectory { throw error }
            exists = false
        }
    }

    /// Everything that is there, by its path below the destination.
    func present() throws(CommandFailure) -> [RelativePath: PresentEntry] {
        if !exists { return [:] }
        // A large session takes its time, and Ctrl-C ends it.
        var access = mount.access
        access.timeout = nil
        var found: [RelativePath: PresentEntry] = [:]
        for value in try access.tree(path) {
            guard let text = value["path"]?.string, let entry = try? RelativePath(text) else { continue }
            found[entry] = PresentEntry(
                isDirectory: value["directory"]?.boolean ?? false,
                size: ByteCount(UInt64(clamping: value["size"]?.integer ?? 0)),
                modified: Timestamp(seconds: value["modified"]?.integer ?? 0), state: value["state"]?.string)
        }
        return found
    }

    func rule(_ context: CommandContext) throws -> PlanRule {
        guard let limits = try mount.limits(of: remote) else {
            throw CommandFailure(.failure, "the mount has no remote \"\(displayed(remote.utf8))\"", path: path)
        }
        var session: SessionState?
        var above = inside
        while above.count > limits.sessionDepth {
            let place = ([mount.path, "sessions", remote] + above).joined(separator: "/")
            let found = try? mount.access.attributes([SessionCommand.stateAttribute], of: place)
            let state = found?[SessionCommand.stateAttribute]
            if let state = state.flatMap(SessionState.init) {
                session = state
                break
            }
            above.removeLast()
        }
        let configuration = try context.configuration()
        let settings = configuration.remotes.first { $0.name == remote }
        let patterns = try TransferAssembly.patterns(settings.flatMap { configuration.stagingPatterns(of: $0) })
        return PlanRule(
            limits: limits, depth: inside.count - limits.sessionDepth, session: session,
            spoolSpace: limits.passesThroughSpool ? nil : limits.spoolSpace,
            looksTemporary: { patterns.matches($0, parent: nil, exclusive: false, mode: 0o644) })
    }
}
