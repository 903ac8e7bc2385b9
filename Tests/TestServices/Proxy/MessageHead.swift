/// The head of a request or answer (RFC 9112), kept byte for byte.
struct MessageHead: Sendable {
    /// With the empty line at its end.
    var bytes: [UInt8]
    private let lines: [Substring]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n")
    }

    var startLine: [Substring] { (lines.first ?? "").split(separator: " ", maxSplits: 2) }

    subscript(name: String) -> Substring? {
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == name.lowercased() else {
                continue
            }
            return line[line.index(after: colon)...].drop { $0 == " " }
        }
        return nil
    }

    /// How the body ends, for a message that may have one.
    var framing: Framing? {
        if self["Transfer-Encoding"]?.lowercased().contains("chunked") == true { return .chunked }
        return self["Content-Length"].flatMap { Int($0) }.map { .length($0) }
    }

    /// The same with another Content-Length.
    func stating(length: Int) -> [UInt8] {
        let changed = lines.map { line in
            line.lowercased().hasPrefix("content-length:") ? "Content-Length: \(length)" : String(line)
        }
        return Array((changed.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    }
}

/// How long a body is (RFC 9112 section 6.3).
enum Framing: Sendable {
    case nothing
    case length(Int)
    case chunked
    case untilEnd
}

struct RequestHead: Sendable {
    let head: MessageHead
    let method: String
    let target: String

    /// nil when it is none.
    init?(_ bytes: [UInt8]) {
        head = MessageHead(bytes)
        let words = head.startLine
        guard words.count == 3 else { return nil }
        method = String(words[0])
        target = String(words[1])
    }

    var framing: Framing { head.framing ?? .nothing }
    var expectsContinue: Bool { head["Expect"]?.lowercased() == "100-continue" }
}

struct ResponseHead: Sendable {
    let head: MessageHead
    let status: Int

    init?(_ bytes: [UInt8]) {
        head = MessageHead(bytes)
        guard let word = head.startLine.dropFirst().first, let status = Int(word) else { return nil }
        self.status = status
    }

    func framing(answering method: String) -> Framing {
        if method == "HEAD" || status == 204 || status == 304 || status < 200 { return .nothing }
        return head.framing ?? .untilEnd
    }
}
