internal import ArgumentParser
internal import FXSystem

/// `fxmount doctor`
struct DoctorCommand: RunnableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Checks the system, the state and the mounts, and says what to do.",
        discussion: """
            Exit 1 when a check fails; warnings do not count.

            EXAMPLES
              fxmount doctor
              fxmount doctor --json | jq '.checks[] | select(.result != "ok")'
            """)
    @OptionGroup var application: ApplicationOption
    @OptionGroup var common: CommonOptions

    func perform(_ context: CommandContext) throws {
        let checks = SystemChecks.all(context) + StateChecks.all(application, context) + RemoteChecks.all(context)
        let isSound = !checks.contains { $0.result == .fail }
        context.printer.document(["ok": .bool(isSound), "checks": .array(checks.map(\.json))])
        for check in checks where check.result != .ok || context.printer.volume != .quiet {
            let remedy = check.remedy.map { " -> \($0)" } ?? ""
            context.printer.say("\(mark(check.result, context))  \(check.name): \(check.message)\(remedy)")
        }
        if !isSound { throw SilentExit(status: .failure) }
    }

    private func mark(_ result: Check.Result, _ context: CommandContext) -> String {
        let text = result == .ok ? "ok  " : result.rawValue
        guard context.printer.isColoured else { return text }
        let colour =
            switch result {
            case .ok: 32
            case .warn: 33
            case .fail: 31
            }
        return "\u{1b}[\(colour)m\(text)\u{1b}[0m"
    }
}
