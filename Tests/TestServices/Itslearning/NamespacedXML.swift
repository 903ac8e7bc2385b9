import CExpat

/// One element with the namespace it is in, as a SOAP service has to see it.
struct SOAPElement: Sendable, Equatable {
    /// Empty for none.
    var namespace: String
    var name: String
    /// By `namespace|name`, or `name` alone.
    var attributes: [String: String] = [:]
    var text = ""
    var children: [SOAPElement] = []

    func child(_ namespace: String, _ name: String) -> SOAPElement? {
        children.first { $0.namespace == namespace && $0.name == name }
    }

    /// Whatever the namespace.
    func child(named name: String) -> SOAPElement? { children.first { $0.name == name } }

    /// The text without spaces and line ends around it.
    var words: String {
        var rest = text[...]
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return String(rest)
    }
}

/// Reads a document with Expat; nil when it is not well-formed or has a document type, which SOAP 1.1 forbids.
func readSOAP(_ bytes: [UInt8]) -> SOAPElement? {
    guard let parser = XML_ParserCreateNS(nil, XML_Char(UInt8(ascii: "|"))) else { return nil }
    defer { XML_ParserFree(parser) }
    let builder = SOAPBuilder()
    return withExtendedLifetime(builder) {
        XML_SetUserData(parser, Unmanaged.passUnretained(builder).toOpaque())
        XML_SetElementHandler(
            parser,
            { raw, name, attributes in
                guard let raw, let name else { return }
                let (namespace, local) = split(String(cString: name))
                var element = SOAPElement(namespace: namespace, name: local)
                var index = 0
                while let list = attributes, let key = list[index], let value = list[index + 1] {
                    element.attributes[String(cString: key)] = String(cString: value)
                    index += 2
                }
                SOAPBuilder.of(raw).open.append(element)
            },
            { raw, _ in
                guard let raw else { return }
                let builder = SOAPBuilder.of(raw)
                guard let element = builder.open.popLast() else { return }
                if builder.open.isEmpty {
                    builder.root = element
                } else {
                    builder.open[builder.open.count - 1].children.append(element)
                }
            })
        XML_SetCharacterDataHandler(parser) { raw, text, count in
            guard let raw, let text else { return }
            let bytes = UnsafeRawBufferPointer(start: text, count: Int(count))
            let builder = SOAPBuilder.of(raw)
            if !builder.open.isEmpty {
                builder.open[builder.open.count - 1].text += String(decoding: bytes, as: UTF8.self)
            }
        }
        XML_SetStartDoctypeDeclHandler(parser) { raw, _, _, _, _ in
            if let raw { SOAPBuilder.of(raw).hasDocumentType = true }
        }
        let status = bytes.withUnsafeBytes {
            XML_Parse(parser, $0.baseAddress?.assumingMemoryBound(to: CChar.self), Int32($0.count), 1)
        }
        return status == XML_STATUS_OK && !builder.hasDocumentType ? builder.root : nil
    }
}

private func split(_ name: String) -> (String, String) {
    guard let bar = name.lastIndex(of: "|") else { return ("", name) }
    return (String(name[..<bar]), String(name[name.index(after: bar)...]))
}

private final class SOAPBuilder {
    var open: [SOAPElement] = []
    var root: SOAPElement?
    var hasDocumentType = false

    static func of(_ raw: UnsafeMutableRawPointer) -> SOAPBuilder {
        Unmanaged<SOAPBuilder>.fromOpaque(raw).takeUnretainedValue()
    }
}

/// Text as it stands in a document.
func escapedXML(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
}
