internal import ArgumentParser
internal import FXSystem
internal import SystemPackage

extension LiveMount {
    /// A document of a session: `receipt.json`, `verification.json`; nil when there is none.
    func document(_ name: String, of session: String) throws(CommandFailure) -> JSONValue? {
        try documentText(name, of: session).flatMap { JSONValue(parsing: $0) }
    }

    func documentText(_ name: String, of session: String) throws(CommandFailure) -> String? {
        let inside = session.dropFirst(path.count).drop { $0 == "/" }
        do throws(CommandFailure) {
            var patient = access
            // Large sessions take a while to write down.
            patient.timeout = .seconds(60)
            return try patient.read("\(stateFiles)/\(inside)/\(name)")
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }
}

/// `fxmount session verify PATH`
struct SessionVerifyCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Compares what the service holds now with what was sent.",
        discussion: """
            By its listing: every committed file is there with its size, and with its SHA-256 where the service keeps one. With
            --read every file is brought back and hashed. Exit 24, with the list, when something is not as it was sent.

            EXAMPLES
              fxmount session verify ~/fx/sessions/cluster/study
              fxmount session verify ~/fx/sessions/cluster/study --read --json
            """)
    @Argument(help: "MOUNT/sessions/REMOTE/NAME") var path: String
    @Flag(help: "Bring every file back and hash it.") var read = false
    @Option(help: ArgumentHelp("Give up after this time; default never.", valueName: "time")) var timeout: String?
    @OptionGroup var progress: ProgressOption
    @OptionGroup var common: CommonOptions

    /// More lines than a person reads; `--json` has all.
    private static let shownProblems = 50

    func perform(_ context: CommandContext) throws {
        let limit = try context.duration(timeout, option: "--timeout")
        let session = try context.session(path)
        var access = context.mountAccess(timeout: limit)
        access.progress = progress.display(of: session.mount, verifying: session.path, context)
        var failure: CommandFailure?
        do throws(CommandFailure) {
            try access.setAttribute(
                SessionCommand.stateAttribute, to: read ? "verify-content" : "verify", of: session.path)
        } catch { failure = error }
        if failure?.status == .timedOut, failure?.hint != nil {
            failure?.hint = "it goes on in the background"
        } else if let report = try session.mount.document("verification.json", of: session.path),
            failure == nil || report["state"]?.string != "running"
        {
            return try show(report, session.path, failure, context)
        }
        throw failure
            ?? CommandFailure(
                .failure, "the mount has no result for \(displayed(session.path.utf8))", path: session.path)
    }

    private func show(
        _ report: JSONValue, _ session: String, _ failure: CommandFailure?, _ context: CommandContext
    ) throws {
        let place = displayed(session.utf8)
        if report["state"]?.string == "failed", var failure {
            failure.message = "\(place) could not be verified: \(displayed((report["error"]?.string ?? "").utf8))"
            throw failure
        }
        context.printer.document(report)
        let count = report["problem_count"]?.integer ?? 0
        let files = report["files"]?.integer ?? 0
        let how = report["method"]?.string == "content" ? "read back and hashed" : "looked at"
        if let unknown = report["unknown_files"]?.integer, unknown > 0 {
            context.printer.detail("the service holds \(unknown) files more than were sent from here")
        }
        if count == 0 {
            return context.printer.confirm("\(place): \(files) files \(how), all as they were sent")
        }
        let problems = report["problems"]?.elements ?? []
        for problem in problems.prefix(SessionVerifyCommand.shownProblems) {
            context.printer.say(
                "\(displayed((problem["path"]?.string ?? "").utf8)) \(displayed((problem["sentence"]?.string ?? "").utf8))"
            )
        }
        let more = Int(count) - min(problems.count, SessionVerifyCommand.shownProblems)
        if more > 0 { context.printer.say("and \(more) more") }
        throw CommandFailure(
            .verification,
            "\(place): \(count) of \(files) files \(count == 1 ? "is not as it was" : "are not as they were") sent",
            hint: "send them again from their source into a new session", path: session, errno: .ioError)
    }
}

extension ProgressOption {
    /// How far a verification is.
    fileprivate func display(
        of mount: LiveMount, verifying session: String, _ context: CommandContext
    ) -> ProgressDisplay? {
        ProgressDisplay(context.printer, environment: context.surroundings.environment, isWanted: progress) {
            guard let report = try? mount.document("verification.json", of: session),
                report["state"]?.string == "running", let files = report["files"]?.integer,
                let checked = report["checked"]?.integer, let bytes = report["bytes"]?.integer,
                let read = report["bytes_checked"]?.integer
            else { return nil }
            return Remaining(files: Int(files - checked), bytes: ByteCount(UInt64(clamping: bytes - read)))
        }
    }
}

/// `fxmount session receipt PATH`
struct SessionReceiptCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "receipt", abstract: "Writes down what the service has of a session: JSON.",
        discussion: """
            Every committed file with its path, size, SHA-256, the service's id, and times. Exit 75, after the receipt was
            written, when files are not at the service yet; `fxmount wait` or `fxmount session complete` first.

            EXAMPLES
              fxmount session receipt ~/fx/sessions/cluster/study --output study-receipt.json
              fxmount session receipt ~/fx/sessions/cluster/study | jq -r '.files[] | "\\(.sha256)  \\(.path)"' | sha256sum -c
            """)
    @Argument(help: "MOUNT/sessions/REMOTE/NAME") var path: String
    @Option(help: ArgumentHelp("Write it into this file, in one step.", valueName: "file")) var output: String?
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let session = try context.session(path)
        guard let text = try session.mount.documentText("receipt.json", of: session.path),
            let receipt = JSONValue(parsing: text)
        else {
            throw CommandFailure(
                .failure, "\(displayed(session.path.utf8)) is not a session", path: session.path,
                errno: .noSuchFileOrDirectory)
        }
        let bytes = Array(text.utf8)
        if let output {
            try write(bytes, to: context.absolute(output))
            context.printer.document([
                "path": .string(session.path), "output": .string(context.absolute(output)),
                "totals": receipt["totals"] ?? .null,
            ])
            context.printer.confirm(
                "wrote \(displayed(output.utf8)): \(receipt["totals"]?["files"]?.integer ?? 0) files")
        } else {
            _ = context.printer.write(bytes)
        }
        let unfinished = receipt["totals"]?["unfinished"]?.integer ?? 0
        if unfinished > 0 {
            throw CommandFailure(
                .workLeft,
                "\(unfinished) \(unfinished == 1 ? "file is" : "files are") not at the service yet, and not in the receipt",
                hint: "`fxmount wait \(displayed(session.path.utf8))` first", path: session.path)
        }
    }

    private func write(_ bytes: [UInt8], to file: String) throws(CommandFailure) {
        let slash = file.lastIndex(of: "/") ?? file.startIndex
        do throws(Errno) {
            try AtomicFile.write(
                bytes, to: String(file[slash...].dropFirst()),
                in: try OwnedDescriptor.open(
                    absolute: slash == file.startIndex ? "/" : String(file[..<slash]), .directory),
                mode: 0o644)
        } catch { throw CommandFailure(error, "cannot write", path: file, status: .failure) }
    }
}
