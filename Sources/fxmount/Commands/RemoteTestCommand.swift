internal import ArgumentParser
internal import FXRemote
internal import FXSystem
internal import Glibc

/// `fxmount remote test NAME`
struct RemoteTestCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Tries a remote without a mount, and says what works and what would fail.",
        discussion: """
            Logs in, looks at what sessions need, and changes nothing that stays. Exit 0 when a mount would work, 5 when it may
            work later, 7 when it will not, 10 for the configuration, 12 for credentials and rights.

            EXAMPLES
              fxmount remote test clinic
              fxmount remote test clinic --json | jq '.findings[] | select(.verdict != "works")'
            """)
    @Argument(help: "The remote.") var name: String
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let settings = try context.configuration().remote(named: name)
        let findings = try examine(settings, context)
        let failure = findings.lazy.compactMap(\.failure).first
        context.printer.document([
            "remote": .string(name), "kind": .string(settings.kind.rawValue), "ok": .bool(failure == nil),
            "exit": .integer(Int64((failure?.status ?? .success).rawValue)),
            "findings": .array(findings.map(\.json)),
        ])
        for finding in findings where finding.verdict != .works || context.printer.volume != .quiet {
            context.printer.say("\(finding.verdict.word)  \(finding.subject): \(displayed(finding.sentence.utf8))")
        }
        if let failure { throw SilentExit(status: failure.status) }
    }

    private func examine(_ settings: RemoteSettings, _ context: CommandContext) throws(CommandFailure) -> [Finding] {
        var findings = RemoteWarning.of(settings).map { [Finding(.warning, "security", $0.sentence)] } ?? []
        let state = try context.stateDirectoryPath()
        if settings.kind == .local, settings.text("path") == nil, unsafe access(state, F_OK) != 0 {
            return findings + [
                Finding(.works, "store", "\(displayed(state.utf8)) is not there yet; the first mount makes it")
            ]
        }
        let assembly = RemoteAssembly(
            environment: context.surroundings.environment, stateDirectory: state,
            writer: writer(of: state) ?? WriterID.random())
        let remote: AssembledRemote
        do throws(CommandFailure) { remote = try assembly.make(settings) } catch {
            return findings + [Finding("set-up", error)]
        }
        defer { remote.stop() }
        do throws(RemoteError) {
            try remote.backend.prepare()
            findings += remote.backend.examine().map { Finding($0, of: settings) }
        } catch { findings.append(Finding(.failure("set-up", error), of: settings)) }
        return findings
    }

    private func writer(of state: String) -> String? {
        guard let directory = try? StateDirectory(opening: state, creating: false) else { return nil }
        return WriterID.read(from: directory)
    }

    /// One line of the result.
    struct Finding {
        var verdict: ServiceFinding.Verdict
        var subject: String
        var sentence: String
        /// Of a finding that fails.
        var failure: CommandFailure?

        init(_ verdict: ServiceFinding.Verdict, _ subject: String, _ sentence: String) {
            (self.verdict, self.subject, self.sentence) = (verdict, subject, sentence)
        }

        init(_ subject: String, _ failure: CommandFailure) {
            self.init(.fails, subject, failure.message + (failure.hint.map { "; \($0)" } ?? ""))
            self.failure = failure
        }

        init(_ finding: ServiceFinding, of settings: RemoteSettings) {
            self.init(finding.verdict, finding.subject, finding.sentence)
            guard finding.verdict == .fails else { return }
            // What the service cannot know: where to look here.
            switch finding.error {
            case .credentials:
                guard let source = settings.secret else { break }
                sentence = "the service refused them; check who logs in, and the secret from \(source.place)"
            case .unreachable, .timedOut, .untrustedServer: sentence += settings.address.map { " (\($0))" } ?? ""
            default: break
            }
            failure = finding.error.map { CommandFailure(describing: $0) } ?? CommandFailure(.refused, finding.sentence)
            // A mount would meet the same refusal: not a matter of another call.
            if failure?.status == .failure { failure?.status = .refused }
        }

        var json: JSONValue {
            [
                "verdict": .string(verdict.rawValue), "subject": .string(subject), "sentence": .string(sentence),
                "code": .text(failure?.status.code), "errno": .text(failure?.errno?.symbol),
            ]
        }
    }
}

extension ServiceFinding.Verdict {
    /// Five letters, for a column.
    fileprivate var word: String {
        switch self {
        case .works: "ok   "
        case .warning: "warn "
        case .fails: "fail "
        }
    }
}
