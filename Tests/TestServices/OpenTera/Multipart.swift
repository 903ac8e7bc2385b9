import Glibc

/// One part of a form (RFC 7578).
struct FormPart: Sendable {
    var name: String
    /// nil for a plain field; it may be empty.
    var filename: String?
    /// Believed, whatever the part holds.
    var statedLength: Int?
    /// Where its bytes are in the body.
    var range: Range<Int>
}

/// Splits a form as Werkzeug does.
enum Multipart {
    /// Longer plain fields are refused, in bytes.
    static let longestField = 500_000

    enum Failure: Error {
        case fieldTooLong
    }

    static func boundary(of contentType: String) -> String? {
        for parameter in contentType.split(separator: ";").dropFirst() {
            let trimmed = parameter.drop { $0 == " " }
            if trimmed.lowercased().hasPrefix("boundary=") {
                return trimmed.dropFirst(9).filter { $0 != "\"" }
            }
        }
        return nil
    }

    /// No parts at all when the closing boundary is missing.
    static func parts(of body: StoredBytes, boundary: String) throws(Failure) -> [FormPart] {
        var found: [FormPart] = []
        let delimiter = Array("\r\n--\(boundary)".utf8)
        let isClosed = body.withBytes { bytes in
            // The first delimiter needs no line before it.
            var position = bytes.starts(with: delimiter.dropFirst(2)) ? delimiter.count - 2 : nil
            if position == nil { position = find(delimiter, in: bytes, from: 0).map { $0 + delimiter.count } }
            while let start = position {
                if start + 1 < bytes.count, bytes[start] == 45, bytes[start + 1] == 45 { return true }
                guard start + 1 < bytes.count, bytes[start] == 13, bytes[start + 1] == 10,
                    let headEnd = headEnd(in: bytes, from: start + 2)
                else { return false }
                guard let next = find(delimiter, in: bytes, from: headEnd.content - 2) else { return false }
                let head = String(decoding: bytes[start + 2..<max(start + 2, headEnd.head)], as: UTF8.self)
                if let part = part(head: head, content: headEnd.content..<max(headEnd.content, next)) {
                    found.append(part)
                }
                position = next + delimiter.count
            }
            return false
        }
        guard isClosed else { return [] }
        if found.contains(where: { $0.filename == nil && $0.range.count > longestField }) { throw .fieldTooLong }
        return found
    }

    /// Where the fields of a part end and its content begins; a part without fields has none.
    private static func headEnd(in bytes: UnsafeRawBufferPointer, from start: Int) -> (head: Int, content: Int)? {
        if start + 1 < bytes.count, bytes[start] == 13, bytes[start + 1] == 10 { return (start, start + 2) }
        return find([13, 10, 13, 10], in: bytes, from: start).map { ($0, $0 + 4) }
    }

    private static func part(head: String, content: Range<Int>) -> FormPart? {
        var part: FormPart?
        var stated: Int?
        for line in head.split(separator: "\r\n") {
            let lowered = line.lowercased()
            if lowered.hasPrefix("content-length:") {
                stated = Int(line.dropFirst(15).filter { $0 != " " })
            } else if lowered.hasPrefix("content-disposition:") {
                let parameters = parameters(of: line)
                guard let name = parameters["name"] else { return nil }
                var filename = parameters["filename"]
                if let extended = parameters["filename*"]?.split(
                    separator: "'", maxSplits: 2, omittingEmptySubsequences: false), extended.count == 3
                {
                    filename = URLText.decode(extended[2], plusIsSpace: false)
                }
                part = FormPart(name: name, filename: filename, statedLength: nil, range: content)
            }
        }
        part?.statedLength = stated
        return part
    }

    /// `; name="value"` with quoted pairs, or a bare value.
    private static func parameters(of line: Substring) -> [String: String] {
        var found: [String: String] = [:]
        var rest = line.drop { $0 != ";" }
        while let sign = rest.first {
            if sign == ";" || sign == " " {
                rest = rest.dropFirst()
                continue
            }
            let key = rest.prefix { $0 != "=" }
            rest = rest.dropFirst(key.count + 1)
            var value = ""
            if rest.first == "\"" {
                rest = rest.dropFirst()
                while let next = rest.first, next != "\"" {
                    rest = rest.dropFirst()
                    // As browsers and Werkzeug do: only a quote and a backslash are escaped.
                    if next == "\\", let escaped = rest.first, escaped == "\"" || escaped == "\\" {
                        value.append(escaped)
                        rest = rest.dropFirst()
                    } else {
                        value.append(next)
                    }
                }
                rest = rest.dropFirst()
            } else {
                value = String(rest.prefix { $0 != ";" })
                rest = rest.dropFirst(value.count)
            }
            found[key.lowercased()] = value
        }
        return found
    }

    /// Where `pattern` begins, at or after a position.
    static func find(_ pattern: [UInt8], in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        guard let base = bytes.baseAddress, let first = pattern.first, start >= 0 else { return nil }
        var position = start
        while position + pattern.count <= bytes.count {
            guard let hit = memchr(base + position, Int32(first), bytes.count - pattern.count - position + 1) else {
                return nil
            }
            position = UnsafeRawPointer(hit) - base
            if memcmp(base + position, pattern, pattern.count) == 0 { return position }
            position += 1
        }
        return nil
    }
}
