/// What the head of a part says (RFC 7578 section 4.2); the file name and type a browser adds mean nothing here.
struct PartHead: Equatable, Sendable {
    var name: String

    init(name: String) { self.name = name }

    /// nil without a `Content-Disposition: form-data` that names the part.
    init?(_ text: String) {
        for line in text.split(separator: "\r\n") {
            guard let colon = line.firstIndex(of: ":") else { return nil }
            guard line[..<colon].lowercased() == "content-disposition" else { continue }
            let value = line[colon...].dropFirst()
            guard HeaderParameters.main(value).lowercased() == "form-data",
                let name = HeaderParameters(value)["name"], !name.isEmpty
            else { return nil }
            self.name = name
            return
        }
        return nil
    }
}

/// The parameters of a header value: `; name=token` or `; name="quoted"`.
struct HeaderParameters {
    private var values: [String: String] = [:]

    subscript(name: String) -> String? { values[name] }

    /// What stands before the first semicolon.
    static func main(_ header: some StringProtocol) -> String {
        let trimmed = header.prefix { $0 != ";" }.drop { $0 == " " || $0 == "\t" }
        return String(trimmed.prefix { $0 != " " && $0 != "\t" })
    }

    /// Of several with the same name the first counts.
    init(_ header: some StringProtocol) {
        var rest = Substring(header).unicodeScalars.drop { $0 != ";" }
        while !rest.isEmpty {
            rest = rest.drop { $0 == ";" || $0 == " " || $0 == "\t" }
            let key = rest.prefix { $0 != "=" && $0 != ";" }
            rest = rest.dropFirst(key.count)
            guard rest.first == "=" else { continue }
            rest = rest.dropFirst()
            let value = rest.first == "\"" ? HeaderParameters.takeQuoted(&rest) : HeaderParameters.takeToken(&rest)
            let name = String(Substring(key)).lowercased()
            if values[name] == nil { values[name] = value }
        }
    }

    private static func takeToken(_ rest: inout Substring.UnicodeScalarView) -> String {
        let token = rest.prefix { $0 != ";" && $0 != " " && $0 != "\t" }
        rest = rest.dropFirst(token.count)
        return String(Substring(token))
    }

    /// As browsers write and read it: a quote inside is `\"` or `%22` (WHATWG HTML, multipart/form-data).
    private static func takeQuoted(_ rest: inout Substring.UnicodeScalarView) -> String {
        rest = rest.dropFirst()
        var value = String.UnicodeScalarView()
        while let scalar = rest.first, scalar != "\"" {
            rest = rest.dropFirst()
            if scalar == "\\", let escaped = rest.first, escaped == "\"" || escaped == "\\" {
                value.append(escaped)
                rest = rest.dropFirst()
            } else {
                value.append(scalar)
            }
        }
        rest = rest.dropFirst()
        return String(value)
    }
}
