import FXSystem
import Glibc
import ServiceFixtures

/// A tus service of its own; its uploads are told apart by the path in their metadata.
final class TusPlace: NetworkPlace {
    let proxy: ProxyControl
    let service: TusControl
    private let data: String
    private static let token = "let-me-in"

    init() throws {
        data = try Scratch.directory("tus")
        service = try TusControl(data: data)
        try service.set(["token": .string(TusPlace.token)])
        proxy = try ProxyControl(before: service.port)
    }

    deinit {
        proxy.stop()
        service.stop()
        Scratch.remove(data)
    }

    let parent = ""
    let hasDirectories = true

    var section: String {
        """
        kind = "tus"
        url = "http://127.0.0.1:\(proxy.port)/files/"
        """
    }

    var secret: (key: String, value: String) { ("token_file", TusPlace.token) }

    let uploads: [JSONValue.Member] = [.init("method", "PATCH"), .init("path", "/files/")]

    // It has no quotas.
    let quotaAnswer: [JSONValue.Member] = []
    let deathAnswer: [JSONValue.Member] = [.init("status", 401)]

    func limitFiles(to bytes: Int) throws -> [String] {
        try service.set(["max_size": .integer(Int64(bytes))])
        return []
    }

    private func whole(in session: String) throws -> [(path: String, upload: TusControl.Upload)] {
        try service.uploads().filter(\.isWhole).compactMap { upload in
            let path = upload.metadata["relativePath"] ?? ""
            return path.hasPrefix(session + "/") ? (String(path.dropFirst(session.count + 1)), upload) : nil
        }
    }

    func files(in session: String, of mount: NetworkMount) throws -> [String: [String]] {
        let held = try whole(in: session).filter(\.upload.isOpen)
        return Dictionary(grouping: held, by: \.path).mapValues { $0.map(\.upload.sha256) }
    }

    func arrivals(in session: String, of mount: NetworkMount) throws -> [String] {
        try whole(in: session).map(\.path)
    }

    /// Uploads that nobody ends or goes on with; those of refused files wait for a `retry`. One without bytes is left
    /// where the answer to its creation was lost (U3): it is among the orphans of the mount, until that ends. So each
    /// mount that ended may have left one of a file.
    func leftovers(of mount: NetworkMount) throws -> [String] {
        let unfinished = try service.uploads().filter {
            $0.isOpen && !$0.isWhole && !mount.isFailed($0.metadata["relativePath"] ?? "")
        }
        let orphans = mount.mounted.isStarted ? try mount.orphans() : []
        let nameless = unfinished.filter { $0.offset == 0 && !orphans.contains($0.metadata["fxmount-upload"] ?? "") }
        let byPath = Dictionary(grouping: nameless) { $0.metadata["relativePath"] ?? "" }
        let ends = mount.mounted.starts - 1
        let counted = unfinished.filter { $0.offset > 0 } + byPath.values.flatMap { $0.dropFirst(ends) }
        return counted.map { "unfinished: \($0.metadata["relativePath"] ?? $0.target), \($0.offset) bytes" }
    }

    func freeze() { service.service.signal(SIGSTOP) }
    func thaw() { service.service.signal(SIGCONT) }
    func restart() throws { try service.restart() }
}
