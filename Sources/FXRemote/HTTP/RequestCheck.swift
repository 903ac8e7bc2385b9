/// What a request may look like, so that no name or value can end a line and begin a field of its own.
extension HTTPRequest {
    /// - Throws: `.unsendable`; nothing is sent then.
    func check() throws(HTTPFailure) {
        guard target.hasPrefix("/"), target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "#") })
        else { throw .unsendable("the target is not a path in ASCII") }
        for (name, value) in fields.fields {
            guard !name.isEmpty, name.utf8.allSatisfy(HTTPRequest.isTokenByte) else {
                throw .unsendable("a field name is no token")
            }
            guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }) else {
                throw .unsendable("the field \(name) has a control character")
            }
            if HTTPRequest.ownFields.contains(name.lowercased()) {
                throw .unsendable("the field \(name) belongs to the transport")
            }
        }
    }

    /// They say where a message ends; a second opinion on that is how requests are smuggled.
    private static let ownFields: Set<String> = ["content-length", "transfer-encoding"]

    /// RFC 9110 section 5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
