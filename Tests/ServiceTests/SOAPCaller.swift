import FXSystem
import ServiceFixtures

/// Requests to the stream upload of itslearning, byte by byte as a test wants them. Shares no code with the backend.
struct SOAPCaller {
    var http: LoopbackClient
    var username = ItslearningControl.username
    var password = ItslearningControl.password
    /// The whole Security header; nil makes one.
    var security: String?
    var passwordType: String? = "PasswordText"
    var extensionID: String? = "5009"
    var siteID: String?
    var name: String? = "report.pdf"
    var href = "cid:soapui32.png"
    var contentID = "<soapui32.png>"
    var action = "\"http://tempuri.org/IFileStreamService/UploadFile\""
    var moreHeaders = ""
    var body = ""
    var boundary = "----=_Part_21_6337481.1433166616124"
    var start = "<rootpart@soapui.org>"
    var type: String?
    var closes = true
    var isRootLast = false
    /// More parts, whole.
    var moreParts = ""

    init(_ control: ItslearningControl) { http = control.http }

    static let securitySpace =
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
    static let utilitySpace = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"

    /// - Parameter more: what stands behind the password.
    static func security(_ username: String, _ password: String, type: String?, more: String = "") -> String {
        let stated =
            type.map {
                " Type=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#\($0)\""
            } ?? ""
        return
            "<wsse:Security soapenv:mustUnderstand=\"1\" xmlns:wsse=\"\(securitySpace)\" xmlns:wsu=\"\(utilitySpace)\">"
            + "<wsse:UsernameToken><wsse:Username>\(username)</wsse:Username><wsse:Password\(stated)>\(password)"
            + "</wsse:Password>\(more)</wsse:UsernameToken></wsse:Security>"
    }

    private var ownSecurity: String {
        security ?? SOAPCaller.security(username, password, type: passwordType)
    }

    static func envelope(_ header: String, _ body: String) -> String {
        "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:tem=\"http://tempuri.org/\">"
            + "\n<soapenv:Header>\n\(header)</soapenv:Header>\n<soapenv:Body>\n\(body)</soapenv:Body>\n</soapenv:Envelope>"
    }

    var envelope: String {
        let parameters = [("Name", name), ("ExtensionId", extensionID), ("SiteId", siteID)]
            .compactMap { key, value in value.map { "<tem:\(key)>\($0)</tem:\(key)>\n" } }.joined()
        let content =
            body.isEmpty
            ? "\n<inc:Include href=\"\(href)\" xmlns:inc=\"http://www.w3.org/2004/08/xop/include\"/>\n" : body
        return SOAPCaller.envelope(
            ownSecurity + parameters + moreHeaders,
            "<tem:StreamMessage>\n<tem:Content>\(content)</tem:Content>\n</tem:StreamMessage>\n")
    }

    func frame(_ bytes: [UInt8]) -> [UInt8] {
        let root =
            "--\(boundary)\r\nContent-Type: application/xop+xml; charset=UTF-8; type=\"text/xml\"\r\n"
            + "Content-Transfer-Encoding: 8bit\r\nContent-ID: <rootpart@soapui.org>\r\n\r\n\(envelope)\r\n"
        let part =
            Array(
                ("--\(boundary)\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n"
                    + "Content-ID: \(contentID)\r\n\r\n").utf8) + bytes + Array("\r\n".utf8)
        let parts = isRootLast ? part + Array(root.utf8) : Array(root.utf8) + part
        return parts + Array(moreParts.utf8) + (closes ? Array("--\(boundary)--\r\n".utf8) : [])
    }

    private var fields: [(String, String)] {
        let usual =
            "multipart/related; type=\"application/xop+xml\"; start=\"\(start)\"; start-info=\"text/xml\"; "
            + "boundary=\"\(boundary)\""
        return [("Content-Type", type ?? usual), ("SOAPAction", action), ("MIME-Version", "1.0")]
    }

