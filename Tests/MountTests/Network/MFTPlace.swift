import FXSystem
import Glibc
import ServiceFixtures

/// A vault of its own; sessions are told apart by the first folder of their files.
final class MFTPlace: NetworkPlace {
    let proxy: ProxyControl
    let vault: MFTControl

    init() throws {
        vault = try MFTControl()
        proxy = try ProxyControl(before: vault.port)
    }

    deinit {
        proxy.stop()
        vault.stop()
    }

    let parent = ""
    let hasDirectories = true

    var section: String {
        """
        kind = "mft"
        url = "http://127.0.0.1:\(proxy.port)\(MFTControl.base)"
        username = "\(MFTControl.username)"
        """
    }

    var secret: (key: String, value: String) { ("password_file", MFTControl.password) }

    let uploads: [JSONValue.Member] = [
        .init("method", "PATCH"), .init("path", .string(MFTControl.base + "/transfer_file")),
    ]

    let quotaAnswer: [JSONValue.Member] = [
        .init("status", 400), .init("body", "{\"ui_message_key\":\"UPLOAD_QUOTA_EXCEEDED\"}"),
        .init("fields", ["Content-Type": "application/json"]),
    ]
    let deathAnswer: [JSONValue.Member] = [.init("status", 403)]

    // Its limit is told by nothing but a refusal.
    func limitFiles(to bytes: Int) -> [String] { [] }

    /// Files that were ended, of groups that were not given up; the session's own name is the first of the path.
    private func ended(withDigests: Bool) throws -> [(path: [String], file: MFTControl.File)] {
        try vault.groups(withDigests: withDigests).filter { $0.state != "deleted" }.flatMap(\.files)
            .filter(\.isComplete).map { (MFTPlace.path(of: $0), $0) }
    }

    private static func path(of file: MFTControl.File) -> [String] {
        file.path.split(separator: "\\").map(String.init) + [file.name]
    }

    private static func below(_ path: [String]) -> String { path.dropFirst().joined(separator: "/") }

    func files(in session: String, of mount: NetworkMount) throws -> [String: [String]] {
        let held = try ended(withDigests: true).filter { $0.path.first == session }
        return Dictionary(grouping: held) { MFTPlace.below($0.path) }
            .mapValues { $0.map { $0.file.sha256 ?? "no bytes" } }
    }

    func arrivals(in session: String, of mount: NetworkMount) throws -> [String] {
        let held = try ended(withDigests: false)
        let ends = try proxy.finishedLog().filter {
            $0.method == "POST" && $0.target.hasPrefix(MFTControl.base + "/transfer_file") && $0.upstreamStatus == 200
        }
        // What was ended and taken back has left no path.
        let back = Array(repeating: "one that was taken back", count: max(0, ends.count - held.count))
        return held.filter { $0.path.first == session }.map { MFTPlace.below($0.path) } + back
    }

    /// Files that were announced and not ended, unless somebody is to decide about them, and sessions with two groups.
    func leftovers(of mount: NetworkMount) throws -> [String] {
        let groups = try vault.groups(withDigests: false).filter { $0.state != "deleted" }
        let unfinished = groups.flatMap(\.files).filter { !$0.isComplete }.map { MFTPlace.path(of: $0) }
            .filter { !mount.isFailed($0.joined(separator: "/")) }
        let sessions = groups.compactMap { $0.files.first.flatMap { MFTPlace.path(of: $0).first } }
        let repeated = Dictionary(grouping: sessions) { $0 }.filter { $0.value.count > 1 }
        return unfinished.map { "unfinished: \($0)" } + repeated.map { "\($0.value.count) groups of \($0.key)" }
    }

    func freeze() { vault.service.signal(SIGSTOP) }
    func thaw() { vault.service.signal(SIGCONT) }

    func restart() throws {
        try vault.expireTokens()
        try interrupt()
    }
}
