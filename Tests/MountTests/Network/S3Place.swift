import FXSystem
import Glibc
import ServiceFixtures
import Synchronization

/// SeaweedFS by S3; each place has a prefix of its own.
final class S3Place: NetworkPlace {
    let proxy: ProxyControl
    private let server: Mutex<SeaweedFS>
    /// Of a server of its own.
    private let data: String?
    private let prefix = "mount-\(UInt64.random(in: 0...(.max)))"

    init(alone: Bool) throws {
        data = alone ? try Scratch.directory("weed") : nil
        let weed = try alone ? SeaweedFS(data: data) : SeaweedFS.shared
        server = Mutex(weed)
        proxy = try ProxyControl(before: weed.s3.port)
    }

    deinit {
        proxy.stop()
        if let data {
            weed.stop()
            Scratch.remove(data)
        }
    }

    private var weed: SeaweedFS { server.withLock { $0 } }

    let parent = ""
    let hasDirectories = true

    var section: String {
        """
        kind = "s3"
        endpoint = "http://127.0.0.1:\(proxy.port)"
        bucket = "\(weed.bucket)"
        prefix = "\(prefix)"
        access_key_id = "\(weed.accessKeyID)"
        """
    }

    var secret: (key: String, value: String) { ("secret_access_key_file", weed.secretAccessKey) }

    var uploads: [JSONValue.Member] {
        // What is the program's own lies elsewhere: `PREFIX/.fxmount/`.
        [.init("method", "PUT"), .init("path", .string("/\(weed.bucket)/\(prefix)/"))]
    }

    var quotaAnswer: [JSONValue.Member] {
        [
            .init("status", 403),
            .init("body", "<?xml version=\"1.0\"?><Error><Code>QuotaExceeded</Code><Message>full</Message></Error>"),
            .init("fields", ["Content-Type": "application/xml"]),
        ]
    }

    let deathAnswer: [JSONValue.Member] = [
        .init("status", 403), .init("body", "<Error><Code>InvalidAccessKeyId</Code></Error>"),
    ]

    // Its limit is that of S3, 5 TiB.
    func limitFiles(to bytes: Int) -> [String] { [] }

    func files(in session: String, of mount: NetworkMount) throws -> [String: [String]] {
        var found: [String: [String]] = [:]
        for object in try weed.objects(below: "\(prefix)/\(session)/") {
            let path = String(object.key.dropFirst(prefix.count + session.count + 2))
            // Markers of directories and what is the program's own are no files.
            if path.isEmpty || path.hasSuffix("/") || path.hasPrefix(".fxmount/") { continue }
            let digest = try weed.sha256(of: object, pieces: 8 << 20)
            found[path, default: []].append(object.size == 0 ? sha256Text([]) : digest)
        }
        return found
    }

    func arrivals(in session: String, of mount: NetworkMount) throws -> [String] {
        let start = "/\(weed.bucket)/\(prefix)/\(session)/"
        return try proxy.finishedLog().compactMap { request in
            guard request.upstreamStatus == 200, request.target.hasPrefix(start) else { return nil }
            let parts = request.target.split(separator: "?", maxSplits: 1)
            let path = percentDecoded(String(parts[0].dropFirst(start.count)))
            if path.isEmpty || path.hasSuffix("/") || path.hasPrefix(".fxmount/") { return nil }
            let isWhole = request.method == "PUT" && parts.count == 1
            let isAssembly = request.method == "POST" && parts.count == 2 && parts[1].contains("uploadId=")
            return isWhole || isAssembly ? path : nil
        }
    }

    func leftovers(of mount: NetworkMount) throws -> [String] {
        try weed.unfinishedUploads(below: prefix + "/").map { "unfinished: \($0)" }
            + weed.objects(below: "\(prefix)/.fxmount/claims/").map { "claim: \($0.key)" }
    }

    /// What another machine does.
    func put(_ path: String, _ bytes: [UInt8]) throws { try weed.put("\(prefix)/\(path)", bytes) }

    func freeze() { weed.freeze() }
    func thaw() { weed.thaw() }

    func restart() throws {
        guard let data else { throw TestStopped("a server that others use is not restarted") }
        weed.kill()
        let next = try SeaweedFS(data: data)
        server.withLock { $0 = next }
        try proxy.set(["upstream": .integer(Int64(next.s3.port))])
    }
}
