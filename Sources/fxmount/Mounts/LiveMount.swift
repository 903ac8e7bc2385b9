internal import FXRemote
internal import FXSystem

/// A mount of ours, looked at from outside.
struct LiveMount: Sendable {
    var path: String
    var access: MountAccess

    /// The hidden directory of live state.
    var stateFiles: String { path == "/" ? "/.fxmount" : path + "/.fxmount" }

    /// Where to wait for a directory of `sessions` without keeping others from it: see `ControlSessions`.
    func waitingPlace(of directory: String) -> String {
        let sessions = path == "/" ? "/sessions" : path + "/sessions"
        guard directory == sessions || directory.hasPrefix(sessions + "/") else { return directory }
        return stateFiles + "/sessions" + directory.dropFirst(sessions.count)
    }

    func status() throws(CommandFailure) -> JSONValue {
        let text = try access.read(stateFiles + "/status.json")
        guard let value = JSONValue(parsing: text) else {
            throw CommandFailure(.failure, "\(displayed(path.utf8)): status.json is not JSON", path: path)
        }
        return value
    }

    /// What can be known of a remote before something is sent; nil when the mount has none of this name.
    func limits(of remote: String) throws(CommandFailure) -> RemoteLimits? {
        let text = try access.read(stateFiles + "/limits.json")
        return JSONValue(parsing: text)?["remotes"]?.elements?.compactMap(RemoteLimits.init).first { $0.name == remote }
    }

    /// One value a transfer.
    func transfers() throws(CommandFailure) -> [JSONValue] {
        try access.read(stateFiles + "/transfers.jsonl").split(separator: "\n").compactMap { JSONValue(parsing: $0) }
    }
}

extension CommandContext {
    func mountAccess(timeout: Duration? = MountAccess.patience) -> MountAccess {
        MountAccess(environment: surroundings.environment, timeout: timeout)
    }

    /// The mount of ours that holds `path`.
    /// - Throws: exit 1 when there is none.
    func mount(holding path: String) throws(CommandFailure) -> LiveMount {
        guard let entry = MountTable.current().ourMount(holding: path) else {
            throw CommandFailure(
                .failure, "\(displayed(path.utf8)) is not in an fxmount mount",
                hint: "`fxmount list` shows the mounts there are", path: path)
        }
        return LiveMount(path: entry.path, access: mountAccess())
    }

    /// The absolute form of a path, its directory's symbolic links left alone: the mount table knows them resolved, so
    /// does the shell.
    func absolute(_ path: String) -> String { surroundings.absolute(path) }

    /// A duration as people write it.
    func duration(_ text: String?, option: String) throws(CommandFailure) -> Duration? {
        guard let text else { return nil }
        guard let duration = parseDuration(text) else {
            throw CommandFailure(.usage, "\(option) \(displayed(text.utf8)): expected a time such as 60s, 5m or 1h")
        }
        return duration
    }
}
