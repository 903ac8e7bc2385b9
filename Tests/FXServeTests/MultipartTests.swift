import FXSystem
import Testing

@testable import FXServe

@Suite("Forms in pieces")
struct MultipartTests {
    private let type = "multipart/form-data; boundary=b1"

    private func form(_ parts: [(String, [UInt8])], boundary: String = "b1", preamble: String = "") -> [UInt8] {
        var body = Array(preamble.utf8)
        for (name, content) in parts {
            body += Array("--\(boundary)\r\nContent-Disposition: form-data; name=\"\(name)\"\r\n\r\n".utf8) + content
            body += [13, 10]
        }
        return body + Array("--\(boundary)--\r\n".utf8)
    }

    /// What a parser makes of a body that arrives in these pieces.
    private func parse(_ body: [UInt8], pieces: [Int], type: String? = nil) throws -> [(name: String, content: [UInt8])]
    {
        var parser = try MultipartParser(contentType: type ?? self.type)
        var found: [(name: String, content: [UInt8])] = []
        var position = 0
        for piece in pieces + [body.count] where position < body.count {
            let end = min(body.count, position + max(1, piece))
            try body[position..<end].withUnsafeBytes { bytes in
                try parser.consume(bytes) { event in
                    switch event {
                    case .partBegan(let head): found.append((head.name, []))
                    case .content(let bytes): found[found.count - 1].content += Array(bytes)
                    case .partEnded: break
                    }
                }
            }
            position = end
        }
        try parser.finish()
        return found
    }

    @Test("Whatever the pieces, the parts are the same", arguments: seeds(300))
    func anyPieces(seed: UInt64) throws {
        var random = SeededGenerator(seed)
        // Few different bytes, many of them from delimiters: near misses are what is tested.
        let alphabet: [UInt8] = [13, 10, 45, 98, 49, 0, 120]
        var parts: [(String, [UInt8])] = []
        for index in 0..<random.below(5) {
            let content = (0..<random.below(200)).map { _ in alphabet[random.below(alphabet.count)] }
            // A content that holds the delimiter is another form.
            if !String(decoding: content, as: UTF8.self).contains("\r\n--b1") { parts.append(("p\(index)", content)) }
        }
        let body = form(parts, preamble: random.below(2) == 0 ? "" : "preamble\r\n")
        let pieces = (0..<body.count).map { _ in 1 + random.below(random.below(10) == 0 ? 300 : 7) }
        let found = try parse(body, pieces: pieces)
        #expect(found.map(\.name) == parts.map(\.0), "seed \(seed)")
        #expect(found.map(\.content) == parts.map(\.1), "seed \(seed)")
    }

    @Test("Damaged forms end with a fault and never with a part too many", arguments: seeds(300))
    func damage(seed: UInt64) throws {
        var random = SeededGenerator(seed)
        let file = (0..<400).map { _ in UInt8.random(in: 0...255, using: &random) }
        var body = form([("entity", Array("e".utf8)), ("file", file), ("fileName", Array("n".utf8))])
        for _ in 0...random.below(6) {
            switch random.below(3) {
            case 0: body[random.below(body.count)] = UInt8.random(in: 0...255, using: &random)
            case 1: body.remove(at: random.below(body.count))
            default: body.removeLast(random.below(min(20, body.count)))
            }
        }
        let pieces = (0..<body.count).map { _ in 1 + random.below(50) }
        do {
            #expect(try parse(body, pieces: pieces).count <= 3, "seed \(seed)")
        } catch let fault as MultipartParser.Fault {
            #expect(fault != .noBoundary, "seed \(seed)")
        }
    }

    @Test("A head without end is refused after 8 KiB, not collected")
    func endlessHead() throws {
        let body = Array("--b1\r\nContent-Disposition: form-data; name=\"".utf8) + [UInt8](repeating: 97, count: 20_000)
        #expect(throws: MultipartParser.Fault.headTooLong) { try parse(body, pieces: [100, 5000, 5000, 5000]) }
    }

    @Test("More parts than a path can have are refused")
    func manyParts() throws {
        let body = form((0...MultipartParser.mostParts).map { _ in ("relPath", [UInt8(ascii: "a")]) })
        #expect(throws: MultipartParser.Fault.tooManyParts) { try parse(body, pieces: []) }
    }

    @Test("A form that is cut off is not a form")
    func truncated() throws {
        let body = form([("entity", Array("e".utf8))])
        for end in 1..<(body.count - 4) {
            #expect(throws: MultipartParser.Fault.self, "\(end)") { try parse(Array(body[..<end]), pieces: []) }
        }
    }

    @Test(
        "Names are read as browsers write them",
        arguments: [
            ("form-data; name=\"a\"", "a"), ("form-data; name=a", "a"),
            ("form-data; filename=\"f\"; name=\"a b\"", "a b"),
            ("form-data; name=\"a\\\"b\"", "a\"b"), ("form-data; NAME=\"a;b\"", "a;b"), ("form-data", nil),
            ("attachment; name=\"a\"", nil), ("form-data; name=\"\"", nil),
        ])
    func names(header: String, name: String?) {
        #expect(PartHead("Content-Disposition: \(header)\r\nContent-Type: text/plain")?.name == name)
    }

    @Test(
        "A boundary has 1 to 70 characters and may be quoted",
        arguments: [
            ("multipart/form-data; boundary=\"x y\"", true), ("multipart/form-data", false),
            ("multipart/form-data; boundary=", false),
            ("multipart/form-data; boundary=\(String(repeating: "b", count: 71))", false),
        ])
    func boundaries(type: String, isUsable: Bool) {
        let parser = try? MultipartParser(contentType: type)
        #expect((parser != nil) == isUsable)
    }

    @Test("The file is counted as it comes; one byte over the limit is refused, the limit itself is not")
    func limit() throws {
        for (size, passes) in [(1000, true), (1001, false)] {
            var form = try DownloadForm(contentType: type, limit: ByteCount(1000))
            let body = self.form([("file", [UInt8](repeating: 120, count: size))])
            var written = 0
            do {
                for start in stride(from: 0, to: body.count, by: 64) {
                    try body[start..<min(start + 64, body.count)].withUnsafeBytes {
                        try form.consume($0) { bytes, _ in written += bytes.count }
                    }
                }
                #expect(passes)
            } catch let refusal as Refusal {
                #expect(!passes && refusal.condition == .payloadTooLarge)
            }
            #expect(written <= 1000)
            if passes { #expect(try form.finished().size == ByteCount(1000)) }
        }
    }

    @Test("Texts are bounded, and have to be UTF-8")
    func texts() throws {
        for content in [[UInt8](repeating: 97, count: DownloadForm.longestText + 1), [0xff, 0xfe]] {
            var form = try DownloadForm(contentType: type, limit: ByteCount(10))
            let body = self.form([("entity", content)])
            let refusal = #expect(throws: Refusal.self) {
                try body.withUnsafeBytes { try form.consume($0) { _, _ in } }
            }
            #expect(refusal?.condition == .parameter)
        }
    }
}

@Suite("The size of the pieces of files that go out") struct PieceRuleTests {
    @Test("Large for few files, and never so large that all of them together pass the limit")
    func sizes() {
        #expect(PieceRule.piece(files: 1) == 512 << 10)
        #expect(PieceRule.piece(files: 8) == 512 << 10)
        #expect(PieceRule.piece(files: 16) == 256 << 10)
        #expect(PieceRule.piece(files: 100_000) == 16 << 10)
        for files in 1...256 { #expect(2 * files * PieceRule.piece(files: files) <= PieceRule.memory) }
    }
}
