import FXSystem
import ServiceFixtures
import Testing

/// The stream service keeps to the rules of its digest: what is checked, in which order, and how a refusal is said.
@Suite(.serialized) struct ItslearningServiceTests {
    @Test func `the published request is taken, in every framing it allows`() throws {
        let control = try ItslearningControl()
        let caller = SOAPCaller(control)
        let bytes = patterned(70_000, seed: 1)
        let answer = try caller.upload(bytes)
        #expect(answer.status == 200 && answer["Content-Type"] == "text/xml; charset=utf-8")
        let first = try #require(answer.fileID)
        #expect(first.count == 36)
        let created = answer.text.components("Created").first ?? ""
        let expires = answer.text.components("Expires").first ?? ""
        #expect(created.count == 24 && expires.count == 24 && created < expires)
        // The same again is another file, and so is one in the chunked coding, whatever its pieces.
        let others = try [1, 77, 65_536].map { try #require(try caller.uploadChunked(bytes, piece: $0).fileID) }
        #expect(Set(others + [first]).count == 4)
        let files = try control.files()
        #expect(files.map(\.sha256) == Array(repeating: sha256Text(bytes), count: 4))
        #expect(files.map(\.isChunked) == [false, true, true, true])
        #expect(files.first?.site == 123 && files.first?.extensionID == 5009 && files.first?.name == "report.pdf")
        #expect(try control.bytes(of: first) == bytes)
    }

    @Test func `bytes that look like the frame stay bytes`() throws {
        let control = try ItslearningControl()
        let caller = SOAPCaller(control)
        let frame = "\r\n--\(caller.boundary.dropLast())"
        for text in ["", "\r\n", "--", "\r\n--", frame, frame + frame, "\r" + frame + "\r\n--\r"] {
            for piece in [1, 13, 4096] {
                let id = try #require(try caller.uploadChunked(Array(text.utf8), piece: piece).fileID)
                #expect(try control.bytes(of: id) == Array(text.utf8), "\(text.debugDescription) in \(piece)")
            }
        }
    }

    @Test func `references and Content-IDs are compared as the recommendation says`() throws {
        let control = try ItslearningControl()
        let caller = SOAPCaller(control)
        for (href, id) in [("cid:a@b", "<a@b>"), ("cid:a%40b", "<a@b>"), ("cid:plain", "<plain>")] {
            var one = caller
            (one.href, one.contentID) = (href, id)
            #expect(try one.upload([1]).status == 200, "\(href)")
        }
        var lost = caller
        lost.href = "cid:elsewhere"
        #expect(try lost.upload([1]).faultCode == "Client")
        var more = caller
        more.moreParts = "--\(caller.boundary)\r\nContent-ID: <other>\r\n\r\nignored\r\n"
        #expect(try more.upload([1]).status == 200)
        #expect(try control.files().count == 4)
    }

    @Test func `a body without its end leaves nothing`() throws {
        let control = try ItslearningControl()
        var caller = SOAPCaller(control)
        caller.closes = false
        #expect(try caller.upload(patterned(5000, seed: 1)).status == 400)
        #expect(try control.files().isEmpty)
    }

    @Test func `other media types, addresses and methods are refused before the body`() throws {
        let control = try ItslearningControl()
        var caller = SOAPCaller(control)
        caller.type = "text/xml"
        #expect(try caller.upload([1]).status == 415)
        caller.type = "multipart/related; type=\"application/xop+xml\"; boundary=\"\(caller.boundary)\""
        #expect(try caller.upload([1]).status == 415)
        #expect(try control.http.get("/FileStreamService.svc").status == 405)
        #expect(try control.http.request("POST", "/Other.svc", body: [1]).status == 404)
        caller.type = nil
        caller.isRootLast = true
        #expect(try caller.upload([1]).status == 400)
        try control.set(["root_anywhere": true])
        #expect(try caller.upload([1]).status == 200)
    }

    @Test func `a file in Base64 is taken only where that is switched on`() throws {
        let control = try ItslearningControl()
        var caller = SOAPCaller(control)
        caller.body = "AQID"
        #expect(try caller.upload([9]).faultCode == "Client")
        try control.set(["accepts_inline": true])
        let id = try #require(try caller.upload([9]).fileID)
        #expect(try control.bytes(of: id) == [1, 2, 3])
    }

    @Test func `who asks is checked after what must be understood and before what is asked`() throws {
        let control = try ItslearningControl()
        var caller = SOAPCaller(control)
        caller.action = "\"http://tempuri.org/IFileService/UploadFile\""
        caller.password = "wrong"
        caller.name = "program.exe"
        caller.moreHeaders = "<x:Unknown xmlns:x=\"urn:x\" soapenv:mustUnderstand=\"1\"/>"
        #expect(try caller.upload([1]).faultCode == "ActionNotSupported")
        caller.action = "http://tempuri.org/IFileStreamService/UploadFile"
        #expect(try caller.upload([1]).faultCode == "MustUnderstand")
        caller.moreHeaders = "<x:Unknown xmlns:x=\"urn:x\"/>"
        let refused = try caller.upload([1])
        #expect(refused.status == 500 && refused.faultCode == "FailedAuthentication")
        #expect(refused["Content-Type"] == "text/xml; charset=utf-8")
        caller.password = ItslearningControl.password
        #expect(try caller.upload([1]).faultCode == "Client")
        caller.name = "program.txt"
        #expect(try caller.upload([1]).status == 200)
    }

    @Test func `a password is plain text, with or without its type, and nothing else`() throws {
        let control = try ItslearningControl()
        var caller = SOAPCaller(control)
        caller.passwordType = nil
        #expect(try caller.upload([1]).status == 200)
        caller.passwordType = "PasswordDigest"
        #expect(try caller.upload([1]).faultCode == "InvalidSecurity")
        caller.security = ""
        #expect(try caller.upload([1]).faultCode == "InvalidSecurity")
        let whole = SOAPCaller.security(caller.username, caller.password, type: nil)
        caller.security = whole + whole
        #expect(try caller.upload([1]).faultCode == "InvalidSecurity")
    }

    @Test func `a strict service takes each nonce once and no time but its own`() throws {
        let control = try ItslearningControl()
        try control.set(["strict_security": true])
        var caller = SOAPCaller(control)
        #expect(try caller.upload([1]).faultCode == "InvalidSecurity")
        func token(_ nonce: String, _ created: String) -> String {
            SOAPCaller.security(
                caller.username, caller.password, type: nil,
                more: "<wsse:Nonce>\(nonce)</wsse:Nonce><wsu:Created>\(created)</wsu:Created>")
        }
        let now = WallClock.system.now()
        func moment(_ offset: Int64) -> String {
            Timestamp(seconds: now.seconds + offset).rfc3339.prefix(23) + "Z"
        }
        for (nonce, offset, isTaken) in [
            ("a", 0, true), ("a", 0, false), ("b", -280, true), ("c", 280, true),
            ("d", -320, false), ("e", 320, false),
        ] as [(String, Int64, Bool)] {
            caller.security = token(nonce, moment(offset))
            let answer = try caller.upload([1])
            #expect((answer.status == 200) == isTaken, "\(nonce) at \(offset)")
            if !isTaken { #expect(answer.faultCode == "InvalidSecurity") }
        }
    }

    @Test func `sites and extensions are those of the account`() throws {
        let control = try ItslearningControl()
        var caller = SOAPCaller(control)
        caller.siteID = "124"
        #expect(try caller.upload([1]).faultCode == "Client")
        try control.change(account: ["username": "partner", "sites": [123, 124]])
        #expect(try caller.upload([1]).status == 200)
        caller.siteID = nil
        #expect(try caller.upload([1]).faultCode == "Client")
        caller.siteID = "123"
        for (id, isTaken) in [("5009", true), ("5000", true), ("5001", false), ("1", false), ("x", false)] {
            caller.extensionID = id
            #expect(try caller.upload([1]).status == (isTaken ? 200 : 500), "extension \(id)")
        }
        caller.extensionID = nil
        #expect(try caller.upload([1]).faultCode == "Client")
        try control.set(["hides_refusals": true])
        #expect(try caller.upload([1]).faultCode == "InternalServiceFault")
    }

    @Test func `names are refused by the list, whatever their case`() throws {
        let control = try ItslearningControl()
        var caller = SOAPCaller(control)
        for name in ["a.exe", "A.EXE", "a.b.Src", "archive.", "README", "a. ", "a/b.txt", "a\\b.txt", ""] {
            caller.name = name
            #expect(try caller.upload([1]).faultCode == "Client", "\(name)")
        }
        let long = String(repeating: "x", count: 152) + ".txt"
        for name in [".gitignore", "a.scr", "é ü.pdf", "a.exe.txt", long] {
            caller.name = name
            #expect(try caller.upload([1]).status == 200, "\(name)")
        }
        try control.set(["limits_names_at_upload": true])
        #expect(try caller.upload([1]).faultCode == "Client")
    }

    @Test func `a file of the limit is taken and one byte more is not, however its length is told`() throws {
        let control = try ItslearningControl()
        try control.set(["size_limit": 100_000])
        let caller = SOAPCaller(control)
        for (size, status) in [(99_999, 200), (100_000, 200), (100_001, 413), (300_000, 413)] {
            #expect(try caller.upload(patterned(size, seed: 1)).status == status, "\(size)")
            #expect(try caller.uploadChunked(patterned(size, seed: 1), piece: 8192).status == status, "\(size) chunked")
        }
        #expect(try control.files().map(\.size) == [99_999, 99_999, 100_000, 100_000])
    }

    @Test func `answers may come in a frame or with an old timestamp`() throws {
        let control = try ItslearningControl()
        try control.set(["multipart_answers": true, "stale_answers": true])
        let answer = try SOAPCaller(control).upload([1])
        #expect(answer["Content-Type"]?.hasPrefix("multipart/related") == true)
        #expect(answer.fileID != nil)
        #expect(
            answer.text.components("Expires").first ?? ""
                < Timestamp(seconds: WallClock.system.now().seconds - 80_000).rfc3339)
    }

    @Test func `files nobody used go after fourteen days`() throws {
        let control = try ItslearningControl()
        let caller = SOAPCaller(control)
        let old = try #require(try caller.upload([1]).fileID)
        try control.set(["clock_offset": .integer(14 * 86_400 - 60)])
        #expect(try control.files().map(\.id) == [old])
        try control.set(["clock_offset": .integer(14 * 86_400 + 60)])
        #expect(try control.files().isEmpty)
        let message = try #require(try caller.addMessage(file: old))
        _ = try caller.result(message)
        #expect(try caller.result(message).components("Type") == ["Error"])
    }

    @Test func `a file is made content once, and only as it was uploaded`() throws {
        let control = try ItslearningControl()
        try control.set(["queued_polls": 2])
        let caller = SOAPCaller(control)
        let file = try #require(try caller.upload([1, 2]).fileID)
        let message = try #require(try caller.addMessage(file: file))
        #expect(
            try (0..<3).map { _ in try caller.result(message).components("Status").first } == [
                "InQueue", "InQueue", "Finished",
            ])
        #expect(try caller.result(message).components("Type") == ["Info"])
        #expect(try control.contents().map(\.file) == [file] && control.files().map(\.isConsumed) == [true])
        // The id again, the key again, an unknown id, another extension, a name that is too long.
        let second = try #require(try caller.upload([3]).fileID)
        let long = String(repeating: "x", count: 152) + ".txt"
        let refused = [
            try caller.addMessage(file: file, key: "k2"), try caller.addMessage(file: second, key: "k1"),
            try caller.addMessage(file: "0", key: "k3"),
            try caller.addMessage(file: second, key: "k4", extensionID: "5000"),
            try caller.addMessage(file: second, fileName: long, key: "k5"),
        ]
        try control.set(["queued_polls": 0])
        for message in refused {
            #expect(try caller.result(try #require(message)).components("Type") == ["Error"])
        }
        #expect(try control.contents().count == 1)
    }

