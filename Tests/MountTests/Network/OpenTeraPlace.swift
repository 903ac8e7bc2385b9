import FXSystem
import Glibc
import ServiceFixtures

/// An OpenTera pair of its own; sessions are made below its first participant.
final class OpenTeraPlace: NetworkPlace {
    let proxy: ProxyControl
    let pair: OpenTeraControl

    init() throws {
        pair = try OpenTeraControl()
        proxy = try ProxyControl(before: pair.port)
    }

    deinit {
        proxy.stop()
        pair.stop()
    }

    let parent = "Default Project #1/Participant #1"
    let hasDirectories = false

    var section: String {
        """
        kind = "opentera"
        url = "http://127.0.0.1:\(proxy.port)"
        username = "\(OpenTeraControl.username)"
        """
    }

    var secret: (key: String, value: String) { ("password_file", OpenTeraControl.password) }

    let uploads: [JSONValue.Member] = [.init("method", "POST"), .init("path", "/file/api/assets")]

    // It has no quotas.
    let quotaAnswer: [JSONValue.Member] = []
    let deathAnswer: [JSONValue.Member] = [.init("status", 401), .init("body", "\"Unauthorized\"")]

    func limitFiles(to bytes: Int) -> [String] { ["max_body = \"\(bytes >> 10)KiB\""] }

    private func numbers(of session: String) throws -> Set<Int> {
        Set(try pair.sessions().filter { $0.name == session && !$0.isDeleted }.map(\.id))
    }

    func files(in session: String, of mount: NetworkMount) throws -> [String: [String]] {
        let numbers = try numbers(of: session)
        let assets = try pair.assets().filter { numbers.contains($0.session) }
        return Dictionary(grouping: assets, by: \.name).mapValues { $0.map { $0.sha256 ?? "no bytes" } }
    }

    func arrivals(in session: String, of mount: NetworkMount) throws -> [String] {
        let numbers = try numbers(of: session)
        return try pair.allAssets(withDigests: false).filter { numbers.contains($0.session) }.map(\.name)
    }

    func leftovers(of mount: NetworkMount) throws -> [String] {
        let sessions = Dictionary(grouping: try pair.sessions().filter { !$0.isDeleted }, by: \.name)
        return sessions.filter { $0.value.count > 1 }.map { "\($0.value.count) sessions named \($0.key)" }
    }

    func freeze() { pair.service.signal(SIGSTOP) }
    func thaw() { pair.service.signal(SIGCONT) }

    // New keys: every token is dead, every connection ends.
    func restart() throws { try pair.restart(downMilliseconds: 300) }
}
