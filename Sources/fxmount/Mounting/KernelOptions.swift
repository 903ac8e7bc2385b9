/// What `-o` said, in the words of mount(8) and fstab(5).
struct KernelOptions: Sendable, Equatable {
    var isReadOnly = false
    var allowsOther: Bool?
    /// Passed on to the kernel or fusermount3 as they are.
    var passedOn: [String] = []
    /// Configuration keys by dotted path, for `Configuration(flags:)`.
    var settings: [String: String] = [:]
    var application: String?
    var stateDirectory: String?
    var configuration: String?

    /// Meant for mount(8), systemd or a person; they say nothing to a file system.
    private static let ignored: Set<String> = [
        "auto", "noauto", "user", "nouser", "users", "owner", "group", "_netdev", "nofail", "defaults", "relatime",
        "norelatime", "strictatime", "nostrictatime", "nodiratime", "async",
    ]
    private static let flags: Set<String> = [
        "nosuid", "suid", "nodev", "dev", "noexec", "exec", "noatime", "atime", "sync", "dirsync",
        "default_permissions",
    ]
    private static let valued: Set<String> = ["fsname", "subtype", "max_read"]
    private static let ours = ["workers", "passthrough", "attribute_timeout", "app", "state_dir", "config"]

    init() {}

    /// Reads option lists, later ones winning. `\,` and double quotes protect a comma; `-` in an option's name is `_`.
    /// - Throws: exit 2 for an unknown option, with the nearest known one.
    init(_ lists: [String]) throws(CommandFailure) {
        for option in lists.flatMap(KernelOptions.split) where !option.isEmpty { try take(option) }
    }

    private mutating func take(_ option: String) throws(CommandFailure) {
        let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let name = parts[0].replacing("-", with: "_").lowercased()
        let value = parts.count > 1 ? parts[1] : nil
        if KernelOptions.ignored.contains(name) || name == "comment" { return }
        if name.hasPrefix("x_") || name == "x" { return }
        switch name {
        case "ro": isReadOnly = true
        case "rw": isReadOnly = false
        case "allow_other": allowsOther = value.map { ["1", "true", "yes"].contains($0) } ?? true
        case "noallow_other": allowsOther = false
        case "app": application = try needed(value, name)
        case "state_dir": stateDirectory = try needed(value, name)
        case "config": configuration = try needed(value, name)
        case "workers", "attribute_timeout": settings["mount.\(name)"] = try needed(value, name)
        case "passthrough": settings["mount.passthrough"] = value ?? "true"
        case "nopassthrough": settings["mount.passthrough"] = "false"
        case let flag where KernelOptions.flags.contains(flag) && value == nil: passedOn.append(flag)
        case let key where KernelOptions.valued.contains(key): passedOn.append("\(key)=\(try needed(value, name))")
        default:
            let known = KernelOptions.ignored.union(KernelOptions.flags).union(KernelOptions.valued)
                .union(KernelOptions.ours).union(["ro", "rw", "allow_other"])
            throw CommandFailure(
                .usage, "unknown mount option \"\(parts[0])\"",
                hint: Suggestion.nearest(to: name, in: known.sorted()).map { "did you mean \"\($0)\"?" }
                    ?? "known: \(known.sorted().joined(separator: ", ")), and x-*")
        }
    }

    private func needed(_ value: String?, _ name: String) throws(CommandFailure) -> String {
        guard let value, !value.isEmpty else {
            throw CommandFailure(.usage, "the mount option \(name) needs a value: \(name)=…")
        }
        return value
    }

    private static func split(_ list: String) -> [String] {
        var options = [""]
        var isQuoted = false
        var isEscaped = false
        for character in list {
            switch character {
            case _ where isEscaped:
                // Only what would end the option needs protection; a backslash before anything else is a backslash.
                options[options.count - 1] += (",\"\\".contains(character) ? "" : "\\") + String(character)
                isEscaped = false
            case "\\": isEscaped = true
            case "\"": isQuoted.toggle()
            case "," where !isQuoted: options.append("")
            default: options[options.count - 1].append(character)
            }
        }
        if isEscaped { options[options.count - 1] += "\\" }
        return options
    }
}
