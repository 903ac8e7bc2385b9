import FXSystem

/// `FileStreamService.svc`, `UploadFile`: what is checked before the bytes, and what is kept after them.
extension ItslearningState {
    /// A call whose envelope was accepted and whose bytes are to come.
    struct Acceptance: Sendable {
        var extensionID: Int
        var site: Int
        var name: String
        /// The Content-ID of the part that holds the bytes.
        var contentID: String
        /// The bytes themselves, where they are allowed to stand in the envelope.
        var inline: [UInt8]?
    }

    static let uploadAction = "http://tempuri.org/IFileStreamService/UploadFile"

    /// The envelope of an upload; `action` as the request has it.
    mutating func accept(_ root: [UInt8], action: String?) throws(SOAPFault) -> Acceptance {
        guard let envelope = readSOAP(root), envelope.namespace == Namespaces.soap, envelope.name == "Envelope",
            let body = envelope.child(Namespaces.soap, "Body")
        else { throw .client("The message is no SOAP 1.1 envelope.") }
        let wanted = (action ?? "").filter { $0 != "\"" }
        guard wanted == ItslearningState.uploadAction, let message = body.child(Namespaces.service, "StreamMessage")
        else { throw .unknownAction(wanted) }
        let account = try checkHeaders(envelope)
        let header = envelope.child(Namespaces.soap, "Header") ?? envelope
        func parameter(_ name: String) -> String? { header.child(Namespaces.service, name)?.text }
        let site = try site(parameter("SiteId"), account)
        guard let text = parameter("ExtensionId"), let number = Int(text.filter { !$0.isWhitespace }) else {
            throw refusal("ExtensionId is missing.")
        }
        guard let known = extensions[number] else { throw refusal("There is no extension with id \(number).") }
        if !known.streams { throw refusal("The extension \(number) does not support file streaming.") }
        guard let name = parameter("Name"), !name.isEmpty else { throw refusal("Name is missing.") }
        if let problem = FileNameRules.problem(with: name) { throw refusal(problem) }
        if settings.limitsNamesAtUpload, name.utf16.count > FileNameRules.longest {
            throw refusal("The file name is longer than \(FileNameRules.longest) characters.")
        }
        guard let content = message.child(Namespaces.service, "Content") else { throw .client("Content is missing.") }
        var acceptance = Acceptance(extensionID: number, site: site, name: name, contentID: "")
        if let include = content.child(Namespaces.xop, "Include") {
            guard let href = include.attributes["href"], href.hasPrefix("cid:") else {
                throw .client("The reference in Content is no cid.")
            }
            acceptance.contentID = URLText.decode(href.dropFirst(4), plusIsSpace: false)
        } else {
            guard settings.acceptsInline, let bytes = URLText.decodeBase64(content.text.filter { !$0.isWhitespace })
            else { throw .client("Content holds no reference.") }
            acceptance.inline = bytes
        }
        return acceptance
    }

    func site(_ text: String?, _ account: Account) throws(SOAPFault) -> Int {
        guard let text, !text.isEmpty else {
            if account.sites.count == 1, let only = account.sites.first { return only }
            throw refusal("SiteId is required for these credentials.")
        }
        guard let site = Int(text.filter { !$0.isWhitespace }), account.sites.contains(site) else {
            throw refusal("No access to the site \(text).")
        }
        return site
    }

    /// Keeps a file; never finds that it has it already.
    mutating func keep(_ bytes: StoredBytes, _ acceptance: Acceptance, isChunked: Bool) -> Answer {
        purge()
        let id = ItslearningState.newID()
        files[id] = StreamedFile(
            id: id, extensionID: acceptance.extensionID, site: acceptance.site, name: acceptance.name, bytes: bytes,
            contentID: acceptance.contentID, uploaded: now, isChunked: isChunked)
        order.append(id)
        count("uploads")
        return reply(
            "<FileStreamUploadResponse xmlns=\"\(Namespaces.service)\"><FileId>\(id)</FileId></FileStreamUploadResponse>"
        )
    }
}

/// One upload on its way in: the parts of its body, in order.
final class IncomingStream {
    /// An answer that needs nothing of what is still to come.
    struct Refused: Error {
        var answer: Answer
        /// The rest of the body is not read.
        var isEarly = true
    }

    private let reader: MTOMReader
    private let rootID: String?
    private let rootAnywhere: Bool
    private let limit: Int
    private let judge: ([UInt8]) throws(SOAPFault) -> ItslearningState.Acceptance
    private(set) var acceptance: ItslearningState.Acceptance?
    /// Finished parts, but for the root; those nobody asked for are let go of.
    private var parts: [String: StoredBytes] = [:]
    private var currentID = ""
    private var isRoot = false
    private var isFirst = true
    private var root: [UInt8] = []
    private var writer: StoredBytesWriter?
    private(set) var received = 0

    /// An envelope is a few kilobytes.
    private static let longestRoot = 1 << 20

    init(
        type: MediaType, boundary: String, limit: Int, rootAnywhere: Bool,
        judge: @escaping ([UInt8]) throws(SOAPFault) -> ItslearningState.Acceptance
    ) {
        reader = MTOMReader(boundary: boundary)
        rootID = type.parameters["start"]
        self.rootAnywhere = rootAnywhere
        self.limit = limit
        self.judge = judge
    }

    func take(_ bytes: UnsafeRawBufferPointer) throws {
        received += bytes.count
        do {
            try reader.feed(bytes) { event in try take(event) }
        } catch is MTOMReader.Failure { throw Refused(answer: .page(400, "Bad Request")) }
    }

    /// After the last byte of the request.
    /// - Returns: the bytes of the file.
    func finish() throws -> (StoredBytes, ItslearningState.Acceptance) {
        // Without the closing boundary nobody knows whether the file is whole.
        guard reader.isComplete, let acceptance else { throw Refused(answer: .page(400, "Bad Request")) }
        if let inline = acceptance.inline { return (StoredBytes(inline), acceptance) }
        guard let bytes = parts[acceptance.contentID] else {
            throw Refused(answer: SOAPFault.client("The part \(acceptance.contentID) is missing.").answer)
        }
        return (bytes, acceptance)
    }

    private func take(_ event: MTOMReader.Event) throws {
        switch event {
        case .head(let fields):
            let given = fields["content-id"] ?? ""
            currentID = String(given.drop { $0 == "<" }.prefix { $0 != ">" })
            isRoot = acceptance == nil && (rootID.map { $0 == given } ?? isFirst)
            if isFirst, !isRoot, !rootAnywhere { throw Refused(answer: .page(400, "Bad Request")) }
            isFirst = false
            writer = isRoot ? nil : StoredBytesWriter()
        case .body(let bytes):
            if isRoot {
                if root.count + bytes.count > IncomingStream.longestRoot {
                    throw Refused(answer: .page(413, "Request Entity Too Large"))
                }
                root.append(contentsOf: bytes)
            } else if let writer {
                if writer.count + bytes.count > limit {
                    throw Refused(answer: .page(413, "Request Entity Too Large"))
                }
                try writer.append(bytes)
            }
        case .partEnd:
            if isRoot {
                isRoot = false
                do throws(SOAPFault) { acceptance = try judge(root) } catch { throw Refused(answer: error.answer) }
            } else if let writer {
                if acceptance == nil || acceptance?.contentID == currentID { parts[currentID] = writer.finish() }
            }
            writer = nil
        case .end: break
        }
    }
}