    func upload(_ bytes: [UInt8]) throws -> LoopbackAnswer {
        try http.request("POST", "/FileStreamService.svc", fields: fields, body: frame(bytes))
    }

    /// In pieces of the chunked coding (RFC 9112 section 7.1).
    func uploadChunked(_ bytes: [UInt8], piece: Int) throws -> LoopbackAnswer {
        var head =
            "POST /FileStreamService.svc HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
        for (name, value) in fields { head += "\(name): \(value)\r\n" }
        var all = Array((head + "\r\n").utf8)
        let framed = frame(bytes)
        for start in stride(from: 0, to: framed.count, by: piece) {
            let end = min(start + piece, framed.count)
            all += Array("\(String(end - start, radix: 16))\r\n".utf8) + framed[start..<end] + [13, 10]
        }
        return try http.exchange(all + Array("0\r\n\r\n".utf8))
    }

    /// One call of the service for messages.
    func call(_ name: String, _ content: String = "") throws -> LoopbackAnswer {
        let text = SOAPCaller.envelope(ownSecurity, "<tem:\(name)>\(content)</tem:\(name)>")
        let fields = [
            ("Content-Type", "text/xml; charset=utf-8"), ("SOAPAction", "\"http://tempuri.org/IDataService/\(name)\""),
        ]
        return try http.request("POST", "/DataService.svc", fields: fields, body: Array(text.utf8))
    }

    /// The number of a message type.
    func messageType(_ name: String = "Create.Extension.Instance") throws -> String? {
        let text = try call("GetMessageTypes").text
        guard let place = text.firstRange(of: "<a:Name>\(name)</a:Name>") else { return nil }
        return text[..<place.lowerBound].components("Identifier").last
    }

    /// - Returns: the id of the message.
    func addMessage(file: String, fileName: String = "report.pdf", key: String = "k1", extensionID: String = "5009")
        throws
        -> String?
    {
        let data =
            "<Message xmlns=\"urn:message-schema\"><SyncKeys><SyncKey>\(key)</SyncKey></SyncKeys><CreateExtensionInstance>"
            + "<Location>Course</Location><ExtensionId>\(extensionID)</ExtensionId><CourseId>42</CourseId><UserId>7</UserId>"
            + "<Title>Report</Title><Content>&lt;FileContent&gt;&lt;FileLocation&gt;\(file)&lt;/FileLocation&gt;"
            + "&lt;FileName&gt;\(fileName)&lt;/FileName&gt;&lt;/FileContent&gt;</Content></CreateExtensionInstance></Message>"
        let type = try messageType() ?? ""
        let space = "http://schemas.datacontract.org/2004/07/Itslearning.Integration.ContentImport.Services.Entities"
        let answer = try call(
            "AddMessage",
            "<tem:dataMessage xmlns:its=\"\(space)\"><its:Data><![CDATA[\(data)]]></its:Data><its:Type>\(type)</its:Type>"
                + "</tem:dataMessage>")
        return answer.text.components("MessageId").first
    }

    func result(_ message: String) throws -> String {
        try call("GetMessageResult", "<tem:messageId>\(message)</tem:messageId>").text
    }
}

extension StringProtocol {
    /// The texts of all elements of this name, whatever their prefix.
    func components(_ element: String) -> [String] {
        var found: [String] = []
        for piece in String(self).split(separator: "\(element)>", omittingEmptySubsequences: false).dropFirst() {
            let text = piece.prefix { $0 != "<" }
            if !text.isEmpty { found.append(String(text)) }
        }
        return found
    }
}

extension LoopbackAnswer {
    /// The local part of a fault's code; nil for no fault.
    var faultCode: String? { text.components("faultcode").first ?? faultCodeWithAttributes }

    private var faultCodeWithAttributes: String? {
        guard let start = text.firstRange(of: "<faultcode") else { return nil }
        let rest = text[start.upperBound...].drop { $0 != ">" }.dropFirst()
        return rest.prefix { $0 != "<" }.split(separator: ":").last.map(String.init)
    }

    var fileID: String? { text.components("FileId").first }
}
