internal import CExpat

/// Reads a whole document with Expat. No document type is accepted, so there are no entities to expand and nothing
/// outside the document is ever looked at.
struct XMLReader {
    /// A page of a listing with 1000 entries has about 400 KiB.
    static let maximumBytes = 64 << 20
    static let maximumDepth = 64
    /// An element costs memory even when it is written in four bytes.
    static let maximumElements = 1_000_000

    /// - Returns: the root element.
    static func read(_ bytes: [UInt8]) throws(XMLError) -> XMLElement {
        if bytes.count > maximumBytes { throw .tooLarge }
        guard let parser = ExpatParser() else { throw .noMemory }
        let builder = unsafe XMLBuilder(parser: unsafe parser.raw)
        return try withExtendedLifetime(builder) { () throws(XMLError) -> XMLElement in
            unsafe XML_SetUserData(parser.raw, Unmanaged.passUnretained(builder).toOpaque())
            unsafe XML_SetElementHandler(parser.raw, startElement, endElement)
            unsafe XML_SetCharacterDataHandler(parser.raw, addText)
            unsafe XML_SetStartDoctypeDeclHandler(parser.raw, refuseDocumentType)
            let status = unsafe bytes.withUnsafeBytes { buffer in
                unsafe XML_Parse(
                    parser.raw, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(buffer.count), 1)
            }
            if let failure = builder.failure { throw failure }
            guard status == XML_STATUS_OK, let root = builder.root else {
                throw .malformed(line: Int(clamping: unsafe XML_GetCurrentLineNumber(parser.raw)))
            }
            return root
        }
    }
}

/// Owner of an Expat parser.
@safe
private struct ExpatParser: ~Copyable {
    let raw: XML_Parser

    init?() {
        guard let raw = unsafe XML_ParserCreate(nil) else { return nil }
        unsafe self.raw = raw
    }

    deinit { unsafe XML_ParserFree(raw) }
}

/// Builds the tree while Expat reads; lives as long as one `read`.
@safe
private final class XMLBuilder {
    private let parser: XML_Parser
    private var open: [XMLElement] = []
    private var elements = 0
    private(set) var root: XMLElement?
    private(set) var failure: XMLError?

    init(parser: XML_Parser) { unsafe self.parser = parser }

    func start(_ element: XMLElement) {
        elements += 1
        if open.count >= XMLReader.maximumDepth { return fail(.tooDeep) }
        if elements > XMLReader.maximumElements { return fail(.tooLarge) }
        open.append(element)
    }

    func end() {
        guard let element = open.popLast() else { return }
        if open.isEmpty { root = element } else { open[open.count - 1].children.append(element) }
    }

    func add(_ text: String) {
        if !open.isEmpty { open[open.count - 1].text += text }
    }

    func fail(_ error: XMLError) {
        if failure == nil { failure = error }
        _ = unsafe XML_StopParser(parser, XML_Bool(0))
    }
}

private func builder(_ raw: UnsafeMutableRawPointer?) -> XMLBuilder? {
    unsafe raw.map { unsafe Unmanaged<XMLBuilder>.fromOpaque($0).takeUnretainedValue() }
}

private func startElement(
    _ raw: UnsafeMutableRawPointer?, _ name: UnsafePointer<XML_Char>?,
    _ attributes: UnsafeMutablePointer<UnsafePointer<XML_Char>?>?
) {
    guard let name = unsafe name else { return }
    var element = XMLElement(name: unsafe localName(String(cString: name)))
    // Name, value, name, value, …, NULL.
    var index = 0
    while let list = unsafe attributes, let key = unsafe list[index], let value = unsafe list[index + 1] {
        let full = unsafe String(cString: key)
        if full != "xmlns", !full.hasPrefix("xmlns:") {
            unsafe element.attributes.append(.init(name: localName(full), value: String(cString: value)))
        }
        index += 2
    }
    unsafe builder(raw)?.start(element)
}

private func endElement(_ raw: UnsafeMutableRawPointer?, _ name: UnsafePointer<XML_Char>?) {
    unsafe builder(raw)?.end()
}

private func addText(_ raw: UnsafeMutableRawPointer?, _ text: UnsafePointer<XML_Char>?, _ count: Int32) {
    let bytes = unsafe UnsafeRawBufferPointer(start: text, count: Int(count))
    unsafe builder(raw)?.add(String(decoding: bytes, as: UTF8.self))
}

private func refuseDocumentType(
    _ raw: UnsafeMutableRawPointer?, _ name: UnsafePointer<XML_Char>?, _ system: UnsafePointer<XML_Char>?,
    _ public: UnsafePointer<XML_Char>?, _ hasSubset: Int32
) {
    unsafe builder(raw)?.fail(.documentType)
}

private func localName(_ name: String) -> String {
    guard let colon = name.lastIndex(of: ":") else { return name }
    return String(name[name.index(after: colon)...])
}
