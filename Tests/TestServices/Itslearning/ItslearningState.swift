import FXSystem

/// Everything the service knows. One request at a time changes it.
struct ItslearningState: Sendable {
    /// Who may call, and for which sites.
    struct Account: Sendable {
        var password: String
        var sites: Set<Int>
    }

    struct Extension: Sendable {
        var name: String
        var streams: Bool
    }

    /// A file in the temporary area.
    struct StreamedFile: Sendable {
        var id: String
        var extensionID: Int
        var site: Int
        var name: String
        var bytes: StoredBytes
        /// Of the part it came in.
        var contentID: String
        var uploaded: Int64
        var isConsumed = false
        var isChunked = false
    }

    struct DataMessage: Sendable {
        struct Detail: Sendable {
            var isError: Bool
            var words: String
            var syncKey: String
        }

        var id: Int
        var details: [Detail] = []
        var polls = 0
    }

    /// What a message made of a file.
    struct Content: Sendable {
        var syncKey: String
        var location: String
        var course: Int?
        var user: Int
        var parent: String?
        var title: String
        var fileName: String
        var file: String
    }

    var settings = ItslearningSettings()
    var accounts = ["partner": Account(password: "secret", sites: [123])]
    var extensions = [
        5009: Extension(name: "File", streams: true), 5000: Extension(name: "FileLink", streams: true),
        5001: Extension(name: "Poll", streams: false),
    ]
    var courses: Set<Int> = [42]
    var users: Set<Int> = [7]
    var files: [String: StreamedFile] = [:]
    var order: [String] = []
    var messages: [Int: DataMessage] = [:]
    var contents: [Content] = []
    var usedSyncKeys = Set<String>()
    /// By name; other numbers in each run.
    var messageTypes: [String: Int] = [:]
    var troubles: [ItslearningTrouble] = []
    var log: [Logged] = []
    var counters: [String: Int] = [:]
    private var nonces = Set<String>()

    struct Logged: Sendable {
        var number: Int
        var operation: String
        var target: String
        /// 0 for none.
        var status: Int
        /// Of the body, in bytes.
        var sent: Int
    }

    init() {
        let names = ["Create.Extension.Instance", "Update.Extension.Instance", "Delete.Extension.Instance"]
        var free = Array(10...199).shuffled()
        for name in names { messageTypes[name] = free.removeLast() }
    }

    /// In microseconds since 1970.
    var now: Int64 { Moment.now() + Int64(settings.clockOffset) * 1_000_000 }

    mutating func count(_ what: String, _ amount: Int = 1) { counters[what, default: 0] += amount }

    /// What goes wrong with a call; it is used up.
    mutating func takeTrouble(_ operation: String) -> ItslearningTrouble? {
        for index in troubles.indices where troubles[index].operation.map({ $0 == operation }) ?? true {
            if troubles[index].skip > 0 {
                troubles[index].skip -= 1
                continue
            }
            let trouble = troubles[index]
            troubles[index].times -= 1
            if troubles[index].times <= 0 { troubles.remove(at: index) }
            return trouble
        }
        return nil
    }

    mutating func record(_ operation: String, _ call: Call, status: Int, sent: Int) {
        count("requests")
        count(operation)
        log.append(
            Logged(
                number: counters["requests"] ?? 0, operation: operation, target: call.target, status: status, sent: sent
            ))
    }

    /// The file of an id, unless its time is over.
    mutating func file(_ id: String) -> StreamedFile? {
        purge()
        return files[id]
    }

    /// Files nobody used go when their time is over.
    mutating func purge() {
        let oldest = now - Int64(settings.retentionSeconds) * 1_000_000
        order.removeAll { id in
            guard let file = files[id], !file.isConsumed, file.uploaded < oldest else { return false }
            files[id] = nil
            return true
        }
    }

    static func newID() -> String {
        var bytes = (0..<16).map { _ in UInt8.random(in: 0...255) }
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        let digits = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        var text = ""
        for (index, pair) in digits.enumerated() { text += ([4, 6, 8, 10].contains(index) ? "-" : "") + pair }
        return text
    }

    // MARK: - Who calls

    /// What is left to check of a SOAP message after its parsing: headers that must be understood, then who it is.
    mutating func checkHeaders(_ envelope: SOAPElement) throws(SOAPFault) -> Account {
        let headers = envelope.child(Namespaces.soap, "Header")?.children ?? []
        for header in headers where header.namespace != Namespaces.security || header.name != "Security" {
            if header.attributes["\(Namespaces.soap)|mustUnderstand"] == "1" {
                throw SOAPFault(
                    code: .mustUnderstand,
                    words: "The header '\(header.name)' from the namespace '\(header.namespace)' was not understood by "
                        + "the recipient of this message, causing the message to not be processed.")
            }
        }
        let security = headers.filter { $0.namespace == Namespaces.security && $0.name == "Security" }
        guard security.count == 1, let token = security[0].child(Namespaces.security, "UsernameToken"),
            let name = token.child(Namespaces.security, "Username")?.words,
            let password = token.child(Namespaces.security, "Password"),
            password.attributes["Type"].map({ $0 == Namespaces.passwordText }) ?? true
        else { throw .badSecurity }
        if settings.strictSecurity { try checkFreshness(token) }
        guard let account = accounts[name], account.password == password.text else { throw .badCredentials }
        return account
    }

    private mutating func checkFreshness(_ token: SOAPElement) throws(SOAPFault) {
        guard let nonce = token.child(Namespaces.security, "Nonce")?.words,
            let created = token.child(Namespaces.utility, "Created").flatMap({ Moment.parse($0.words) }),
            abs(created - now) <= SOAPReply.validity, nonces.insert(nonce).inserted
        else { throw .badSecurity }
    }

    func reply(_ body: String) -> Answer {
        SOAPReply(
            body: body, created: now, isStale: settings.staleAnswers, isMultipart: settings.multipartAnswers
        ).answer
    }

    /// A refusal whose words nobody publishes.
    func refusal(_ words: String) -> SOAPFault { settings.hidesRefusals ? .unhandled : .client(words) }
}
