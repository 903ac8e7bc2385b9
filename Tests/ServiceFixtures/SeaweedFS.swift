import CSyscalls
import Crypto
import FXSystem
import Glibc

/// SeaweedFS on free ports of this machine: S3 with one bucket, and tus. Its data goes when it ends.
public final class SeaweedFS: Sendable {
    public let service: ServiceProcess
    public let s3: LoopbackClient
    /// The filer, which serves tus and shows every stored file without signatures.
    public let filer: LoopbackClient
    /// Of the server itself, for signals.
    public let process: Int32
    public let bucket: String
    public let accessKeyID: String
    public let secretAccessKey: String

    /// One for all tests of a run; each keeps to prefixes of its own. It ends with the process.
    public static var shared: SeaweedFS { get throws { try started.get() } }
    private static let started = Result { try SeaweedFS() }

    /// - Parameter data: a directory that outlives it, such as that of an earlier one; nil makes a new one.
    public init(data: String? = nil) throws {
        // The script is the one that starts it by hand.
        var root = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        root.removeLast(3)
        let script = root.joined(separator: "/") + "/scripts/services"
        service = try ServiceProcess(program: script, ["seaweedfs", "--json"] + (data.map { ["--data", $0] } ?? []))
        s3 = LoopbackClient(port: try service.port("s3"))
        filer = LoopbackClient(port: try service.port("filer"))
        process = Int32(try service.port("process"))
        bucket = service.ready["bucket"]?.string ?? ""
        accessKeyID = service.ready["access_key_id"]?.string ?? ""
        secretAccessKey = service.ready["secret_access_key"]?.string ?? ""
    }

    public func stop() { service.stop() }

    /// Ends the server at once, as a crash does.
    public func kill() {
        _ = cs_kill(process, SIGKILL)
        service.stop()
    }

    /// Stops the server's threads, or lets them go on; connections stay.
    public func freeze() { _ = cs_kill(process, SIGSTOP) }
    public func thaw() { _ = cs_kill(process, SIGCONT) }

    /// An object as ListObjectsV2 shows it.
    public struct Object: Sendable, Hashable {
        public var key: String
        public var size: Int
    }

    /// Every object below a prefix, as S3 lists them.
    public func objects(below prefix: String = "") throws -> [Object] {
        var found: [Object] = []
        var token: String?
        repeat {
            var query = [("encoding-type", "url"), ("list-type", "2"), ("prefix", prefix)]
            if let token { query.append(("continuation-token", token)) }
            let answer = try signed("GET", "/\(bucket)", query: query)
            if answer.status != 200 { throw NoAnswer("ListObjectsV2: \(answer.status) \(answer.text)") }
            for entry in elements("Contents", in: answer.text) {
                guard let key = elements("Key", in: entry).first, let size = elements("Size", in: entry).first else {
                    throw NoAnswer("ListObjectsV2: no key in \(entry)")
                }
                found.append(Object(key: percentDecoded(key), size: Int(size) ?? -1))
            }
            token = elements("NextContinuationToken", in: answer.text).first
        } while token != nil
        return found
    }

    /// Keys of multipart uploads that are neither complete nor given up.
    public func unfinishedUploads(below prefix: String = "") throws -> [String] {
        let answer = try signed(
            "GET", "/\(bucket)", query: [("encoding-type", "url"), ("prefix", prefix), ("uploads", "")])
        if answer.status != 200 { throw NoAnswer("ListMultipartUploads: \(answer.status) \(answer.text)") }
        return elements("Upload", in: answer.text).compactMap { elements("Key", in: $0).first.map(percentDecoded) }
    }

    public func put(_ key: String, _ bytes: [UInt8]) throws {
        let answer = try signed("PUT", "/\(bucket)/\(key)", body: bytes)
        if answer.status != 200 { throw NoAnswer("PUT \(key): \(answer.status) \(answer.text)") }
    }

    public func get(_ key: String) throws -> [UInt8] {
        let answer = try signed("GET", "/\(bucket)/\(key)")
        if answer.status != 200 { throw NoAnswer("GET \(key): \(answer.status)") }
        return answer.body
    }

    /// Lower-case hexadecimal SHA-256 of an object's bytes.
    public func sha256(of key: String) throws -> String { sha256Text(try get(key)) }

    /// The same of a large object, read in ranges.
    public func sha256(of object: Object, pieces: Int) throws -> String {
        var hasher = SHA256()
        var position = 0
        while position < object.size {
            let end = min(position + pieces, object.size)
            let answer = try signed(
                "GET", "/\(bucket)/\(object.key)", unsignedFields: [("Range", "bytes=\(position)-\(end - 1)")])
            if answer.status != 206 || answer.body.count != end - position {
                throw NoAnswer("GET \(object.key) from \(position): \(answer.status)")
            }
            hasher.update(data: answer.body)
            position = end
        }
        return hex(Array(hasher.finalize()))
    }

