internal import FXSystem
internal import Foundation
internal import TOMLKit

/// One configuration file as read: every value with the line it stands on.
struct ConfigurationFile: Sendable {
    struct Entry: Sendable {
        var value: RawValue
        var line: Int?
    }
    /// What TOML knows, as far as this program uses it.
    enum RawValue: Sendable, Equatable {
        case bool(Bool), integer(Int), text(String), list([RawValue]), other(String)
    }

    var path: String
    /// By dotted path: `mount.workers`, `remotes.clinic.kind`.
    var entries: [String: Entry] = [:]
    /// Every table: `mount`, `remotes.clinic`.
    var tables: [String: Int?] = [:]

    /// Reads the file at `path`.
    /// - Throws: exit 10 when it cannot be read or is not TOML, with the line.
    init(reading path: String) throws(CommandFailure) {
        guard let data = FileManager.default.contents(atPath: path), let text = String(data: data, encoding: .utf8)
        else {
            throw CommandFailure(
                .configuration, "cannot read the configuration file \(displayed(path.utf8))",
                hint: "check that it exists, is readable and is UTF-8 text", path: path)
        }
        try self.init(path: path, text: text)
    }

    init(path: String, text: String) throws(CommandFailure) {
        self.path = path
        let lines = KeyLines(text)
        do {
            collect(try TOMLTable(string: text), under: "", at: nil, lines)
        } catch let error as TOMLParseError {
            throw CommandFailure(
                .configuration,
                "\(displayed(path.utf8)):\(error.source.begin.line): not valid TOML: \(error.description)",
                hint: "texts need quotes: path = \"/srv/data\"", path: path)
        } catch {
            throw CommandFailure(.configuration, "\(displayed(path.utf8)): \(error)", path: path)
        }
    }

    /// - Parameter line: of the table, when it stands on one line with all that is in it.
    private mutating func collect(_ table: TOMLTable, under prefix: String, at line: Int?, _ lines: KeyLines) {
        for key in table.keys {
            let path = prefix.isEmpty ? key : "\(prefix).\(key)"
            guard let value = table[key] else { continue }
            if let inner = value.table {
                let place = lines.line(of: path) ?? line
                tables[path] = .some(place)
                collect(inner, under: path, at: place, lines)
            } else {
                entries[path] = Entry(value: ConfigurationFile.raw(value), line: lines.line(of: path) ?? line)
            }
        }
    }

    private static func raw(_ value: any TOMLValueConvertible) -> RawValue {
        if let text = value.string { return .text(text) }
        if let flag = value.bool { return .bool(flag) }
        if let number = value.int { return .integer(number) }
        if let array = value.array { return .list(array.map { raw($0) }) }
        return .other(value.type.description)
    }
}

/// Where each key stands: TOMLKit tells positions of syntax errors only.
private struct KeyLines {
    private var lines: [String: Int] = [:]

    init(_ text: String) {
        var table = ""
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let trimmed = line.trimmingCharacters(in: .whitespaces)
            if trimmed.hasPrefix("[") {
                table = KeyLines.plain(String(trimmed.drop { $0 == "[" }.prefix { $0 != "]" }))
                lines[table] = lines[table] ?? index + 1
            } else if let equals = trimmed.firstIndex(of: "="), !trimmed.hasPrefix("#") {
                let key = KeyLines.plain(String(trimmed[..<equals]))
                let path = table.isEmpty ? key : "\(table).\(key)"
                lines[path] = lines[path] ?? index + 1
            }
        }
    }

    func line(of path: String) -> Int? { lines[path] }

    private static func plain(_ key: String) -> String {
        key.split(separator: ".").map { $0.trimmingCharacters(in: CharacterSet(charactersIn: " \t\"'")) }.joined(
            separator: ".")
    }
}
