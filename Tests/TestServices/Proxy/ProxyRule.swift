import FXSystem

/// What happens to a request that goes through the proxy, when it fits.
struct ProxyRule: Sendable {
    // Which requests. What is not said fits all.
    /// Counted from 1 since the last reset.
    var number: Int?
    var method: String?
    /// The beginning of the target.
    var path: String?
    /// A part of the target.
    var contains: String?
    /// Fitting requests that pass first.
    var skip = 0
    /// How many are treated; 0 is all.
    var times = 1

    // What happens. Several may be given.
    /// Before the request is forwarded.
    var delayMilliseconds = 0
    /// Ends both connections after so many bytes of the request, head included.
    var cutRequestAfter: Int?
    /// The same with the answer.
    var cutResponseAfter: Int?
    /// The request is forwarded and answered; the answer is thrown away and the connection ends.
    var dropsAnswer = false
    /// Answered here; nothing is forwarded.
    var status: Int?
    /// Further fields of that answer.
    var fields: [(name: String, value: String)] = []
    /// The body of that answer.
    var body = ""
    /// Answered before the body is read, and the connection ends.
    var isEarly = false
    var requestBytesPerSecond: Int?
    var responseBytesPerSecond: Int?
    /// Nothing is forwarded or answered any more.
    var stalls = false
    /// The request is forwarded, and its answer kept back.
    var stallsAnswer = false
    /// Added to the Content-Length of the answer.
    var wrongLength: Int?
    /// Connections end with a reset instead of an orderly end.
    var resets = false

    init(_ json: JSONValue) throws(ControlError) {
        for member in json.members ?? [] {
            switch (member.key, member.value) {
            case ("number", .integer(let value)): number = Int(value)
            case ("method", .string(let text)): method = text
            case ("path", .string(let text)): path = text
            case ("contains", .string(let text)): contains = text
            case ("skip", .integer(let value)): skip = Int(value)
            case ("times", .integer(let value)): times = Int(value)
            case ("delay_milliseconds", .integer(let value)): delayMilliseconds = Int(value)
            case ("cut_request_after", .integer(let value)): cutRequestAfter = Int(value)
            case ("cut_response_after", .integer(let value)): cutResponseAfter = Int(value)
            case ("drop_answer", .bool(let value)): dropsAnswer = value
            case ("status", .integer(let value)): status = Int(value)
            case ("fields", .object(let members)): fields = members.map { ($0.key, $0.value.string ?? $0.value.text) }
            case ("body", .string(let text)): body = text
            case ("early", .bool(let value)): isEarly = value
            case ("request_bytes_per_second", .integer(let value)): requestBytesPerSecond = Int(value)
            case ("response_bytes_per_second", .integer(let value)): responseBytesPerSecond = Int(value)
            case ("stall", .bool(let value)): stalls = value
            case ("stall_answer", .bool(let value)): stallsAnswer = value
            case ("wrong_length", .integer(let value)): wrongLength = Int(value)
            case ("reset", .bool(let value)): resets = value
            default: throw ControlError("no such part of a rule, or not of its type: \(member.key)")
            }
        }
    }

    func fits(_ number: Int, _ head: RequestHead) -> Bool {
        (self.number == nil || self.number == number) && (method == nil || method == head.method)
            && (path.map { head.target.hasPrefix($0) } ?? true) && (contains.map { head.target.contains($0) } ?? true)
    }
}

/// What the proxy knows, behind one lock.
struct ProxyState: Sendable {
    /// A request that went through.
    struct Entry: Sendable {
        var number: Int
        var connection: Int
        var method: String
        var target: String
        /// 0 when the client was given no answer.
        var status = 0
        /// What the upstream said; 0 when it was not asked or did not answer.
        var upstreamStatus = 0
        /// Bytes forwarded, heads included.
        var sent = 0
        var received = 0
        var isTreated = false
        var isDone = false
    }

    var upstreamPort: Int
    var rules: [ProxyRule] = []
    /// Half of it is added in each direction, the whole to a new connection.
    var roundTripMilliseconds = 0
    /// New connections are ended at once.
    var isDown = false
    var log: [Entry] = []
    var connections = 0
    var underWay = 0
    var mostUnderWay = 0
    private var requests = 0

    /// Older ones are forgotten: more than any test makes.
    static let longestLog = 200_000

    init(upstreamPort: Int) { self.upstreamPort = upstreamPort }

    /// Counts a request and finds what is to happen to it.
    mutating func begin(_ head: RequestHead, connection: Int) -> (number: Int, rule: ProxyRule?) {
        requests += 1
        underWay += 1
        mostUnderWay = max(mostUnderWay, underWay)
        if log.count >= ProxyState.longestLog { log.removeFirst(ProxyState.longestLog / 2) }
        var entry = Entry(number: requests, connection: connection, method: head.method, target: head.target)
        let rule = takeRule(head)
        entry.isTreated = rule != nil
        log.append(entry)
        return (requests, rule)
    }

    private mutating func takeRule(_ head: RequestHead) -> ProxyRule? {
        for index in rules.indices where rules[index].fits(requests, head) {
            if rules[index].skip > 0 {
                rules[index].skip -= 1
                continue
            }
            let rule = rules[index]
            if rule.times > 0 {
                rules[index].times -= 1
                if rules[index].times == 0 { rules.remove(at: index) }
            }
            return rule
        }
        return nil
    }

    mutating func note(_ number: Int, _ change: (inout Entry) -> Void) {
        guard let first = log.first?.number, number >= first, number - first < log.count else { return }
        change(&log[number - first])
    }

    mutating func end(_ number: Int) {
        var ended = 0
        note(number) { entry in
            if !entry.isDone { ended = 1 }
            entry.isDone = true
        }
        underWay -= ended
    }

    /// Rules, log and numbers; what is under way goes on.
    mutating func reset() {
        rules = []
        log = []
        requests = 0
        underWay = 0
        mostUnderWay = 0
        isDown = false
        roundTripMilliseconds = 0
    }
}
