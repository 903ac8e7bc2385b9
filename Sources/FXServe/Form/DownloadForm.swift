internal import FXSystem

/// Collects the parts of a `download` in whatever order they come: texts in memory up to a bound, the file wherever `write`
/// puts it.
struct DownloadForm: Sendable {
    /// Paths have at most PATH_MAX bytes (4096), names 255.
    static let longestText = 8 << 10
    static let longestTexts = 64 << 10

    private var parser: MultipartParser
    private let limit: ByteCount
    private var open: OpenPart = .none
    private(set) var texts: [String: [String]] = [:]
    private var textBytes = 0
    private(set) var fileSize: ByteCount?

    private enum OpenPart: Sendable {
        case none, file
        case text(String, [UInt8])
    }

    /// - Parameter limit: of the file, inclusive.
    /// - Throws: `parameter` for a content type without a usable boundary.
    init(contentType: String, limit: ByteCount) throws(Refusal) {
        do throws(MultipartParser.Fault) { parser = try MultipartParser(contentType: contentType) } catch {
            throw Refusal(.parameter, "multipart/form-data without a usable boundary")
        }
        self.limit = limit
    }

    /// - Parameter write: takes the next bytes of the file.
    /// - Throws: `Refusal`, or what `write` throws.
    mutating func consume(
        _ input: UnsafeRawBufferPointer, write: (UnsafeRawBufferPointer, _ offset: UInt64) throws -> Void
    ) throws {
        var parser = self.parser
        do {
            try unsafe parser.consume(input) { event in
                switch unsafe event {
                case .partBegan(let head): try begin(head)
                case .content(let bytes): try unsafe take(bytes, write)
                case .partEnded: try end()
                }
            }
        } catch let fault as MultipartParser.Fault {
            throw Refusal(.parameter, "the form is malformed: \(fault)")
        }
        self.parser = parser
    }

    /// What was in the form, once all of it was read.
    /// - Throws: `parameter` for a form that ends early or holds no file.
    func finished() throws(Refusal) -> (texts: [String: [String]], size: ByteCount) {
        guard parser.isFinished else { throw Refusal(.parameter, "the form is malformed: it is cut off") }
        guard let fileSize else { throw Refusal(.parameter, "file: this part is missing") }
        return (texts, fileSize)
    }

    private mutating func begin(_ head: PartHead) throws(Refusal) {
        guard head.name == "file" else {
            open = .text(head.name, [])
            return
        }
        if fileSize != nil { throw Refusal(.parameter, "file: there are several such parts") }
        fileSize = .zero
        open = .file
    }

    private mutating func take(
        _ bytes: UnsafeRawBufferPointer, _ write: (UnsafeRawBufferPointer, UInt64) throws -> Void
    ) throws {
        switch open {
        case .none: break
        case .text(let name, var text):
            open = .none
            textBytes += bytes.count
            guard text.count + bytes.count <= DownloadForm.longestText, textBytes <= DownloadForm.longestTexts else {
                throw Refusal(.parameter, "\(shown(name)): too long")
            }
            unsafe text.append(contentsOf: bytes)
            open = .text(name, text)
        case .file:
            let offset = fileSize?.rawValue ?? 0
            let size = ByteCount(offset + UInt64(bytes.count))
            if size > limit { throw Refusal(.payloadTooLarge, "the file is larger than \(limit.rawValue) bytes") }
            try unsafe write(bytes, offset)
            fileSize = size
        }
    }

    private mutating func end() throws(Refusal) {
        if case .text(let name, let bytes) = open {
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw Refusal(.parameter, "\(shown(name)): not UTF-8")
            }
            texts[name, default: []].append(text)
        }
        open = .none
    }

    private func shown(_ name: String) -> String { displayed(Array(name.utf8.prefix(40))) }
}
