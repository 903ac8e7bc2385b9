import FXSystem
import Glibc
import ServiceFixtures
import Synchronization

/// The stream upload of itslearning. It has no sessions and no paths: which of its files is which is what the receipt of
/// the mount says, and every other one has to be among the mount's orphans.
final class ItslearningPlace: NetworkPlace {
    let proxy: ProxyControl
    let streams: ItslearningControl
    /// Ids that a receipt has named: what was replaced since stays at the service until it expires.
    private let named = Mutex<Set<String>>([])

    init() throws {
        streams = try ItslearningControl()
        proxy = try ProxyControl(before: streams.port)
    }

    deinit {
        proxy.stop()
        streams.stop()
    }

    let parent = ""
    let hasDirectories = true

    var section: String {
        """
        kind = "itslearning"
        url = "http://127.0.0.1:\(proxy.port)"
        username = "\(ItslearningControl.username)"
        extension_id = \(ItslearningControl.fileExtension)
        site_id = \(ItslearningControl.site)
        """
    }

    var secret: (key: String, value: String) { ("password_file", ItslearningControl.password) }

    let uploads: [JSONValue.Member] = [.init("method", "POST"), .init("path", "/FileStreamService.svc")]

    // It has no quotas.
    let quotaAnswer: [JSONValue.Member] = []
    let deathAnswer: [JSONValue.Member] = [.init("status", 401)]

    func limitFiles(to bytes: Int) -> [String] { ["max_file_size = \"\(bytes >> 10)KiB\""] }

    /// The path and the id of every committed file of a session.
    private func receipt(of session: String, _ mount: NetworkMount) throws -> [(path: String, id: String)] {
        let path = "\(mount.mounted.control)/sessions/net/\(session)/receipt.json"
        let files = JSONValue(parsing: try Sys.text(path))?["files"]?.elements ?? []
        let found = files.map { ($0["path"]?.string ?? "", $0["remote_id"]?.string ?? "") }
        named.withLock { $0.formUnion(found.map(\.1)) }
        return found
    }

    /// What `fxmount remote test` and the judging of a refusal send is no file of a session.
    private func held() throws -> [ItslearningControl.File] {
        try streams.files().filter { $0.name != "fxmount-test.txt" }
    }

    func files(in session: String, of mount: NetworkMount) throws -> [String: [String]] {
        let held = Dictionary(uniqueKeysWithValues: try held().map { ($0.id, $0) })
        var found: [String: [String]] = [:]
        for (path, id) in try receipt(of: session, mount) {
            let file = held[id]
            let isNamed = file.map { path == $0.name || path.hasSuffix("/" + $0.name) } ?? false
            found[path, default: []].append(isNamed ? file?.sha256 ?? "" : "not at the service as \(id)")
        }
        return found
    }

    func arrivals(in session: String, of mount: NetworkMount) throws -> [String] {
        let paths = try receipt(of: session, mount).map(\.path)
        let byName = Dictionary(grouping: paths) { $0.split(separator: "/").last.map(String.init) ?? "" }
        return try held().map { byName[$0.name]?.first ?? $0.name }
    }

    /// Files that no receipt names and that are no orphans, but for those whose place another one took before anybody
    /// looked: each file that was sealed may be there once.
    func leftovers(of mount: NetworkMount) throws -> [String] {
        let orphans = try mount.orphans()
        func unaccounted() throws -> [ItslearningControl.File] {
            let named = named.withLock { $0 }
            return try held().filter { file in
                !named.contains(file.id) && !orphans.contains(String(file.contentID.prefix { $0 != "@" }))
            }
        }
        if try unaccounted().isEmpty { return [] }
        for session in try Sys.list(mount.remote) { _ = try receipt(of: session, mount) }
        let sealed = try mount.events().filter { $0["event"]?.string == "sealed" }
        let names = named.withLock { $0 }
        let beyond = try Dictionary(grouping: unaccounted(), by: \.name).flatMap { name, files in
            let known = try held().filter { $0.name == name && names.contains($0.id) }
            let seals = sealed.filter { $0["path"]?.string?.split(separator: "/").last.map(String.init) == name }
            return files.dropFirst(max(0, seals.count - known.count))
        }
        return beyond.map { "belongs to nobody: \($0.name), attempt \($0.contentID)" }
    }

    func freeze() { streams.service.signal(SIGSTOP) }
    func thaw() { streams.service.signal(SIGCONT) }
    func restart() throws { try interrupt() }
}
