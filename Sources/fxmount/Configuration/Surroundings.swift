internal import FXSystem
internal import Foundation
internal import Glibc

/// What the process was started in: environment and user; a parameter, so that tests can set it.
struct Surroundings: Sendable {
    var environment: [String: String]
    var isRoot: Bool
    var workingDirectory: String

    static var current: Surroundings {
        Surroundings(
            environment: ProcessInfo.processInfo.environment, isRoot: geteuid() == 0,
            workingDirectory: FileManager.default.currentDirectoryPath)
    }

    /// An absolute path without `.`, `..` and doubled slashes, resolved by text only.
    func absolute(_ path: String) -> String {
        var parts: [Substring] = []
        let whole = path.hasPrefix("/") ? path : workingDirectory + "/" + path
        for part in whole.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// A program by its name in PATH; nil when there is none.
    func program(_ name: String) -> String? {
        (environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":").map { "\($0)/\(name)" }
            .first { unsafe access($0, X_OK) == 0 }
    }

    /// Where state lives: flag, FXMOUNT_STATE_DIR, /var/lib/fxmount for root, else below XDG_STATE_HOME.
    func stateDirectory(flag: String?) throws(CommandFailure) -> String {
        if let flag { return absolute(flag) }
        if let set = nonEmpty("FXMOUNT_STATE_DIR") { return absolute(set) }
        if isRoot { return "/var/lib/fxmount" }
        return try base("XDG_STATE_HOME", ".local/state") + "/fxmount"
    }

    /// What may be thrown away at any time: /var/cache/fxmount for root, else below XDG_CACHE_HOME. nil when there is no
    /// home.
    var cacheDirectory: String? {
        isRoot ? "/var/cache/fxmount" : (try? base("XDG_CACHE_HOME", ".cache")).map { $0 + "/fxmount" }
    }

    /// The places a configuration file is looked for, first one first. A flag or FXMOUNT_CONFIG leaves only that one.
    func configurationCandidates(flag: String?) -> (paths: [String], isExplicit: Bool) {
        if let flag { return ([absolute(flag)], true) }
        if let set = nonEmpty("FXMOUNT_CONFIG") { return ([absolute(set)], true) }
        let own = (try? base("XDG_CONFIG_HOME", ".config")).map { $0 + "/fxmount/config.toml" }
        return ([own, "/etc/fxmount/config.toml"].compactMap { $0 }, false)
    }

    /// Reads the first configuration file there is; nil when there is none and none was asked for.
    func configurationFile(flag: String?) throws(CommandFailure) -> ConfigurationFile? {
        let candidates = configurationCandidates(flag: flag)
        for path in candidates.paths where unsafe candidates.isExplicit || access(path, F_OK) == 0 {
            return try ConfigurationFile(reading: path)
        }
        return nil
    }

    private func nonEmpty(_ variable: String) -> String? {
        environment[variable].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// An XDG base directory; a relative value counts as unset (XDG Base Directory Specification).
    private func base(_ variable: String, _ standard: String) throws(CommandFailure) -> String {
        if let set = nonEmpty(variable), set.hasPrefix("/") { return absolute(set) }
        guard let home = nonEmpty("HOME"), home.hasPrefix("/") else {
            throw CommandFailure(
                .configuration, "neither \(variable) nor HOME is set",
                hint: "pass --state-dir and --config, or set FXMOUNT_STATE_DIR and FXMOUNT_CONFIG")
        }
        return absolute(home + "/" + standard)
    }
}