    @Test func `message types have other numbers in each run, and the list of extensions names File`() throws {
        let control = try ItslearningControl()
        let caller = SOAPCaller(control)
        let numbers = try (0..<6).map { _ in
            try control.reset()
            return try #require(try caller.messageType())
        }
        #expect(Set(numbers).count > 1)
        let list = try caller.call("GetExtensions").text
        #expect(list.components("ExtensionId") == ["5000", "5001", "5009"])
        #expect(try caller.call("Unknown").faultCode == "ActionNotSupported")
    }

    @Test func `what goes wrong on purpose goes wrong once`() throws {
        let control = try ItslearningControl()
        let caller = SOAPCaller(control)
        try control.fail(["operation": "UploadFile", "status": 503])
        let page = try caller.upload([1])
        #expect(page.status == 503 && page["Content-Type"]?.hasPrefix("text/html") == true)
        try control.fail(["operation": "UploadFile", "fault": "internal"])
        #expect(try caller.upload([1]).faultCode == "InternalServiceFault")
        #expect(try control.files().isEmpty)
        // Nobody hears of it, and it is there.
        try control.fail(["operation": "UploadFile", "performed": true, "reset": true])
        #expect(throws: NoAnswer.self) { try caller.upload([1]) }
        #expect(try control.files().count == 1)
        try control.fail(["operation": "UploadFile", "reset_at": 20_000])
        #expect(throws: NoAnswer.self) { try caller.upload(patterned(300_000, seed: 1)) }
        #expect(try control.files().count == 1 && control.pendingFaults() == 0)
        #expect(try caller.upload([1]).status == 200)
    }
}
