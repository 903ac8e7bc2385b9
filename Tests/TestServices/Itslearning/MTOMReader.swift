import Glibc

/// Takes a multipart body (RFC 2046) apart while it arrives; holds no more of it than a head or a boundary.
final class MTOMReader {
    enum Event {
        /// The fields of the next part, names in lower case.
        case head([String: String])
        case body(UnsafeRawBufferPointer)
        case partEnd
        /// The closing boundary.
        case end
    }

    enum Failure: Error { case noMultipart }

    private enum Phase { case preamble, delimiter, head, body, epilogue }

    private let delimiter: [UInt8]
    private var phase = Phase.preamble
    /// What may be the beginning of something; the first boundary needs no line before it.
    private var pending: [UInt8] = [13, 10]

    /// Of the fields of one part, in bytes.
    private static let longestHead = 16 << 10

    init(boundary: String) { delimiter = Array("\r\n--\(boundary)".utf8) }

    var isComplete: Bool { phase == .epilogue }

    func feed(_ bytes: UnsafeRawBufferPointer, _ take: (Event) throws -> Void) throws {
        if phase == .epilogue { return }
        if pending.isEmpty {
            let used = try consume(bytes, take)
            pending = Array(bytes[used...])
        } else {
            pending.append(contentsOf: bytes)
            let all = pending
            let used = try all.withUnsafeBytes { try consume($0, take) }
            pending = Array(all[used...])
        }
    }

    /// - Returns: how many bytes are done with.
    private func consume(_ bytes: UnsafeRawBufferPointer, _ take: (Event) throws -> Void) throws -> Int {
        var position = 0
        while true {
            switch phase {
            case .preamble, .body:
                let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
                if let found = Multipart.find(delimiter, in: rest, from: 0) {
                    if phase == .body {
                        if found > 0 { try take(.body(UnsafeRawBufferPointer(rebasing: rest[..<found]))) }
                        try take(.partEnd)
                    }
                    position += found + delimiter.count
                    phase = .delimiter
                    continue
                }
                let held = heldBack(rest)
                if phase == .body, rest.count > held {
                    try take(.body(UnsafeRawBufferPointer(rebasing: rest[..<(rest.count - held)])))
                }
                return bytes.count - held
            case .delimiter:
                if bytes.count - position < 2 { return position }
                let pair = (bytes[position], bytes[position + 1])
                position += 2
                if pair == (45, 45) {
                    phase = .epilogue
                    try take(.end)
                    return bytes.count
                }
                if pair != (13, 10) { throw Failure.noMultipart }
                // So that a part without fields ends its head at once.
                position -= 2
                phase = .head
            case .head:
                guard let found = Multipart.find([13, 10, 13, 10], in: bytes, from: position) else {
                    if bytes.count - position > MTOMReader.longestHead { throw Failure.noMultipart }
                    return position
                }
                let text = String(decoding: bytes[position..<found], as: UTF8.self)
                position = found + 4
                phase = .body
                try take(.head(MTOMReader.fields(text)))
            case .epilogue: return bytes.count
            }
        }
    }

    /// How many bytes at the end may be the beginning of a delimiter.
    private func heldBack(_ bytes: UnsafeRawBufferPointer) -> Int {
        var length = min(delimiter.count - 1, bytes.count)
        while length > 0 {
            if delimiter.starts(with: bytes[(bytes.count - length)...]) { return length }
            length -= 1
        }
        return 0
    }

    private static func fields(_ text: String) -> [String: String] {
        var fields: [String: String] = [:]
        for line in text.split(separator: "\r\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            fields[line[..<colon].lowercased()] = String(value)
        }
        return fields
    }
}

/// A media type and its parameters (RFC 2045 section 5.1).
struct MediaType {
    var name: String
    var parameters: [String: String] = [:]

    init(_ text: String) {
        var rest = Substring(text)
        name = rest.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
        rest = rest.drop { $0 != ";" }
        while !rest.isEmpty {
            rest = rest.drop { $0 == ";" || $0 == " " || $0 == "\t" }
            let key = rest.prefix { $0 != "=" }
            rest = rest.dropFirst(key.count + 1)
            var value = ""
            if rest.first == "\"" {
                rest = rest.dropFirst()
                value = String(rest.prefix { $0 != "\"" })
                rest = rest.dropFirst(value.count + 1)
            } else {
                value = String(rest.prefix { $0 != ";" })
                rest = rest.dropFirst(value.count)
            }
            if !key.isEmpty { parameters[key.lowercased()] = value }
        }
    }
}
