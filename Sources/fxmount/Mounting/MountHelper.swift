/// `mount.fxmount` and `umount.fxmount`, which mount(8) and umount(8) call for fstab lines of type `fxmount`.
enum MountHelper {
    /// `mount.fxmount SPEC DIR [-sfnv] [-N ns] [-t type] [-o opts]` as arguments of `fxmount`.
    ///
    /// SPEC is the application, or anything with `fxmount` in it for the default. `-o env.NAME=VALUE` is not needed:
    /// state and
    /// configuration have options of their own (`state_dir=`, `config=`, `app=`).
    static func mountArguments(_ arguments: [String]) throws(CommandFailure) -> [String] {
        let line = try HelperLine(arguments)
        guard line.operands.count == 2 else {
            throw CommandFailure(.usage, "expected: mount.fxmount SPEC DIR [-o options]")
        }
        var result = ["mount", line.operands[1], "--daemon"]
        let spec = line.operands[0]
        if spec != "none", !spec.hasPrefix("fxmount") { result += ["--app", spec] }
        if !line.options.isEmpty { result += ["-o", line.options.joined(separator: ",")] }
        if line.isVerbose { result.append("--verbose") }
        return result
    }

    /// `umount.fxmount DIR [-flnrv] [-N ns] [-t type]`.
    static func unmountArguments(_ arguments: [String]) throws(CommandFailure) -> [String] {
        let line = try HelperLine(arguments)
        guard let directory = line.operands.first, line.operands.count == 1 else {
            throw CommandFailure(.usage, "expected: umount.fxmount DIR")
        }
        return ["unmount", directory] + (line.isLazy ? ["--lazy"] : []) + (line.isVerbose ? ["--verbose"] : [])
    }

    /// The bits of mount(8): 1 wrong usage or permissions, 2 system error, 8 interrupted, 32 mount failure.
    static func exitCode(_ status: ExitStatus) -> Int32 {
        switch status {
        case .success: 0
        case .usage, .configuration, .credentials, .policy: 1
        case .interrupted, .terminated: 8
        default: 32
        }
    }
}

private struct HelperLine {
    var operands: [String] = []
    var options: [String] = []
    var isVerbose = false
    var isLazy = false

    init(_ arguments: [String]) throws(CommandFailure) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "-o", "-t", "-N":
                guard let value = rest.popFirst() else { throw CommandFailure(.usage, "\(argument) needs a value") }
                if argument == "-o" { options.append(value) }
            case let flags where flags.hasPrefix("-") && flags.count > 1:
                for flag in flags.dropFirst() {
                    switch flag {
                    case "v": isVerbose = true
                    case "l": isLazy = true
                    // Sloppy, fake, no mtab, force, read-only on failure: nothing to do for them here.
                    case "s", "f", "n", "r": break
                    default: throw CommandFailure(.usage, "unknown option -\(flag)")
                    }
                }
            default: operands.append(argument)
            }
        }
    }
}
