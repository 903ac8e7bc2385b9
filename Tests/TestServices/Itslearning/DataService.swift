import FXSystem

/// `DataService.svc`: the calls around a FileId.
extension ItslearningState {
    static let dataActions = "http://tempuri.org/IDataService/"

    mutating func dataService(_ call: Call) throws(SOAPFault) -> Answer {
        guard MediaType(call.field("Content-Type") ?? "").name == "text/xml" else {
            return .page(415, "Unsupported Media Type")
        }
        guard let envelope = readSOAP(call.body.bytes), envelope.namespace == Namespaces.soap,
            let body = envelope.child(Namespaces.soap, "Body")
        else { throw .client("The message is no SOAP 1.1 envelope.") }
        let action = (call.field("SOAPAction") ?? "").filter { $0 != "\"" }
        let name =
            action.hasPrefix(ItslearningState.dataActions)
            ? String(action.dropFirst(ItslearningState.dataActions.count)) : ""
        guard let request = body.child(Namespaces.service, name) else { throw .unknownAction(action) }
        let account = try checkHeaders(envelope)
        switch name {
        case "GetExtensions": return reply(extensionList)
        case "GetMessageTypes": return reply(messageTypeList)
        case "AddMessage": return try addMessage(request, account)
        case "GetMessageResult": return try messageResult(request)
        default: throw .unknownAction(action)
        }
    }

    private var extensionList: String {
        let all = extensions.sorted { $0.key < $1.key }.map { id, known in
            "<a:DataExtension><a:ExtensionId>\(id)</a:ExtensionId><a:Name>\(escapedXML(known.name))</a:Name></a:DataExtension>"
        }
        return result("GetExtensions", all.joined())
    }

    private var messageTypeList: String {
        let all = messageTypes.sorted { $0.value < $1.value }.map { name, id in
            "<a:DataMessageType><a:Identifier>\(id)</a:Identifier><a:Name>\(name)</a:Name></a:DataMessageType>"
        }
        return result("GetMessageTypes", all.joined())
    }

    private func result(_ name: String, _ members: String) -> String {
        "<\(name)Response xmlns=\"\(Namespaces.service)\"><\(name)Result xmlns:a=\"\(Namespaces.entities)\">\(members)"
            + "</\(name)Result></\(name)Response>"
    }

    private mutating func addMessage(_ request: SOAPElement, _ account: Account) throws(SOAPFault) -> Answer {
        guard let message = request.child(Namespaces.service, "dataMessage"),
            let data = message.child(Namespaces.entities, "Data")?.text,
            let type = message.child(Namespaces.entities, "Type").flatMap({ Int($0.words) })
        else { throw .client("dataMessage needs Data and Type.") }
        guard messageTypes.values.contains(type) else { throw refusal("There is no message type \(type).") }
        var added = DataMessage(id: 1000 + messages.count)
        if messageTypes["Create.Extension.Instance"] == type {
            added.details = [create(data, account)]
        } else {
            added.details = [.init(isError: true, words: "Nothing of this kind is here.", syncKey: "")]
        }
        messages[added.id] = added
        return reply(result("AddMessage", standing(of: added, "InQueue", [])))
    }

    private mutating func messageResult(_ request: SOAPElement) throws(SOAPFault) -> Answer {
        guard let id = request.child(Namespaces.service, "messageId").flatMap({ Int($0.words) }),
            let message = messages[id]
        else { throw refusal("There is no such message.") }
        messages[id]?.polls += 1
        let isFinished = message.polls >= settings.queuedPolls
        let text =
            isFinished
            ? standing(of: message, "Finished", message.details) : standing(of: message, settings.queuedStatus, [])
        return reply(result("GetMessageResult", text))
    }

    private func standing(of message: DataMessage, _ status: String, _ details: [DataMessage.Detail]) -> String {
        let all = details.map { detail in
            "<a:DataMessageStatusDetail><a:Entity>ExtensionInstance</a:Entity><a:Message>\(escapedXML(detail.words))</a:Message>"
                + "<a:SyncKey>\(escapedXML(detail.syncKey))</a:SyncKey><a:Type>\(detail.isError ? "Error" : "Info")</a:Type>"
                + "</a:DataMessageStatusDetail>"
        }
        return "<a:MessageId>\(message.id)</a:MessageId><a:Status>\(status)</a:Status><a:StatusDetails>\(all.joined())"
            + "</a:StatusDetails>"
    }

    // MARK: - Create.Extension.Instance

    /// Carried out at once and atomically; when it is told is another matter.
    private mutating func create(_ data: String, _ account: Account) -> DataMessage.Detail {
        guard let message = readSOAP(Array(data.utf8)), message.namespace == Namespaces.message,
            message.name == "Message", let create = message.child(Namespaces.message, "CreateExtensionInstance")
        else { return .init(isError: true, words: "The message does not validate.", syncKey: "") }
        let keys = (message.child(Namespaces.message, "SyncKeys")?.children ?? []).map(\.words)
        let key = keys.first ?? ""
        func failed(_ words: String) -> DataMessage.Detail { .init(isError: true, words: words, syncKey: key) }
        func text(_ name: String) -> String? { create.child(Namespaces.message, name)?.words }
        if key.count > 128 { return failed("The SyncKey is longer than 128 characters.") }
        if !key.isEmpty, usedSyncKeys.contains(key) { return failed("The SyncKey '\(key)' is in use.") }
        let location = text("Location") ?? ""
        let course = text("CourseId").flatMap { Int($0) }
        guard location == "Library" || (location == "Course" && course.map(courses.contains) == true) else {
            return failed("The location does not exist.")
        }
        guard let user = text("UserId").flatMap({ Int($0) }), users.contains(user) else {
            return failed("The user does not exist.")
        }
        guard let number = text("ExtensionId").flatMap({ Int($0) }), extensions[number] != nil,
            let title = text("Title"), !title.isEmpty
        else { return failed("Extension and title are required.") }
        guard let content = create.child(Namespaces.message, "Content"),
            let file = readSOAP(Array(content.text.utf8)), file.name == "FileContent",
            let place = file.child(named: "FileLocation")?.words, !place.isEmpty,
            let name = file.child(named: "FileName")?.text, !name.isEmpty
        else { return failed("Both file id and file name are required.") }
        if name.utf16.count > FileNameRules.longest {
            return failed("The file name is longer than \(FileNameRules.longest) characters.")
        }
        guard let streamed = self.file(place) else { return failed("The file id cannot be found.") }
        if streamed.isConsumed { return failed("The file id cannot be reused.") }
        guard streamed.extensionID == number, account.sites.contains(streamed.site) else {
            return failed("The file was not uploaded for this extension and site.")
        }
        files[place]?.isConsumed = true
        if !key.isEmpty { usedSyncKeys.insert(key) }
        contents.append(
            Content(
                syncKey: key, location: location, course: course, user: user, parent: text("ParentId"), title: title,
                fileName: name, file: place))
        return .init(isError: false, words: "Created.", syncKey: key)
    }
}
