internal import FXSystem
internal import Synchronization

/// Making content of an uploaded file: one message for one id. What may have been sent is recorded before it is sent, so
/// that no crash and no lost answer makes content of one file twice without anybody knowing.
extension ItslearningService {
    /// The number of the message that makes content; looked for by its name, since it differs from system to system.
    func messageType() throws(RemoteError) -> String {
        if let known = memory.withLock({ $0.messageType }) { return known }
        let answer: XMLElement
        do throws(ItslearningFailure) { answer = try client.call("GetMessageTypes") } catch { throw error.error }
        let type = answer.findAll("DataMessageType").first {
            $0.text(of: "Name")?.trimmed == ItslearningService.creation
        }
        guard let number = type?.text(of: "Identifier")?.trimmed, !number.isEmpty else {
            throw .notUnderstood("it has no message \(ItslearningService.creation)")
        }
        memory.withLock { $0.messageType = number }
        return number
    }

    static let creation = "Create.Extension.Instance"

    /// The same for an upload whenever it is published, in this run or a later one.
    static func syncKey(of upload: UploadID) -> String {
        "fx-" + SHA256Digest(hashing: Array(upload.text.utf8)).text.prefix(32)
    }

    /// The next step towards a message the service has taken.
    /// - Returns: what must be durable before the step after it; nil when the message is taken.
    func publish(
        _ upload: Upload, _ note: inout ItslearningNote, _ publication: ItslearningPublication
    ) throws(RemoteError) -> String? {
        if note.messageID != nil { return nil }
        let progress = memory.withLock { $0[upload.id] }
        if progress.refusedMessages > 0 {
            // It said that it did not take them.
            note.asked = max(0, note.asked - progress.refusedMessages)
            memory.withLock { $0[upload.id].refusedMessages = 0 }
        }
        if note.asked == 0 || progress.intent != note.asked {
            note.asked += 1
            note.firstAsked = note.firstAsked ?? client.clock.now()
            let asked = note.asked
            memory.withLock { $0[upload.id].intent = asked }
            // After a refusal the journal says so already.
            if note.text != upload.note { return note.text }
        }
        let type = try messageType()
        memory.withLock { $0[upload.id].intent = nil }
        note.messageID = try addMessage(type, upload, note, publication)
        return note.text
    }

    private func addMessage(
        _ type: String, _ upload: Upload, _ note: ItslearningNote, _ publication: ItslearningPublication
    ) throws(RemoteError) -> String {
        let message = ItslearningWire.message(
            publication, extensionID: configuration.extensionID, file: note.fileID ?? "",
            name: try ItslearningService.text(of: upload), syncKey: ItslearningService.syncKey(of: upload.id))
        let body =
            "<t:dataMessage xmlns:e=\"\(ItslearningWire.entities)\"><e:Data>\(ItslearningWire.escaped(message))</e:Data>"
            + "<e:Type>\(type)</e:Type></t:dataMessage>"
        do throws(ItslearningFailure) {
            guard let id = try client.call("AddMessage", body).find("MessageId")?.text.trimmed, !id.isEmpty else {
                throw ItslearningFailure(error: .protocolViolation, mayHaveArrived: true)
            }
            return id
        } catch {
            if !error.mayHaveArrived {
                memory.withLock { memory in
                    memory[upload.id].refusedMessages += 1
                    // Perhaps its numbers are others now.
                    memory.messageType = nil
                }
            }
            if case .client(let words) = error.fault { throw .notPublished(words) }
            throw error.error
        }
    }

    // MARK: - What became of it

    /// Asks until the message was carried out, for a moment; the rest is left to another attempt.
    /// - Returns: what the receipt says of it.
    func outcome(_ upload: Upload, _ note: ItslearningNote) throws(RemoteError) -> [JSONValue.Member] {
        let details: [XMLElement]
        do throws(RemoteError) { details = try finish(upload, note) } catch {
            if case .processing = error, isOverdue(note) {
                throw .notPublished("it has not said within an hour what became of the message \(note.messageID ?? "")")
            }
            throw error
        }
        var members: [JSONValue.Member] = [
            .init("sync_key", .string(ItslearningService.syncKey(of: upload.id))),
            .init("message_id", .text(note.messageID)),
        ]
        let failures = details.filter { $0.text(of: "Type")?.trimmed == "Error" }
        guard let failure = failures.first else { return members + [.init("publication", "published")] }
        let words = (failure.text(of: "Message") ?? "").onOneLine
        if note.asked == 1 {
            memory.withLock { $0[upload.id].failedMessage = note.messageID }
            throw .notPublished(words)
        }
        // An earlier message for the same file may have been carried out, and this one be refused for that.
        members += [
            .init("publication", "unconfirmed"),
            .init(
                "warning",
                .string(
                    "an answer was lost and the service refused the repetition (\(words)); "
                        + "the file is probably published: look for it there")),
        ]
        return members
    }

    private func isOverdue(_ note: ItslearningNote) -> Bool {
        guard let first = note.firstAsked else { return false }
        return client.clock.now().seconds - first.seconds > configuration.publicationTime.components.seconds
    }

    private func finish(_ upload: Upload, _ note: ItslearningNote) throws(RemoteError) -> [XMLElement] {
        var waited = Duration.zero
        while true {
            let answer: XMLElement
            do throws(ItslearningFailure) {
                answer = try client.call(
                    "GetMessageResult", "<t:messageId>\(ItslearningWire.escaped(note.messageID ?? ""))</t:messageId>")
            } catch {
                if case .client(let words) = error.fault { throw .notPublished(words) }
                throw error.error
            }
            // Finished does not mean success; what is neither queued nor finished is nobody's knowledge, so it is waited for.
            if answer.find("Status")?.text.trimmed == "Finished" { return answer.findAll("DataMessageStatusDetail") }
            let polls = memory.withLock { memory in
                memory[upload.id].polls += 1
                return memory[upload.id].polls
            }
            let wait = min(configuration.firstPoll * (1 << min(polls - 1, 5)), ItslearningService.longestPoll)
            waited += wait
            // A longer wait must not hold a thread.
            if waited > configuration.firstPoll * 3 { throw .processing(askAgain: wait) }
            _ = Monitor(()).wait(until: .after(wait)) { _ -> Void? in nil }
        }
    }

    private static let longestPoll = Duration.seconds(30)
}
