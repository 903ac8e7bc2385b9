import FXSystem
import Glibc

/// Where uploads and settings outlive the process: the bytes of an upload are in the file `ID`, what else is known of
/// it in `ID.json`, and the settings in `settings.json`.
///
/// Nothing is synced: what ends is the process, not the machine.
struct TusDirectory: Sendable {
    let path: String

    private static let settingsName = "settings.json"

    // MARK: - Uploads

    /// Those that were kept, in the order of creation. Bytes that were still to be verified are gone, as after a cut.
    func uploads() throws -> [TusUpload] {
        try names().filter { $0.hasPrefix("u") && $0.hasSuffix(".json") }
            .map { try upload(String($0.dropLast(".json".count))) }.sorted { $0.number < $1.number }
    }

    private func upload(_ id: String) throws -> TusUpload {
        let record = try read(id + ".json")
        guard let standing = record["state"]?.string.flatMap(TusUpload.Standing.init(rawValue:)) else {
            throw ServiceFailure("no state of \(id): \(record.text)")
        }
        let bytes = try bytes(of: id)
        if let start = record["unverified_from"]?.integer { try bytes.cut(to: Int(start)) }
        return TusUpload(
            id: id, length: record["length"]?.integer.map { Int($0) }, metadata: record["metadata"]?.string,
            bytes: bytes, expires: record["expires"]?.integer, standing: standing)
    }

    /// What is known of an upload, its bytes aside.
    func keep(_ upload: TusUpload) throws {
        let record: [JSONValue.Member] = [
            .init("length", upload.length.map { .integer(Int64($0)) } ?? .null),
            .init("metadata", .text(upload.metadata)),
            .init("expires", upload.expires.map { .integer($0) } ?? .null),
            .init("state", .string(upload.standing.rawValue)),
            .init("unverified_from", upload.unverifiedStart.map { .integer(Int64($0)) } ?? .null),
        ]
        try write(.object(record), to: upload.id + ".json")
    }

    /// The bytes of an upload so far, in its file.
    func bytes(of id: String) throws -> AppendedBytes { try AppendedBytes(path: "\(path)/\(id)") }

    /// Removes these uploads and the settings.
    func forget(_ ids: [String]) throws {
        for name in ids.flatMap({ [$0 + ".json", $0] }) + [TusDirectory.settingsName] {
            if unlink("\(path)/\(name)") != 0, errno != ENOENT {
                throw ServiceFailure("cannot remove \(name): errno \(errno)")
            }
        }
    }

    // MARK: - Settings

    /// Those that were kept, or the defaults.
    func settings() throws -> TusSettings {
        var settings = TusSettings()
        if try names().contains(TusDirectory.settingsName) { try settings.apply(try read(TusDirectory.settingsName)) }
        return settings
    }

    func keep(_ settings: TusSettings) throws { try write(settings.json, to: TusDirectory.settingsName) }

    // MARK: - Files

    private func names() throws -> [String] {
        guard let listing = opendir(path) else { throw ServiceFailure("cannot list \(path): errno \(errno)") }
        defer { closedir(listing) }
        var names: [String] = []
        while let entry = readdir(listing) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            names.append(String(decoding: name, as: UTF8.self))
        }
        return names
    }

    private func read(_ name: String) throws -> JSONValue {
        let file = try AppendedBytes(path: "\(path)/\(name)")
        let text = String(decoding: file.bytes(in: 0..<file.count), as: UTF8.self)
        guard let value = JSONValue(parsing: text) else { throw ServiceFailure("no JSON in \(name): \(text)") }
        return value
    }

    /// Whenever the process ends, the file has all of it or what it had before.
    private func write(_ value: JSONValue, to name: String) throws {
        let next = "\(path)/\(name).next"
        let file = try AppendedBytes(path: next)
        try file.cut(to: 0)
        try file.append(value.text.utf8)
        if rename(next, "\(path)/\(name)") != 0 { throw ServiceFailure("cannot write \(name): errno \(errno)") }
    }
}
