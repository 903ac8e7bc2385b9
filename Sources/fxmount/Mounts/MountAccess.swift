internal import FXSystem
internal import SystemPackage

/// Access to a mount that may be dead, with a deadline for every call.
///
/// A thread that waits for a dead mount cannot be ended, and would keep this process from ending. So every call runs
/// in a process
/// of its own (`fxmount __mount-call`), which is killed and left behind when it does not answer.
struct MountAccess: Sendable {
    /// Longer than a busy mount needs for a local answer, short enough for a person.
    static let patience = Duration.seconds(5)

    var executable = ChildRequest.ownExecutable
    var environment: [String: String] = [:]
    var timeout: Duration? = MountAccess.patience
    /// Shows how far a long wait is.
    var progress: ProgressDisplay?

    /// Documents of live state; more bytes than this are refused as no answer.
    private static let ordinaryAnswer = 16 << 20
    /// A receipt of a session of half a million files.
    private static let largeAnswer = 256 << 20

    /// The text of a file.
    func read(_ path: String) throws(CommandFailure) -> String {
        try call("read", path, [], "cannot read", limit: MountAccess.largeAnswer).string ?? ""
    }

    /// Extended attributes by name, without those that are not set.
    func attributes(_ names: [String], of path: String) throws(CommandFailure) -> [String: String] {
        var found: [String: String] = [:]
        for member in try call("attributes", path, names, "cannot look at").members ?? [] {
            found[member.key] = member.value.string
        }
        return found
    }

    func setAttribute(_ name: String, to value: String, of path: String) throws(CommandFailure) {
        _ = try call("set", path, [name, value], "cannot set \(name) of")
    }

    /// `fsync(2)`: for a directory of a session, waits until everything below is committed.
    func sync(_ path: String) throws(CommandFailure) {
        _ = try call("sync", path, [], "cannot sync")
    }

    /// - Throws: ENOTCONN for a mount whose daemon is gone, exit 124 for one that does not answer.
    func checkAnswers(_ path: String) throws(CommandFailure) {
        _ = try call("answers", path, [], "no answer from")
    }

    func isDirectory(_ path: String) throws(CommandFailure) -> Bool {
        try call("kind", path, [], "cannot look at")["directory"]?.boolean ?? false
    }

    /// The entries of a directory, each `{"name","directory",ATTRIBUTE…}`.
    func entries(of path: String, attributes: [String]) throws(CommandFailure) -> [JSONValue] {
        try call("entries", path, attributes, "cannot list").elements ?? []
    }

    /// Everything below a directory, each `{"path","directory","size","modified","state"}`.
    func tree(_ path: String) throws(CommandFailure) -> [JSONValue] {
        try call("tree", path, [], "cannot list", limit: MountAccess.largeAnswer).elements ?? []
    }

    func makeDirectory(_ path: String) throws(CommandFailure) {
        _ = try call("makeDirectory", path, [], "cannot make")
    }

    /// Copies a file's content to a new file outside, durably.
    /// - Throws: EEXIST when `destination` exists.
    func copy(_ path: String, to destination: String) throws(CommandFailure) -> ByteCount {
        ByteCount(UInt64(clamping: try call("copy", path, [destination], "cannot copy")["size"]?.integer ?? 0))
    }

    private func call(
        _ name: String, _ path: String, _ words: [String], _ action: String, limit: Int = MountAccess.ordinaryAnswer
    ) throws(CommandFailure) -> JSONValue {
        let child: ChildProcess
        do throws(Errno) {
            child = try ChildProcess(
                ChildRequest(
                    executable: executable, arguments: ["__mount-call", name, "--", path] + words,
                    environment: environment))
        } catch {
            throw CommandFailure(error, "cannot start a helper to look at", path: path, status: .failure)
        }
        let report = child.readReport(
            until: timeout.map(ContinuousDeadline.after), limit: limit,
            every: progress.map { _ in ProgressDisplay.interval }, whileWaiting: { progress?.tick() })
        progress?.clear()
        guard let bytes = report else {
            child.abandon()
            throw CommandFailure(
                .timedOut, "\(displayed(path.utf8)) did not answer within \((timeout ?? .zero).written)",
                hint: "`fxmount doctor` tells about dead mounts; `fxmount unmount --lazy` removes one", path: path,
                errno: .timedOut)
        }
        _ = child.waitForExit()
        guard let answer = JSONValue(parsing: String(decoding: bytes, as: UTF8.self)) else {
            throw CommandFailure(.failure, "\(action) \(displayed(path.utf8)): no answer from the helper", path: path)
        }
        if let number = answer["errno"]?.integer {
            throw CommandFailure(Errno(rawValue: Int32(truncatingIfNeeded: number)), action, path: path)
        }
        return answer["answer"] ?? .null
    }
}
