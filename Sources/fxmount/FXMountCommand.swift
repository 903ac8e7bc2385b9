internal import ArgumentParser
internal import CLinux
internal import FXSystem
internal import Glibc

/// The command line: reads arguments, runs one command and ends the process with its exit code.
@main
struct FXMountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fxmount",
        abstract: "Mounts local directories under aliases, without loss, and sessions of file-transfer services.",
        discussion: """
            EXAMPLES
              fxmount mount ~/fx --daemon
              fxmount type create clinic scans --path ~/scans --no-prompt
              cp -r ~/study ~/fx/sessions/local/study && fxmount session complete ~/fx/sessions/local/study
              fxmount status ~/fx --watch
              fxmount unmount ~/fx

            Exit codes: 0 ok, 1 failed, 2 usage, 5 temporary, 7 refused for good, 10 configuration, 11 locked,
            12 credentials, 13 no-delete policy, 24 verification, 75 work left, 124 timed out, 130/143 signals.
            """,
        version: fxmountVersion,
        subcommands: [
            MountCommand.self, UnmountCommand.self, ListCommand.self, StatusCommand.self, WaitCommand.self,
            RetryCommand.self, ExportCommand.self, PlanCommand.self, TypeCommand.self, FileCommand.self,
            VersionsCommand.self, SessionCommand.self, RemoteCommand.self, ServeCommand.self, ConsentCommand.self,
            ConfigCommand.self, DoctorCommand.self, MountCallCommand.self,
        ])

    static func main() {
        // A reader that went away must not kill a daemon; writes report EPIPE instead.
        signal(SIGPIPE, SIG_IGN)
        // Nor a limit on the size of files (setrlimit(2), RLIMIT_FSIZE): writes report EFBIG.
        signal(SIGXFSZ, SIG_IGN)
        // A daemon is started by /proc/self/exe, and would be called `exe` by ps(1) and pgrep(1).
        _ = unsafe fx_name_thread("fxmount")
        Glibc.exit(CommandRun(arguments: CommandLine.arguments).run())
    }
}

let fxmountVersion = "0.1.0"

/// A command that does something; all leaves of the command tree are.
protocol RunnableCommand: ParsableCommand {
    var common: CommonOptions { get }
    /// Does it. Throws what ends the command; `CommandFailure.init(describing:)` knows what to make of every error.
    func perform(_ context: CommandContext) throws
}

extension RunnableCommand {
    func run() throws { try perform(CommandContext(common)) }
}

/// What every command takes.
struct CommonOptions: ParsableArguments {
    @Flag(name: .long, help: "Results as JSON on stdout, errors as one JSON object on stderr.")
    var json = false
    @Flag(name: .shortAndLong, help: "Only results and errors.")
    var quiet = false
    @Flag(name: .shortAndLong, help: "More detail on stderr.")
    var verbose = false
    @Option(name: .long, help: ArgumentHelp("Where state is kept (FXMOUNT_STATE_DIR).", valueName: "dir"))
    var stateDir: String?
    @Option(name: .long, help: ArgumentHelp("The configuration file (FXMOUNT_CONFIG).", valueName: "file"))
    var config: String?

    var volume: Printer.Volume { quiet ? .quiet : verbose ? .verbose : .normal }
}

/// What a command works with: where it prints, and what it was started in.
struct CommandContext: Sendable {
    var surroundings: Surroundings
    var printer: Printer
    var stateFlag: String?
    var configFlag: String?

    init(_ common: CommonOptions, surroundings: Surroundings = .current) {
        self.surroundings = surroundings
        printer = Printer(json: common.json, volume: common.volume, environment: surroundings.environment)
        stateFlag = common.stateDir
        configFlag = common.config
    }

    /// The configuration in force.
    func configuration(flags: [String: String] = [:]) throws(CommandFailure) -> Configuration {
        try Configuration(
            file: surroundings.configurationFile(flag: configFlag), environment: surroundings.environment, flags: flags)
    }

    func stateDirectoryPath() throws(CommandFailure) -> String { try surroundings.stateDirectory(flag: stateFlag) }

    func openStateDirectory(creating: Bool = false) throws(CommandFailure) -> StateDirectory {
        try StateDirectory(opening: stateDirectoryPath(), creating: creating)
    }
}
