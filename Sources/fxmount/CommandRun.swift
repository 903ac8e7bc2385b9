internal import ArgumentParser
internal import FXSystem
internal import Foundation
internal import Glibc

/// One run of the program, from its arguments to its exit code; the only place that turns errors into exit codes.
struct CommandRun {
    /// With the program's name first.
    var arguments: [String]

    /// Parses, runs and reports.
    func run() -> Int32 {
        let program = arguments.first.map { ($0 as NSString).lastPathComponent } ?? "fxmount"
        let own = Array(arguments.dropFirst())
        switch program {
        case "mount.fxmount", "mount.fuse.fxmount":
            return helper { () throws(CommandFailure) in try MountHelper.mountArguments(own) }
        case "umount.fxmount", "umount.fuse.fxmount":
            return helper { () throws(CommandFailure) in try MountHelper.unmountArguments(own) }
        default: return run(own).rawValue
        }
    }

    /// mount(8) expects codes of its own.
    private func helper(_ translate: () throws(CommandFailure) -> [String]) -> Int32 {
        do throws(CommandFailure) {
            return MountHelper.exitCode(run(try translate()))
        } catch {
            printer([]).fail(error)
            return MountHelper.exitCode(error.status)
        }
    }

    private func run(_ arguments: [String]) -> ExitStatus {
        do {
            var command = try FXMountCommand.parseAsRoot(arguments)
            try command.run()
            return .success
        } catch let failure as CommandFailure {
            printer(arguments).fail(failure)
            return failure.status
        } catch let silent as SilentExit {
            return silent.status
        } catch {
            return report(error, arguments)
        }
    }

    private func report(_ error: any Error, _ arguments: [String]) -> ExitStatus {
        // ArgumentParser's own errors: help and version are successes, all else is wrong usage.
        if CommandRun.isParserError(error) {
            let text = FXMountCommand.fullMessage(for: error)
            if FXMountCommand.exitCode(for: error) == .success {
                print(text)
                return .success
            }
            if arguments.contains("--json") {
                printer(arguments).fail(
                    CommandFailure(.usage, FXMountCommand.message(for: error), hint: "see fxmount --help"))
            } else {
                FileHandle.standardError.write(Data((text + "\n").utf8))
            }
            return .usage
        }
        let failure = CommandFailure(describing: error)
        printer(arguments).fail(failure)
        return failure.status
    }

    /// ArgumentParser throws CleanExit, ValidationError, ExitCode and an internal CommandError.
    static func isParserError(_ error: any Error) -> Bool {
        error is CleanExit || error is ValidationError || error is ExitCode
            || String(reflecting: type(of: error)).hasPrefix("ArgumentParser.")
    }

    private func printer(_ arguments: [String]) -> Printer {
        Printer(
            json: arguments.contains("--json"), volume: .normal, environment: ProcessInfo.processInfo.environment)
    }
}

/// Ends a command whose output has already said everything.
struct SilentExit: Error {
    var status: ExitStatus
}
