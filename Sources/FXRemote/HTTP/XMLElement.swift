/// One element of an XML document: what services of S3 and SOAP answer.
struct XMLElement: Sendable, Equatable {
    struct Attribute: Sendable, Equatable {
        var name: String
        var value: String
    }

    /// Without a namespace prefix, like the names of attributes.
    var name: String
    var attributes: [Attribute] = []
    /// All character data directly in it, in one piece, spaces and line ends included.
    var text = ""
    var children: [XMLElement] = []

    /// The first child with a name.
    subscript(name: String) -> XMLElement? { children.first { $0.name == name } }

    /// Every child with a name, in order.
    func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }

    func attribute(_ name: String) -> String? { attributes.first { $0.name == name }?.value }

    /// The text of the first child with a name.
    func text(of name: String) -> String? { self[name]?.text }
}

/// Why a document was not read.
enum XMLError: Error, Equatable {
    /// Not well-formed; where, counted from 1.
    case malformed(line: Int)
    case tooDeep
    case tooLarge
    /// It has a document type, which is where entities are declared; no service of ours sends one.
    case documentType
    case noMemory
}
