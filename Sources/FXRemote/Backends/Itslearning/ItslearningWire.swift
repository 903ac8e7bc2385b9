internal import FXSystem

/// SOAP 1.1 as the Organisation API takes it: document/literal, the parameters of a stream as header blocks.
enum ItslearningWire {
    static let service = "http://tempuri.org/"
    static let entities =
        "http://schemas.datacontract.org/2004/07/Itslearning.Integration.ContentImport.Services.Entities"

    /// The header that says who asks. Fresh for each attempt: a strict service takes a nonce once.
    static func security(_ username: String, _ password: Secret, now: Timestamp, nonce: [UInt8]) -> String {
        let base = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
        // UTC with milliseconds.
        let created = now.rfc3339.prefix(23) + "Z"
        return
            "<w:Security s:mustUnderstand=\"1\" xmlns:w=\"\(base)wssecurity-secext-1.0.xsd\" "
            + "xmlns:u=\"\(base)wssecurity-utility-1.0.xsd\"><w:UsernameToken u:Id=\"ut-1\">"
            + "<w:Username>\(escaped(username))</w:Username>"
            + "<w:Password Type=\"\(base)username-token-profile-1.0#PasswordText\">\(escaped(password.reveal()))"
            + "</w:Password><w:Nonce EncodingType=\"\(base)soap-message-security-1.0#Base64Binary\">"
            + "\(Base64.encode(nonce))</w:Nonce><u:Created>\(created)</u:Created></w:UsernameToken></w:Security>"
    }

    static func envelope(header: String, body: String) -> String {
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:t=\"\(service)\"><s:Header>\(header)"
            + "</s:Header><s:Body>\(body)</s:Body></s:Envelope>"
    }

    /// The message `Create.Extension.Instance`: makes content of an uploaded file.
    /// - Parameter syncKey: chosen here, the same whenever this upload is published.
    static func message(
        _ publication: ItslearningPublication, extensionID: Int64, file: String, name: String, syncKey: String
    ) -> String {
        let content =
            "<FileContent><Description></Description><FileLocation>\(escaped(file))</FileLocation>"
            + "<FileName>\(escaped(name))</FileName></FileContent>"
        var text = "<Message xmlns=\"urn:message-schema\"><SyncKeys><SyncKey>\(escaped(syncKey))</SyncKey></SyncKeys>"
        text += "<CreateExtensionInstance><Location>\(publication.location.rawValue)</Location>"
        text += "<ExtensionId>\(extensionID)</ExtensionId>"
        if let course = publication.courseID { text += "<CourseId>\(course)</CourseId>" }
        if let parent = publication.parentID { text += "<ParentId>\(parent)</ParentId>" }
        text += "<UserId>\(publication.userID)</UserId><Title>\(escaped(title(of: name)))</Title>"
        // Escaped text is the same to a reader as a CDATA section, and can be nested.
        text += "<Content>\(escaped(content))</Content><ElementProperties><Active>true</Active></ElementProperties>"
        return text + "</CreateExtensionInstance></Message>"
    }

    /// What people see: the name without its ending.
    private static func title(of name: String) -> String {
        guard let dot = name.lastIndex(of: "."), dot > name.startIndex else { return name }
        return String(name[..<dot])
    }

    static func escaped(_ text: String) -> String {
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            // Else the reader makes a line feed of it.
            case "\r": out += "&#13;"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }
}

/// The frame around the bytes of one upload: MTOM, the envelope first, so that a service can judge before the bytes come.
struct ItslearningFrame: Sendable, Equatable {
    let boundary: String
    let prefix: [UInt8]
    let suffix: [UInt8]

    /// - Parameters:
    ///   - attempt: names the part with the bytes; never made from the file's name.
    ///   - boundary: random, so that nobody needs to look for it in the bytes.
    init(security: String, name: String, extensionID: Int64, siteID: Int64?, attempt: String, boundary: String) {
        self.boundary = boundary
        let content = "\(attempt)@fxmount"
        let site = siteID.map { "<t:SiteId>\($0)</t:SiteId>" } ?? ""
        let envelope = ItslearningWire.envelope(
            header: security + "<t:ExtensionId>\(extensionID)</t:ExtensionId>"
                + "<t:Name>\(ItslearningWire.escaped(name))</t:Name>" + site,
            body: "<t:StreamMessage><t:Content><x:Include xmlns:x=\"http://www.w3.org/2004/08/xop/include\" "
                + "href=\"cid:\(content)\"/></t:Content></t:StreamMessage>")
        prefix = Array(
            ("--\(boundary)\r\nContent-Type: application/xop+xml; charset=UTF-8; type=\"text/xml\"\r\n"
                + "Content-Transfer-Encoding: 8bit\r\nContent-ID: \(ItslearningFrame.root)\r\n\r\n\(envelope)\r\n"
                + "--\(boundary)\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n"
                + "Content-ID: <\(content)>\r\n\r\n").utf8)
        suffix = Array("\r\n--\(boundary)--\r\n".utf8)
    }

    private static let root = "<envelope@fxmount>"

    var contentType: String {
        "multipart/related; type=\"application/xop+xml\"; start=\"\(ItslearningFrame.root)\"; start-info=\"text/xml\"; "
            + "boundary=\"\(boundary)\""
    }
}
