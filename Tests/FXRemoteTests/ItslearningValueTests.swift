import FXSystem
import Testing

@testable import FXRemote

/// The values of the itslearning backend: what it sends, what it reads, what it remembers.
@Suite struct ItslearningValueTests {
    private let now = Timestamp(seconds: 1_714_557_600, nanoseconds: 123_456_789)

    private func security(_ username: String = "a&b", _ password: String = "<p>]]>") -> String {
        ItslearningWire.security(username, Secret(password), now: now, nonce: Array(0..<16))
    }

    private func read(_ text: String) throws -> XMLElement { try XMLReader.read(Array(text.utf8)) }

    @Test func `the security header is the published one`() throws {
        let text = "<r xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\">\(security())</r>"
        let token = try #require(try read(text)["Security"]?["UsernameToken"])
        #expect(token.text(of: "Username") == "a&b" && token.text(of: "Password") == "<p>]]>")
        #expect(token["Password"]?.attribute("Type")?.hasSuffix("#PasswordText") == true)
        #expect(token.text(of: "Nonce") == "AAECAwQFBgcICQoLDA0ODw==")
        #expect(token.text(of: "Created") == "2024-05-01T10:00:00.123Z")
    }

    @Test func `a frame has its root first and ends its bytes exactly`() throws {
        let frame = ItslearningFrame(
            security: security(), name: "a<é>&.pdf", extensionID: 5009, siteID: 123, attempt: "abc", boundary: "B")
        let text = String(decoding: frame.prefix, as: UTF8.self)
        #expect(text.hasPrefix("--B\r\nContent-Type: application/xop+xml; charset=UTF-8; type=\"text/xml\"\r\n"))
        #expect(text.hasSuffix("\r\nContent-ID: <abc@fxmount>\r\n\r\n"))
        #expect(String(decoding: frame.suffix, as: UTF8.self) == "\r\n--B--\r\n")
        let start = try #require(text.firstRange(of: "\r\n\r\n")).upperBound
        let end = try #require(text.firstRange(of: "\r\n--B\r\nContent-Type: application/octet")).lowerBound
        let envelope = try read(String(text[start..<end]))
        #expect(envelope["Header"]?.text(of: "Name") == "a<é>&.pdf")
        #expect(
            envelope["Header"]?.text(of: "ExtensionId") == "5009" && envelope["Header"]?.text(of: "SiteId") == "123")
        #expect(envelope.find("Include")?.attribute("href") == "cid:abc@fxmount")
        #expect(frame.contentType.contains("start=\"<envelope@fxmount>\"; start-info=\"text/xml\"; boundary=\"B\""))
    }

    @Test func `a message says what is published and where`() throws {
        let publication = ItslearningPublication(location: .library, userID: 7, parentID: 9)
        let text = ItslearningWire.message(
            publication, extensionID: 5009, file: "id&1", name: "report ]]> é.tar.gz", syncKey: "fx-1")
        let message = try read(text)
        #expect(message["SyncKeys"]?.text(of: "SyncKey") == "fx-1")
        let create = try #require(message["CreateExtensionInstance"])
        #expect(create.text(of: "Location") == "Library" && create["CourseId"] == nil)
        #expect(create.text(of: "ParentId") == "9" && create.text(of: "UserId") == "7")
        #expect(create.text(of: "Title") == "report ]]> é.tar")
        let content = try read(try #require(create.text(of: "Content")))
        #expect(content.text(of: "FileLocation") == "id&1" && content.text(of: "FileName") == "report ]]> é.tar.gz")
    }

    @Test func `a key for messages is the same for an upload and short enough`() {
        let key = ItslearningService.syncKey(of: UploadID("abc"))
        #expect(key == ItslearningService.syncKey(of: UploadID("abc")))
        #expect(key != ItslearningService.syncKey(of: UploadID("abd")))
        #expect(key.hasPrefix("fx-") && key.count <= 128)
    }

    // MARK: - Answers

    private func answer(_ body: String, status: Int = 200, type: String = "text/xml; charset=utf-8")
        -> ItslearningAnswer
    {
        ItslearningAnswer(
            HTTPResponse(status: status, fields: ["Content-Type": type], body: Array(body.utf8)))
    }

    private func envelope(_ body: String) -> String {
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Header/><s:Body>\(body)</s:Body></s:Envelope>"
    }

    private func fault(_ code: String, _ words: String = "why") -> ItslearningAnswer.Fault? {
        answer(
            envelope(
                "<s:Fault><faultcode xmlns:a=\"urn:x\">\(code)</faultcode><faultstring>\(words)</faultstring></s:Fault>"
            ),
            status: 500
        ).fault
    }

    @Test func `faults are known by their code, never by their words`() {
        #expect(fault("a:FailedAuthentication") == .authentication)
        #expect(fault(" a:InvalidSecurity ") == .security)
        #expect(fault("a:ActionNotSupported") == .notUnderstood("why"))
        #expect(fault("s:MustUnderstand", " a\nb ") == .notUnderstood("a b"))
        #expect(fault("s:Client", "FailedAuthentication") == .client("FailedAuthentication"))
        for code in ["s:Server", "a:InternalServiceFault", "x:Unknown", ""] { #expect(fault(code) == .service("why")) }
        let long = fault("Client", String(repeating: "x", count: 5000))
        #expect(long == .client(String(repeating: "x", count: 160)))
    }

    @Test func `plain and framed answers are the same`() {
        let body = envelope("<r><FileId> 42 </FileId></r>")
        let plain = answer(body)
        #expect(plain.content?.find("FileId")?.text == " 42 ")
        let framed = "preamble\r\n--b=1\r\nContent-Type: application/xop+xml\r\n\r\n\(body)\r\n--b=1--\r\n"
        for type in [
            "multipart/related; boundary=\"b=1\"; type=\"application/xop+xml\"",
            "Multipart/Related;type=\"application/xop+xml\";start=\"<x>\";boundary=\"b=1\";start-info=\"text/xml\"",
        ] {
            #expect(answer(framed, type: type).content == plain.content, "\(type)")
        }
        #expect(answer(framed, type: "multipart/related").content == nil)
    }

    @Test func `what is no SOAP is judged by its status`() {
        func error(_ status: Int) -> RemoteError {
            answer("<html>", status: status, type: "text/html").error(now: now)
        }
        #expect(error(413) == .tooLarge(limit: nil))
        #expect(error(415) == .notUnderstood(""))
        for status in [500, 502, 503, 504, 429] { #expect(error(status).isTemporary, "\(status)") }
        #expect(error(200) == .protocolViolation)
        #expect(!error(302).isTemporary && !error(403).isTemporary)
        // Entities are declared in a document type, and none is read.
        #expect(answer("<!DOCTYPE x [<!ENTITY a \"b\">]>" + envelope("<r/>")).content == nil)
    }

    // MARK: - Notes

    @Test func `a note comes back as it was`() throws {
        var note = ItslearningNote(attempt: "one", began: Timestamp(seconds: 10))
        #expect(ItslearningNote(note.text) == note)
        note.fileID = "id \"1\""
        note.uploaded = Timestamp(seconds: 20)
        (note.asked, note.firstAsked, note.messageID) = (2, Timestamp(seconds: 30), "7")
        #expect(ItslearningNote(note.text) == note)
        note.beginAnew(attempt: "two", now: Timestamp(seconds: 40), mayHaveArrived: true)
        #expect(ItslearningNote(note.text) == note)
        for text in [nil, "", "x", "{}", "[]"] as [String?] { #expect(ItslearningNote(text) == nil) }
    }

    @Test func `what may be at the service is kept in mind, and only that`() {
        var note = ItslearningNote(attempt: "1", began: Timestamp(seconds: 1))
        note.beginAnew(attempt: "2", now: Timestamp(seconds: 2), mayHaveArrived: false)
        #expect(note.orphans.isEmpty)
        note.beginAnew(attempt: "3", now: Timestamp(seconds: 3), mayHaveArrived: true)
        note.fileID = "id"
        note.uploaded = Timestamp(seconds: 4)
        note.beginAnew(attempt: "4", now: Timestamp(seconds: 5), mayHaveArrived: false)
        #expect(note.orphans.map(\.attempt) == ["2", "3"] && note.orphans.map(\.fileID) == [nil, "id"])
        for number in 0..<100 { note.beginAnew(attempt: "x\(number)", now: now, mayHaveArrived: true) }
        #expect(note.orphans.count == 50 && note.forgotten == 52)
    }

    @Test func `an id is used until an hour before its end, and one that may be published for ever`() {
        var note = ItslearningNote(attempt: "1", began: now)
        #expect(!note.isUsable(at: now))
        (note.fileID, note.uploaded) = ("id", now)
        let end = now.seconds + 14 * 86_400
        #expect(note.expires == Timestamp(seconds: end))
        #expect(note.isUsable(at: Timestamp(seconds: end - 3601)))
        #expect(!note.isUsable(at: Timestamp(seconds: end - 3600)))
        note.asked = 1
        #expect(note.isUsable(at: Timestamp(seconds: end + 1)))
    }
}
