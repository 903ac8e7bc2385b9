internal import FXSystem

/// The text of a configuration file with one remote more or less. Everything else in it stays: order, comments, blanks.
///
/// Pure; what comes out is read again by `ConfigurationFile` before it is written anywhere.
enum ConfigurationEdit {
    /// - Parameter values: in the order they are to stand in.
    static func adding(
        remote name: String, kind: RemoteKind, _ values: [(key: String, value: SettingValue)], to text: String
    ) -> String {
        var text = text
        if !text.isEmpty, !text.hasSuffix("\n") { text += "\n" }
        if !text.isEmpty, !text.hasSuffix("\n\n") { text += "\n" }
        text += "[remotes.\(key(name))]\nkind = \(quoted(kind.rawValue))\n"
        for (key, value) in values { text += "\(key) = \(literal(value))\n" }
        return text
    }

    /// Takes the section `[remotes.NAME]` out.
    ///
    /// Comments right above the section that follows belong to that one and stay.
    /// - Returns: nil when the remote does not stand in a section of its own.
    static func removing(remote name: String, from text: String) -> String? {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let start = lines.firstIndex(where: { header($0) == ["remotes", name] }) else { return nil }
        // A section inside it goes with it.
        var end =
            lines[(start + 1)...].firstIndex { header($0).map { !$0.starts(with: ["remotes", name]) } ?? false }
            ?? lines.endIndex
        if end < lines.endIndex {
            while end > start + 1, isComment(lines[end - 1]) { end -= 1 }
        } else if lines.last == "" {
            // What follows the last newline is no line.
            end -= 1
        }
        var kept = Array(lines[..<start])
        let rest = lines[end...]
        // One blank line was there for the section that goes.
        if kept.last == "", rest.first == "" || rest.isEmpty || rest == [""] { kept.removeLast() }
        return (kept + rest).joined(separator: "\n")
    }

    // MARK: - Reading lines

    /// The parts of a table's name; nil for a line that is no table header.
    static func header(_ line: some StringProtocol) -> [String]? {
        var rest = line.drop { $0 == " " || $0 == "\t" }
        guard rest.popFirst() == "[" else { return nil }
        var parts: [String] = []
        while true {
            rest = rest.drop { $0 == " " || $0 == "\t" }
            guard let quote = rest.first else { return nil }
            if quote == "\"" || quote == "'" {
                rest.removeFirst()
                let part = rest.prefix { $0 != quote }
                // An escape in a name: not written by this program, and not worth understanding.
                if quote == "\"", part.contains("\\") { return nil }
                parts.append(String(part))
                rest = rest.dropFirst(part.count)
                guard rest.popFirst() == quote else { return nil }
            } else {
                let part = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") }
                if part.isEmpty { return nil }
                parts.append(String(part))
                rest = rest.dropFirst(part.count)
            }
            rest = rest.drop { $0 == " " || $0 == "\t" }
            switch rest.popFirst() {
            case ".": continue
            case "]": return parts
            default: return nil
            }
        }
    }

    private static func isComment(_ line: some StringProtocol) -> Bool {
        line.drop { $0 == " " || $0 == "\t" }.first == "#"
    }

    // MARK: - Writing values

    private static func key(_ name: String) -> String {
        name.utf8.allSatisfy { byte in
            UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
                || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || byte == UInt8(ascii: "-")
                || byte == UInt8(ascii: "_")
        } ? name : quoted(name)
    }

    static func literal(_ value: SettingValue) -> String {
        switch value {
        case .bool(let flag): String(flag)
        case .integer(let number): String(number)
        case .duration(let time): quoted(time.written)
        case .size(let size): quoted(size.written)
        case .text(let text): quoted(text)
        case .list(let texts): list(texts)
        case .secret(.file(let path)): quoted(path)
        case .secret(.command(let words, let isShell)): isShell ? quoted(words.first ?? "") : list(words)
        case .secret(.variable(let name)), .secret(.credential(let name)): quoted(name)
        }
    }

    private static func list(_ texts: [String]) -> String { "[\(texts.map(quoted).joined(separator: ", "))]" }

    /// A basic string (toml.io/en/v1.0.0#string).
    static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}
