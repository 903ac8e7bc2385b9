internal import ArgumentParser
internal import FXSystem

/// Whether a long wait tells how far it is.
struct ProgressOption: ParsableArguments {
    @Flag(help: "Say on stderr how far it is, also where there is no terminal.") var progress = false

    /// - Returns: nil when nothing is to be shown.
    func display(of mount: LiveMount, below path: String, _ context: CommandContext) -> ProgressDisplay? {
        let isAll = path == mount.path || path == mount.path + "/sessions"
        return display(context) { isAll ? mount.remaining() : mount.remaining(below: path) }
    }

    /// The same for everything a mount sends.
    func display(of mount: LiveMount, _ context: CommandContext) -> ProgressDisplay? {
        display(context) { mount.remaining() }
    }

    func display(
        _ context: CommandContext, _ sample: @escaping @Sendable () -> Remaining?
    ) -> ProgressDisplay? {
        ProgressDisplay(
            context.printer, environment: context.surroundings.environment, isWanted: progress, sample: sample)
    }
}
