/// Makes an answer of the lines and pieces in which it arrives.
struct AnswerCollector {
    /// What to do after a line or a piece.
    enum Verdict: Equatable {
        case goOn
        /// The answer is complete as far as anybody wants it.
        case enough
        case fail(HTTPFailure)
    }

    private let collects: Int
    private let sink: (any HTTPSink)?
    private var status = 0
    private var fields: [(name: String, value: String)] = []
    private var body: [UInt8] = []
    private var fieldBytes = 0
    /// The fields of the final answer are complete; what comes as a line from here on is a trailer.
    private(set) var hasHead = false
    private var hasBegun = false

    /// The most that status line and fields of an answer may have; no service comes near it.
    static let maximumFieldBytes = 256 << 10
    /// The most that is kept of an answer that is no success: enough for any explanation.
    static let maximumErrorBody = 64 << 10

    init(collects: Int, sink: (any HTTPSink)?) {
        self.collects = collects
        self.sink = sink
    }

    var response: HTTPResponse {
        var all = HTTPFields()
        for (name, value) in fields { all.add(name, value) }
        return HTTPResponse(status: status, fields: all, body: body)
    }

    private var isSuccess: Bool { (200..<300).contains(status) }

    /// What else than success it is, an answer of which the end is missing still says that.
    var isRefusal: Bool { hasHead && !isSuccess }

    /// Forgets everything: the request is being sent anew on another connection.
    mutating func beginAnew() {
        // Bytes of fields count on, so that nobody can send for ever.
        (status, fields, body, hasHead) = (0, [], [], false)
    }

    /// One line with its end, as libcurl gives it; an empty one ends the fields.
    mutating func take(line: String, count: Int) -> Verdict {
        fieldBytes += count
        if fieldBytes > AnswerCollector.maximumFieldBytes { return .fail(.nonsense("too many fields")) }
        if hasHead { return .goOn }
        let text = line.drop { $0 == " " || $0 == "\t" }.prefix { $0 != "\r\n" && $0 != "\n" && $0 != "\r" }
        if line.hasPrefix("HTTP/") { return takeStatus(text) }
        if text.isEmpty { return endFields() }
        if line.hasPrefix(" ") || line.hasPrefix("\t") {
            // RFC 9112 section 5.2: a folded line continues the value before it.
            if let last = fields.indices.last { fields[last].value += " " + text.trimmed }
            return .goOn
        }
        guard let colon = text.firstIndex(of: ":") else { return .fail(.nonsense("a field without a colon")) }
        fields.append((String(text[..<colon]), String(text[text.index(after: colon)...].trimmed)))
        return .goOn
    }

    private mutating func takeStatus(_ line: Substring) -> Verdict {
        fields = []
        let words = line.split(separator: " ", maxSplits: 2)
        guard words.count >= 2, words[1].utf8.count == 3, let number = Int(words[1]), number >= 100 else {
            return .fail(.nonsense("no status"))
        }
        status = number
        return .goOn
    }

    private mutating func endFields() -> Verdict {
        // 1xx: the answer is still to come.
        if status < 200 { return .goOn }
        hasHead = true
        if isSuccess, let sink, !hasBegun {
            hasBegun = true
            if !sink.begin(status: status, fields: response.fields) { return .fail(.refusedBody) }
        }
        return .goOn
    }

    mutating func take(_ bytes: UnsafeRawBufferPointer) -> Verdict {
        if !isSuccess {
            unsafe body += bytes.prefix(AnswerCollector.maximumErrorBody - body.count)
            return body.count < AnswerCollector.maximumErrorBody ? .goOn : .enough
        }
        if let sink { return unsafe sink.receive(bytes) ? .goOn : .fail(.refusedBody) }
        if bytes.count > collects - body.count { return .fail(.tooLong) }
        unsafe body += bytes
        return .goOn
    }
}

extension Substring {
    /// Without spaces and tabs at both ends.
    fileprivate var trimmed: Substring {
        var rest = drop { $0 == " " || $0 == "\t" }
        while let last = rest.last, last == " " || last == "\t" { rest.removeLast() }
        return rest
    }
}
