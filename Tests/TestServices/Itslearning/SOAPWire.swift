/// The namespaces of the Organisation API and of what it is built on.
enum Namespaces {
    static let soap = "http://schemas.xmlsoap.org/soap/envelope/"
    static let service = "http://tempuri.org/"
    static let entities =
        "http://schemas.datacontract.org/2004/07/Itslearning.Integration.ContentImport.Services.Entities"
    static let message = "urn:message-schema"
    static let xop = "http://www.w3.org/2004/08/xop/include"
    static let security = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
    static let utility = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
    static let addressing = "http://schemas.microsoft.com/ws/2005/05/addressing/none"
    static let dispatcher = "http://schemas.microsoft.com/net/2005/12/windowscommunicationfoundation/dispatcher"
    static let passwordText =
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"
}

/// What a WCF service of that time answers with status 500.
struct SOAPFault: Error {
    enum Code: String {
        case failedAuthentication = "authentication"
        case invalidSecurity = "security"
        case actionNotSupported = "action"
        case mustUnderstand = "understand"
        case client = "client"
        case server = "server"
        case internalFault = "internal"
    }

    var code: Code
    var words: String

    static let badCredentials = SOAPFault(
        code: .failedAuthentication,
        words: "At least one security token in the message could not be validated.")
    static let badSecurity = SOAPFault(
        code: .invalidSecurity, words: "An error occurred when verifying security for the message.")
    static let unhandled = SOAPFault(
        code: .internalFault,
        words: "The server was unable to process the request due to an internal error.")

    static func client(_ words: String) -> SOAPFault { SOAPFault(code: .client, words: words) }

    static func unknownAction(_ action: String) -> SOAPFault {
        SOAPFault(
            code: .actionNotSupported,
            words: "The message with Action '\(action)' cannot be processed at the receiver, due to a ContractFilter "
                + "mismatch at the EndpointDispatcher.")
    }

    /// Of a condition that has a name in the control plane.
    static func named(_ name: String, _ words: String?) -> SOAPFault? {
        guard let code = Code(rawValue: name) else { return nil }
        let usual =
            switch code {
            case .failedAuthentication: badCredentials.words
            case .invalidSecurity: badSecurity.words
            case .internalFault, .server: unhandled.words
            case .actionNotSupported: unknownAction("?").words
            case .mustUnderstand: "A header was not understood."
            case .client: "The request was refused."
            }
        return SOAPFault(code: code, words: words ?? usual)
    }

    var answer: Answer {
        let (space, name) =
            switch code {
            case .failedAuthentication: (Namespaces.security, "a:FailedAuthentication")
            case .invalidSecurity: (Namespaces.security, "a:InvalidSecurity")
            case .actionNotSupported: (Namespaces.addressing, "a:ActionNotSupported")
            case .mustUnderstand: (Namespaces.soap, "s:MustUnderstand")
            case .client: (Namespaces.soap, "s:Client")
            case .server: (Namespaces.soap, "s:Server")
            case .internalFault: (Namespaces.dispatcher, "a:InternalServiceFault")
            }
        let text =
            "<s:Envelope xmlns:s=\"\(Namespaces.soap)\"><s:Body><s:Fault><faultcode xmlns:a=\"\(space)\">\(name)"
            + "</faultcode><faultstring xml:lang=\"en-US\">\(escapedXML(words))</faultstring></s:Fault></s:Body></s:Envelope>"
        return Answer(
            500, reason: "Internal Server Error", fields: [("Content-Type", "text/xml; charset=utf-8")],
            body: .bytes(Array(text.utf8)))
    }
}

extension Answer {
    /// What IIS says by itself.
    static func page(_ status: Int, _ words: String) -> Answer {
        let text =
            "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\" \"http://www.w3.org/TR/html4/strict.dtd\">\r\n"
            + "<HTML><HEAD><TITLE>\(words)</TITLE></HEAD>\r\n<BODY><h2>\(words)</h2>\r\n<hr><p>HTTP Error \(status). "
            + "\(words).</p>\r\n</BODY></HTML>\r\n"
        return Answer(
            status, reason: words, fields: [("Content-Type", "text/html; charset=us-ascii")],
            body: .bytes(Array(text.utf8)))
    }
}

/// A successful answer with the Security header every answer has.
struct SOAPReply {
    var body: String
    /// In microseconds since 1970.
    var created: Int64
    /// `Created` a day in the past.
    var isStale = false
    var isMultipart = false

    var answer: Answer {
        let start = isStale ? created - 86_400_000_000 : created
        let text =
            "<s:Envelope xmlns:s=\"\(Namespaces.soap)\" xmlns:u=\"\(Namespaces.utility)\"><s:Header>"
            + "<o:Security s:mustUnderstand=\"1\" xmlns:o=\"\(Namespaces.security)\"><u:Timestamp u:Id=\"_0\">"
            + "<u:Created>\(SOAPReply.text(start))</u:Created>"
            + "<u:Expires>\(SOAPReply.text(start + SOAPReply.validity))</u:Expires></u:Timestamp></o:Security></s:Header>"
            + "<s:Body>\(body)</s:Body></s:Envelope>"
        if !isMultipart {
            return Answer(
                200, fields: [("Content-Type", "text/xml; charset=utf-8")], body: .bytes(Array(text.utf8)))
        }
        let boundary = "uuid:6f0c0a52-9f4d-4d6c-8f4e-5a1d2b3c4d5e+id=1"
        let framed =
            "\r\n--\(boundary)\r\nContent-ID: <http://tempuri.org/0>\r\nContent-Transfer-Encoding: 8bit\r\n"
            + "Content-Type: application/xop+xml;charset=utf-8;type=\"text/xml\"\r\n\r\n\(text)\r\n--\(boundary)--\r\n"
        let type =
            "multipart/related; type=\"application/xop+xml\";start=\"<http://tempuri.org/0>\";boundary=\"\(boundary)\""
            + ";start-info=\"text/xml\""
        return Answer(
            200, fields: [("MIME-Version", "1.0"), ("Content-Type", type)], body: .bytes(Array(framed.utf8)))
    }

    /// Five minutes, in microseconds.
    static let validity: Int64 = 300_000_000

    /// `2013-10-25T12:06:35.899Z`.
    static func text(_ moment: Int64) -> String {
        let whole = Moment.text(moment - moment % 1_000_000).prefix(19)
        let milliseconds = String((moment / 1000) % 1000)
        return whole + "." + String(repeating: "0", count: 3 - milliseconds.count) + milliseconds + "Z"
    }
}
