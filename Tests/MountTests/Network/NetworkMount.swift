import FXSystem
import ServiceFixtures
import Testing

/// How a test wants its mount of one network service.
struct NetworkSetup {
    var kind: NetworkKind
    /// Further keys of the remote.
    var keys: [String] = []
    /// What stands before the section of the remote, such as `[spool]`.
    var configuration = ""
    /// The service's processes are nobody else's.
    var alone = false
    var types: [TypeSpecification] = []
    var state: String?
    var seconds: Double = 120
    /// The service takes no file that is larger, where its limit is not fixed.
    var largestFile: Int?
    /// What the secret's file holds; nil is the right one.
    var secret: String?

    /// - Parameter removing: what was committed may be removed, where the kind can.
    init(_ kind: NetworkKind, removing: Bool = false, _ keys: String...) {
        (self.kind, self.keys) = (kind, keys)
        if removing, kind.takesDelete { self.keys.append("delete = true") }
    }
}

/// A mount of one network service, named `net`.
final class NetworkMount {
    let place: any NetworkPlace
    let mounted: Mounted
    /// Of the secret.
    let secretPath: String

    init(_ setup: NetworkSetup) throws {
        place = try setup.kind.place(alone: setup.alone)
        secretPath = try Scratch.file("secret")
        try Sys.write(secretPath, setup.secret ?? place.secret.value)
        _ = Sys.chmod(secretPath, 0o600)
        var keys = setup.keys
        if let largest = setup.largestFile { keys += try place.limitFiles(to: largest) }
        if setup.kind == .opentera, !keys.contains(where: { $0.hasPrefix("session_type") }) {
            keys.append("session_type = \"\(OpenTeraControl.sessionType)\"")
        }
        let section = [
            setup.configuration, "[remotes.net]", place.section, "\(place.secret.key) = \"\(secretPath)\"",
        ]
        mounted = try Mounted(
            MountSetup(
                types: setup.types, configuration: (section + keys).joined(separator: "\n") + "\n", state: setup.state,
                seconds: setup.seconds))
    }

    deinit { _ = Sys.unlink(secretPath) }

    var remote: String { "\(mounted.mountpoint)/sessions/net" }
    /// Where sessions are made.
    var parent: String { place.parent.isEmpty ? remote : "\(remote)/\(place.parent)" }

    func path(of session: String) -> String { "\(parent)/\(session)" }

    /// Opens a session as people do.
    @discardableResult
    func makeSession(_ name: String = "s") throws -> String {
        let path = path(of: name)
        let made = Sys.mkdir(path)
        if !made.succeeded { throw CallFailed(call: "mkdir \(path)", outcome: made) }
        return path
    }

    /// The sentence of a file or directory.
    func sentence(_ path: String) -> String { (try? Sys.attribute(path, "user.fxmount.error")) ?? "" }

    func files(in session: String) throws -> [String: [String]] { try place.files(in: session, of: self) }
    func arrivals(in session: String) throws -> [String] { try place.arrivals(in: session, of: self) }
    func leftovers() throws -> [String] { try place.leftovers(of: self) }

    /// What has happened since the mount began.
    func events() throws -> [JSONValue] {
        try Sys.text("\(mounted.control)/events.jsonl").split(separator: "\n")
            .compactMap { JSONValue(parsing: String($0)) }
    }

    /// The ids of what the mount names as belonging to nobody.
    func orphans() throws -> Set<String> {
        let lines = try Sys.text("\(mounted.control)/orphans.jsonl").split(separator: "\n")
        return Set(lines.compactMap { JSONValue(parsing: String($0))?["id"]?.string })
    }

    /// The file, by its path from the session on, was refused and is kept for a `retry`.
    func isFailed(_ path: String) -> Bool {
        (try? Sys.attribute("\(parent)/\(path)", "user.fxmount.state")) == "failed"
    }

    /// The service is through with every file of a completed session (M7), and gives all of them out.
    func isProcessed(_ session: String) -> Bool {
        (try? Sys.attribute(session, "user.fxmount.processing"))?.hasPrefix("available") ?? false
    }

    /// Exactly these files are at the service, each once, equal by SHA-256, and nothing else.
    func expect(
        _ contents: [String: [UInt8]], in session: String = "s", _ circumstances: String = "",
        location: SourceLocation = #_sourceLocation
    ) throws {
        let held = try files(in: session)
        #expect(held == contents.mapValues { [sha256Text($0)] }, "\(circumstances)", sourceLocation: location)
        let left = try leftovers()
        #expect(left.isEmpty, "\(circumstances): \(left)", sourceLocation: location)
    }
}

/// A mount of a network service for the length of a test.
/// - Parameter code: of the daemon, `workLeft` when the test leaves refused files.
func withNetworkMount(
    _ setup: NetworkSetup, ending code: Int32 = ExitCode.ok, location: SourceLocation = #_sourceLocation,
    _ test: (NetworkMount) throws -> Void
) throws {
    let network = try NetworkMount(setup)
    try network.mounted.start()
    do {
        try test(network)
    } catch {
        let said = network.mounted.daemon?.errors.suffix(2000) ?? ""
        if network.mounted.isStarted { network.mounted.crash() }
        network.place.thaw()
        throw TestStopped("\(setup.kind): \(error)\n(the daemon said: \(said))")
    }
    try network.mounted.stop(expecting: code, location: location)
}

/// The everyday tools, each about to bring one file into a session.
enum CopyingTool: String, CaseIterable, Sendable {
    case cp, mv, rsync, tar

    /// - Returns: how it ended.
    func bring(_ source: String, into session: String, seconds: Double = 60) throws -> Finished {
        let name = source.split(separator: "/").last.map(String.init) ?? source
        let target = "\(session)/\(rawValue)-\(name)"
        let command =
            switch self {
            case .cp: ["cp", source, target]
            case .mv: ["mv", source, target]
            case .rsync: ["rsync", "-a", source, target]
            case .tar: ["tar", "-cf", target, source]
            }
        return try run(command, seconds: seconds)
    }
}