    /// The digests of the files directly in a directory of the filer, by name.
    public func files(below directory: String) throws -> [String: String] {
        let place = "/" + percentEncoded(directory, keeping: "/")
        let answer = try filer.get(place + "/?limit=1000", fields: [("Accept", "application/json")])
        if answer.status == 404 { return [:] }
        guard answer.status == 200, let listing = answer.json else { throw NoAnswer("\(place): \(answer.status)") }
        var found: [String: String] = [:]
        for entry in listing["Entries"]?.elements ?? [] {
            let path = entry["FullPath"]?.string ?? ""
            // Go's os.ModeDir.
            if entry["Mode"]?.integer ?? 0 >= 1 << 31 { continue }
            let content = try filer.get(percentEncoded(path, keeping: "/"))
            if content.status != 200 { throw NoAnswer("\(path): \(content.status)") }
            found[String(path.split(separator: "/").last ?? "")] = sha256Text(content.body)
        }
        return found
    }

    /// Where the unfinished tus uploads below a path would go.
    public func unfinishedTus(below path: String) throws -> [String] {
        let answer = try filer.get("/.uploads.tus/?limit=10000", fields: [("Accept", "application/json")])
        if answer.status == 404 { return [] }
        var targets: [String] = []
        for entry in answer.json?["Entries"]?.elements ?? [] {
            let upload = try filer.get((entry["FullPath"]?.string ?? "") + "/.info")
            if let target = upload.json?["target_path"]?.string, target.hasPrefix(path) { targets.append(target) }
        }
        return targets
    }

    /// One request signed with AWS Signature Version 4, independent of the code under test. `path` is not encoded yet.
    public func signed(
        _ method: String, _ path: String, query: [(String, String)] = [],
        unsignedFields: [(String, String)] = [], body: [UInt8]? = nil
    ) throws -> LoopbackAnswer {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        var text = [CChar](repeating: 0, count: 32)
        strftime(&text, text.count, "%Y%m%dT%H%M%SZ", &parts)
        let stamp = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let scope = "\(stamp.prefix(8))/us-east-1/s3/aws4_request"
        let digest = sha256Text(body ?? [])
        let target = percentEncoded(path, keeping: "/")
        let search = query.map { "\(percentEncoded($0.0))=\(percentEncoded($0.1))" }.sorted().joined(separator: "&")
        let fields = [("host", "127.0.0.1:\(s3.port)"), ("x-amz-content-sha256", digest), ("x-amz-date", stamp)]
        let names = fields.map(\.0).joined(separator: ";")
        let canonical = ([method, target, search] + fields.map { "\($0.0):\($0.1)" } + ["", names, digest])
            .joined(separator: "\n")
        let toSign = "AWS4-HMAC-SHA256\n\(stamp)\n\(scope)\n\(sha256Text(Array(canonical.utf8)))"
        var key = Array("AWS4\(secretAccessKey)".utf8)
        for part in scope.split(separator: "/") + [Substring(toSign)] {
            key = Array(HMAC<SHA256>.authenticationCode(for: Array(part.utf8), using: SymmetricKey(data: key)))
        }
        let authorization =
            "AWS4-HMAC-SHA256 Credential=\(accessKeyID)/\(scope), SignedHeaders=\(names), Signature=\(hex(key))"
        return try s3.request(
            method, search.isEmpty ? target : "\(target)?\(search)",
            fields: Array(fields.dropFirst()) + [("Authorization", authorization)] + unsignedFields, body: body)
    }
}

/// Lower-case hexadecimal SHA-256.
public func sha256Text(_ bytes: some Sequence<UInt8>) -> String {
    var hasher = SHA256()
    hasher.update(data: Array(bytes))
    return hex(Array(hasher.finalize()))
}

func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// Percent-encodes every byte that is not unreserved (RFC 3986 section 2.3).
public func percentEncoded(_ text: String, keeping kept: String = "") -> String {
    var out = ""
    for byte in text.utf8 {
        let sign = Unicode.Scalar(byte)
        if byte < 0x80, sign.properties.isAlphabetic || (48...57).contains(byte) || "-._~\(kept)".utf8.contains(byte) {
            out.unicodeScalars.append(sign)
        } else {
            out += "%" + hex([byte]).uppercased()
        }
    }
    return out
}

public func percentDecoded(_ text: String) -> String {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "%"), rest.count >= 2,
            let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
        {
            bytes.append(value)
            rest = rest.dropFirst(2)
        } else {
            bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}

/// The contents of the elements of a name: enough XML for listings of a server of ours.
private func elements(_ name: String, in text: String) -> [String] {
    text.split(separator: "<\(name)>").dropFirst(text.hasPrefix("<\(name)>") ? 0 : 1).compactMap { piece in
        piece.range(of: "</\(name)>").map { String(piece[..<$0.lowerBound]) }
    }
}

extension Substring {
    fileprivate func range(of text: String) -> Range<Index>? { firstRange(of: text) }
}
